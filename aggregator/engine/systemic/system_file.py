"""What surrounds a population, from a JSON file: tokens and what they are made of, pools, bridges, oracles, depths, other venues.

    {"tokens": {"ETH": {"real_assets": 1e9}, "vault": {"real_assets": null, "claimed": 5e6, "domains": ["curator:Alpha"]}},
     "holdings": [{"holder": "vault", "held": "ETH", "share": 0.001}],
     "assets": {"WETH": "ETH"},
     "depth": {"WETH": 4e7, "vault": [[0, 1], [1e6, 0.9]]},
     "pools": [{"market": "aave-v3 Core", "asset": "USDC", "supplied": 1e8, "borrowed": 8e7, "suppliers": {"vault": 0.05}}],
     "bridges": [{"name": "Span", "token": "vault", "locked": 10, "minted": {"eip155:10": 10}, "tokens": {"": "vault"}}],
     "oracles": [{"asset": "vault", "kind": "rate", "deviation": 0.005, "heartbeat": 86400},
                 {"asset": "USDe", "follows": "USDC", "ceiling": 1.04}],
     "reactions": [{"source": "perpetuals", "asset": "WETH", "falls": [0, 0.2], "sold": [0, 3e7]}],
     "redeemable": {"vault": [{"name": "cash", "worth": 1e6, "cost": 0.0}]},
     "liquidators": {"gas": 5.0, "auctions": 0.3},
     "runs": {"loss_trigger": 0.001, "blind_trigger": 0.1, "share_per_tick": 0.25, "pro_rata": false}}

Every part may be left out. Money is in USD, amounts of pools and bridges in whole tokens, times in seconds, shares of 1; `null` is what is
not known. `assets` says which token an asset of the population (by id or symbol, on every chain) is; one named like a token is that token
unless said otherwise. A depth is the value whose sale takes the price to 1/e, or a curve of (sold, price factor). An asset without one has
a depth that is not known. `follows` is the asset whose market an oracle reads, if not its own, and `market` one of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from aggregator.contagion.bridges import BridgeLedger, Minted
from aggregator.contagion.composition import Composition, composition
from aggregator.contagion.impact import ExponentialImpact, Impact, MeasuredImpact, MixedImpact, no_impact
from aggregator.contagion.liquidations import Gate, LiquidationTerms, Pairing
from aggregator.contagion.money import MICRO
from aggregator.contagion.oracles import OracleKind, OracleRules, following
from aggregator.contagion.reactions import Reaction
from aggregator.contagion.runs import Tranche
from aggregator.contagion.system import Bridge, Pool, RunRule, System
from aggregator.engine.systemic.json_file import read_json
from aggregator.model.book import Book
from aggregator.model.errors import InputError

Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
KINDS = {kind.name.lower(): kind for kind in OracleKind}


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TokenGiven(_Given):
    real_assets: Amount | None = None
    borrowed: Amount = 0.0
    par: Amount | None = None
    claimed: Amount | None = None
    domains: Annotated[tuple[str, ...], Field(strict=False)] = ()


class HoldingGiven(_Given):
    holder: str
    held: str
    share: Share


class PoolGiven(_Given):
    market: str
    asset: str
    supplied: Amount
    borrowed: Amount
    reserve_fund: Amount = 0.0
    safety_module: Amount = 0.0
    suppliers: dict[str, Share] = {}


class BridgeGiven(_Given):
    name: str
    token: str
    locked: Amount | None
    minted: dict[str, Amount | None]
    tokens: dict[str, str]
    in_flight_out: Amount | None = 0.0
    in_flight_in: Amount | None = 0.0
    total_supply: Amount | None = None
    finality: Amount = 0.0
    frozen: bool = False


class OracleGiven(_Given):
    asset: str
    market: str | None = None
    follows: str | None = None
    kind: str = "spot"
    deviation: Amount = 0.0
    heartbeat: Amount | None = None
    window: Amount = 0.0
    ceiling: Amount | None = None
    base: str | None = None


class ReactionGiven(_Given):
    source: str
    asset: str
    falls: Annotated[tuple[float, ...], Field(strict=False)]
    sold: Annotated[tuple[float, ...], Field(strict=False)]


class TrancheGiven(_Given):
    name: str
    worth: Amount
    cost: Share = 0.0


class LiquidatorsGiven(_Given):
    gas: Amount = 0.0
    auctions: Share = 0.0
    pairing: Annotated[Pairing, Field(strict=False)] = Pairing.PRO_RATA
    gated: bool = True


class RunsGiven(_Given):
    loss_trigger: float = 0.001
    blind_trigger: float = 0.1
    share_per_tick: float = 0.25
    pro_rata: bool = False


Depth = Amount | Annotated[tuple[Annotated[tuple[float, float], Field(strict=False)], ...], Field(strict=False)]


class SystemFile(_Given):
    """The document; see the module."""

    tokens: dict[str, TokenGiven] = {}
    holdings: Annotated[tuple[HoldingGiven, ...], Field(strict=False)] = ()
    assets: dict[str, str] = {}
    depth: dict[str, Depth] = {}
    pools: Annotated[tuple[PoolGiven, ...], Field(strict=False)] = ()
    bridges: Annotated[tuple[BridgeGiven, ...], Field(strict=False)] = ()
    oracles: Annotated[tuple[OracleGiven, ...], Field(strict=False)] = ()
    reactions: Annotated[tuple[ReactionGiven, ...], Field(strict=False)] = ()
    redeemable: dict[str, Annotated[tuple[TrancheGiven, ...], Field(strict=False)]] = {}
    liquidators: LiquidatorsGiven | None = None
    runs: RunsGiven | None = None


def read_system(path: Path, book: Book, impact: Impact | None = None) -> System:
    """The system around a population. `impact` is taken for assets that the file gives no depth for. InputError names file and field."""
    given = read_json(path, SystemFile)
    try:
        return system_of(given, book, impact)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def system_of(given: SystemFile, book: Book, impact: Impact | None = None) -> System:
    """The system that a document describes around a population; InputError for a name that neither has."""
    book, tokens = _following(given, book), _composition(given)
    of_asset = _asset_tokens(given, book)
    bare = System(book, impact or ExponentialImpact(np.full(len(book.assets), np.nan)), tokens, of_asset)
    gate = given.liquidators
    return replace(
        bare,
        impact=_impact(given.depth, bare),
        pools=tuple(
            Pool(
                bare.market_named(pool.market),
                _in_market(bare, pool.market, pool.asset),
                pool.supplied,
                pool.borrowed,
                pool.reserve_fund,
                pool.safety_module,
                tuple(pool.suppliers.items()),
            )
            for pool in given.pools
        ),
        bridges=tuple(
            Bridge(
                one.name,
                BridgeLedger(
                    one.token,
                    one.name,
                    0.0,
                    one.locked,
                    tuple(Minted(chain, supply, one.finality) for chain, supply in one.minted.items()),
                    one.in_flight_out,
                    one.in_flight_in,
                    one.finality,
                    one.frozen,
                ),
                one.tokens,
                one.total_supply,
            )
            for one in given.bridges
        ),
        oracles=_oracles(given, bare) if given.oracles else None,
        reactions=tuple(
            Reaction(one.source, code, np.array(one.falls, dtype=np.float64), np.array(one.sold, dtype=np.float64))
            for one in given.reactions
            for code in _codes(bare, one.asset)[:1]
        ),
        redeemable={
            name: tuple(Tranche(one.name, round(one.worth * MICRO), one.cost) for one in tranches)
            for name, tranches in given.redeemable.items()
        },
        terms=LiquidationTerms() if gate is None else LiquidationTerms(gate.pairing, Gate(gate.gas, gate.auctions) if gate.gated else None),
        runs=None if given.runs is None else RunRule(**given.runs.model_dump()),
    )


def _composition(given: SystemFile) -> Composition | None:
    if not given.tokens:
        return None
    return composition(
        {name: token.real_assets for name, token in given.tokens.items()},
        [(one.holder, one.held, one.share) for one in given.holdings],
        borrowed={name: token.borrowed for name, token in given.tokens.items()},
        par={name: token.par for name, token in given.tokens.items() if token.par is not None},
        claimed={name: token.claimed for name, token in given.tokens.items()},
        domains={name: token.domains for name, token in given.tokens.items()},
    )


def _asset_tokens(given: SystemFile, book: Book) -> dict[int, str]:
    """Token of each asset: as said, or the one that is named like it."""
    found = {}
    for code, one in enumerate(book.assets):
        said = given.assets.get(str(one.asset), given.assets.get(one.symbol))
        named = next((name for name in (str(one.asset), one.symbol) if name in given.tokens), None)
        if said is not None or named is not None:
            found[code] = said if said is not None else str(named)
    present = {name for one in book.assets for name in (str(one.asset), one.symbol)}
    strangers = [name for name in given.assets if name not in present]
    if strangers:
        raise InputError(f"assets: {strangers[0]} is not in the population")
    return found


def _codes(system: System, name: str) -> list[int]:
    found = system.assets_named(name)
    if not found:
        raise InputError(f"{name} is neither a token nor an asset of the system")
    return found


def _in_market(system: System, market: str, name: str) -> int:
    """The asset that a name means in a market."""
    reserves, code = system.book.reserves, system.market_named(market)
    found = [asset for asset in _codes(system, name) if ((reserves.market == code) & (reserves.asset == asset)).any()]
    if len(found) != 1:
        raise InputError(f"{market} has {'no' if not found else 'more than one'} asset {name}")
    return found[0]


def _impact(depth: Mapping[str, Depth], system: System) -> Impact:
    """Depths of the file, and for the other assets what was given before."""
    if not depth:
        return system.impact
    count = len(system.book.assets)
    plain, which = np.full(count, np.nan), np.zeros(count, dtype=np.intp)
    curves: list[tuple[NDArray[np.float64], NDArray[np.float64]] | None] = [None] * count
    for name, value in depth.items():
        for code in _codes(system, name):
            if isinstance(value, tuple):
                points = np.array(value, dtype=np.float64).reshape(-1, 2)
                curves[code], which[code] = (points[:, 0].copy(), points[:, 1].copy()), 2
            else:
                plain[code], which[code] = value, 1
    measured = MeasuredImpact([None if one is None else one[0] for one in curves], [None if one is None else one[1] for one in curves])
    return MixedImpact((system.impact, ExponentialImpact(plain), measured), which)


def _following(given: SystemFile, book: Book) -> Book:
    """The book with oracles that follow other assets than before."""
    if all(one.follows is None for one in given.oracles):
        return book
    bare, priced_by = System(book, no_impact(len(book.assets))), book.reserves.priced_by.copy()
    for one in given.oracles:
        if one.follows is not None:
            priced_by[_oracle_places(one, bare)] = _codes(bare, one.follows)[0]
    return replace(book, reserves=replace(book.reserves, priced_by=priced_by))


def _oracle_places(one: OracleGiven, system: System) -> NDArray[np.bool_]:
    """The reserves that an oracle prices."""
    places: NDArray[np.bool_] = np.isin(system.book.reserves.asset, _codes(system, one.asset))
    return places if one.market is None else places & (system.book.reserves.market == system.market_named(one.market))


def _oracles(given: SystemFile, system: System) -> OracleRules:
    rules = following(system.book)
    kind, base = rules.kind.copy(), rules.base.copy()
    columns = {name: getattr(rules, name).copy() for name in ("deviation", "heartbeat", "window", "ceiling")}
    for one in given.oracles:
        if one.kind not in KINDS:
            raise InputError(f"oracle of {one.asset}: kind is {one.kind!r}; expected one of {', '.join(KINDS)}")
        places = _oracle_places(one, system)
        kind[places] = KINDS[one.kind]
        columns["deviation"][places], columns["window"][places] = one.deviation, one.window
        columns["heartbeat"][places] = np.inf if one.heartbeat is None else one.heartbeat
        columns["ceiling"][places] = np.inf if one.ceiling is None else one.ceiling
        if one.base is not None:
            base[places] = _codes(system, one.base)[0]
    return replace(rules, kind=kind, base=base, **columns)
