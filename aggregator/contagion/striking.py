"""The first blow: what a scenario's shocks do to a system before anything reacts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aggregator.contagion.backing import Backing
from aggregator.contagion.bridges import haircuts
from aggregator.contagion.causes import CauseKind, Causes
from aggregator.contagion.lookthrough import share_through
from aggregator.contagion.money import MICRO
from aggregator.contagion.oracles import OracleRules, following
from aggregator.contagion.runs import redeem
from aggregator.contagion.scenario import (
    BridgeDeficit,
    BridgeFreeze,
    Depeg,
    LiquidityWithdrawal,
    MarketPause,
    OracleFreeze,
    OracleLag,
    OracleLie,
    PriceShock,
    ProtocolLoss,
    Scenario,
    Shock,
    Slashing,
    StablecoinRun,
    SupplierRun,
)
from aggregator.contagion.system import System
from aggregator.model.book import Floats, Mask
from aggregator.model.errors import InputError


@dataclass(slots=True)
class Struck:
    """By asset: `market` price factors from outside, `liquidity` left, contracts' `rates`, `sales` in USD to come. `outflows`: share of
    a pool that its suppliers want back, and the event, by pool code. `paused`: by market."""

    market: Floats
    liquidity: Floats
    rates: Floats
    sales: Floats
    paused: Mask
    oracles: OracleRules
    price_causes: dict[int, int] = field(default_factory=dict)
    sale_sources: dict[int, str] = field(default_factory=dict)
    sale_causes: dict[int, int] = field(default_factory=dict)
    outflows: dict[int, tuple[float, int]] = field(default_factory=dict)


def strike(system: System, scenario: Scenario, causes: Causes, backing: Backing | None) -> Struck:
    """Apply all shocks of a scenario. InputError for a name that the system does not know, or a shock that cannot apply to it."""
    count = len(system.book.assets)
    made = Struck(
        np.ones(count),
        np.ones(count),
        np.ones(count),
        np.zeros(count),
        np.zeros(len(system.book.markets), dtype=np.bool_),
        system.oracles or following(system.book),
    )
    blow = _Blow(system, causes, backing, made)
    for shock in scenario.shocks:
        blow.apply(shock)
    return made


class _Blow:
    def __init__(self, system: System, causes: Causes, backing: Backing | None, made: Struck) -> None:
        self._system, self._causes, self._backing, self._made = system, causes, backing, made

    def apply(self, shock: Shock) -> None:
        match shock:
            case PriceShock(name, fall):
                self._price(name, fall)
            case Depeg(name, fall):
                self._market(name, fall, f"market of {name}")
            case ProtocolLoss(name, share):
                self._lose(name, share, f"loss behind {name}")
            case Slashing(name, share):
                token = self._lose(name, share, f"slashing of {name}")
                self._slash(token, share)
            case OracleFreeze(name):
                self._oracle(name, "freeze", frozen=True)
            case OracleLie(name, price):
                self._oracle(name, "lie", stated=price)
            case OracleLag(name, seconds):
                self._oracle(name, "lag", lag=seconds)
            case BridgeDeficit():
                self._deficit(shock)
            case BridgeFreeze(bridge, depth_left):
                self._freeze(bridge, depth_left)
            case StablecoinRun(name, share):
                self._run(name, share)
            case LiquidityWithdrawal(name, left):
                self._shock(f"liquidity of {name}")
                self._made.liquidity[self._assets(name)] *= left
            case SupplierRun(market, name, share):
                self._outflow(market, name, share)
            case MarketPause(market):
                self._shock(f"pause of {market}")
                self._made.paused[self._system.market_named(market)] = True

    def _shock(self, subject: str, amount: float = 0.0) -> int:
        return self._causes.add(0, CauseKind.SHOCK, subject, round(amount * MICRO))

    def _assets(self, name: str) -> list[int]:
        found = self._system.assets_named(name)
        if not found:
            raise InputError(f"{name} is neither a token nor an asset of the system")
        return found

    def _token(self, name: str) -> tuple[Backing, int]:
        given = self._system.tokens
        if self._backing is None or given is None:
            raise InputError(f"{name} cannot be looked through: the system has no composition of tokens")
        if name in given.names:
            return self._backing, given.code(name)
        tokens = {self._system.asset_tokens[code] for code in self._assets(name) if code in self._system.asset_tokens}
        if len(tokens) != 1:
            raise InputError(f"{name} is not one of the {len(given)} tokens of the composition")
        return self._backing, given.code(tokens.pop())

    def _price(self, name: str, fall: float) -> None:
        """What a token is made of falls; a token or asset without real assets of its own falls in its market."""
        if self._system.tokens is not None and (
            name in self._system.tokens.names or set(self._assets(name)) & set(self._system.asset_tokens)
        ):
            backing, token = self._token(name)
            own = float(backing.real_assets[token])
            if own > 0.0:
                backing.strike(token, self._shock(f"price of {name}", own * fall))
                backing.real_assets[token] *= 1.0 - fall
                return
        self._market(name, fall, f"price of {name}")

    def _market(self, name: str, fall: float, subject: str) -> None:
        event = self._shock(subject)
        for code in self._assets(name):
            self._made.market[code] *= 1.0 - fall
            self._made.price_causes[code] = event

    def _lose(self, name: str, share: float, subject: str) -> int:
        """A share of everything behind a token is gone, what it holds of others too."""
        backing, token = self._token(name)
        backing.strike(token, self._shock(subject, float(backing.found.value[token]) * share))
        backing.kept[token] *= 1.0 - share
        return token

    def _slash(self, token: int, share: float) -> None:
        """Exchange rates of the token, and of whatever is made of it, fall with it."""
        assert self._backing is not None
        marked = np.zeros(len(self._backing.kept), dtype=np.bool_)
        marked[token] = True
        through = share_through(self._backing.found.weights, marked)
        codes = self._system.token_codes()
        self._made.rates *= np.where(codes >= 0, 1.0 - share * through[codes], 1.0)

    def _oracle(self, name: str, what: str, *, frozen: bool = False, stated: float | None = None, lag: float | None = None) -> None:
        self._shock(f"oracle {what} of {name}")
        reserves = np.flatnonzero(np.isin(self._system.book.reserves.asset, self._assets(name)))
        self._made.oracles = self._made.oracles.faulty(reserves, frozen=frozen, stated=stated, lag=lag)

    def _deficit(self, shock: BridgeDeficit) -> None:
        bridge = self._system.bridge_named(shock.bridge)
        cuts = haircuts(bridge.ledger, shock.deficit, shock.allocation, total_supply=bridge.total_supply, by_chain=shock.by_chain)
        event = self._shock(f"deficit of {shock.bridge}")
        through, home_cut = np.zeros(0 if self._system.tokens is None else len(self._system.tokens)), cuts.get("", 0.0)
        if home_cut and "" in bridge.tokens:
            backing, home = self._token(bridge.tokens[""])
            through = share_through(backing.found.weights, np.arange(len(through)) == home)
        for chain, name in bridge.tokens.items():
            backing, token = self._token(name)
            # what is made of the home token loses with it already
            already = home_cut * float(through[token]) if chain else 0.0
            if cuts.get(chain, 0.0) > already:
                backing.kept[token] *= (1.0 - cuts[chain]) / (1.0 - already)
                backing.strike(token, event)

    def _freeze(self, name: str, depth_left: float) -> None:
        """Tokens on the far side trade in the far side's markets only."""
        self._shock(f"freeze of {name}")
        for chain, token in self._system.bridge_named(name).tokens.items():
            if chain:
                self._made.liquidity[self._system.assets_named(token)] *= depth_left

    def _run(self, name: str, share: float) -> None:
        """Redemptions at par; reserves that are assets with a market are sold there."""
        backing, token = self._token(name)
        assert self._system.tokens is not None
        token_name = self._system.tokens.names[token]
        tranches = self._system.redeemable.get(token_name)
        if tranches is None:
            raise InputError(f"{name} has no reserves that it could be redeemed from")
        par, claimed = float(self._system.tokens.par[token]), float(self._system.tokens.claimed[token])
        outstanding = par if np.isfinite(par) else claimed
        reserves = sum(tranche.worth for tranche in tranches)
        if np.isnan(outstanding) or outstanding <= 0.0:
            raise InputError(f"{name} has neither a par nor a claimed value: it is not known how much is outstanding")
        if reserves > round(float(backing.real_assets[token]) * MICRO) + 1:
            raise InputError(f"reserves of {name} are worth more than its real assets")
        inside = float(np.asarray(self._system.tokens.holdings[:, [token]].sum()))
        if share > 1.0 - inside + 1e-9:
            raise InputError(f"{name}: {share:.4g} of it cannot be redeemed, as other tokens hold {inside:.4g}")
        done = redeem(tranches, round(outstanding * MICRO), round(outstanding * share * MICRO))
        event = self._shock(f"run on {name}", done.paid / MICRO)
        backing.real_assets[token] -= int(done.sold.sum()) / MICRO
        backing.supply[token] *= 1.0 - done.paid / round(outstanding * MICRO)
        backing.strike(token, event)
        for tranche, sold in zip(tranches, done.sold.tolist(), strict=True):
            for asset in self._system.assets_named(tranche.name)[:1]:
                self._made.sales[asset] += sold / MICRO
                self._made.sale_sources[asset] = f"redemptions of {name}"
                self._made.sale_causes[asset] = event

    def _outflow(self, market: str, name: str, share: float) -> None:
        code, assets = self._system.market_named(market), self._assets(name)
        pools = [place for place, pool in enumerate(self._system.pools) if pool.market == code and pool.asset in assets]
        if not pools:
            raise InputError(f"{market} has no pool of {name}")
        event = self._shock(f"suppliers of {name} in {market}")
        for place in pools:
            self._made.outflows[place] = (share, event)
