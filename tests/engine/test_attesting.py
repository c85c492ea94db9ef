"""Epochs over restarts, without chains: the same number never has two roots, and nothing is shown that is not stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.live import attesting
from aggregator.engine.live.attesting import Attester
from aggregator.engine.live.live import Live
from aggregator.engine.settings import Settings
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.document import verify
from aggregator.publish.attestation.packed import pack
from aggregator.publish.attestation.statement import Domain, MarginScore
from aggregator.publish.attestation.summary import ScoreWithheld
from aggregator.store import epochs
from aggregator.store.database import Database, DatabaseUnavailable
from tests.publish.attestation.examples import NOW, OWNER, SIGNER, VERIFIER, at

DOMAIN = Domain(1, VERIFIER)
ANOTHER = Address("0x" + "b2" * 20)
PERIOD = 600


@dataclass(slots=True)
class Clock:
    seconds: float = NOW + 60.0


@dataclass(slots=True)
class Watched:
    assessed: Any
    watched: bool = True


@dataclass(slots=True)
class Follower:
    """What the attester sees of the live loop."""

    database: Database
    clock: Clock
    followed: dict[str, Watched] = field(default_factory=dict)

    chain_seconds: float | None = None
    """time of the chain's newest block, where it is not the clock's"""

    @property
    def engine(self) -> object:
        return SimpleNamespace(clock=lambda: self.clock.seconds)

    def states(self) -> tuple[Any, ...]:
        """One chain that has been heard of, and one that has not."""
        at = self.clock.seconds if self.chain_seconds is None else self.chain_seconds
        return (SimpleNamespace(head=SimpleNamespace(timestamp=int(at))), SimpleNamespace(head=None))

    async def current(self, owner: OwnerAddress) -> Watched:
        return self.followed[owner.address]

    def says(self, *statements: MarginScore) -> None:
        self.followed = {one.owner: Watched(SimpleNamespace(statement=one)) for one in statements}

    def attester(self, period: int = PERIOD) -> Attester:
        """As after a start of the service."""
        return Attester(cast(Live, self), SIGNER, Settings(epoch_seconds=period))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(attesting, "_now", lambda: int(made.seconds * 1_000_000))
    return made


@pytest.fixture
async def live(tmp_path: Path, clock: Clock) -> AsyncIterator[Follower]:
    async with Database.at(f"sqlite:///{tmp_path / 'epochs.db'}") as database:
        one = Follower(database, clock)
        one.says(at(NOW), at(NOW, owner=ANOTHER))
        yield one


async def _running(one: Attester, clock: Clock, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` for so long on the test's clock."""
    end = clock.seconds + seconds

    async def sleep(pause: float) -> None:
        clock.seconds += pause
        if clock.seconds > end:
            clock.seconds = end
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with suppress(asyncio.CancelledError):
        await one.run()
    monkeypatch.undo()
    monkeypatch.setattr(attesting, "_now", lambda: int(clock.seconds * 1_000_000))


async def _numbers(live: Follower) -> list[int]:
    async with live.database.reading() as connection:
        return list((await connection.execute(sa.select(epochs.EPOCHS.c.number).order_by(epochs.EPOCHS.c.number))).scalars())


async def test_proofs_are_the_same_after_a_restart(live: Follower) -> None:
    before = live.attester()
    head = await before.seal()
    assert head is not None and head.number == int(live.clock.seconds) // PERIOD and head.count == 2
    proofs = [await before.included(OwnerAddress(owner), DOMAIN, head.number) for owner in (OWNER, ANOTHER)]
    live.says()
    after = live.attester()
    assert not after.at_hand(head.number)
    assert await after.newest() == head
    assert [await after.included(OwnerAddress(owner), DOMAIN, head.number) for owner in (OWNER, ANOTHER)] == proofs
    assert after.at_hand(head.number)
    for proof in proofs:
        assert all(one.holds for one in verify(proof, NOW + 100, [SIGNER.address], expected=DOMAIN))
    for owner, number in ((Address("0x" + "c3" * 20), head.number), (OWNER, head.number + 1)):
        with pytest.raises(KeyError):
            await after.included(OwnerAddress(owner), DOMAIN, number)


async def test_a_restart_within_the_period_seals_nothing_new(live: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    await _running(live.attester(), clock, 100, monkeypatch)
    (first,) = await _numbers(live)
    root = await live.attester().newest()
    live.says(at(NOW + 90, score=1), at(NOW + 90, owner=ANOTHER))
    again = live.attester()
    await _running(again, clock, 400, monkeypatch)
    assert await _numbers(live) == [first] and await again.newest() == root
    await _running(again, clock, 200, monkeypatch)
    assert await _numbers(live) == [first, first + 1], "the period is counted from the last epoch, not from the start"


async def test_one_epoch_a_period(live: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    live.says(at(NOW + 100_000))
    await _running(live.attester(), clock, 10 * PERIOD - 1, monkeypatch)
    numbers = await _numbers(live)
    assert len(numbers) == 10 and numbers == list(range(numbers[0], numbers[0] + 10))


@pytest.mark.parametrize(("jump", "period"), [(-3_600.0, PERIOD), (0.0, 10 * PERIOD), (0.0, PERIOD // 10)])
async def test_numbers_only_grow(live: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch, jump: float, period: int) -> None:
    """Whatever happens to the clock or the setting."""
    await _running(live.attester(), clock, 100, monkeypatch)
    (first,) = await _numbers(live)
    live.says(at(NOW + 100_000, score=1))
    clock.seconds += jump
    await _running(live.attester(period), clock, 2 * max(period, PERIOD), monkeypatch)
    numbers = await _numbers(live)
    assert len(numbers) > 1 and min(numbers) >= first


async def test_two_services_on_one_database_never_differ(live: Follower, clock: Clock) -> None:
    both = [live.attester(), live.attester()]
    heads = await asyncio.gather(*(one.seal() for one in both))
    numbers = await _numbers(live)
    assert {head.number for head in heads if head is not None} <= set(numbers)
    for head in heads:
        assert head is not None
        async with live.database.reading() as connection:
            kept = await epochs.load(connection, head.number)
        assert kept is not None and kept[0] == head
    for one in both:
        for head in heads:
            assert head is not None
            assert (await one.included(OwnerAddress(OWNER), DOMAIN, head.number)).inclusion is not None


async def test_nothing_is_shown_that_was_not_stored(live: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    one = live.attester()
    first = await one.seal()
    assert first is not None

    async def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(live.database, "write", away)
        clock.seconds += PERIOD
        with pytest.raises(DatabaseUnavailable):
            await one.seal()
    assert await one.newest() == first and not one.at_hand(first.number + 1)
    second = await one.seal()
    assert second is not None and second.number == first.number + 1


async def test_a_fault_ends_nothing(live: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    one, faults = live.attester(), [OSError("a fault"), DatabaseUnavailable("away")]
    sealed = one.seal

    async def seal() -> object:
        if faults:
            raise faults.pop()
        return await sealed()

    monkeypatch.setattr(one, "seal", seal)
    await _running(one, clock, 60, monkeypatch)
    assert len(await _numbers(live)) == 1


async def test_what_has_expired_is_not_signed_and_ends_no_epoch(live: Follower, clock: Clock) -> None:
    stale, fresh = at(NOW - 2_000), at(NOW, owner=ANOTHER)
    live.says(stale, fresh)
    one = live.attester()
    head = await one.seal()
    assert head is not None and (head.count, head.as_of, head.valid_until) == (1, fresh.as_of, fresh.valid_until)
    with pytest.raises(ScoreWithheld, match="older"):
        await one.attestation(OwnerAddress(OWNER), DOMAIN)
    assert (await one.attestation(OwnerAddress(ANOTHER), DOMAIN)).statement.asOf == fresh.as_of
    live.says(stale)
    assert await one.seal() is None


async def test_no_chain_ends_statements_with_a_time_of_its_own(live: Follower, clock: Clock) -> None:
    live.chain_seconds = clock.seconds + 100_000
    head = await live.attester().seal()
    assert head is not None and head.count == 2
    clock.seconds += 100_000
    live.chain_seconds = NOW + 60
    head = await live.attester().seal()
    assert head is not None and head.count == 2, "chains that stand still are judged by their own time"


async def test_a_damaged_epoch_is_not_given(live: Follower, caplog: pytest.LogCaptureFixture) -> None:
    head = await live.attester().seal()
    assert head is not None
    other = live.attester()
    for values in ({"scores": b"nothing"}, {"scores": pack([at(NOW, score=1)])}, {"root": "0x" + "00" * 32}):
        async with live.database.writing() as connection:
            await connection.execute(sa.update(epochs.EPOCHS).values(**values))
        with pytest.raises(KeyError):
            await other.included(OwnerAddress(OWNER), DOMAIN, head.number)
    assert caplog.text.count("cannot be read from the database") == 3


@pytest.mark.parametrize(("room", "held"), [(1, 2), (7, 3), (8, 4)])
async def test_memory_is_bounded_by_statements(live: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch, room: int, held: int) -> None:
    monkeypatch.setattr(attesting, "STATEMENTS_IN_MEMORY", room)
    one = live.attester()
    heads = []
    for number in range(4):
        clock.seconds += PERIOD
        live.says(*(replace(at(int(clock.seconds)), owner=owner, score=number) for owner in (OWNER, ANOTHER)))
        heads.append(await one.seal())
    for number, head in enumerate(heads):
        assert head is not None
        assert (await one.included(OwnerAddress(OWNER), DOMAIN, head.number)).statement.score == number
    assert sum(one.at_hand(head.number) for head in heads if head is not None) == held
