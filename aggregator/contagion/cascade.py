"""Liquidation cascades: a shock breaches accounts, what is seized is sold, sales push prices, and that breaches more, round after round.

    result = cascade(book, book.prices * moves, ExponentialImpact(depth))

In a round everybody who can be liquidated is, at the same prices, so order cannot matter. Nothing here is monotone: a larger shock can
leave less bad debt (close factors), so `worst_shock` searches the whole range and nothing is smoothed. Accounting is in whole
micro-dollars at market prices: `CascadeResult.ledger` says who lost what to whom, and its lines add up exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.causes import Causes
from aggregator.contagion.evidence import Evidence, together
from aggregator.contagion.impact import Impact
from aggregator.contagion.ledger import Ledger, Line
from aggregator.contagion.liquidations import LiquidationRound, LiquidationTerms, liquidation_round
from aggregator.contagion.money import MICRO
from aggregator.contagion.oracles import WORTHLESS, OracleRules, Oracles
from aggregator.contagion.positions import Positions
from aggregator.contagion.priced import priced, priced_by_oracles
from aggregator.contagion.reactions import Reaction, forced_sales
from aggregator.model.book import Book, Floats, Legs, Mask
from aggregator.model.errors import InputError

MAXIMUM_ROUNDS = 2_000
TERMS = LiquidationTerms()


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """What a cascade did. Money in USD; t counts rounds, of which there may be none.

    By round: `prices` (t + 1 × assets, market prices, the shocked ones first), `oracle_prices` (t + 1 × reserves, the last row being what
    oracles say in the end), `sold` (t × assets,
    USD that reached each market), `liquidated` (accounts), `repaid`, `seized`, `bad_debt`. `waiting_debt`: liquidatable at the end, but
    nobody gains by it or can. By account: `account_repaid`, `account_seized`, `account_bad_debt`, and `first_round` (0: never).
    `bad_debt_by_reserve`: exact micro-dollars at market prices. `settled` is False where the rounds ran out first. Where the evidence
    is not sufficient, all figures are lower bounds.
    """

    prices: Floats
    oracle_prices: Floats
    sold: Floats
    liquidated: NDArray[np.int64]
    repaid: Floats
    seized: Floats
    bad_debt: Floats
    waiting_debt: float
    account_repaid: Floats
    account_seized: Floats
    account_bad_debt: Floats
    first_round: NDArray[np.int32]
    bad_debt_by_reserve: NDArray[np.int64]
    collateral: Legs
    debt: Legs
    ledger: Ledger
    settled: bool
    evidence: Evidence

    @property
    def rounds(self) -> int:
        """Rounds in which somebody was liquidated or something was sold."""
        return len(self.sold)

    @property
    def total_bad_debt(self) -> float:
        """Bad debt of all rounds, USD at market prices."""
        return float(self.bad_debt_by_reserve.sum()) / MICRO

    @property
    def direct_loss(self) -> float:
        """What the shock alone takes off the collateral of all accounts, USD."""
        return self.ledger.direct / MICRO

    @property
    def final_loss(self) -> float:
        """What the collateral of all accounts lost in price, by the shock and by the sales that followed, and what sellers lost, USD."""
        return self.ledger.destroyed / MICRO

    @property
    def amplification(self) -> float:
        """Final over direct loss; 1 where nothing follows, NaN without a loss to begin with."""
        return self.final_loss / self.direct_loss if self.direct_loss > 0.0 else np.nan


def cascade(
    book: Book,
    prices: Floats,
    impact: Impact,
    *,
    terms: LiquidationTerms = TERMS,
    oracles: OracleRules | None = None,
    reactions: Sequence[Reaction] = (),
    liquidity: Floats | None = None,
    blocked: Mask | None = None,
    round_seconds: float = 0.0,
    maximum_rounds: int = MAXIMUM_ROUNDS,
) -> CascadeResult:
    """The cascade that follows when market prices become `prices` (USD by asset, NaN where not known; without a market price an asset
    moves from its oracle's).

    `impact`: how sales push prices; `oracles`: what contracts see (default: the market at once); `reactions`: who else sells as prices
    fall; `liquidity`: share of each market's depth that is left, above 0 (default: all); `blocked`: markets, by code, where nobody can
    be liquidated; `round_seconds`: how long a round takes, which matters to oracles that have a clock. InputError for prices of another
    length, below zero or infinite, or a share of liquidity outside 0…1.
    """
    run = CascadeRun(book, prices, impact, terms, oracles, reactions, liquidity, round_seconds)
    while run.ticks < maximum_rounds and run.step(blocked):
        pass
    return run.result()


class CascadeRun:
    """A cascade in steps, for whoever has things of his own to do in between. Errors as `cascade`.

    `causes`: events noted so far, to go on with; `origins`: by asset code, the event that moved its price.
    """

    def __init__(
        self,
        book: Book,
        prices: Floats,
        impact: Impact,
        terms: LiquidationTerms = TERMS,
        oracles: OracleRules | None = None,
        reactions: Sequence[Reaction] = (),
        liquidity: Floats | None = None,
        round_seconds: float = 0.0,
        causes: Causes | None = None,
        origins: Mapping[int, int] | None = None,
    ) -> None:
        count = len(book.assets)
        if len(prices) != count:
            raise InputError(f"{len(prices)} prices; the population has {count} assets")
        if (prices < 0.0).any() or np.isinf(prices).any():
            place = int(np.argmax((prices < 0.0) | np.isinf(prices)))
            raise InputError(f"the price of {book.assets[place].symbol} would be {prices[place]:g}; expected 0 or more")
        if len(impact.unknown) != count:
            raise InputError(f"price impact is given for {len(impact.unknown)} of {count} assets")
        whole = priced(book)
        prices = np.where(np.isnan(prices) & np.isnan(book.prices), whole.prices, prices)
        self._filled = priced_by_oracles(book)
        book = whole
        left = np.ones(count) if liquidity is None else np.asarray(liquidity, dtype=np.float64)
        if len(left) != count or not ((left > 0.0) & (left <= 1.0)).all():
            raise InputError("the share of a market's depth that is left is above 0 and up to 1, for every asset")
        if not round_seconds >= 0.0:
            raise InputError(f"a round takes 0 seconds or more, not {round_seconds:g}")
        self.book, self.impact, self.terms, self.liquidity = book, impact, terms, left
        self._reactions, self._seconds = tuple(reactions), round_seconds
        self.base = np.array(prices, dtype=np.float64)
        """market prices by asset before what the sales do"""
        self.rates = np.ones(count)
        """contracts' own exchange rates by asset, against the beginning"""
        self.sold = np.zeros(count)
        """USD by asset that each market has taken, at the depth it had"""
        self.market = self.base.copy()
        self._oracles = Oracles(book, oracles)
        self._now = 0.0
        self.oracle = self._oracles.update(0.0, self.market)
        self.positions = Positions(book, self.oracle)
        self.ledger = Ledger(book, causes)
        self.ledger.start(self.market, origins)
        self._reacted, self._pending = np.zeros(count), np.zeros(count)
        self.ticks = 0
        self._settled = False
        self.waiting_debt = 0.0
        """USD that is liquidatable at the latest prices and that nobody liquidates"""
        self._rounds: list[LiquidationRound] = []
        self._paths: list[Floats] = [self.market.copy()]
        self._oracle_paths: list[Floats] = [self.oracle.copy()]
        self._sales: list[Floats] = []
        size = book.size
        self._repaid, self._seized, self._bad = (np.zeros(size) for _ in range(3))
        self._first = np.zeros(size, dtype=np.int32)

    def set_market(self, base: Floats, rates: Floats, origins: Mapping[int, int] | None = None) -> None:
        """Other market prices from outside (USD by asset, before impact) and exchange rates of contracts, and the events behind them."""
        self.base, self.rates = base, rates
        self._reprice(Line.BACKING, origins)
        self._paths[-1], self._oracle_paths[-1] = self.market.copy(), self.oracle.copy()

    def sell(self, sales: Floats, sources: Mapping[int, str], origins: Mapping[int, int]) -> None:
        """Sales from outside, USD by asset at market prices; they push prices with the next round."""
        self._pending += sales
        self.ledger.announce(sales, sources, self.ticks, origins)

    def step(self, blocked: Mask | None = None) -> bool:
        """One round; False when nothing happens any more at these prices."""
        self.ticks += 1
        self._settled = False
        done = liquidation_round(self.positions, self.oracle, self.sold / self.liquidity, self.impact, self.terms, blocked)
        self._take(done)
        seized, others = self.ledger.liquidations(done, self.oracle, self.market, self.ticks), self._elsewhere()
        others, self._pending = others + self._pending, np.zeros(len(others))
        sales = seized + others
        self.waiting_debt = done.waiting_debt
        if not done.executed and not sales.any():
            return self._wait()
        fill = self.impact.fill(self.sold / self.liquidity, sales / self.liquidity, np.arange(len(sales)))
        self.ledger.costs(seized, others, fill, done, self.terms.gate)
        self.sold = self.sold + sales
        self._now += self._seconds
        self._rounds.append(done)
        self._sales.append(sales)
        self._reprice()
        self._paths.append(self.market.copy())
        self._oracle_paths.append(self.oracle.copy())
        return True

    def _reprice(self, line: Line = Line.SALES, origins: Mapping[int, int] | None = None) -> None:
        market = self.base * self.impact.factor(self.sold / self.liquidity)
        self.market = np.where(market < WORTHLESS, 0.0, market)
        self.oracle = self._oracles.update(self._now, self.market, self.rates)
        self.ledger.reprice(self.market, self.ticks, line, origins)

    def _wait(self) -> bool:
        """Markets stand still: let time pass until an oracle says something else."""
        moment = self._oracles.next_change(self._now)
        if moment is None:
            self._settled = True
            return False
        self._now = moment
        self.oracle = self._oracles.update(self._now, self.market, self.rates)
        return True

    def _take(self, done: LiquidationRound) -> None:
        accounts = done.accounts
        self._repaid[accounts] += done.repaid
        self._seized[accounts] += done.seized
        self._bad[accounts] += done.bad_debt
        new = accounts[self._first[accounts] == 0]
        self._first[new] = len(self._rounds) + 1

    def _elsewhere(self) -> Floats:
        """USD by asset that other venues sell now because prices have fallen."""
        with np.errstate(divide="ignore", invalid="ignore"):
            reacted = forced_sales(self._reactions, self.market / self.book.prices)
        more = np.maximum(reacted - self._reacted, 0.0)
        self._reacted += more
        self.ledger.other_sales(more, {one.asset: one.source for one in self._reactions}, self.ticks)
        return more

    def result(self) -> CascadeResult:
        """What has happened so far."""
        rounds, count = self._rounds, len(self.book.assets)
        size = self.book.size
        self._oracle_paths[-1] = self.oracle.copy()
        return CascadeResult(
            np.array(self._paths),
            np.array(self._oracle_paths),
            np.array(self._sales).reshape(-1, count),
            np.array([len(one.accounts) for one in rounds], dtype=np.int64),
            np.array([float(one.repaid.sum()) for one in rounds]),
            np.array([float(one.seized.sum()) for one in rounds]),
            np.array([float(one.bad_debt.sum()) for one in rounds]),
            self.waiting_debt,
            self._repaid,
            self._seized,
            self._bad,
            self._first,
            self.ledger.bad_debt.copy(),
            self.positions.collateral,
            self.positions.debt,
            self.ledger,
            self._settled,
            together([_known_accounts(self.positions.unknown, size), _known_depth(self.book, self.impact, self.sold), self._filled]),
        )


def _known_accounts(unknown: int, size: int) -> Evidence:
    missing = (f"{unknown} of {size} accounts have an amount or a price that is not known",) if unknown else ()
    return Evidence(1.0 - unknown / size, missing)


def _known_depth(book: Book, impact: Impact, sold: Floats) -> Evidence:
    """Share of what was sold for which a depth is known: without one, sales were taken to move nothing."""
    total, unknown = float(sold.sum()), impact.unknown & (sold > 0.0)
    missing = tuple(f"depth of {book.assets[int(place)].symbol}" for place in np.flatnonzero(unknown))
    return Evidence(1.0 - float(sold[unknown].sum()) / total if total > 0.0 else 1.0, missing)
