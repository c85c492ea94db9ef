"""Derive's first portfolio margin manager (PMRM): scan of full revaluations, one account an underlying.

    net = f·( min(worst scenario P&L, basis) − static ) − confidence + value + cash        f and confidence in the initial margin only
    scenario P&L = Σ_expiry [ disc(V_e) − V_e(now) ] + base·S·(s − 1)/stable + perpetual·P·(s − 1)
    disc(x) = x·d where x > 0, d = base discount·exp(−τ(rate·multiple + addition))
    basis  = Σ_expiry min(V_e(up) − V_e, V_e(down) − V_e, 0)·(addition + multiple·τ)
    static = |perpetual|·S·a + base·S·b + Σ naked shorts·S·c
    confidence = Σ (1 − confidence)·margin·amount·S of what is below the threshold
    f = factor + (peg threshold − stable)⁺·peg factor

Options are Black-76 on variable·shock + fixed forward. The required amount is value + cash − net. Assets that the manager does not take
count nothing: their whole value is in the requirement. Source: `PMRM.sol`, `PMRMLib.sol` of derivexyz/v2-core@7736900d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.risk.margin.derive import Accounts, Scenario, VolatilityShock, base_rows, by_scenario, lowest_confidence, volatility_shocks
from aggregator.risk.margin.derive_manager import PortfolioManager
from aggregator.risk.margin.interface import (
    Inapplicable,
    IntArray,
    MarginBook,
)
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import Quotes, quotes, unrealised
from aggregator.risk.pricing.black76 import CALL, PUT, price


@dataclass(frozen=True, slots=True)
class PmrmParameters:
    """Fractions of 1; times in seconds; rates a year. Names follow the contract's."""

    scenarios: tuple[Scenario, ...]
    basis_up: float
    basis_down: float
    basis_addition: float
    basis_multiple: float
    peg_threshold: float
    peg_factor: float
    confidence_threshold: float
    confidence_margin: float
    base_percent: float
    perpetual_percent: float
    option_percent: float
    initial_factor: float
    static_discount: float
    rate_multiple: float
    rate_addition: float
    volatility_up: float
    volatility_down: float
    short_term_power: float
    long_term_power: float
    floor_seconds: float
    source: str
    confirmed: bool
    """whether these are known to be in force, not only read in a script"""
    underlyings: frozenset[str] = frozenset({"BTC", "ETH"})
    """there is a manager for each of these"""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One row an account, or one a holding (n)."""

    accounts: Accounts
    pnl: Array
    """(accounts, scenarios)"""
    basis: Array
    worst: IntArray
    """index of the scenario; their number where the basis contingency is worse"""
    value: Array
    """(n,) mark-to-market in the stable coin; NaN where a perpetual's profit is not known"""
    span_parts: Array
    """(n,) profit or loss of each holding in its account's worst scenario"""
    static_parts: Array
    confidence_parts: Array
    foreign_parts: Array
    """(n,) value of what the manager does not take"""

    def amounts(self, factor: float, initial: bool) -> Array:
        """(n,) parts of the requirement; their sum over an account is its amount, because every piece is homogeneous of degree one."""
        parts = factor * (self.static_parts - self.span_parts) + self.foreign_parts
        return parts + self.confidence_parts if initial else parts


def evaluate(book: MarginBook, quoted: Quotes, market: Market, parameters: PmrmParameters, accounts: IntArray | None) -> Evaluation:
    """Everything that both margins are made of. Each underlying of each numbered account is margined by itself."""
    columns, p = book.columns, parameters
    unmanaged = {one.instrument.underlying for one in book.holdings if one.instrument.kind.is_derivative} - p.underlyings
    if unmanaged:
        raise Inapplicable(f"no portfolio margin manager takes {', '.join(sorted(unmanaged))}")
    managed = np.array([name in p.underlyings for name in book.underlyings], np.bool_)
    managers = Accounts.of(book, accounts, base_rows(book) & managed[columns.underlying])
    groups, o = managers.groups, managers.options
    units, spot, count = columns.units, quoted.spot, len(p.scenarios)
    moves = np.array([one.spot for one in p.scenarios])

    base, perpetual = managers.base, columns.perpetual
    base_value = np.where(base, units * spot, 0.0) / market.stable
    perpetual_value = np.where(perpetual, units * quoted.price, 0.0)
    linear = base_value + perpetual_value
    q, expiries = units[o], managers.expiries
    # columns: scenarios, basis up, basis down, now
    grid = _prices(book, quoted, p, o) * q[:, None]
    by_expiry = expiries.sum(grid)
    now = by_expiry[:, -1]
    years = quoted.years[o][expiries.first]
    discount = p.static_discount * np.exp(-years * (np.maximum(quoted.rate[o][expiries.first], 0.0) * p.rate_multiple + p.rate_addition))
    factor = np.where(by_expiry[:, :count] > 0, discount[:, None], 1.0)
    pnl = managers.from_expiries(factor * by_expiry[:, :count] - now[:, None]) + groups.sum(linear)[:, None] * (moves - 1.0)

    side = np.where(by_expiry[:, count] <= by_expiry[:, count + 1], count, count + 1)
    rows = np.arange(expiries.count)
    basis_factor = np.where(by_expiry[rows, side] < now, p.basis_addition + p.basis_multiple * years, 0.0)
    basis = managers.from_expiries((by_expiry[rows, side] - now) * basis_factor)
    worst = np.where(pnl.min(axis=1, initial=np.inf) < basis, pnl.argmin(axis=1) if count else count, count).astype(np.int64)

    in_basis = worst[groups.index] == count
    at = np.minimum(worst, max(count - 1, 0))
    span = np.where(in_basis, 0.0, linear * (moves[at] - 1.0)[groups.index])
    e = expiries.index
    column, chosen = at[managers.expiry_account[e]], np.arange(len(o))
    scenario_part = factor[e, column] * grid[chosen, column] - grid[chosen, -1]
    span[o] = np.where(in_basis[o], (grid[chosen, side[e]] - grid[chosen, -1]) * basis_factor[e], scenario_part)

    signed = units * np.sign(groups.sum(np.where(perpetual, units, 0.0)))[groups.index]
    perpetuals, bases = np.where(perpetual, signed, 0.0), np.where(base, units, 0.0)
    static = (perpetuals * p.perpetual_percent + bases * p.base_percent) * spot
    static[o] = managers.naked_shorts(q) * p.option_percent * spot[o]
    amounts = perpetuals + bases
    amounts[o] = managers.gross(q)
    charged = lowest_confidence(book, quoted, managers)
    margin = np.where(charged < p.confidence_threshold, (1.0 - charged) * p.confidence_margin, 0.0)
    foreign = np.where(columns.spot & ~base, units * quoted.price, 0.0) / market.stable
    value = base_value + foreign + unrealised(book, quoted)
    value[o] = grid[:, -1]
    return Evaluation(managers, pnl, basis, worst, value, span, static, margin * amounts * spot, foreign)


def _prices(book: MarginBook, quoted: Quotes, p: PmrmParameters, o: IntArray) -> Array:
    """Undiscounted prices of the options (rows) in the scenarios, both basis moves and now (columns)."""
    up, down = volatility_shocks(quoted.seconds[o], p)
    shocks = np.ones((len(o), len(p.scenarios) + 3))
    shocks[:, np.flatnonzero(by_scenario(p.scenarios, VolatilityShock.UP))] = up[:, None]
    shocks[:, np.flatnonzero(by_scenario(p.scenarios, VolatilityShock.DOWN))] = down[:, None]
    moves = np.array([*(one.spot for one in p.scenarios), p.basis_up, p.basis_down, 1.0])
    side = np.where(book.columns.call[o], CALL, PUT)
    forward = quoted.variable[o, None] * moves + quoted.fixed[o, None]
    return price(forward, book.columns.strike[o, None], quoted.years[o, None], quoted.volatility[o, None] * shocks, side[:, None])


@dataclass(frozen=True, slots=True)
class DerivePmrm(PortfolioManager[PmrmParameters, Evaluation]):
    """See the module."""

    id: str = "derive-pmrm"
    version: str = "1"
    source: str = "derivexyz/v2-core@7736900d src/risk-managers/PMRM.sol, PMRMLib.sol"

    def default_parameters(self) -> PmrmParameters:
        """Those of the mainnet configuration script."""
        from aggregator.risk.margin.derive_parameters import PMRM_MAINNET

        return PMRM_MAINNET

    def evaluate(self, book: MarginBook, market: Market, parameters: PmrmParameters, accounts: IntArray | None) -> Evaluation:
        return evaluate(book, quotes(book, market), market, parameters, accounts)

    def maintenance_factor(self, parameters: PmrmParameters) -> float:
        return 1.0

    def components(self, found: Evaluation, initial: bool) -> dict[str, float]:
        return {"static": float(found.static_parts.sum()), "confidence": float(found.confidence_parts.sum()) if initial else 0.0}

    def notes(self, parameters: PmrmParameters, found: Evaluation) -> tuple[str, ...]:
        return ("assets other than the underlying are not accepted and count nothing",) if found.foreign_parts.any() else ()

    def doubtful(self, found: Evaluation) -> bool:
        return False


MODEL = DerivePmrm()
