"""The composition of a system while a scenario changes it: what stands behind every token, and since when and why it is less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array, diags_array

from aggregator.contagion.causes import CauseKind, Causes
from aggregator.contagion.composition import Composition
from aggregator.contagion.graph import in_order
from aggregator.contagion.lookthrough import look_through
from aggregator.contagion.money import MICRO
from aggregator.model.book import Floats

MOVED = 1e-12
"""relative change of a value that is worth an event"""


class Backing:
    """Values of tokens, kept current. `causes` takes the events; `reason` is by token the event that last changed its value."""

    def __init__(self, given: Composition, causes: Causes) -> None:
        self._given, self._causes = given, causes
        self.real_assets = given.real_assets.copy()
        self.kept = np.ones(len(given))
        """share of what a token holds that is still behind it: bridges' haircuts"""
        self.supply = np.ones(len(given))
        """tokens that are left, of those at the beginning"""
        self.market = np.ones(len(given))
        """price factor of a plain token's own market"""
        self.reason = np.full(len(given), -1, dtype=np.intp)
        self.own: dict[int, list[int]] = {}
        """events that struck a token itself and have not been valued yet"""
        self._order = in_order(given.holdings)
        self.found = look_through(given)
        self.first = self.found.value.copy()

    def strike(self, token: int, event: int) -> None:
        """An event that changes what stands behind a token."""
        self.own.setdefault(token, []).append(event)

    def take(self, token: int, usd: float, event: int) -> None:
        """A token loses real assets that are worth so much now, or all it has."""
        per_dollar = float(self.kept[token] * self.market[token])
        if per_dollar > 0.0:
            self.real_assets[token] = max(float(self.real_assets[token]) - usd / per_dollar, 0.0)
        self.strike(token, event)

    @property
    def factor(self) -> Floats:
        """Value of one token against the beginning; 1 where it was worth nothing then."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.found.value / (self.first * self.supply)
        return np.where(self.first > 0.0, value, 1.0)

    @property
    def surplus(self) -> Floats:
        """USD that stand behind a token beyond its par; nothing for a token without one."""
        now = self._current()
        beyond = np.nan_to_num(now.real_assets) - now.borrowed + np.asarray(now.holdings @ self.found.value) - now.par
        return np.where(np.isfinite(now.par), np.maximum(beyond, 0.0), 0.0)

    @property
    def behind_claim(self) -> Floats:
        """Value behind a token over what it was claimed to be worth; NaN where no claim is known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.found.value / (self._given.claimed * self.supply)

    def value(self, tick: int, market_reasons: Mapping[int, int]) -> bool:
        """Look through anew; whether any value changed. `market_reasons`: by token, the event that moved its market."""
        before = self.found.value
        self.found = look_through(self._current())
        after = self.found.value
        changed = np.abs(after - before) > MOVED * np.maximum(before, after)
        if not changed.any():
            return False
        for members in self._order:
            for token in members[changed[members]].tolist():
                self._note(token, float(before[token] - after[token]), tick, market_reasons)
        self.own.clear()
        return True

    def _current(self) -> Composition:
        given = self._given
        kept = csr_array(diags_array(self.kept) @ given.holdings)
        # what others redeemed leaves a larger share to those who stay
        shares = csr_array(kept @ diags_array(1.0 / self.supply))
        return replace(given, holdings=shares, real_assets=self.real_assets * self.kept * self.market, par=given.par * self.supply)

    def _note(self, token: int, lost: float, tick: int, market_reasons: Mapping[int, int]) -> None:
        """An event for a changed value, after what led to it: its own, its market's, or that of what it holds."""
        parents = list(self.own.get(token, ()))
        if token in market_reasons:
            parents.append(market_reasons[token])
        holdings = self._given.holdings
        held = holdings.indices[holdings.indptr[token] : holdings.indptr[token + 1]]
        reasons = [int(self.reason[code]) for code in held.tolist() if self.reason[code] >= 0]
        parents += sorted(set(reasons), key=lambda number: (-self._causes[number].tick, -abs(self._causes[number].amount)))
        if not parents and self.reason[token] >= 0:
            parents = [int(self.reason[token])]
        name = self._given.names[token]
        self.reason[token] = self._causes.add(tick, CauseKind.BACKING, name, round(lost * MICRO), parents)
