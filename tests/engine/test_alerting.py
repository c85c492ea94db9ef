"""The alert desk of a running service: a wallet is told of once an episode, through restarts and crashes, and to its owner alone."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.engine.document import build_document
from aggregator.engine.live.accounts import OwnerSeen, accounts_of
from aggregator.engine.live.alerting import AlertDesk, alerting, stored
from aggregator.engine.replay.file import read_history
from aggregator.engine.replay.record_file import HistoryFile, compact
from aggregator.engine.replay.replay import replay
from aggregator.engine.schema import HealthDocument
from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address, ChainId, parse_address
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.courier import WEBHOOK, Destination
from aggregator.publish.alerts.instant import DAY, HOUR
from aggregator.publish.alerts.monitor import Monitor
from aggregator.publish.alerts.observations import Observed, ReplacedObserved, WalletObserved
from aggregator.publish.alerts.signature import verify
from aggregator.risk.assessment import assess
from aggregator.store import outbox, watch
from aggregator.store.database import Database
from aggregator.store.watch import StoredAlert
from tests.builders import USDC, WETH, account, book, borrowed, portfolio, supplied
from tests.publish.alerts.histories import CHAIN, START, at, flat, market, told, wallet
from tests.publish.alerts.receiver import receiver, status

SECRET = bytes(range(32))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.at(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


class Service:
    """What stands around a desk: the store, one subscriber for everybody's alerts and one for an owner's, and a clock."""

    def __init__(self, database: Database, folder: Path, owner: str) -> None:
        self.database, self.folder = database, folder
        self.now = START
        self.streamed: list[StoredAlert] = []
        self.fails = False
        self.destinations = {
            "all": Destination("all", WEBHOOK, "https://example.com"),
            "mine": Destination("mine", WEBHOOK, "https://example.com", owner=owner),
        }

    async def tell(self, alerts: Sequence[StoredAlert]) -> None:
        if self.fails:
            raise ConnectionResetError("the power went")
        async with self.database.writing() as connection:
            self.streamed += await watch.keep_alerts(connection, alerts)

    async def known(self) -> Mapping[str, Destination]:
        return self.destinations

    def desk(self) -> AlertDesk:
        return AlertDesk(self.folder, self.database, self.tell, self.known, clock=lambda: self.now)

    async def waiting(self, destination: str) -> int:
        async with self.database.reading() as connection:
            return (await outbox.standing(connection, destination)).waiting


@pytest.fixture
def document() -> HealthDocument:
    view = portfolio([account(supplied(WETH, 10), borrowed(USDC, 10_000))])
    return build_document(view, book(), assess(view, book(), ()))


@pytest.fixture
def service(database: Database, tmp_path: Path, document: HealthDocument) -> Service:
    return Service(database, tmp_path / "alerts", document.owners[0])


async def owner(desk: AlertDesk, document: HealthDocument) -> list[Alert]:
    """As the live loop does it."""
    address = Address(document.owners[0].rpartition(":")[2].lower())
    judged = await desk.judge([OwnerSeen(address, accounts_of(document), document.coverage.complete)])
    await desk.tell()
    return judged


def at_health(document: HealthDocument, health: str | None, block: int = 100) -> HealthDocument:
    (own,) = document.margin_accounts
    liquidation = own.liquidation.model_copy(update={"prices": ()})
    changed = own.model_copy(update={"health_factor": health, "shadow_health_factor": health, "liquidation": liquidation})
    figures = document.health.model_copy(update={"trapped_collateral_usd": None})
    snapshots = tuple(one.model_copy(update={"block": block}) for one in document.snapshots)
    return document.model_copy(update={"margin_accounts": (changed,), "health": figures, "snapshots": snapshots})


async def test_a_wallet_is_told_of_once_an_episode_through_restarts(service: Service, document: HealthDocument) -> None:
    states: list[str] = []
    for health in ("1.5", "1.08", "1.07", "1.08", "1.20", "1.4", "1.09"):
        # a desk that is closed after every figure, as if the service were started anew each time
        async with service.desk() as desk:
            service.now += HOUR
            states += [alert.state for alert in await owner(desk, at_health(document, health))]
    assert states == ["opened", "resolved", "opened"]
    assert [one.state for one in service.streamed] == states
    assert {one.owner for one in service.streamed} == {document.owners[0].rpartition(":")[2].lower()}
    assert (await service.waiting("mine"), await service.waiting("all")) == (3, 0)


async def test_calm_figures_are_not_written_down(service: Service, document: HealthDocument) -> None:
    async with service.desk() as desk:
        for _ in range(5):
            service.now += HOUR
            await owner(desk, at_health(document, "2.0"))
    assert (service.folder / "wallets.jsonl").stat().st_size == 0


async def test_what_could_not_be_told_is_told_after_the_restart(service: Service, document: HealthDocument) -> None:
    service.fails = True
    with pytest.raises(ConnectionResetError):
        async with service.desk() as desk:
            await owner(desk, at_health(document, "1.05"))
    assert service.streamed == []
    service.fails = False
    async with service.desk():
        pass
    assert [one.state for one in service.streamed] == ["opened"]
    assert await service.waiting("mine") == 1


async def test_what_was_judged_is_told_after_the_restart_though_it_is_over_by_then(service: Service, document: HealthDocument) -> None:
    """Killed between the journal and the outbox, and the price came back before the next start."""
    address = Address(document.owners[0].rpartition(":")[2].lower())
    async with service.desk() as desk:
        assert await desk.judge([OwnerSeen(address, accounts_of(at_health(document, "1.05")), True)])
    assert service.streamed == [] and await service.waiting("mine") == 0
    async with service.desk() as desk:
        assert [one.state for one in service.streamed] == ["opened"]
        service.now += HOUR
        await owner(desk, at_health(document, "1.5"))
    assert [one.state for one in service.streamed] == ["opened", "resolved"]
    assert await service.waiting("mine") == 2


async def test_a_new_subscriber_is_not_told_old_news(service: Service, document: HealthDocument) -> None:
    async with service.desk() as desk:
        await owner(desk, at_health(document, "1.05"))
    service.destinations["late"] = Destination("late", WEBHOOK, "https://example.com", owner=document.owners[0])
    async with service.desk():
        pass
    assert (await service.waiting("mine"), await service.waiting("late")) == (1, 0)


async def test_an_account_that_is_closed_is_over_and_one_that_is_not_read_is_not(service: Service, document: HealthDocument) -> None:
    gone = document.model_copy(update={"margin_accounts": ()})
    unread = gone.model_copy(update={"coverage": gone.coverage.model_copy(update={"complete": False})})
    async with service.desk() as desk:
        await owner(desk, at_health(document, "1.05"))
        service.now += HOUR
        assert await owner(desk, unread) == []
        service.now += HOUR
        assert [alert.state for alert in await owner(desk, gone)] == ["resolved"]


async def test_a_figure_that_is_withheld_closes_nothing(service: Service, document: HealthDocument) -> None:
    async with service.desk() as desk:
        await owner(desk, at_health(document, "1.05"))
        service.now += HOUR
        assert await owner(desk, at_health(document, None)) == []


async def test_the_journal_replayed_gives_the_same_alerts(service: Service, document: HealthDocument) -> None:
    async with service.desk() as desk:
        for health in ("1.08", "1.01", "1.5", "1.05"):
            service.now += HOUR
            await owner(desk, at_health(document, health))
    again = list(replay(read_history(service.folder / "wallets.jsonl")))
    assert [one.identifier for one in again] == [one.identifier for one in service.streamed]


async def test_a_subscriber_gets_the_signed_alert(service: Service, document: HealthDocument) -> None:
    address = parse_address(document.owners[0].rpartition(":")[2])
    async with receiver(status(500), status(200)) as there:
        wanted = watch.Subscription(address, WEBHOOK, there.url, "warning", "key", START, secret=SECRET.hex())
        async with service.database.writing() as connection:
            await watch.subscribe(connection, wanted)
        async with alerting(service.folder, service.database, service.tell, allow_private=True) as desk:
            told_now = await owner(desk, at_health(document, "1.02"))
            await there.until(2)
    assert [json.loads(one.body)["severity"] for one in there.got] == ["critical", "critical"]
    assert there.got[0].body == told_now[0].line().encode() == there.got[1].body
    assert there.got[0].key == there.got[1].key
    assert verify(SECRET, there.got[1].signature, there.got[1].body, int(time.time()))


async def test_a_moment_that_could_not_be_written_leaves_nothing_in_the_journal(
    service: Service, document: HealthDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with service.desk() as desk:
        await owner(desk, at_health(document, "1.05"))
        service.now += HOUR
        with monkeypatch.context() as patched, pytest.raises(InputError, match="No space left"):
            patched.setattr(os, "fsync", full)
            await owner(desk, at_health(document, "1.5"))
        service.now += HOUR
        assert [alert.state for alert in await owner(desk, at_health(document, "1.4"))] == ["resolved"]
    assert [one.t for one in read_history(service.folder / "wallets.jsonl")] == [START, START + 2 * HOUR]


async def test_only_figures_that_change_something_are_written_down(service: Service, document: HealthDocument) -> None:
    async with service.desk() as desk:
        for health in ("1.08", "1.07", "1.06", "1.02", "1.01", "1.05", "1.12", "1.3", "1.4"):
            service.now += HOUR
            await owner(desk, at_health(document, health))
    history = read_history(service.folder / "wallets.jsonl")
    assert [one.health_factor for one in history if isinstance(one, WalletObserved)] == [1.08, 1.02, 1.3]


async def test_an_account_without_a_price_that_ends_it_is_far_from_liquidation(service: Service, document: HealthDocument) -> None:
    (own,) = document.margin_accounts
    near = own.model_copy(update={"health_factor": "1.05", "shadow_health_factor": "1.05"})
    assert near.liquidation.prices
    close = tuple(price.model_copy(update={"move": "-0.04"}) for price in near.liquidation.prices)
    risky = document.model_copy(
        update={"margin_accounts": (near.model_copy(update={"liquidation": near.liquidation.model_copy(update={"prices": close})}),)}
    )
    closed = risky.model_copy(update={"margin_accounts": ()})
    async with service.desk() as desk:
        for after in (at_health(document, "3.0"), closed):
            service.now += HOUR
            (opened,) = await owner(desk, risky)
            assert {rule.partition(" ")[0] for rule in opened.rules} == {"wallet-health", "wallet-distance"}
            service.now += HOUR
            assert [alert.state for alert in await owner(desk, after)] == ["resolved"]


async def test_moments_never_share_a_time_however_the_clock_goes(service: Service, document: HealthDocument) -> None:
    async with service.desk() as desk:
        for health in ("1.05", "1.5", "1.04"):
            await owner(desk, at_health(document, health))
            service.now -= HOUR
    again = list(replay(read_history(service.folder / "wallets.jsonl")))
    assert [one.state for one in again] == ["opened", "resolved", "opened"]
    assert [one.identifier for one in again] == [one.identifier for one in service.streamed]


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_stood_on_replaced_blocks_is_withdrawn_through_restarts(
    service: Service, document: HealthDocument, restarted: bool
) -> None:
    chain = ChainId(document.snapshots[0].chain)
    async with service.desk() as desk:
        (opened,) = await owner(desk, at_health(document, "1.05", 100))
        assert opened.blocks == {chain: 100}
        assert await desk.replaced(chain, 101) == frozenset()
        if not restarted:
            assert await desk.replaced(chain, 100) == {opened.subject}
            service.now += HOUR
            await owner(desk, at_health(document, "1.12", 100))
    async with service.desk() as desk:
        if restarted:
            assert await desk.replaced(chain, 99) == {opened.subject}
    async with service.desk() as desk:
        if restarted:
            service.now += HOUR
            await owner(desk, at_health(document, "1.12", 100))
        await owner(desk, at_health(document, "1.12", 101))
    assert [one.state for one in service.streamed] == ["opened", "resolved"]
    assert "from block" in json.loads(service.streamed[-1].body)["evidence"]["replaced"]


def test_old_rows_leave_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "markets.jsonl"
    with HistoryFile(path) as file:
        for one in flat(100):
            file.write([one])
    history = read_history(path)
    assert compact(path, history, lambda one: one.t >= at(30)) is history and read_history(path) == history
    kept = compact(path, history, lambda one: one.t >= at(60))
    assert read_history(path) == kept and [one.t for one in kept] == [at(hour) for hour in range(60, 100)]
    assert compact(path, kept, lambda _: False) is kept


async def test_a_wallet_that_is_in_danger_for_months_is_not_told_again_after_a_restart(service: Service, document: HealthDocument) -> None:
    other = document.model_copy(update={"owners": (f"eip155:1:0x{'77' * 20}",)})
    async with service.desk() as desk:
        await owner(desk, at_health(document, "1.05"))
        for health in ("1.05", "1.5") * 5:
            service.now += HOUR
            await owner(desk, at_health(other, health))
        service.now += 60 * DAY
        for health in ("1.05", "1.5") * 2:
            service.now += HOUR
            await owner(desk, at_health(other, health))
    for _ in range(2):
        before = len(read_history(service.folder / "wallets.jsonl"))
        async with service.desk() as desk:
            service.now += HOUR
            assert await owner(desk, at_health(document, "1.06")) == []
    assert (before, len(service.streamed)) == (1 + 4, 1 + 10 + 4)
    async with service.desk() as desk:
        assert [one.state for one in await owner(desk, at_health(document, "1.6"))] == ["resolved"]
    assert service.streamed[-1].episode == service.streamed[0].episode


@pytest.mark.parametrize("journal", ["wallets.jsonl", "markets.jsonl"])
async def test_a_journal_that_is_none_is_set_aside_and_the_service_goes_on(
    service: Service, document: HealthDocument, journal: str
) -> None:
    service.folder.mkdir(parents=True)
    (service.folder / journal).write_text('{"t": "2026-01-05T00:00:00Z", "kind": "nothing that is known"}\n')
    async with service.desk() as desk:
        await desk.opened()
        assert [one.state for one in await owner(desk, at_health(document, "1.05"))] == ["opened"]
    (aside,) = service.folder.glob("*.broken")
    assert "nothing that is known" in aside.read_text() and aside.name.startswith(journal.partition(".")[0])
    assert {one.name for one in service.folder.glob("*.jsonl")} == {"wallets.jsonl", "markets.jsonl"}


async def test_a_long_journal_of_markets_is_judged_while_the_service_runs(
    service: Service, document: HealthDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wallets are judged meanwhile; replaced blocks are kept in mind until the end."""
    service.folder.mkdir(parents=True)
    run = [replace(market(30, 2e6, 1.5e6), block=30)]
    with HistoryFile(service.folder / "markets.jsonl") as file:
        for one in (*flat(30), *run):
            file.write([one])
    going = threading.Event()

    def slowly(history: Sequence[Observed], monitor: Monitor) -> Iterator[Alert]:
        if not monitor.picture.wallets and history:
            assert going.wait(20)
        return replay(history, monitor)

    monkeypatch.setattr("aggregator.engine.live.alerting.replay", slowly)
    async with service.desk() as desk:
        assert [one.state for one in await owner(desk, at_health(document, "1.05"))] == ["opened"]
        assert await desk.replaced(ChainId(CHAIN), 30) == {service.streamed[0].owner}
        assert [one.rule for one in service.streamed] == ["wallet-health"]
        going.set()
        await desk.opened()
        assert [one.rule for one in service.streamed] == ["wallet-health", "market-outflow"]
        for _ in range(200):
            if len(read_history(service.folder / "markets.jsonl")) == 32:
                break
            await asyncio.sleep(0.01)
    last = read_history(service.folder / "markets.jsonl")[-1]
    assert last == ReplacedObserved(at(30) + 1, CHAIN, block=30)


def test_alerts_as_they_are_kept() -> None:
    public = stored(told([*flat(30), market(30, 5e6, 4e6)])[0])
    assert (public.owner, public.rule, json.loads(public.body)["subject"]) == (None, "market-outflow", "aUSD")
    address = "0x" + "aB" * 20
    assert stored(told([wallet(1, 1.05, owner=f"eip155:1:{address}")])[0]).owner == address.lower()
    assert len(public.episode) <= 64 and len(public.identifier) <= 64


async def test_wallets_of_subscribers_say_nothing_of_a_market(service: Service) -> None:
    """A few large wallets that are watched are no population: no curve is made of them."""
    many = [WalletObserved(at(hour), "0xo", "eip155:1", "aave-v3", "core", 1.2 - hour / 300, debt_usd=5e7) for hour in range(40)]
    assert "curve-jump" in {one.rule for one in told(many)}
    desk = service.desk()
    rules = set()
    for one in many:
        rules |= {alert.rule for alert in desk._wallets.monitor.advance(one.t, [one])}
    assert rules == {"wallet-health"}
