"""The one loop: heads are followed, what changed is read, assessed, stored and told, and nothing else is touched.

A chain's task takes the newest head, finds whom its blocks name and whom its feeds' moves expose, and reads those again, the most
urgent first; a newer head comes before what is left of that. Everything that is told has been stored before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.chains.arguments import OwnerAddress, OwnerName, parse_owner, resolve_chain
from aggregator.engine.chain import ChainReading
from aggregator.engine.live.accounts import Judge, OwnerSeen
from aggregator.engine.live.assess import Assessed, Workers, assess
from aggregator.engine.live.blocks import WINDOW, Trail
from aggregator.engine.live.chain import ChainLoop, ChainState, Urgency
from aggregator.engine.live.events import SYSTEMIC, alert_event, health_event, withdrawn_events
from aggregator.engine.live.head import HeadFollower
from aggregator.engine.live.owner import Concerned, Followed, kept_though_silent, owner_key
from aggregator.engine.live.stream import StreamHub
from aggregator.engine.live.systemic import Population
from aggregator.engine.live.venues import VenueLoop
from aggregator.engine.settings import Settings
from aggregator.engine.snapshot import Engine, picture
from aggregator.engine.venues import VenueReading
from aggregator.model.errors import IncompleteError
from aggregator.model.identifiers import AccountId, Address, ChainId
from aggregator.model.snapshot import Block
from aggregator.prices.answers import FeedAnswers
from aggregator.store import chronicle, watch
from aggregator.store.chronicle import Entry, Event, Withdrawal
from aggregator.store.database import Database, DatabaseUnavailable
from aggregator.store.watch import StoredAlert

log = logging.getLogger(__name__)

DAY_MICROSECONDS = 86_400_000_000
PASSED_SECONDS = 5.0
"""how often a chain's progress is stored when nothing else is"""
PATIENCE_SECONDS = 60.0
"""how long somebody waits for an owner whom nobody has read yet"""
FAULT_SECONDS = 0.2
TIDY_SECONDS, PRUNE_SECONDS = 10.0, 3_600.0
ORPHANS_KEPT = 4_096
NAME_SECONDS, NAMES_KEPT = 600.0, 1_000
ADDRESSES_KEPT = 5_000

T = TypeVar("T")
LagListener = Callable[[ChainId, float], None]


class Live:
    """Follows owners. `start` it, ask it with `current`, and `stop` it."""

    def __init__(self, engine: Engine, database: Database, hub: StreamHub, workers: Workers, settings: Settings) -> None:
        self.engine, self.database, self.hub, self.workers, self.settings = engine, database, hub, workers, settings
        self.followed: dict[str, Followed] = {}
        self.concerned = Concerned()
        self.judge: Judge | None = None
        """of watched owners' figures; guests have asked for nothing"""
        self.lag_listeners: list[LagListener] = []
        self.replaced_listeners: list[Callable[[ChainId, int], None]] = []
        """told of a chain whose blocks were replaced, and from which one on"""
        configuration = engine.network.configuration
        only = tuple(dict.fromkeys(resolve_chain(text, configuration) for text in settings.chains))
        self.chains: tuple[ChainId, ...] = only or tuple(configuration.chains)
        self.loops: dict[ChainId, ChainLoop] = {}
        self.venues = VenueLoop(engine, self, settings.venue_urls, settings.venue_seconds) if settings.venues else None
        self._tasks: list[asyncio.Task[None]] = []
        self._publishing = asyncio.Lock()
        self._orphans: deque[str] = deque(maxlen=ORPHANS_KEPT)
        self._names: dict[OwnerName, tuple[float, OwnerAddress]] = {}
        self._addresses: dict[str, OwnerAddress] = {}
        """as written: a checksum takes longer than all the rest of an answer"""
        self._passed: dict[ChainId, float] = {}
        self._asides: set[asyncio.Future[None]] = set()

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what the store knows and begin to follow; returns at once, readings come as they are made."""
        await self.hub.open()
        async with self.database.reading() as connection:
            places = await chronicle.checkpoints(connection)
            known = {chain: await chronicle.recent_blocks(connection, chain, WINDOW) for chain in self.chains}
            watched = await watch.watched(connection)
        for chain in self.chains:
            client = self.engine.network.client(chain)
            follower = HeadFollower(self.engine.network, client, websocket=self.settings.websocket, poll_seconds=self.settings.poll_seconds)
            self.loops[chain] = ChainLoop(self.engine, follower, Trail(_ascending(known[chain], places.get(chain))), self, self.settings)
        for address in watched:
            self._follow(OwnerAddress(address), watched=True)
        runs = [run for loop in self.loops.values() for run in (loop.follower.run(), loop.run())]
        runs += [self.venues.run()] if self.venues is not None else []
        self._tasks = [asyncio.create_task(run) for run in (*runs, self._tidy(), self.workers.warm())]
        for task in self._tasks:
            task.add_done_callback(_noticed)

    async def stop(self) -> None:
        """End every task; what is being stored is stored first."""
        async with self._publishing:
            self.hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.workers.close()

    def _now(self) -> int:
        """Microseconds by the engine's clock: of one time with the chains, wherever that is."""
        return int(self.engine.clock() * 1_000_000)

    # -- asking -----------------------------------------------------------------------------------------------------

    async def owner(self, text: str) -> OwnerAddress:
        """The owner that somebody wrote. InputError for what is none; names are remembered for a while."""
        known_address = self._addresses.get(text)
        if known_address is not None:
            return known_address
        written = parse_owner(text, self.engine.network.configuration)
        if isinstance(written, OwnerAddress):
            if len(self._addresses) >= ADDRESSES_KEPT:
                self._addresses.clear()
            self._addresses[text] = written
            return written
        now = asyncio.get_running_loop().time()
        known = self._names.get(written)
        if known is None or known[0] < now - NAME_SECONDS:
            (address,) = await self.engine.resolve([written])
            while len(self._names) >= NAMES_KEPT:
                del self._names[next(iter(self._names))]
            known = self._names[written] = (now, address)
        return known[1]

    async def current(self, owner: OwnerAddress) -> Followed:
        """The owner's present picture, read first where nobody has asked before; `assessed` is there when this returns."""
        one = self.followed.get(owner_key(owner)) or self._follow(owner, watched=False)
        one.asked_at = asyncio.get_running_loop().time()
        if one.assessed is None:
            await self._first_reading(one)
        return one

    async def _first_reading(self, one: Followed) -> None:
        """Until it is assessed. IncompleteError where that takes too long."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while one.assessed is None:
                    async with one.asked_for:
                        if one.assessed is None:
                            await self._read_everywhere(one)
        except TimeoutError:
            raise IncompleteError(f"{one.key} could not be read within {PATIENCE_SECONDS:.0f} seconds") from None

    def asked_again(self, keys: Iterable[str]) -> None:
        """Somebody still listens for these: they are not forgotten."""
        now = asyncio.get_running_loop().time()
        for key in keys:
            one = self.followed.get(key)
            if one is not None:
                one.asked_at = now

    def states(self) -> tuple[ChainState, ...]:
        """Of every chain, in order."""
        return tuple(self.loops[chain].state for chain in self.chains if chain in self.loops)

    def feeds(self, chain: ChainId) -> FeedAnswers | None:
        """What a chain's feeds said when they were looked at last."""
        return self.loops[chain].feeds if chain in self.loops else None

    def silent_seconds(self, state: ChainState) -> float | None:
        """How long nothing was heard of a chain's head; None where nothing ever was."""
        return asyncio.get_running_loop().time() - state.seen_at if state.seen_at else None

    def coverage(self) -> float:
        """Share of what is to be served that is there: chains whose head is known, and watched owners who have been read."""
        states = self.states()
        known = sum(one.head is not None and not one.trouble for one in states) / len(states) if states else 0.0
        watched = [one for one in self.followed.values() if one.watched]
        read = sum(one.assessed is not None for one in watched) / len(watched) if watched else 1.0
        return min(known, read)

    # -- following --------------------------------------------------------------------------------------------------

    async def watch(self, owners: Sequence[Address], by: str) -> int:
        """Follow owners from now on, also after a restart; how many are new. InputError beyond the limit."""
        at = self._now()
        new = await self.database.write(lambda c: watch.watch(c, owners, by, at, self.settings.maximum_watched))
        for address in owners:
            self._follow(OwnerAddress(address), watched=True)
        return new

    async def unwatch(self, owner: Address) -> bool:
        """False where the owner was not watched. It is followed on as a guest for a while, and watched as long as somebody has subscribed
        its alerts: whoever may change the watch list must not silence them."""

        async def work(connection: AsyncConnection) -> tuple[bool, bool]:
            return await watch.unwatch(connection, owner), await watch.is_watched(connection, owner)

        gone, still = await self.database.write(work)
        one = self.followed.get(owner)
        if one is not None:
            one.watched, one.asked_at = still, asyncio.get_running_loop().time()
        return gone

    def _follow(self, owner: OwnerAddress, *, watched: bool) -> Followed:
        key = owner_key(owner)
        one = self.followed.get(key)
        if one is None:
            if not watched and len(self.followed) >= self._crowd:
                self._forget_guests(asyncio.get_running_loop().time())
            one = self.followed[key] = Followed(owner, watched, asked_at=asyncio.get_running_loop().time())
            self.concerned.follow(one)
            if watched:
                for loop in self.loops.values():
                    loop.push([key], Urgency.DUE)
        one.watched = one.watched or watched
        return one

    @property
    def _crowd(self) -> int:
        """How many may be followed before guests are asked to leave at once: those who are watched, and twice the guests."""
        return sum(one.watched for one in self.followed.values()) + 2 * self.settings.guests

    async def _read_everywhere(self, one: Followed) -> None:
        """Every chain at once, for an owner nobody followed."""
        loops = [loop for loop in self.loops.values() if one.owner.chain in (None, loop.chain)]
        found, _ = await asyncio.gather(asyncio.gather(*(loop.read([one.owner]) for loop in loops)), self._read_venues(one))
        for loop, reading in zip(loops, found, strict=True):
            self._take(one, loop.chain, reading[one.owner])
        await self._publish_anew([one], loops[0].chain)

    async def _read_venues(self, one: Followed) -> None:
        """Where venues are asked at all, for an owner on every chain."""
        if self.venues is not None and one.owner.chain is None:
            one.venues = await self.venues.read(one)

    def account(self, one: Followed) -> AccountId:
        """The owner as he stands in his picture."""
        return AccountId(one.owner.chain or self.chains[0], one.owner.address)

    async def renew_venues(self, readings: Mapping[str, VenueReading]) -> int:
        """See `VenueKeeper`."""
        ones = [self.followed[key] for key in readings if key in self.followed]
        for one in ones:
            one.venues = readings[one.key]
        return await self._publish_anew(ones, None)

    # -- what the chains' loops do ------------------------------------------------------------------------------------

    async def renew(self, chain: ChainId, readings: Mapping[str, ChainReading]) -> int:
        """See `Keeper`."""
        ones = [(self.followed[key], reading) for key, reading in readings.items() if key in self.followed]
        for one, reading in ones:
            self._take(one, chain, reading)
        return await self._publish_anew([one for one, _ in ones], chain)

    def _take(self, one: Followed, chain: ChainId, reading: ChainReading) -> None:
        before = one.readings.get(chain)
        if reading.snapshot.block is None and before is not None and before.snapshot.block is not None:
            reading = kept_though_silent(before, reading)
        one.readings[chain] = reading
        one.read_at[chain] = asyncio.get_running_loop().time()

    async def _publish_anew(self, ones: Sequence[Followed], chain: ChainId | None) -> int:
        """Assess, store, tell. An owner waits until everything has been read once. `chain`: where something changed, None for venues."""
        whole = [one for one in ones if self._is_whole(one)]
        if not whole:
            return 0
        assessed = zip(whole, await asyncio.gather(*map(self._assess, whole)), strict=True)
        fresh = [(one, *found) for one, found in assessed if found is not None]
        seen = [
            OwnerSeen(one.owner.address, found.accounts, found.figures.complete)
            for one, turn, found in fresh
            if one.watched and not self._orphaned(found) and one.judged.take(turn)
        ]
        await self._judged(lambda judge: judge.judge(seen))
        # What stands on a block that was replaced meanwhile is read again anyway. Two chains may have the same owner assessed at once: of
        # the two pictures the later one stays, whichever is ready first. From here on everything is told in order, so that what is told
        # now is taken back by a block that is replaced later.
        made = [(one, found) for one, turn, found in fresh if not self._orphaned(found) and one.published.take(turn)]
        at = self._now()
        blocks = {(of, block.hash): (ChainId(of), block) for _, found in made for of, block in found.blocks}
        entry = Entry(
            blocks=tuple(blocks.values()),
            assessments=tuple(
                chronicle.Assessed(
                    Address(one.key), at, found.snapshot, found.figures, tuple((ChainId(of), block) for of, block in found.blocks)
                )
                for one, found in made
            ),
            events=tuple(health_event(one.key, found, chain, at) for one, found in made),
            at=at,
        )

        def show() -> None:
            for one, found in made:
                one.assessed = found if not self._orphaned(found) else one.assessed

        if made:
            await self._publish(entry, show)
        await self._judged(lambda judge: judge.tell())
        return len(made)

    async def _judged(self, work: Callable[[Judge], Awaitable[T]]) -> T | None:
        """A fault of ours in the alerts must not cost anybody their figures: None then, and where nobody judges."""
        if self.judge is None:
            return None
        try:
            return await work(self.judge)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("alerts could not be judged or told")
            return None

    async def _assess(self, one: Followed) -> tuple[int, Assessed] | None:
        """With the number of the picture; None where that failed."""
        async with one.assessing:
            readings = [one.readings[chain] for chain in self.chains if chain in one.readings]
            one.picture = picture((self.account(one),), readings, {}, one.venues or VenueReading())
            one.pictures = turn = one.pictures + 1
            self.concerned.follow(one)
            try:
                found = await self.workers.run(assess, one.picture, self.settings.attestation_seconds)
            except Exception:  # a fault of ours with one owner must not cost the others their figures
                if not self.hub.closed:  # somebody who has left may still be read for when the workers have ended
                    log.exception("%s could not be assessed", one.key)
                await asyncio.sleep(FAULT_SECONDS)
                return None
        return turn, found

    def returned(self, blocks: Iterable[Block]) -> bool:
        """See `Keeper`. A chain may turn back to blocks that another had taken the place of."""
        back = {block.hash for block in blocks} & set(self._orphans)
        if back:
            self._orphans = deque((one for one in self._orphans if one not in back), maxlen=ORPHANS_KEPT)
        return bool(back)

    def _orphaned(self, found: Assessed) -> bool:
        return any(block.hash in self._orphans for _, block in found.blocks)

    def _is_whole(self, one: Followed) -> bool:
        """Whether everything has been read that belongs to its picture."""
        if one.owner.chain is not None:
            return bool(one.readings)
        return len(one.readings) == len(self.loops) and (self.venues is None or one.venues is not None)

    async def withdraw(self, chain: ChainId, head: Block, orphaned: Sequence[Block], keys: Iterable[str]) -> Collection[str]:
        """See `Keeper`."""
        self._orphans.extend(block.hash for block in orphaned)
        concerned = tuple(keys)
        first = min(block.number for block in orphaned)
        doubtful = await self._judged(lambda judge: judge.replaced(chain, first)) or ()
        for key in concerned:
            one = self.followed[key]
            one.assessed = None
        at = self._now()
        why = f"{len(orphaned)} blocks of {chain} were replaced below {head.number}"
        events = withdrawn_events(chain, head, orphaned, concerned, at)
        await self._publish(Entry(events=events, withdrawals=(Withdrawal(chain, tuple(b.hash for b in orphaned), at, why),), at=at))
        log.warning("%s; %d owners are read again", why, len(concerned))

        for listener in self.replaced_listeners:
            listener(chain, first)
        return tuple(doubtful)

    async def passed(self, chain: ChainId, head: Block) -> None:
        """See `Keeper`."""
        now = asyncio.get_running_loop().time()
        if now - self._passed.get(chain, float("-inf")) >= PASSED_SECONDS:
            self._passed[chain] = now
            await self._publish(Entry(checkpoints=((chain, head),), at=self._now()))

    def lag(self, chain: ChainId, seconds: float) -> None:
        """See `Keeper`."""
        for listener in self.lag_listeners:
            listener(chain, seconds)

    async def tell_alerts(self, alerts: Sequence[StoredAlert]) -> None:
        """Keep alerts that are new, and tell them; an alert is told once, however often it comes."""
        if not alerts:
            return
        async with self._publishing:

            async def work(connection: AsyncConnection) -> tuple[Event, ...]:
                events = tuple(alert_event(one) for one in await watch.keep_alerts(connection, alerts))
                return _numbered(events, await chronicle.record(connection, Entry(events=events)))

            self.hub.publish(await self.database.write(work))

    def population_read(self, population: Population) -> None:
        """Systemic figures are new: tell whoever looks at them."""
        body = orjson.dumps({"source": population.name, "version": str(population.version)}).decode()
        self._asides.add(aside := asyncio.ensure_future(self._publish(Entry(events=(Event(SYSTEMIC, self._now(), body),)))))
        aside.add_done_callback(self._asides.discard)

    async def _publish(self, entry: Entry, show: Callable[[], None] = lambda: None) -> None:
        """Store, then `show`, then tell: whoever is told finds what he was told of. One at a time, so that ids are told in their order;
        not given up half-way when the service ends."""

        async def work() -> None:
            async with self._publishing:
                if not self.hub.closed:
                    ids = await self.database.write(lambda connection: chronicle.record(connection, entry))
                    show()
                    self.hub.publish(_numbered(entry.events, ids))

        await asyncio.shield(asyncio.ensure_future(work()))

    # -- keeping house ------------------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        pruned = float("-inf")
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self._forget_guests(clock())
            if clock() - pruned >= PRUNE_SECONDS:
                pruned, now = clock(), self._now()
                history = now - self.settings.history_days * DAY_MICROSECONDS
                events = now - self.settings.events_days * DAY_MICROSECONDS
                await self.database.write(partial(chronicle.prune, history_before=history, events_before=events))

    def _forget_guests(self, now: float) -> None:
        """Whoever nobody asked for lately, and the longest unasked where there are too many."""
        guests = [one for one in self.followed.values() if not one.watched and not one.asked_for.locked()]
        guests.sort(key=lambda one: one.asked_at)
        surplus = len(guests) - self.settings.guests
        for place, one in enumerate(guests):
            if place < surplus or one.asked_at < now - self.settings.guest_seconds:
                del self.followed[one.key]
                self.concerned.leave(one.key)


def _numbered(events: Sequence[Event], ids: Sequence[int]) -> tuple[Event, ...]:
    return tuple(
        Event(event.kind, event.at, event.body, event.owner, event.chain, event.severity, number)
        for event, number in zip(events, ids, strict=True)
    )


def _ascending(known: Sequence[Block], place: Block | None) -> tuple[Block, ...]:
    """Blocks that figures stand on and the last that was looked through, each number once."""
    by_number = {block.number: block for block in (*known, *([place] if place is not None else []))}
    return tuple(by_number[number] for number in sorted(by_number))


def _noticed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a part of the loop ended: %s", error, exc_info=error)
