"""One round of liquidations: everybody who can be liquidated is, at the same prices and at the same time, so no order matters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.impact import Impact
from aggregator.contagion.money import Micros, micros, sums
from aggregator.contagion.positions import LegRows, Positions
from aggregator.model.book import Book, BookHealth, Floats, Mask
from aggregator.model.errors import InputError

WHOLE = 1.0 - 1e-12
"""share of a leg from which all of it is taken: the rest is rounding, which would be liquidated again and again"""
EXACT_UP_TO = 1_000
"""accounts within rounding of the line that are decided exactly; more of them at once are no accident but a made-up population"""


class Pairing(StrEnum):
    """Which legs a liquidation takes."""

    PRO_RATA = "pro-rata"
    """all of them in proportion to their values: an account as one"""
    BEST_PAIR = "best-pair"
    """the one collateral and the one debt that pay the liquidator most, as one call to the contract does"""


@dataclass(frozen=True, slots=True)
class Gate:
    """When a liquidator acts: bonus · (1 − `mev_share`) must exceed the slippage of selling what is seized plus gas over size.

    `gas_usd`: of one liquidation; `mev_share`: share of the bonus that goes to builders and searchers' auctions.
    """

    gas_usd: float = 0.0
    mev_share: float = 0.0

    def __post_init__(self) -> None:
        if not (self.gas_usd >= 0.0 and 0.0 <= self.mev_share <= 1.0):
            raise InputError(f"a gate needs gas of 0 USD or more and a share of 0 to 1, not {self.gas_usd:g} and {self.mev_share:g}")


@dataclass(frozen=True, slots=True)
class LiquidationTerms:
    """How liquidations go. `dust_usd`: debts up to this are left alone. No gate: everything liquidatable is liquidated."""

    pairing: Pairing = Pairing.PRO_RATA
    gate: Gate | None = None
    dust_usd: float = 0.01

    def __post_init__(self) -> None:
        if not self.dust_usd >= 0.0:
            raise InputError(f"dust is 0 USD or more, not {self.dust_usd:g}")


@dataclass(frozen=True, slots=True)
class LiquidationRound:
    """What one round did. By liquidated account: `accounts` (codes), USD `repaid`, `seized`, `bad_debt`. By reserve, exact
    micro-dollars: `seized_from`, `repaid_in`, `bad_debt_in`. `waiting_debt`: USD of debt that nobody found worth liquidating."""

    accounts: NDArray[np.intp]
    repaid: Floats
    seized: Floats
    bad_debt: Floats
    seized_from: Micros
    repaid_in: Micros
    bad_debt_in: Micros
    waiting: int
    waiting_debt: float

    @property
    def executed(self) -> bool:
        """Whether anything happened."""
        return len(self.accounts) > 0


def liquidation_round(
    positions: Positions, oracle: Floats, sold: Floats, impact: Impact, terms: LiquidationTerms, blocked: Mask | None = None
) -> LiquidationRound:
    """Liquidate everybody who can be, at oracle prices by reserve; `sold` is what each asset's market has taken so far (USD).

    Repaid is min(close factor · debt, what the collateral repays at its bonus); debt left without collateral is bad debt and written
    off. `blocked`: markets where liquidation is not possible now; debts there wait. Positions are changed.
    """
    health = positions.near(oracle)
    below = health.liquidatable
    doubtful = np.flatnonzero(health.near_the_line)
    if 0 < len(doubtful) <= EXACT_UP_TO:
        below[doubtful] = positions.exactly_below(doubtful, oracle)
    can = below & (health.debt > terms.dust_usd)
    held_back = np.zeros(len(can), dtype=np.bool_)
    if blocked is not None:
        held_back = can & blocked[positions.book.account_market[positions.accounts]]
    rows = np.flatnonzero(can & ~held_back)
    chosen = BookHealth(health.weighted[rows], health.debt[rows])
    step = _BestPair if terms.pairing is Pairing.BEST_PAIR else _ProRata
    done = step(positions, rows, chosen, oracle).execute(sold, impact, terms.gate)
    if not held_back.any():
        return done
    waiting = done.waiting_debt + float(health.debt[held_back].sum())
    return replace(done, waiting=done.waiting + int(np.count_nonzero(held_back)), waiting_debt=waiting)


class _Step:
    """Legs and sums of the accounts that can be liquidated."""

    def __init__(self, positions: Positions, rows: NDArray[np.intp], health: BookHealth, oracle: Floats) -> None:
        self.positions, self.rows, self.oracle, self.health = positions, rows, oracle, health
        self.book: Book = positions.book
        reserves = self.book.reserves
        self.seizing, self.held = positions.collateral_legs(rows)
        self.owing, self.owed = positions.debt_legs(rows)
        self.worth = self.held * reserves.seizable(oracle)[self.seizing.reserve]
        self.covers = self.worth / (1.0 + reserves.bonus[self.seizing.reserve])
        self.debts = self.owed * oracle[self.owing.reserve]
        self.market = self.book.account_market[positions.accounts[rows]]
        self.can_seize, self.can_repay = (self._open(legs.reserve) for legs in (self.seizing, self.owing))

    def _open(self, reserves: NDArray[np.intp]) -> Floats:
        """1 for legs that can be seized or repaid now, 0 for those that are closed."""
        closed = self.book.reserves.closed
        return np.ones(len(reserves)) if closed is None else (~closed[reserves]).astype(np.float64)

    def per_account(self, legs: LegRows, values: Floats) -> Floats:
        return np.bincount(legs.owner, values, len(self.rows)).astype(np.float64, copy=False)

    def rule(self, name: str) -> Floats:
        """A column of the liquidation rules, by account."""
        column: Floats = np.array([float(getattr(market.rule, name)) for market in self.book.markets])[self.market]
        return column

    def close_factor(self, collateral: Floats, debt: Floats) -> Floats:
        """Share of the debt that may be repaid, `collateral` and `debt` being what the rule's small value is compared with."""
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = self.health.weighted / self.health.debt
        small = self.rule("small_value")
        mild = (factor > self.rule("mild_above")) & (collateral >= small) & (debt >= small)
        share: Floats = np.where(mild, self.rule("mild_close_factor"), self.rule("close_factor"))
        return share

    def worthwhile(self, repaid: Floats, leg_values: Floats, sold: Floats, impact: Impact, gate: Gate | None) -> Mask:
        """Whether a liquidator gains by it; what seizes nothing is a write-off and needs no liquidator."""
        seized = self.per_account(self.seizing, leg_values)
        if gate is None:
            return np.ones(len(self.rows), dtype=np.bool_)
        asset = self.book.reserves.asset[self.seizing.reserve].astype(np.intp)
        lost = self.per_account(self.seizing, leg_values * (1.0 - impact.fill(sold[asset], leg_values, asset)))
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = (seized - repaid) * (1.0 - gate.mev_share) - lost - gate.gas_usd
        worth_it: Mask = (gain > 0.0) | (seized == 0.0)
        return worth_it

    def finish(self, done: Mask, repaid: Floats, leg_seized: Floats, leg_repaid: Floats, leg_bad: Floats) -> LiquidationRound:
        """Write the legs back for those that were done, and add up."""
        count = len(self.book.reserves)
        for legs, values in ((self.seizing, leg_seized), (self.owing, leg_repaid), (self.owing, leg_bad)):
            values[~done[legs.owner]] = 0.0
        kept = _left(self.held, self.worth, leg_seized)
        self.positions.set_collateral(self.seizing, kept)
        self.positions.set_debt(self.owing, _left(self.owed, self.debts, leg_repaid + leg_bad))
        seized, bad = self.per_account(self.seizing, leg_seized), self.per_account(self.owing, leg_bad)
        waiting = ~done
        return LiquidationRound(
            self.positions.accounts[self.rows[done]],
            np.where(done, repaid, 0.0)[done],
            seized[done],
            bad[done],
            sums(self.seizing.reserve, micros(leg_seized), count),
            sums(self.owing.reserve, micros(leg_repaid), count),
            sums(self.owing.reserve, micros(leg_bad), count),
            int(np.count_nonzero(waiting)),
            float(self.health.debt[waiting].sum()),
        )


def _left(amounts: Floats, values: Floats, taken: Floats) -> Floats:
    """Amounts after a value was taken out of each; nothing is left of what was taken whole."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(values > 0.0, taken / values, 0.0)
    return np.where((taken >= values * WHOLE) & (values > 0.0), 0.0, amounts * (1.0 - share))


class _ProRata(_Step):
    """All legs in proportion."""

    def execute(self, sold: Floats, impact: Impact, gate: Gate | None) -> LiquidationRound:
        debt, worth = self.health.debt, self.per_account(self.seizing, self.worth)
        whole = self.per_account(self.seizing, self.covers * self.can_seize)
        repayable = self.per_account(self.owing, self.debts * self.can_repay)
        wanted = np.minimum(self.close_factor(worth, debt) * debt, repayable)
        exhausted = wanted >= whole
        repaid = np.where(exhausted, whole, wanted)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(exhausted, 1.0, repaid / whole)
            share = np.where(repayable > 0.0, repaid / repayable, 0.0)
        leg_seized = self.worth * self.can_seize * part[self.seizing.owner]
        gone = exhausted & (self.per_account(self.seizing, self.worth * (1.0 - self.can_seize)) == 0.0)
        done = self.worthwhile(repaid, leg_seized, sold, impact, gate) & ((repaid > 0.0) | gone)
        # what is closed is closed to the last unit, whatever the shares round to
        share = np.where(repaid >= debt, 1.0, share)
        leg_repaid = self.debts * self.can_repay * share[self.owing.owner]
        leg_bad = np.where(gone[self.owing.owner], self.debts - leg_repaid, 0.0)
        return self.finish(done, repaid, leg_seized, leg_repaid, leg_bad)


class _BestPair(_Step):
    """One collateral against one debt: the pair with the largest bonus in USD; the first of equals."""

    def execute(self, sold: Floats, impact: Impact, gate: Gate | None) -> LiquidationRound:
        first, second, owner = self._pairs()
        repay, takes_all = self._repayments(first, second, owner)
        repay = repay * self.can_seize[first] * self.can_repay[second]
        gain = self.worth[first] / np.where(self.covers[first] > 0.0, self.covers[first], 1.0) - 1.0
        profit = np.where(repay > 0.0, repay * gain, -1.0)
        order = np.lexsort((np.arange(len(owner)), -profit, owner))
        best = order[np.r_[True, owner[order][1:] != owner[order][:-1]]] if len(order) else order
        best = best[repay[best] > 0.0]
        repaid = np.zeros(len(self.rows))
        repaid[owner[best]] = repay[best]
        leg_seized, leg_repaid = np.zeros(len(self.worth)), np.zeros(len(self.debts))
        leg_seized[first[best]] = np.where(takes_all[best], self.worth[first[best]], repay[best] * (1.0 + gain[best]))
        leg_repaid[second[best]] = repay[best]
        has_pair = repaid > 0.0
        left = self.per_account(self.seizing, np.maximum(self.worth - leg_seized, 0.0))
        empty = self.per_account(self.seizing, self.worth) == 0.0
        gone = empty | (has_pair & (left <= 0.0))
        leg_bad = np.where(gone[self.owing.owner], np.maximum(self.debts - leg_repaid, 0.0), 0.0)
        done = (has_pair & self.worthwhile(repaid, leg_seized, sold, impact, gate)) | empty
        return self.finish(done, repaid, leg_seized, leg_repaid, leg_bad)

    def _pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """(collateral leg, debt leg, account) of every pair."""
        count = len(self.rows)
        debts_of = np.bincount(self.owing.owner, minlength=count)
        first = np.repeat(np.arange(len(self.worth)), debts_of[self.seizing.owner])
        owner = self.seizing.owner[first]
        start = np.cumsum(debts_of) - debts_of
        per_leg = debts_of[self.seizing.owner]
        within = np.arange(len(first)) - np.repeat(np.cumsum(per_leg) - per_leg, per_leg)
        return first, start[owner] + within, owner

    def _repayments(self, first: NDArray[np.intp], second: NDArray[np.intp], owner: NDArray[np.intp]) -> tuple[Floats, Mask]:
        """(USD that each pair may repay, whether that takes the whole collateral), keeping what the rule wants left over."""
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = (self.health.weighted / self.health.debt)[owner]
        small, collateral, debt = self.rule("small_value")[owner], self.worth[first], self.debts[second]
        mild = (factor > self.rule("mild_above")[owner]) & (collateral >= small) & (debt >= small)
        share = np.where(mild, self.rule("mild_close_factor")[owner], self.rule("close_factor")[owner])
        base = np.where(self.rule("mild_of_pair")[owner] > 0.0, debt, self.health.debt[owner])
        repay = np.minimum(np.where(share < 1.0, np.minimum(share * base, debt), debt), self.covers[first])
        takes_all = repay >= self.covers[first]
        leftover = self.rule("minimum_leftover")[owner]
        per_unit = np.where(self.covers[first] > 0.0, collateral / np.where(self.covers[first] > 0.0, self.covers[first], 1.0), 1.0)
        partial = ~takes_all & (repay < debt)
        most = np.minimum(debt - leftover, (collateral - leftover) / per_unit)
        return np.where(partial, np.maximum(np.minimum(repay, most), 0.0), repay), takes_all
