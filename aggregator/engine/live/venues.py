"""Accounts at trading venues of followed owners: asked for in turn, as often as the venues allow, the longest unasked first."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from aggregator.chains.venue import venue_urls
from aggregator.engine.assemble import Found
from aggregator.engine.live.owner import Followed
from aggregator.engine.snapshot import Engine
from aggregator.engine.venues import VenueReading
from aggregator.model.identifiers import AccountId
from aggregator.model.snapshot import Remark
from aggregator.store.database import DatabaseUnavailable

log = logging.getLogger(__name__)

TOGETHER = 4
"""owners who are asked for at once"""
EMPTY_TIMES = 10
"""how much more seldom an owner is asked for who has nothing at any venue"""
KEPT_SECONDS = 120.0
"""how long what a venue told stands while it tells nothing"""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 15.0
FAULT_SECONDS = 1.0


class VenueKeeper(Protocol):
    """What is done with what venues tell."""

    followed: dict[str, Followed]

    def account(self, one: Followed) -> AccountId:
        """Under which account an owner's venues stand in his picture."""

    async def renew_venues(self, readings: dict[str, VenueReading]) -> int:
        """Take in what venues told, by owner, and publish what comes of it; how many owners were published."""


class VenueLoop:
    """`run` in a task of its own; `read` may also be called from outside, for an owner who is new."""

    def __init__(self, engine: Engine, keeper: VenueKeeper, urls: Sequence[str], seconds: float) -> None:
        """`urls`: `VENUE=URL` each, in place of a venue's own API. `seconds`: how often an owner is asked for. InputError for bad URLs."""
        self._engine, self._keeper, self._seconds = engine, keeper, seconds
        self._urls = venue_urls(tuple(urls))
        self._pause = SHORTEST_PAUSE
        self._silent = False
        """whether a venue did not tell something in this turn"""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await asyncio.sleep(self._pause if await self._turn() else min(1.0, self._seconds))
            except DatabaseUnavailable as error:
                log.error("venues: %s", error)
                await asyncio.sleep(FAULT_SECONDS)
            except Exception:  # whatever it is, the venues are asked on
                log.exception("a turn of the venues failed")
                await asyncio.sleep(FAULT_SECONDS)

    async def read(self, one: Followed) -> VenueReading:
        """What the venues tell of an owner now. What one of them does not tell stands for a while as it was, and says so."""
        now = one.venues_asked_at = asyncio.get_running_loop().time()
        told = await self._engine.read_venues(self._keeper.account(one), self._urls)
        found = tuple(self._standing(one, venue, now) for venue in told.found)
        self._silent = self._silent or any(venue.holdings.gaps for venue in told.found)
        return replace(told, found=found, remarks=())

    def _standing(self, one: Followed, venue: Found, now: float) -> Found:
        gaps = venue.holdings.gaps
        if not gaps:
            one.venues_told[venue.slug] = now, venue
            return venue
        told_at, before = one.venues_told.get(venue.slug, (float("-inf"), venue))
        if told_at < now - KEPT_SECONDS:
            return venue
        remark = Remark("venue-stale", f"{venue.slug}: stands as it was told before: {gaps[0].why}")
        return Found(venue.slug, replace(before.holdings, remarks=(*before.holdings.remarks, remark)))

    async def _turn(self) -> bool:
        """Ask for those whose turn it is; False where it is nobody's."""
        now = asyncio.get_running_loop().time()
        due = [one for one in self._keeper.followed.values() if one.owner.chain is None and self._is_due(one, now)]
        ones = heapq.nsmallest(TOGETHER, due, key=lambda one: one.venues_asked_at)
        if not ones:
            return False
        self._silent = False
        readings = await asyncio.gather(*(self.read(one) for one in ones))
        # a venue that is overrun tells nothing in time: asking more slowly brings more
        self._pause = min(LONGEST_PAUSE, 2 * self._pause) if self._silent else max(SHORTEST_PAUSE, self._pause / 2)
        changed = {one.key: reading for one, reading in zip(ones, readings, strict=True) if differ(one.venues, reading)}
        await self._keeper.renew_venues(changed)
        return True

    def _is_due(self, one: Followed, now: float) -> bool:
        nothing = one.venues is not None and not any(venue.holdings.venue_accounts for venue in one.venues.found)
        return one.venues_asked_at + self._seconds * (EMPTY_TIMES if nothing else 1) <= now


def differ(before: VenueReading | None, now: VenueReading) -> bool:
    """Whether anything but the time is another than before."""
    return before is None or [_timeless(venue) for venue in before.found] != [_timeless(venue) for venue in now.found]


def _timeless(venue: Found) -> Found:
    accounts = tuple(replace(account, as_of_ms=0) for account in venue.holdings.venue_accounts)
    return Found(venue.slug, replace(venue.holdings, venue_accounts=accounts))
