"""Derive's second portfolio margin manager (PMRM_2): the first one's scan with dampened tails, skew scenarios and a list of collaterals.

    net = f·min(worst scenario P&L, basis) − contingency + value + cash ;  f and contingency by initial or maintenance margin
    scenario P&L = w·( Σ_expiry [ V_e·d± − V_e(now) ] + perpetual·P·(s − 1) + Σ risk-cancelling collateral·(s − 1) )
    d+ = long discount·exp(−τ(rate·multiple + addition)) ; d− = min( short discount·exp(τ(…)), 1/discount factor )
    skew scenarios: σ·(1 + clip(k·cap/k*, ±cap))⁺, k = ln(K/F) (linear) or |k| (absolute), cap = base + slope·√τ,
                    k* = max(least, √τ·width·(static + √τ·scale)) ; each expiry counts −|P&L|
    contingency = |perpetual|·S·a + Σ naked shorts·S·c + Σ collateral·haircut, in the initial margin the sum of both sets,
                  and (1 − confidence)·margin·notional of what is below the threshold

Options are Black-76 discounted with the expiry's rate. The required amount is value + cash − net. Assets that the manager does not list
count nothing: their whole value is in the requirement. Source: `PMRM_2.sol`, `PMRMLib_2.sol` of derivexyz/v2-core@7736900d.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aggregator.risk.margin.derive import Accounts, Scenario, VolatilityShock, base_rows, by_scenario, lowest_confidence, volatility_shocks
from aggregator.risk.margin.derive_manager import PortfolioManager
from aggregator.risk.margin.interface import IntArray, MarginBook
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import Quotes, quotes, unrealised
from aggregator.risk.pricing.black76 import CALL, PUT, price


@dataclass(frozen=True, slots=True)
class CollateralTerms:
    """Of one asset; the initial haircut comes on top of the maintenance one."""

    maintenance_haircut: float
    initial_haircut: float
    risk_cancelling: bool = False
    """whether it moves with the underlying in the scan"""


@dataclass(frozen=True, slots=True)
class Pmrm2Parameters:
    """Fractions of 1; times in seconds; rates a year. Initial percentages come on top of the maintenance ones."""

    scenarios: tuple[Scenario, ...]
    basis_up: float
    basis_down: float
    basis_addition: float
    basis_multiple: float
    peg_threshold: float
    peg_factor: float
    confidence_threshold: float
    confidence_margin: float
    maintenance_perpetual_percent: float
    initial_perpetual_percent: float
    maintenance_option_percent: float
    initial_option_percent: float
    initial_factor: float
    maintenance_factor: float
    short_rate_multiple: float
    long_rate_multiple: float
    short_rate_addition: float
    long_rate_addition: float
    short_discount: float
    long_discount: float
    volatility_up: float
    volatility_down: float
    short_term_power: float
    long_term_power: float
    floor_seconds: float
    least_volatility_up: float
    linear_cap: float
    linear_slope: float
    absolute_cap: float
    absolute_slope: float
    least_k_star: float
    width_scale: float
    skew_static: float
    skew_scale: float
    source: str
    confirmed: bool
    collaterals: Mapping[str, CollateralTerms] = field(default_factory=dict)
    """by symbol; what is not listed counts nothing"""

    def basis_scenarios(self) -> Pmrm2Parameters:
        """The parameters of the check made for a trusted risk assessor: both basis moves and no move, nothing else."""
        moves = (self.basis_up, self.basis_down, 1.0)
        return replace(self, scenarios=tuple(Scenario(move, VolatilityShock.NONE) for move in moves))


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One row an account, or one a holding (n)."""

    accounts: Accounts
    pnl: Array
    """(accounts, scenarios)"""
    basis: Array
    worst: IntArray
    value: Array
    """(n,) mark-to-market in the stable coin; NaN where a perpetual's profit is not known"""
    span_parts: Array
    maintenance_parts: Array
    initial_parts: Array
    """(n,) on top of the maintenance ones, confidence included"""
    foreign_parts: Array
    incoherent: bool
    """whether positive values are discounted less than negative ones in some expiry, so that the scan is not subadditive"""

    def amounts(self, factor: float, initial: bool) -> Array:
        """(n,) parts of the requirement; they sum to the amount, because every piece is homogeneous of degree one."""
        parts = self.maintenance_parts + self.foreign_parts - factor * self.span_parts
        return parts + self.initial_parts if initial else parts


def evaluate(book: MarginBook, quoted: Quotes, market: Market, parameters: Pmrm2Parameters, accounts: IntArray | None) -> Evaluation:
    """Everything that both margins are made of. Each underlying of each numbered account is margined by itself."""
    columns, p = book.columns, parameters
    managers = Accounts.of(book, accounts, base_rows(book))
    groups, o, expiries = managers.groups, managers.options, managers.expiries
    units, spot, count = columns.units, quoted.spot, len(p.scenarios)
    moves, weights = np.array([one.spot for one in p.scenarios]), np.array([one.weight for one in p.scenarios])
    skew = by_scenario(p.scenarios, VolatilityShock.LINEAR) | by_scenario(p.scenarios, VolatilityShock.ABSOLUTE)

    terms = [p.collaterals.get(one.instrument.symbol or one.instrument.underlying) for one in book.holdings]
    listed = np.array([one is not None for one in terms], np.bool_) & columns.spot
    cancelling = np.array([one is not None and one.risk_cancelling for one in terms], np.bool_) & listed
    collateral = np.where(columns.spot, units * quoted.price, 0.0) / market.stable
    perpetual_value = np.where(columns.perpetual, units * quoted.price, 0.0)
    linear = np.where(cancelling, collateral, 0.0) + perpetual_value

    q, years = units[o], quoted.years[o][expiries.first]
    grid = _prices(book, quoted, p, o) * q[:, None]
    by_expiry = expiries.sum(grid)
    now = by_expiry[:, -1]
    positive, negative = _discounts(years, np.maximum(quoted.rate[o][expiries.first], 0.0), p)
    factor = np.where(by_expiry[:, :count] >= 0, positive[:, None], negative[:, None])
    raw = (factor * by_expiry[:, :count] - now[:, None]) * weights
    sign = np.where(skew & (raw > 0), -1.0, 1.0)
    pnl = managers.from_expiries(sign * raw) + groups.sum(linear)[:, None] * ((moves - 1.0) * weights)

    side = np.where(by_expiry[:, count] <= by_expiry[:, count + 1], count, count + 1)
    rows = np.arange(expiries.count)
    basis_factor = np.where(by_expiry[rows, side] < now, p.basis_addition + p.basis_multiple * years, 0.0)
    basis = managers.from_expiries((by_expiry[rows, side] - now) * basis_factor)
    worst = np.where(pnl.min(axis=1, initial=np.inf) < basis, pnl.argmin(axis=1) if count else count, count).astype(np.int64)

    in_basis, at = worst[groups.index] == count, np.minimum(worst, max(count - 1, 0))
    span = np.where(in_basis, 0.0, linear * ((moves - 1.0) * weights)[at][groups.index])
    e, chosen = expiries.index, np.arange(len(o))
    column = at[managers.expiry_account[e]]
    scenario_part = sign[e, column] * (factor[e, column] * grid[chosen, column] - grid[chosen, -1]) * weights[column]
    span[o] = np.where(in_basis[o], (grid[chosen, side[e]] - grid[chosen, -1]) * basis_factor[e], scenario_part)

    signed = units * np.sign(groups.sum(np.where(columns.perpetual, units, 0.0)))[groups.index]
    notional = np.where(columns.perpetual, signed, 0.0) * spot
    maintenance, initial = notional * p.maintenance_perpetual_percent, notional * p.initial_perpetual_percent
    naked = managers.naked_shorts(q) * spot[o]
    maintenance[o], initial[o] = naked * p.maintenance_option_percent, naked * p.initial_option_percent
    maintenance += collateral * np.array([one.maintenance_haircut if one else 0.0 for one in terms], np.float64) * listed
    initial += collateral * np.array([one.initial_haircut if one else 0.0 for one in terms], np.float64) * listed
    notional[o] = managers.gross(q) * spot[o]
    notional += np.where(listed, collateral, 0.0)
    # a perpetual's stands behind options, not behind collateral
    own = np.minimum(quoted.confidence, quoted.spot_confidence)
    charged = np.where(columns.spot, own, lowest_confidence(book, quoted, managers))
    initial += np.where(charged < p.confidence_threshold, (1.0 - charged) * p.confidence_margin, 0.0) * notional

    value = collateral + unrealised(book, quoted)
    value[o] = grid[:, -1]
    foreign = np.where(columns.spot & ~listed, collateral, 0.0)
    incoherent = bool(np.any(positive > negative))
    return Evaluation(managers, pnl, basis, worst, value, span, maintenance, initial, foreign, incoherent)


def _discounts(years: Array, rate: Array, p: Pmrm2Parameters) -> tuple[Array, Array]:
    """Static discounts of positive and negative values by expiry."""
    positive = p.long_discount * np.exp(-years * (rate * p.long_rate_multiple + p.long_rate_addition))
    negative = p.short_discount / np.exp(-years * (rate * p.short_rate_multiple + p.short_rate_addition))
    return positive, np.minimum(1.0 / np.exp(-rate * years), negative)


def _prices(book: MarginBook, quoted: Quotes, p: Pmrm2Parameters, o: IntArray) -> Array:
    """Discounted prices of the options (rows) in the scenarios, both basis moves and now (columns)."""
    now = np.repeat(quoted.volatility[o, None], 3, axis=1)
    volatility = np.concatenate([shocked_volatility(book, quoted, p, o), now], axis=1)
    skew = by_scenario(p.scenarios, VolatilityShock.LINEAR) | by_scenario(p.scenarios, VolatilityShock.ABSOLUTE)
    # the forward stays under a skew: the manager allows no skew scenario with a move
    moves = np.array([*np.where(skew, 1.0, [one.spot for one in p.scenarios]), p.basis_up, p.basis_down, 1.0])
    side = np.where(book.columns.call[o], CALL, PUT)
    shocked = quoted.variable[o, None] * moves + quoted.fixed[o, None]
    discount = np.exp(-np.maximum(quoted.rate[o], 0.0) * quoted.years[o])
    return price(shocked, book.columns.strike[o, None], quoted.years[o, None], volatility, side[:, None], discount[:, None])


def shocked_volatility(book: MarginBook, quoted: Quotes, p: Pmrm2Parameters, o: IntArray) -> Array:
    """Volatilities of the options (rows) in the scenarios (columns)."""
    up, down = volatility_shocks(quoted.seconds[o], p)
    known = quoted.volatility[o]
    result = np.repeat(known[:, None], len(p.scenarios), axis=1)
    forward, strike, years = quoted.variable[o] + quoted.fixed[o], book.columns.strike[o], quoted.years[o]
    for number, one in enumerate(p.scenarios):
        match one.volatility:
            case VolatilityShock.UP:
                result[:, number] = np.maximum(known * up, p.least_volatility_up)
            case VolatilityShock.DOWN:
                result[:, number] = known * down
            case VolatilityShock.LINEAR | VolatilityShock.ABSOLUTE:
                result[:, number] = known * _skew(strike, forward, years, p, one.volatility)
            case VolatilityShock.NONE:
                pass
    return result


def _skew(strike: Array, forward: Array, years: Array, p: Pmrm2Parameters, shock: VolatilityShock) -> Array:
    """Multiplier of each volatility when the smile tilts or lifts, ≥ 0."""
    root = np.sqrt(years)
    linear = shock is VolatilityShock.LINEAR
    cap = (p.linear_cap + p.linear_slope * root) if linear else (p.absolute_cap + p.absolute_slope * root)
    k_star = np.maximum(p.least_k_star, root * p.width_scale * (p.skew_static + root * p.skew_scale))
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.log(strike / forward)
        k = k if linear else np.abs(k)
        tilt = k * cap / k_star
    tilt = np.where(k >= 0, np.minimum(cap, tilt), np.maximum(-cap, tilt))
    # without a strike or a forward nothing depends on the volatility
    return np.maximum(1.0 + np.where(np.isnan(tilt), 0.0, tilt), 0.0)


@dataclass(frozen=True, slots=True)
class DerivePmrm2(PortfolioManager[Pmrm2Parameters, Evaluation]):
    """See the module."""

    id: str = "derive-pmrm2"
    version: str = "1"
    source: str = "derivexyz/v2-core@7736900d src/risk-managers/PMRM_2.sol, PMRMLib_2.sol"

    def default_parameters(self) -> Pmrm2Parameters:
        """Those of the mainnet configuration script, its two static discounts exchanged; see `derive_parameters`."""
        from aggregator.risk.margin.derive_parameters import PMRM2_MAINNET

        return PMRM2_MAINNET

    def evaluate(self, book: MarginBook, market: Market, parameters: Pmrm2Parameters, accounts: IntArray | None) -> Evaluation:
        return evaluate(book, quotes(book, market), market, parameters, accounts)

    def maintenance_factor(self, parameters: Pmrm2Parameters) -> float:
        return parameters.maintenance_factor

    def components(self, found: Evaluation, initial: bool) -> dict[str, float]:
        return {
            "maintenance-contingency": float(found.maintenance_parts.sum()),
            "initial-contingency": float(found.initial_parts.sum()) if initial else 0.0,
        }

    def notes(self, parameters: Pmrm2Parameters, found: Evaluation) -> tuple[str, ...]:
        incoherent = "gains are discounted less than losses: with these parameters two books apart may need less than together"
        foreign = "assets that the manager does not list count nothing"
        return tuple(note for note, said in ((incoherent, found.incoherent), (foreign, found.foreign_parts.any())) if said)

    def doubtful(self, found: Evaluation) -> bool:
        return found.incoherent


MODEL = DerivePmrm2()
