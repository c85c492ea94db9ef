"""Fire sales through common holdings: banks here are vaults, clusters of looped wallets or treasuries; nobody lends to anybody.

Greenwood, Landier, Thesmar, "Vulnerable banks", JFE 115 (2015): everybody sells back to the old leverage, once, linear impact. Cont,
Schaanning, "Fire sales, indirect contagion and systemic stress testing" (2017) and "Monitoring indirect contagion", JBF 104 (2019): only
whoever falls below a buffer sells, back to a target, with exponential impact, round after round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array

from aggregator.model.book import Floats, Mask
from aggregator.model.errors import InputError


@dataclass(frozen=True, slots=True)
class LeverageTargeting:
    """Figures of the one-round model, shares of 1 and USD; losses are negative, as returns are.

    `net_sales`, `price_change` by asset (sales negative); `aggregate_vulnerability`: equity lost to deleveraging over all equity;
    `indirect_vulnerability`: the same of each bank's own; `systemicness`: each bank's part of the aggregate, which they add up to.
    """

    round1_returns: Floats
    net_sales: Floats
    price_change: Floats
    round2_returns: Floats
    aggregate_vulnerability: float
    indirect_vulnerability: Floats
    systemicness: Floats


def leverage_targeting(
    weights: csr_array[np.float64], assets: Floats, equity: Floats, debt_to_equity: Floats, impact: Floats, shock: Floats
) -> LeverageTargeting:
    """`weights` (banks × assets): share of a bank's assets in each; `impact`: price change per USD sold; `shock`: returns by asset."""
    _refuse_negative(assets=assets, equity=equity, debt_to_equity=debt_to_equity, impact=impact)
    first = np.asarray(weights @ shock)
    sold = assets * debt_to_equity * first
    sales = np.asarray(weights.T @ sold)
    change = impact * sales
    second = np.asarray(weights @ change)
    total = float(equity.sum())
    # what one bank's sales do to everybody: assets held at the prices that its own sales move
    per_price = impact * np.asarray(weights.T @ assets)
    own = sold * np.asarray(weights @ per_price) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        indirect = assets * second / equity
    return LeverageTargeting(first, sales, change, second, float((assets * second).sum() / total), indirect, own)


@dataclass(frozen=True, slots=True)
class Banks:
    """Balance sheets of the threshold model, USD; `holdings` (banks × assets) in units, marked at the asset prices.

    `loans` can be repaid early and are repaid to delever; `other_liabilities` cannot.
    """

    holdings: csr_array[np.float64]
    cash: Floats
    other_assets: Floats
    loans: Floats
    other_liabilities: Floats


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Equity over assets: below `minimum` a bank defaults and sells all, below `buffer` it delevers to `target`."""

    minimum: float = 0.03
    buffer: float = 0.04
    target: float = 0.05

    def __post_init__(self) -> None:
        if not 0.0 <= self.minimum <= self.buffer <= self.target <= 1.0:
            raise InputError(f"thresholds must rise: minimum {self.minimum:g}, buffer {self.buffer:g}, target {self.target:g}")


@dataclass(frozen=True, slots=True)
class FireSale:
    """`prices` after each round (rounds + 1 × assets, the shocked prices first); `sold`: units of each asset in all; `equity` and
    `defaulted` by bank at the end; `must_sell`: USD that each bank had to raise in the first round."""

    prices: Floats
    sold: Floats
    equity: Floats
    defaulted: Mask
    must_sell: Floats
    rounds: int


def threshold_fire_sale(
    banks: Banks, prices: Floats, depth: Floats, shock: Floats, thresholds: Thresholds = Thresholds(), rounds: int = 6
) -> FireSale:
    """Rounds of decide, then clear together: a sale of `u` units moves the price by exp(−u / depth) and settles at the mean of old and new.

    `shock`: fall of each asset as a share; `depth` in units, infinite where sales move nothing. A bank delevers by repaying loans with
    cash first and sells for the rest in proportion to what it holds; cash from sales repays in the next round. Ends early when nobody
    sells and nobody repays.
    """
    _refuse_negative(prices=prices, depth=depth, cash=banks.cash, loans=banks.loans)
    if not ((shock >= 0.0) & (shock <= 1.0)).all():
        raise InputError("a shock is the fall of each asset, 0 to 1")
    state = _State(banks, prices * (1.0 - shock), thresholds)
    path, sold = [state.prices], np.zeros(len(prices))
    must_sell = np.zeros(len(banks.cash))
    made = 0
    for made in range(1, rounds + 1):
        orders, raised, busy = state.decide()
        if made == 1:
            must_sell = raised
        if not busy:
            made -= 1
            break
        sold += state.settle(orders, depth)
        path.append(state.prices)
    return FireSale(np.array(path), sold, state.equity(), state.failed, must_sell, made)


class _State:
    """Balance sheets that change from round to round."""

    def __init__(self, banks: Banks, prices: Floats, thresholds: Thresholds) -> None:
        self._banks, self._thresholds = banks, thresholds
        self.kept = np.ones(len(banks.cash))
        """share of its first holdings that each bank still has: sales are in proportion, so one number says it"""
        self.cash, self.loans, self.prices = banks.cash.copy(), banks.loans.copy(), prices
        self.failed = np.zeros(len(banks.cash), dtype=np.bool_)

    def marked(self) -> Floats:
        return np.asarray(self.kept * (self._banks.holdings @ self.prices))

    def assets(self) -> Floats:
        return np.asarray(self.marked() + self.cash + self._banks.other_assets)

    def equity(self) -> Floats:
        return np.asarray(self.assets() - self.loans - self._banks.other_liabilities)

    def decide(self) -> tuple[Floats, Floats, bool]:
        """(share of its holdings that each bank puts up for sale, USD it means to raise, whether anybody does anything)."""
        assets, equity, marked = self.assets(), self.equity(), self.marked()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(assets > 0.0, equity / assets, -np.inf)
        fresh = ~self.failed & (ratio < self._thresholds.minimum)
        acting = ~self.failed & ~fresh & (ratio < self._thresholds.buffer)
        wanted = np.where(acting, np.maximum(assets - equity / self._thresholds.target, 0.0), 0.0)
        repaid = np.minimum(np.minimum(wanted, self.cash), self.loans)
        self.cash, self.loans = self.cash - repaid, self.loans - repaid
        raised = np.maximum(wanted - repaid - self.cash, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(marked > 0.0, np.minimum(raised / marked, 1.0), 0.0)
        share = np.where(fresh, 1.0, share)
        self.failed |= fresh
        raised = np.where(fresh, marked, np.minimum(raised, marked))
        return share * self.kept, raised, bool((raised > 0.0).any() or (repaid > 0.0).any() or fresh.any())

    def settle(self, orders: Floats, depth: Floats) -> Floats:
        """Sell, all at once; returns the units of each asset."""
        units = np.asarray(self._banks.holdings.T @ orders)
        with np.errstate(divide="ignore", invalid="ignore"):
            fall = np.where(units > 0.0, np.exp(-units / depth), 1.0)
        after = self.prices * fall
        self.cash = self.cash + orders * np.asarray(self._banks.holdings @ ((self.prices + after) / 2.0))
        self.kept, self.prices = self.kept - orders, after
        return units


def overlap(holdings: csr_array[np.float64], depth: Floats) -> csr_array[np.float64]:
    """Liquidity-weighted overlap of each pair of portfolios, Σ over assets of h_i·h_j / depth (Cont, Schaanning 2019)."""
    with np.errstate(divide="ignore"):
        return csr_array(holdings @ diags_array(1.0 / depth) @ holdings.T)


def indirect_exposures(holdings: csr_array[np.float64], depth: Floats, leverage: Floats) -> tuple[Floats, Floats]:
    """(endogenous risk index, indirect contagion index): the Perron vector, and the row sums, of the overlaps weighted by leverage."""
    matrix = csr_array(overlap(holdings, depth) @ diags_array(leverage))
    vector = np.full(len(leverage), 1.0 / np.sqrt(len(leverage)))
    for _ in range(10_000):
        following = np.asarray(matrix @ vector)
        norm = float(np.linalg.norm(following))
        if norm == 0.0:
            break
        following /= norm
        settled = float(np.abs(following - vector).max()) <= 1e-14
        vector = following
        if settled:
            break
    return vector, np.asarray(matrix.sum(axis=1)).ravel()


def _refuse_negative(**columns: Floats) -> None:
    for name, column in columns.items():
        if not (column >= 0.0).all():
            raise InputError(f"{name.replace('_', ' ')} has an entry below zero or not a number")
