"""One scenario played to its end over accounts, tokens, oracles, pools and bridges: the stages of a tick until nothing happens any more.

    found = simulate(system, Scenario("a fall and a frozen oracle", (PriceShock("ETH", 0.3), OracleFreeze("xUSD"))))

    what stands behind tokens → market prices → oracles → health → liquidations and sales → losses to whoever bears them → withdrawals

Within a stage everything is simultaneous, orders are fixed and nothing is random: the same input gives the same output. Every figure
has the event it comes from, and `Simulation.why` follows it back to the scenario.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.backing import Backing
from aggregator.contagion.cascade import CascadeResult, CascadeRun
from aggregator.contagion.causes import Cause, Causes
from aggregator.contagion.evidence import FLOOR, Evidence, together
from aggregator.contagion.lookthrough import LookThrough
from aggregator.contagion.money import MICRO
from aggregator.contagion.pools import PoolBooks, PoolState
from aggregator.contagion.priced import priced, priced_by_oracles
from aggregator.contagion.scenario import Scenario
from aggregator.contagion.shadow import Shadow, shadow
from aggregator.contagion.striking import strike
from aggregator.contagion.system import System
from aggregator.model.book import Floats

MAXIMUM_TICKS = 1_000
TICK_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Simulation:
    """What became of a system. Money in USD unless it says micro-dollars.

    `cascade`: liquidations, prices by round, ledger (with all events in `cascade.ledger.causes`). `tokens`: the look-through at the end,
    None without a composition; `token_factors` (ticks + 1 × tokens): value behind one token against before the scenario. `shadow`: both
    healths of every account at the end; `blind_bad_debt` (ticks + 1): bad debt that oracles hide, by tick, NaN where too little is known.
    `pools`: each pool at the end. `unallocated`: micro-dollars of bad debt in reserves without a pool, borne by lenders without a name.
    `borne`: micro-dollars by whoever bore bad debt in the end, adding up to all of it.
    `settled` is False where the ticks ran out first.
    """

    scenario: Scenario
    cascade: CascadeResult
    tokens: LookThrough | None
    token_factors: Floats
    shadow: Shadow
    blind_bad_debt: Floats
    pools: tuple[PoolState, ...]
    unallocated: int
    borne: dict[str, int]
    ticks: int
    settled: bool
    reasons: dict[str, int]
    evidence: Evidence

    @property
    def causes(self) -> Causes:
        """All events."""
        return self.cascade.ledger.causes

    def why(self, subject: str) -> tuple[Cause, ...]:
        """From the scenario to what happened last to a token, an asset's price, a pool or a holder; empty where nothing did."""
        return self.causes.path(self.reasons[subject]) if subject in self.reasons else ()


def simulate(system: System, scenario: Scenario, *, maximum_ticks: int = MAXIMUM_TICKS, tick_seconds: float = TICK_SECONDS) -> Simulation:
    """Play a scenario. InputError where it names something that the system does not have."""
    return _Play(replace(system, book=priced(system.book)), scenario, tick_seconds, priced_by_oracles(system.book)).to_the_end(
        maximum_ticks
    )


class _Play:
    """The state between ticks."""

    def __init__(self, system: System, scenario: Scenario, tick_seconds: float, filled: Evidence) -> None:
        self._system, self._scenario = system, scenario
        self._causes = Causes()
        self._backing = None if system.tokens is None else Backing(system.tokens, self._causes)
        self._tokens = system.token_codes()
        self._struck = strike(system, scenario, self._causes, self._backing)
        self._rates = self._struck.rates.copy()
        if self._backing is not None:
            self._backing.value(0, {})
        self._run = CascadeRun(
            system.book,
            self._base(),
            system.impact,
            system.terms,
            self._struck.oracles,
            system.reactions,
            self._struck.liquidity,
            tick_seconds,
            self._causes,
            self._origins(),
        )
        self._run.set_market(self._run.base, self._rates, {})
        self._pools = PoolBooks(system, self._run.ledger, self._struck.outflows)
        self._factors = [self._token_factors()]
        self._evidence = together([filled, self._behind()])
        self._seen = self._shadow()
        self._blind = [self._hidden()]

    def to_the_end(self, maximum_ticks: int) -> Simulation:
        if self._struck.sales.any():
            self._run.sell(self._struck.sales, self._struck.sale_sources, self._struck.sale_causes)
        settled = False
        for _ in range(maximum_ticks):
            if not self._tick():
                settled = True
                break
        return self._result(settled)

    def _tick(self) -> bool:
        """One tick; whether anything happened."""
        traded = self._run.step(self._struck.paused)
        surplus = np.zeros(0) if self._backing is None else self._backing.surplus
        lost = self._pools.write_down(self._run.ticks, self._run.market, surplus)
        moved = self._revalue(lost)
        left = self._pools.withdraw(self._run.ticks, self._seen, self._run.market)
        if not (traded or moved or left):
            return False
        if moved:
            self._seen = self._shadow()
        self._blind.append(self._hidden())
        self._factors.append(self._token_factors())
        return True

    def _revalue(self, lost: dict[int, tuple[int, int]]) -> bool:
        """What stands behind tokens after losses (token: micro-dollars and the event) and after what markets did; then prices follow."""
        if self._backing is None:
            return False
        backing = self._backing
        for token, (amount, event) in lost.items():
            before = float(backing.found.value[token])
            backing.take(token, amount / MICRO, event)
            if before > 0.0:
                self._rates[self._tokens == token] *= max(1.0 - amount / MICRO / before, 0.0)
        reasons = self._follow_markets()
        if not backing.value(self._run.ticks, reasons):
            return False
        self._run.set_market(self._base(), self._rates, self._origins())
        return True

    def _follow_markets(self) -> dict[int, int]:
        """Plain tokens are worth what their markets pay after sales; the events that moved those markets, by token."""
        assert self._backing is not None
        reasons: dict[int, int] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            pushed = np.where(self._run.base > 0.0, self._run.market / self._run.base, 1.0)
        for asset in np.flatnonzero(self._plain()).tolist():
            token = int(self._tokens[asset])
            if self._backing.market[token] != pushed[asset] and not np.isnan(pushed[asset]):
                self._backing.market[token] = pushed[asset]
                event = self._run.ledger.price_cause(asset)
                if event is not None:
                    reasons[token] = event
        return reasons

    def _plain(self) -> NDArray[np.bool_]:
        """Assets whose token holds no other, so that its own market says what it is worth."""
        assert self._backing is not None and self._system.tokens is not None
        holding = np.diff(self._system.tokens.holdings.indptr) > 0
        first = np.zeros(len(self._tokens), dtype=np.bool_)
        seen: set[int] = set()
        for asset, token in enumerate(self._tokens.tolist()):
            first[asset] = token >= 0 and not holding[token] and token not in seen
            seen.add(token)
        return first

    def _base(self) -> Floats:
        """Market prices before sales: what stands behind, off by what the market adds or takes."""
        factors = np.ones(len(self._tokens))
        if self._backing is not None:
            known = self._tokens >= 0
            of_token = self._backing.factor / np.where(self._backing.market > 0.0, self._backing.market, 1.0)
            holding = np.diff(self._system.tokens.holdings.indptr) > 0 if self._system.tokens else np.zeros(0, dtype=np.bool_)
            unit = np.where(holding, self._backing.factor, of_token)
            factors[known] = unit[self._tokens[known]]
        base: Floats = self._system.book.prices * factors * self._struck.market
        return base

    def _origins(self) -> dict[int, int]:
        """By asset, the event behind its price from outside."""
        result = dict(self._struck.price_causes)
        if self._backing is not None:
            for asset, token in enumerate(self._tokens.tolist()):
                if token >= 0 and self._backing.reason[token] >= 0:
                    result[asset] = int(self._backing.reason[token])
        return result

    def _token_factors(self) -> Floats:
        return np.zeros(0) if self._backing is None else self._backing.factor

    def _net_asset_values(self) -> Floats | None:
        """USD by asset of what stands behind it, NaN for an asset that is not looked through, or not far enough to say."""
        if self._backing is None:
            return None
        claimed = self._backing.behind_claim
        per_unit = np.where(np.isnan(claimed), self._backing.factor, claimed)
        per_unit = np.where(self._backing.found.known >= FLOOR, per_unit, np.nan)
        values: Floats = np.where(self._tokens >= 0, self._system.book.prices * per_unit[self._tokens], np.nan)
        return values

    def _shadow(self) -> Shadow:
        positions, book = self._run.positions, self._system.book
        current = replace(book, collateral=positions.collateral, debt=positions.debt) if self._run.ticks else book
        return shadow(current, self._net_asset_values(), self._run.oracle, self._run.market)

    def _result(self, settled: bool) -> Simulation:
        cascade = self._run.result()
        return Simulation(
            self._scenario,
            cascade,
            None if self._backing is None else self._backing.found,
            np.array(self._factors),
            self._shadow(),
            np.array(self._blind),
            self._pools.states(),
            self._pools.unallocated,
            self._pools.borne,
            self._run.ticks,
            settled,
            self._reasons(),
            together([cascade.evidence, self._evidence]),
        )

    def _reasons(self) -> dict[str, int]:
        """The last event of every subject."""
        result: dict[str, int] = {}
        for event in self._causes:
            result[event.subject] = event.number
        return result

    def _behind(self) -> Evidence:
        """Share of the collateral whose backing is known, and whose real assets are not."""
        if self._backing is None:
            return Evidence(1.0)
        found, book = self._backing.found, self._system.book
        units = np.bincount(book.collateral.reserves(), np.nan_to_num(book.collateral.amounts), len(book.reserves))
        worth = np.bincount(book.reserves.asset, np.nan_to_num(units * book.reserves.oracle_price), len(book.assets))
        known = np.where(self._tokens >= 0, np.nan_to_num(found.known[self._tokens]), 1.0)
        held = np.unique(self._tokens[(worth > 0.0) & (self._tokens >= 0)])
        missing = [item for token in held for item in found.evidence(found.composition.names[int(token)]).missing]
        total = float(worth.sum())
        return Evidence(float(worth @ known) / total if total > 0.0 else 1.0, tuple(dict.fromkeys(missing)))

    def _hidden(self) -> float:
        """Bad debt that oracles hide; NaN where too little is known to say."""
        known = together([self._seen.evidence, self._evidence])
        total = known.figure(float(np.nansum(self._seen.blind_bad_debt)))
        return np.nan if total is None else total
