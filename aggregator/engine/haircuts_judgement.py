"""Haircuts from what was read, in three steps that can be done apart from one another: prices and depths of a chain's tokens, what moves
their factors, and each as a holding of one size. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from aggregator.engine.haircuts_depth import depths
from aggregator.engine.haircuts_reading import ChainFacts, sold_as
from aggregator.model.identifiers import Address
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, Position, Side
from aggregator.model.price import Price, PriceQuality, PriceSeries
from aggregator.model.token import Token
from aggregator.prices.book import price_book
from aggregator.prices.history import best_series
from aggregator.reading.registry import Registry, registry
from aggregator.risk.classes import FactorClass
from aggregator.risk.exposure import Exposures, expose
from aggregator.risk.haircut_depth import Depth
from aggregator.risk.haircut_implied import with_implied
from aggregator.risk.haircut_time import LiquidationTime
from aggregator.risk.haircuts import Haircut, HaircutModel
from aggregator.risk.policy import DEFAULT, Policy
from aggregator.risk.valuation import value_portfolio
from aggregator.risk.volatility import Volatility, by_factor, volatilities

UNKNOWN_AGE = 86_400
"""age of a price that no feed gives: the longest heartbeat in use"""
HOLDER = Address("0x" + "00" * 20)
SCALE = 6


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What is known of one token apart from how its factor moves."""

    token: Token
    age_seconds: int | None
    """of the price; None where there is none"""
    quality: PriceQuality
    depth: Depth | None
    """of its pools on its chain, where they were read"""
    unread: bool = False
    """pools were there and did not tell"""


@dataclass(frozen=True, slots=True)
class AssetHaircut:
    """One asset's haircut and what it rests on."""

    facts: AssetFacts
    haircut: Haircut
    time: LiquidationTime
    volatility: Volatility
    notes: tuple[str, ...]
    """what was not known, and what stood in for it"""


class Movements:
    """How factors move, by their histories; each is worked out when it is first asked for."""

    def __init__(
        self,
        series: Mapping[str, PriceSeries],
        implied: Mapping[str, float] | None = None,
        known: Mapping[tuple[str, FactorClass], Volatility] | None = None,
    ) -> None:
        """`series`: as `histories` gives them; `implied`: a year's implied volatility by factor; `known`: worked out before."""
        self._series, self._implied, self._known = series, implied or {}, dict(known or {})

    def of(self, factor: str, kind: FactorClass) -> Volatility:
        if (factor, kind) not in self._known:
            own = volatilities((factor,), {factor: kind}, self._series)[factor]
            self._known[factor, kind] = with_implied(own, self._implied[factor]) if factor in self._implied else own
        return self._known[factor, kind]


def histories(facts: Iterable[ChainFacts]) -> dict[str, PriceSeries]:
    """The usable history of each factor, of several chains the longest."""
    return by_factor(best_series(one for chain in facts for one in chain.history))


def asset_facts(tokens: Sequence[Token], facts: Sequence[ChainFacts], listed: Registry | None = None) -> tuple[AssetFacts, ...]:
    """Prices and depths of `tokens`, in their order. `facts` of all chains: a price may come from another chain's feeds."""
    shipped = listed if listed is not None else registry()
    own = [one for one in facts if one.snapshot.chain in {token.chain for token in tokens}]
    traded = {token for one in own for pair in one.pools.pairs for token in (pair.sold, pair.paid)}
    traded |= {token for one in own for pool in one.pools.pools for token in (pool.sold, pool.paid)}
    prices = price_book([*tokens, *traded], [one.feeds for one in facts if one.feeds is not None], listed=shipped)
    pools = {asset: depth for one in own for asset, depth in depths(one.pools, prices).items()}
    unread = {asset for one in own for asset in one.pools.unread}
    silent = {one.snapshot.chain for one in own if one.snapshot.block is None}
    found = []
    for token in tokens:
        price, contract = prices[token.asset], sold_as(token, shipped).asset
        age = price.age_seconds if price.value is not None else None
        found.append(AssetFacts(token, age, price.quality, pools.get(contract), contract in unread or token.chain in silent))
    return tuple(found)


def judge_asset(facts: AssetFacts, size_usd: Decimal, movements: Movements, policy: Policy = DEFAULT) -> AssetHaircut:
    """The haircut of a holding worth `size_usd`."""
    token, age = facts.token, facts.age_seconds
    exposures = _exposures(token, age or 0, size_usd)
    (factor,) = exposures.factors
    moving = movements.of(factor, exposures.classes[factor])
    depth = {(token.chain, factor): facts.depth} if facts.depth is not None else {}
    model = HaircutModel(exposures, {factor: moving}, policy, depth)
    seconds = float(age if age is not None else UNKNOWN_AGE)
    cut = model.haircut(exposures.leg_shapes[None, 0, 0], seconds, token.asset)
    return AssetHaircut(facts, cut, model.time(0, seconds, token.chain), moving, tuple(_notes(facts, moving)))


def _exposures(token: Token, age: int, size_usd: Decimal) -> Exposures:
    """One position of the asked size; the price does not matter, so a token is taken to be worth 1 USD."""
    leg = Leg(token.asset, token.symbol, SCALE, Side.IDLE, int(size_usd.scaleb(SCALE)), 0, ())
    held = Portfolio((), (), (), (Position(token.chain, "wallet", token.asset, HOLDER, (leg,)),), tokens={token.asset: token})
    one = Decimal(1)
    worth = {token.asset: Price(token.asset, one, one, one, age, PriceQuality.FRESH, 1.0, ("asked",))}
    return expose(held, value_portfolio(held, worth))


def _notes(facts: AssetFacts, moving: Volatility) -> Iterable[str]:
    if facts.age_seconds is None:
        yield f"no price on chain: taken to be {UNKNOWN_AGE // 3600} hours old"
    if moving.path is None:
        yield f"no usable price history of {moving.factor}: its class, {moving.factor_class.value}, stands in"
    if moving.factor_class is FactorClass.UNKNOWN:
        yield "not listed: taken to be as bad as such tokens are"
    if facts.depth is None:
        yield "pools were not told: volume of the class only" if facts.unread else "no pools found: volume of the class only"
