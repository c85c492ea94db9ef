"""Alerts while the service runs: what is read goes into a journal, then through the rules, then out.

The journal is a history like any other, so after a restart the rules are where they were: it is replayed, which makes the same alerts
with the same identifiers again. Those that were told are known by them; those that were not, because the power went, are told now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from aggregator.engine.replay.file import read_history
from aggregator.engine.replay.record import moment, observe
from aggregator.engine.replay.record_file import HistoryFile, compact
from aggregator.engine.replay.replay import moments, replay
from aggregator.engine.schema import HealthDocument, MarginAccountDocument
from aggregator.engine.systemic.population import LivePopulation
from aggregator.model.identifiers import Address
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.courier import Courier, Destination, Destinations, messages
from aggregator.publish.alerts.instant import Instant, parse_instant
from aggregator.publish.alerts.monitor import Monitor
from aggregator.publish.alerts.nodes import NodeKind
from aggregator.publish.alerts.observations import Observed, WalletObserved
from aggregator.publish.alerts.people import PeopleSender
from aggregator.publish.alerts.rules import Severity
from aggregator.publish.alerts.series import KEPT
from aggregator.publish.alerts.webhook import WebhookSender
from aggregator.store import outbox, watch
from aggregator.store.database import Database
from aggregator.store.watch import StoredAlert

Tell = Callable[[Sequence[StoredAlert]], Awaitable[None]]
SILENCE_SECONDS = 60.0
"""how often it is looked for what has not come"""


class _Desk:
    """One journal and the monitor that has seen it."""

    def __init__(self, path: Path, curves: bool) -> None:
        self.path = path
        self.monitor = Monitor(curves)
        self.lock = asyncio.Lock()
        self._journal = HistoryFile(path)

    def open(self) -> list[Alert]:
        """Read the journal again: all alerts that it ever gave rise to."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._journal.__enter__()
        if self._journal.last is None:
            return []
        if compact(self.path, self._journal.last - KEPT):
            self._journal.__exit__(None, None, None)
            self._journal = HistoryFile(self.path)
            self._journal.__enter__()
        return list(replay(read_history(self.path), self.monitor))

    def close(self) -> None:
        self._journal.__exit__(None, None, None)

    def take(self, now: Instant, observed: Iterable[Observed]) -> list[Alert]:
        """Write down, then judge: what has been judged is always in the journal."""
        rows = tuple(observed)
        self._journal.write(rows)
        return [alert for _, alerts in moments(self.monitor, now, rows) for alert in alerts]

    def silence(self, now: Instant) -> list[Alert]:
        """What is overdue by now."""
        found: list[Alert] = []
        while (deadline := self.monitor.deadline()) is not None and deadline < now:
            found += self.monitor.late(deadline)
        return found

    def after(self, now: Instant) -> Instant:
        """A moment that is not before anything in the journal."""
        return now if self._journal.last is None else max(now, self._journal.last)

    def note(self, now: Instant) -> None:
        self._journal.last = now


class AlertDesk:
    """Takes what is read of populations and owners, and sees to it that alerts about it are kept, streamed and delivered."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        tell: Tell,
        destinations: Destinations,
        ring: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        """`folder`: for the journals. `tell`: keeps and streams alerts that are new. `ring`: the courier's bell. `clock`: microseconds."""
        self._database, self._tell, self._destinations, self._ring, self._clock = database, tell, destinations, ring, clock
        self._markets = _Desk(folder / "markets.jsonl", curves=True)
        self._wallets = _Desk(folder / "wallets.jsonl", curves=False)

    async def __aenter__(self) -> Self:
        for desk in (self._markets, self._wallets):
            await self._publish(await asyncio.to_thread(desk.open))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._markets.close()
        self._wallets.close()

    async def population(self, population: LivePopulation) -> list[Alert]:
        """A population was read; what had to be told."""
        now = moment(population)
        if now is None:
            return []
        async with self._markets.lock:
            now = self._markets.after(now)
            alerts = await asyncio.to_thread(self._markets.take, now, observe(population, now))
            self._markets.note(now)
            await self._publish(alerts)
        return alerts

    async def owner(self, document: HealthDocument) -> list[Alert]:
        """An owner was assessed; what had to be told. Figures that change nothing are not even written down."""
        desk = self._wallets
        async with desk.lock:
            now = desk.after(self._clock())
            rows = [one for one in self._accounts(document, now) if desk.monitor.concerns(one)]
            if not rows:
                return []
            alerts = desk.take(now, rows)
            desk.note(now)
            await self._publish(alerts)
        return alerts

    async def run(self) -> None:
        """Look for silence until cancelled."""
        while True:
            await asyncio.sleep(SILENCE_SECONDS)
            async with self._markets.lock:
                await self._publish(self._markets.silence(self._clock()))

    async def _publish(self, alerts: Sequence[Alert]) -> None:
        """What was not told before: into the outbox first, so that an alert that the store knows is on its way."""
        if not alerts:
            return
        async with self._database.reading() as connection:
            new = await outbox.untold(connection, [alert.identifier for alert in alerts])
        untold = [alert for alert in alerts if alert.identifier in new]
        if not untold:
            return
        wanted = messages(untold, tuple((await self._destinations()).values()))
        at = self._clock()
        await self._database.write(lambda connection: outbox.post(connection, wanted, at))
        self._ring()
        await self._tell([stored(alert) for alert in untold])

    def _accounts(self, document: HealthDocument, now: Instant) -> list[WalletObserved]:
        """One observation an account, one for what is trapped; and one without debt for an account that is there no more."""
        owner = document.owners[0].rpartition(":")[2].lower()
        found = [_account(one, owner, now) for one in document.margin_accounts]
        trapped, held = document.health.trapped_collateral_usd, float(document.health.collateral_usd)
        if trapped is not None:
            found.append(WalletObserved(now, owner, "", "", "portfolio", None, None, held, None, None, float(trapped)))
        there = {(one.chain, one.protocol, one.market) for one in found}
        if document.coverage.complete:
            known = [key[1:] for key in self._wallets.monitor.picture.wallets if key[0] == owner]
            found += [WalletObserved(now, owner, *key, None, debt_usd=0.0) for key in sorted(known) if key not in there]
        return found


def _account(one: MarginAccountDocument, owner: str, now: Instant) -> WalletObserved:
    moves = [abs(float(price.move)) for price in one.liquidation.prices]
    health, shadow, debt = (_number(text) for text in (one.health_factor, one.shadow_health_factor, one.debt_usd))
    return WalletObserved(
        now, owner, one.chain, one.protocol, one.market, health, shadow, float(one.collateral_usd), debt, min(moves, default=None)
    )


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def stored(alert: Alert) -> StoredAlert:
    """An alert as the store keeps it; about an owner it is that owner's own."""
    owner = Address(alert.subject.rpartition(":")[2].lower()) if alert.root.startswith(f"{NodeKind.OWNER}:") else None
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
async def alerting(folder: Path, database: Database, tell: Tell, allow_private: bool = False) -> AsyncIterator[AlertDesk]:
    """A desk with its courier, both running. `folder`: for the journals; `allow_private`: receivers in one's own network."""
    destinations = subscribers(database)
    async with WebhookSender(allow_private) as webhooks:
        courier = Courier(database, destinations, webhooks, PeopleSender(allow_private))
        async with AlertDesk(folder, database, tell, destinations, courier.ring) as desk:
            running = [asyncio.create_task(work) for work in (courier.run(), desk.run())]
            try:
                yield desk
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
