"""What protocols' oracles say while markets move: by type, with update rules, and with the faults that a scenario gives them.

Every reserve has a target, its anchor (the book's oracle price) times what its source has done since:

| kind | source |
|---|---|
| spot | market price of the asset it follows |
| twap | mean of that over the last `window` seconds |
| rate | the contract's own exchange rate, times the market price of the asset it follows, if that is another one |
| composite | two feeds, asset over base and base over USD, each with its own update rule |
| constant | nothing ever changes it |

A target is published when it has moved by more than `deviation` from what stands, or when that is older than `heartbeat`; never above
`ceiling`. Prices are USD per whole token.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from aggregator.model.book import Book, Codes, Floats, Mask
from aggregator.model.errors import InputError

SETTLED = 1e-12
"""relative distance between what is published and its target at which an oracle counts as having arrived"""

WORTHLESS = 1e-100
"""price in USD, or factor of one, below which it is nothing"""


class OracleKind(IntEnum):
    """How an oracle comes to its price; a capped one is any of these with a `ceiling`."""

    SPOT = 0
    TWAP = 1
    RATE = 2
    CONSTANT = 3
    COMPOSITE = 4


@dataclass(frozen=True, slots=True)
class OracleRules:
    """Columns by reserve. `deviation` a share, `heartbeat` and `window` seconds, `ceiling` USD (infinite: none).

    `base`: the asset in which a composite's first feed counts. Faults: `frozen` keeps what stands; `stated` is a price that the oracle
    is made to say (NaN: none); `lag` shows what the source was that many seconds ago.
    """

    kind: NDArray[np.int8]
    deviation: Floats
    heartbeat: Floats
    window: Floats
    ceiling: Floats
    base: Codes
    frozen: Mask
    stated: Floats
    lag: Floats

    def __post_init__(self) -> None:
        count = len(self.kind)
        for name in OracleRules.__slots__:
            if len(getattr(self, name)) != count:
                raise InputError(f"oracle column {name} has {len(getattr(self, name))} rows, expected {count}")
        for name in ("deviation", "heartbeat", "window", "ceiling", "lag"):
            if not (getattr(self, name) >= 0.0).all():
                raise InputError(f"an oracle's {name} is not a number of 0 or more")
        if (self.stated < 0.0).any() or np.isinf(self.stated).any():
            raise InputError("a price that an oracle is made to say is below zero or infinite")

    def __len__(self) -> int:
        return len(self.kind)

    def faulty(
        self, reserves: NDArray[np.integer], *, frozen: bool = False, stated: float | None = None, lag: float | None = None
    ) -> OracleRules:
        """The same rules with a fault at some reserves."""
        still, said, late = self.frozen.copy(), self.stated.copy(), self.lag.copy()
        if frozen:
            still[reserves] = True
        if stated is not None:
            said[reserves] = stated
        if lag is not None:
            late[reserves] = lag
        return replace(self, frozen=still, stated=said, lag=late)


def following(book: Book, kind: OracleKind = OracleKind.SPOT) -> OracleRules:
    """Oracles that say at once what their source says; the base of each is the asset it follows."""
    count = len(book.reserves)
    return OracleRules(
        np.full(count, kind, dtype=np.int8),
        np.zeros(count),
        np.full(count, np.inf),
        np.zeros(count),
        np.full(count, np.inf),
        book.reserves.priced_by.copy(),
        np.zeros(count, dtype=np.bool_),
        np.full(count, np.nan),
        np.zeros(count),
    )


@dataclass(slots=True)
class _Feeds:
    """Factors that feeds stand at, and since when."""

    value: Floats
    since: Floats

    def publish(self, target: Floats, now: float, deviation: Floats, heartbeat: Floats) -> None:
        """Take the target where the update rule says so."""
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.abs(target / self.value - 1.0)
        due = (moved > deviation) | (now - self.since > heartbeat) | (np.isnan(target) != np.isnan(self.value))
        self.value = np.where(due, target, self.value)
        self.since = np.where(due, now, self.since)


@dataclass(slots=True)
class _Past:
    """Source factors and when they began to hold, oldest first."""

    times: list[float] = field(default_factory=list)
    factors: list[Floats] = field(default_factory=list)

    def add(self, now: float, factors: Floats) -> None:
        """Note what holds from now on, if it is something else."""
        if self.times and self.times[-1] == now:
            self.factors[-1] = factors
        elif not self.times or not np.array_equal(factors, self.factors[-1], equal_nan=True):
            self.times.append(now)
            self.factors.append(factors)

    def at(self, moments: Floats) -> Floats:
        """What held at a moment, by reserve; before the beginning the first counts."""
        step = np.maximum(np.searchsorted(self.times, moments, side="right") - 1, 0)
        return np.asarray(self.factors)[step, np.arange(len(moments))]

    def mean(self, now: float, window: Floats) -> Floats:
        """Time-weighted mean over the last `window` seconds, the first factors having held ever before."""
        ends = [*self.times[1:], now]
        total = np.zeros(len(window))
        for place, (start, end) in enumerate(zip(self.times, ends, strict=True)):
            begin = np.maximum(now - window, start if place else -np.inf)
            total += self.factors[place] * np.maximum(end - begin, 0.0)
        with np.errstate(invalid="ignore"):
            return np.where(window > 0.0, total / np.where(window > 0.0, window, 1.0), self.factors[-1])


class Oracles:
    """Oracles of a book in motion. They start at the book's own prices, settled, at time 0."""

    def __init__(self, book: Book, rules: OracleRules | None = None) -> None:
        self.rules = rules or following(book)
        if len(self.rules) != len(book.reserves):
            raise InputError(f"{len(self.rules)} oracle rules; the population has {len(book.reserves)} reserves")
        self._book = book
        count = len(book.reserves)
        kind = self.rules.kind
        self._composite = (kind == OracleKind.COMPOSITE) & (self.rules.base != book.reserves.priced_by)
        self._fast = bool(
            (kind == OracleKind.SPOT).all()
            and not self.rules.deviation.any()
            and not self.rules.frozen.any()
            and not self.rules.lag.any()
            and np.isnan(self.rules.stated).all()
        )
        self._first, self._second = (_Feeds(np.ones(count), np.zeros(count)) for _ in range(2))
        self._target = np.ones(count)
        """what would be published now if it were time"""
        self._past = _Past()
        self._past.add(-np.inf, np.ones(count))

    def update(self, now: float, prices: Floats, rates: Floats | None = None) -> Floats:
        """Oracle prices by reserve at `now` seconds, ≥ those before.

        `prices`: market, USD by asset; `rates`: contracts' own exchange rates by asset against the beginning (1 where None).
        """
        rules, anchor = self.rules, self._book.reserves.oracle_price
        if self._fast:
            return np.minimum(self._book.oracle_prices(prices), rules.ceiling)
        source = self._source(prices, rates)
        self._past.add(now, source)
        target = self._past.at(now - rules.lag)
        twap = rules.kind == OracleKind.TWAP
        if twap.any():
            target = np.where(twap, self._past.mean(now, rules.window), target)
        base = self._moves(prices)[rules.base]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(self._composite, np.where(base > WORTHLESS, target / base, 0.0), target)
        rest = np.where(self._composite, base, 1.0)
        still = rules.frozen | (rules.kind == OracleKind.CONSTANT)
        self._first.publish(np.where(still, self._first.value, ratio), now, rules.deviation, rules.heartbeat)
        self._second.publish(np.where(still, self._second.value, rest), now, rules.deviation, rules.heartbeat)
        self._target = ratio * rest
        said = np.minimum(anchor * self._first.value * self._second.value, rules.ceiling)
        return np.where(np.isnan(rules.stated), said, rules.stated)

    def next_change(self, now: float) -> float | None:
        """When, after `now`, an oracle would say something else although markets stand still; None if never."""
        if self._fast:
            return None
        rules, moments = self.rules, []
        source = self._past.factors[-1]
        lagging = ~rules.frozen & (rules.kind != OracleKind.CONSTANT) & np.isnan(rules.stated)
        shown = self._first.value * self._second.value
        with np.errstate(invalid="ignore"):
            apart = lagging & (np.abs(shown - source) > SETTLED * np.abs(source))
        waiting = apart & (rules.lag > 0.0) & (rules.kind != OracleKind.TWAP)
        if waiting.any():
            changes = np.array(self._past.times[1:])
            due = (changes[:, None] + rules.lag[waiting]).ravel()
            later = due[due > now]
            moments += [float(later.min())] if len(later) else []
        averaging = apart & (rules.kind == OracleKind.TWAP) & (rules.window > now - self._past.times[-1])
        if averaging.any():
            windows = rules.window[averaging]
            moments.append(now + max(float(windows.min()) / 16.0, float(windows.max()) / 64.0))
        with np.errstate(invalid="ignore"):
            unwritten = lagging & (np.abs(shown - self._target) > SETTLED * np.abs(self._target))
        beats = unwritten & np.isfinite(rules.heartbeat)
        if beats.any():
            first = np.minimum(self._first.since, self._second.since)[beats] + rules.heartbeat[beats]
            moments.append(max(float(np.nextafter(first.min(), np.inf)), np.nextafter(now, np.inf)))
        return min(moments, default=None)

    def _moves(self, prices: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            moves = prices / self._book.prices
        moves[(self._book.prices == 0.0) & (prices == 0.0)] = 1.0
        return moves

    def _source(self, prices: Floats, rates: Floats | None) -> Floats:
        reserves, by_rate = self._book.reserves, self.rules.kind == OracleKind.RATE
        source: Floats = self._moves(prices)[reserves.priced_by]
        source[by_rate & (reserves.priced_by == reserves.asset)] = 1.0
        if rates is None:
            return source
        return np.where(by_rate, source * rates[reserves.asset], source)
