"""Alerts while the service runs: what is read goes into a journal, then through the rules, then out.

The journal is a history like any other, so after a restart the rules are where they were: it is replayed, which makes the same alerts
with the same identifiers again. Those that were told are known by them; those that were not, because the power went, are told now.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from aggregator.engine.live.accounts import OwnerSeen, closed
from aggregator.engine.replay.record import moment, observe
from aggregator.engine.replay.record_file import HistoryFile, compact, existing_history
from aggregator.engine.replay.replay import moments, replay
from aggregator.engine.systemic.population import LivePopulation
from aggregator.model.identifiers import Address, ChainId
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.courier import Courier, Destination, Destinations, messages
from aggregator.publish.alerts.instant import SECOND, Instant, parse_instant
from aggregator.publish.alerts.monitor import Monitor
from aggregator.publish.alerts.nodes import NodeKind
from aggregator.publish.alerts.observations import Observed, ReplacedObserved, WalletObserved
from aggregator.publish.alerts.people import PeopleSender
from aggregator.publish.alerts.rules import Severity
from aggregator.publish.alerts.series import KEPT
from aggregator.publish.alerts.threads import in_a_thread
from aggregator.publish.alerts.webhook import WebhookSender
from aggregator.store import outbox, watch
from aggregator.store.database import Database, DatabaseUnavailable
from aggregator.store.watch import StoredAlert

log = logging.getLogger(__name__)

Tell = Callable[[Sequence[StoredAlert]], Awaitable[None]]
SILENCE_SECONDS = 60.0
"""how often it is looked for what has not come"""


class _Desk:
    """One journal and the monitor that has seen it."""

    def __init__(self, path: Path, curves: bool) -> None:
        self.path, self._curves = path, curves
        self.monitor = Monitor(curves)
        self.lock = asyncio.Lock()
        self.untold: list[Alert] = []
        """judged, and not told yet, in their order"""
        self._journal = HistoryFile(path)

    def open(self) -> None:
        """Read the journal again: untold are all alerts that it ever gave rise to."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        history = existing_history(self.path)
        self.untold = list(replay(history, self.monitor))
        if history:
            before, still = history[-1].t - KEPT, {one.root.name for one in self.monitor.incidents.open if one.root.kind is NodeKind.OWNER}
            # an owner's story that is still open began with a row that the next start needs too
            history = compact(self.path, history, lambda one: one.t >= before or getattr(one, "owner", "") in still)
        self._journal = HistoryFile(self.path, history)
        self._journal.__enter__()

    def open_or_begin(self) -> None:
        """As `open`; a journal that cannot be judged is set aside, and another begun: that an alert is told twice is better than that none
        is."""
        try:
            self.open()
        except Exception:
            aside = self.path.with_suffix(f".{_now()}.broken")
            self.path.replace(aside)
            log.exception("%s cannot be judged again and is kept as %s; stories that were open are told anew", self.path.name, aside.name)
            self.monitor = Monitor(self._curves)
            self.open()

    def close(self) -> None:
        self._journal.__exit__(None, None, None)

    def take(self, now: Instant, observed: Iterable[Observed]) -> list[Alert]:
        """Write down, then judge: what has been judged is always in the journal. Not for the event loop: it waits for the disk."""
        rows = tuple(observed)
        self._journal.write(rows)
        self._journal.last = now
        found = [alert for _, alerts in moments(self.monitor, now, rows) for alert in alerts]
        self.untold += found
        return found

    def silence(self, now: Instant) -> None:
        """What is overdue by now."""
        while (deadline := self.monitor.deadline()) is not None and deadline < now:
            self.untold += self.monitor.late(deadline)

    @property
    def last(self) -> Instant | None:
        """The newest moment in the journal."""
        return self._journal.last

    def after(self, now: Instant) -> Instant:
        """A moment after everything in the journal, for what shares a moment is judged together when it is read again."""
        return now if self._journal.last is None else max(now, self._journal.last + 1)


class AlertDesk:
    """Takes what is read of populations and owners, and sees to it that alerts about it are kept, streamed and delivered."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        tell: Tell,
        destinations: Destinations,
        ring: Callable[[], None] = lambda: None,
        clock: Callable[[], Instant] | None = None,
    ) -> None:
        """`folder`: for the journals. `tell`: keeps and streams alerts that are new. `ring`: the courier's bell. `clock`: the time of what
        is observed."""
        self._database, self._tell, self._destinations, self._ring = database, tell, destinations, ring
        self._standing: frozenset[str] = frozenset()
        """hashes of the blocks of the population that was judged last"""
        self._asides: set[asyncio.Task[Collection[str]]] = set()
        self._opening: asyncio.Task[None]
        self._clock = clock if clock is not None else _now
        self._markets = _Desk(folder / "markets.jsonl", curves=True)
        self._wallets = _Desk(folder / "wallets.jsonl", curves=False)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._wallets.open_or_begin)
        await self._tell_of(self._wallets)
        self._opening = asyncio.create_task(self._open_markets())
        return self

    async def _open_markets(self) -> None:
        """A month of markets takes minutes to be read: the service does not wait for it."""
        async with self._markets.lock:
            try:
                await in_a_thread(self._markets.open_or_begin)
                await self._tell_of(self._markets)
            except Exception:
                log.exception("nothing is judged of markets")
                raise

    async def opened(self) -> None:
        """Until all that was recorded is judged again."""
        await asyncio.shield(self._opening)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opening.cancel()
        await asyncio.gather(self._opening, return_exceptions=True)
        self._markets.close()
        self._wallets.close()

    async def population(self, population: LivePopulation) -> list[Alert]:
        """A population was read; what had to be told. One that comes while the former ones are still being judged is left out."""
        now = moment(population)
        if now is None or not self._opening.done():
            return []
        self._opening.result()
        standing = frozenset(one.block.hash for one in population.snapshots if one.block is not None)
        desk = self._markets
        async with desk.lock:
            if standing == self._standing:
                # nothing has happened since, and what is seen twice at one block says nothing of how often it comes
                return []
            now = desk.after(now)
            alerts = await asyncio.to_thread(desk.take, now, observe(population, now))
            self._standing = standing
            await self._tell_of(desk)
        return alerts

    async def judge(self, seen: Sequence[OwnerSeen]) -> list[Alert]:
        """See `Judge`; what will have to be told. Figures that change nothing are not even written down."""
        desk = self._wallets
        async with desk.lock:
            rows = [row for one in seen for row in self._rows(one) if desk.monitor.concerns(row)]
            if not rows:
                return []
            now = desk.after(self._clock())
            return await asyncio.to_thread(desk.take, now, [replace(row, t=now) for row in rows])

    async def replaced(self, chain: ChainId, first: int) -> Collection[str]:
        """See `Judge`. What was entered there must be seen again, or is withdrawn."""
        async with self._wallets.lock:
            resting = self._wallets.monitor.resting(chain, first)
            if resting:
                now = self._wallets.after(self._clock())
                rows = [ReplacedObserved(now, chain, owner, block=first) for owner in sorted(resting)]
                await asyncio.to_thread(self._wallets.take, now, rows)
        if not self._opening.done():
            self._opening.add_done_callback(lambda _: self._replaced_later(chain, first))
            return resting
        async with self._markets.lock:
            last = self._markets.last
            if last is not None and self._markets.monitor.picture.reaches(chain, first):
                now = self._markets.after(last)
                await asyncio.to_thread(self._markets.take, now, [ReplacedObserved(now, chain, block=first)])
                self._standing = frozenset()
        return resting

    def _replaced_later(self, chain: ChainId, first: int) -> None:
        if not self._opening.cancelled() and self._opening.exception() is None:
            self._asides.add(task := asyncio.create_task(self.replaced(chain, first)))
            task.add_done_callback(self._asides.discard)

    async def tell(self) -> None:
        """See `Judge`."""
        if self._wallets.untold:
            async with self._wallets.lock:
                await self._tell_of(self._wallets)

    async def run(self) -> None:
        """Look for silence, and tell what could not be told, until cancelled."""
        while True:
            await asyncio.sleep(SILENCE_SECONDS)
            try:
                await self.tell()
                if self._opening.done() and self._opening.exception() is None:
                    async with self._markets.lock:
                        self._markets.silence(self._clock())
                        await self._tell_of(self._markets)
            except DatabaseUnavailable as error:
                log.error("alerts wait: %s", error)
            except Exception:  # whatever it is, what is overdue is looked for on
                log.exception("alerts could not be told")

    async def _tell_of(self, desk: _Desk) -> None:
        """What was not told before: into the outbox first, so that an alert that the store knows is on its way. What fails is tried
        again the next time."""
        alerts = tuple(desk.untold)
        if not alerts:
            return
        async with self._database.reading() as connection:
            new = await outbox.untold(connection, [alert.identifier for alert in alerts])
        untold = [alert for alert in alerts if alert.identifier in new]
        if untold:
            wanted, at = messages(untold, tuple((await self._destinations()).values())), _now()
            await self._database.write(lambda connection: outbox.post(connection, wanted, at))
            self._ring()
            await self._tell([stored(alert) for alert in untold])
        del desk.untold[: len(alerts)]

    def _rows(self, one: OwnerSeen) -> list[WalletObserved]:
        """One observation an account, and one without debt for an account that is there no more."""
        if not one.complete:
            return list(one.accounts)
        there = {(account.chain, account.protocol, account.market) for account in one.accounts}
        return [*one.accounts, *closed(one.owner, self._wallets.monitor.picture.accounts_of(one.owner) - there)]


def _now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000


def stored(alert: Alert) -> StoredAlert:
    """An alert as the store keeps it; about an owner it is that owner's own."""
    owner = Address(alert.owner) if alert.owner is not None else None
    return StoredAlert(
        alert.identifier, alert.episode, alert.state, alert.severity, alert.rule, owner, parse_instant(alert.t), alert.line()
    )


def subscribers(database: Database) -> Destinations:
    """Everybody who is subscribed at the moment of asking."""

    async def read() -> Mapping[str, Destination]:
        async with database.reading() as connection:
            found = await watch.subscriptions(connection)
        return {
            one.id: Destination(one.id, one.channel, one.target, bytes.fromhex(one.secret), Severity(one.severity), one.owner)
            for one in found
        }

    return read


@asynccontextmanager
async def alerting(
    folder: Path, database: Database, tell: Tell, allow_private: bool = False, clock: Callable[[], float] = time.time
) -> AsyncIterator[AlertDesk]:
    """A desk with its courier, both running. `folder`: for the journals; `allow_private`: receivers in one's own network; `clock`: the
    chains' time, seconds since the epoch."""
    destinations = subscribers(database)
    async with WebhookSender(allow_private) as webhooks:
        courier = Courier(database, destinations, webhooks, PeopleSender(allow_private))
        await courier.resume()
        async with AlertDesk(folder, database, tell, destinations, courier.ring, lambda: int(clock() * SECOND)) as desk:
            running = [asyncio.create_task(work) for work in (courier.run(), desk.run())]
            try:
                yield desk
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
