"""The service's signed scores: one owner's statement on request, and all watched owners' under one root, epoch after epoch.

An epoch is stored before anybody is shown it, and its number is never given to another root: two roots under one number, both signed,
would be two truths. After a restart epochs come back from the store when they are asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.live.live import Live
from aggregator.engine.settings import Settings
from aggregator.model.errors import CrossmarginError, InputError
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.document import ScoreAttestation, attest
from aggregator.publish.attestation.epoch import Epoch, seal
from aggregator.publish.attestation.packed import PackedError, pack, unpack
from aggregator.publish.attestation.signer import COMMAND, KEY, KEY_FILE, PASSWORD, Signer, signer_from
from aggregator.publish.attestation.statement import Domain, MarginScore, ScoreEpoch
from aggregator.publish.attestation.summary import ScoreWithheld
from aggregator.store import epochs
from aggregator.store.epochs import EpochHead

log = logging.getLogger(__name__)

STATEMENTS_IN_MEMORY = 5_000
"""of the epochs that were asked for last, with their trees, about a kilobyte each; two epochs whatever their size"""
LOOK_SECONDS, FAULT_SECONDS = 1.0, 5.0
"""until it is looked again whether there is something to seal, and after a failure"""
SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class SealedEpoch:
    """An epoch with the statements that its leaves commit to."""

    epoch: Epoch
    scores: Mapping[Address, MarginScore]


class Attester:
    """Signs what `live` has assessed. `run` seals epochs until it is cancelled."""

    def __init__(self, live: Live, signer: Signer, settings: Settings) -> None:
        self.live, self.signer, self.settings = live, signer, settings
        self._epochs: OrderedDict[int, SealedEpoch] = OrderedDict()
        """the longest unused first"""
        self._newest: EpochHead | None = None
        self._loading = asyncio.Lock()

    async def statement(self, owner: OwnerAddress) -> MarginScore:
        """The owner's present statement, read first where nobody has asked before.

        Raises ScoreWithheld where coverage is too low for a score or the figures are too old, InputError for an owner on one chain only.
        """
        _whole(owner)
        one = await self.live.current(owner)
        assert one.assessed is not None
        statement = one.assessed.statement
        if isinstance(statement, str):
            raise ScoreWithheld(statement)
        if not self._good(statement):
            raise ScoreWithheld(f"no score for {owner.address}: what it rests on is older than a statement may be")
        return statement

    async def attestation(self, owner: OwnerAddress, domain: Domain) -> ScoreAttestation:
        """Signed for one contract on one chain."""
        document, _ = await attest(self.signer, domain, await self.statement(owner))
        return document

    async def included(self, owner: OwnerAddress, domain: Domain, number: int) -> ScoreAttestation:
        """The statement that an epoch has of the owner, with its proof.

        Raises KeyError where there is none, InputError for an owner on one chain only.
        """
        address = _whole(owner)
        sealed = await self._sealed(number)
        document, _ = await attest(self.signer, domain, sealed.scores[address])
        return document.model_copy(update={"inclusion": await sealed.epoch.inclusion(self.signer, domain, address)})

    def at_hand(self, number: int) -> bool:
        """Whether an epoch's proofs can be given without reading it from the store."""
        return number in self._epochs

    async def newest(self) -> EpochHead | None:
        """The epoch that was sealed last; None before the first."""
        if self._newest is None:
            self._newest = await self._stored()
        return self._newest

    async def _stored(self) -> EpochHead | None:
        async with self.live.database.reading() as connection:
            return await epochs.newest(connection)

    async def _sealed(self, number: int) -> SealedEpoch:
        """An epoch from memory or the store. Raises KeyError for one that was never sealed, is no longer kept, or was damaged."""
        if number in self._epochs:
            self._epochs.move_to_end(number)
            return self._epochs[number]
        async with self._loading:
            found = self._epochs.get(number)
            if found is None:
                async with self.live.database.reading() as connection:
                    kept = await epochs.load(connection, number)
                if kept is None:
                    raise KeyError(number)
                try:
                    found = await asyncio.to_thread(_opened, *kept)
                except PackedError as error:
                    log.error("epoch %d cannot be read from the database: %s", number, error)
                    raise KeyError(number) from None
                self._remember(number, found)
        return found

    def _remember(self, number: int, epoch: SealedEpoch) -> None:
        self._epochs[number] = epoch
        while len(self._epochs) > 2 and sum(len(one.scores) for one in self._epochs.values()) > STATEMENTS_IN_MEMORY:
            self._epochs.popitem(last=False)

    # -- sealing --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Seal an epoch now and then; the first as soon as every watched owner has been read, or when its time has come anyway."""
        waited = 0.0
        while True:
            try:
                pause = await self._left()
                if not pause and waited < self.settings.epoch_seconds and not self._everybody_read():
                    waited, pause = waited + LOOK_SECONDS, LOOK_SECONDS
                elif not pause:
                    waited = float(self.settings.epoch_seconds)
                    pause = 0.0 if await self.seal() is not None else LOOK_SECONDS
            except Exception as error:  # whatever it is, the next epoch is sealed
                log.error("no epoch was sealed: %s", error, exc_info=not isinstance(error, CrossmarginError))
                pause = FAULT_SECONDS
            await asyncio.sleep(pause)

    async def _left(self) -> float:
        """Seconds until an epoch is due: a period after the last one, whoever sealed it. At once where the clock was put back."""
        last = await self._stored()
        period, now = self.settings.epoch_seconds * SECOND, _now()
        if last is None or not last.sealed_at <= now < last.sealed_at + period:
            return 0.0
        self._newest = last
        return (last.sealed_at + period - now) / SECOND

    def _everybody_read(self) -> bool:
        watched = [one for one in self.live.followed.values() if one.watched]
        return bool(watched) and all(one.assessed is not None for one in watched)

    def _good(self, statement: MarginScore) -> bool:
        """Whether it has not expired by the newest block of any chain, by which contracts go."""
        return statement.valid_until >= self._newest_block_time()

    def _newest_block_time(self) -> int:
        """Unix seconds; zero where no chain has been heard of. Never ahead of our own clock: one endpoint could end every statement."""
        newest = max((state.head.timestamp for state in self.live.states() if state.head is not None), default=0)
        return min(newest, int(self.live.engine.clock()))

    async def seal(self) -> EpochHead | None:
        """All watched owners' statements as the next epoch, stored; None where there is none that is still good.

        An expired one would end the whole epoch before it began. Where another process has taken the number, its epoch stands.
        Raises DatabaseUnavailable, and nobody has seen anything then.
        """
        found = [one.assessed.statement for one in self.live.followed.values() if one.watched and one.assessed is not None]
        scores = [one for one in found if isinstance(one, MarginScore) and self._good(one)]
        if not scores:
            return None
        last, now = await self._stored(), _now()
        number = max(now // SECOND // self.settings.epoch_seconds, last.number + 1 if last is not None else 0)
        sealed, packed = await asyncio.to_thread(_made, number, scores)
        head = _head(sealed.epoch.statement, now)
        write = partial(_keep, head=head, scores=packed, now_seconds=self._newest_block_time())
        kept = await self.live.database.write(write)
        if kept == head:
            self._remember(number, sealed)
        self._newest = kept
        return kept


def _whole(owner: OwnerAddress) -> Address:
    if owner.chain is not None:
        raise InputError(f"a score is signed for an address on every chain that is read, not for {owner.chain} alone")
    return owner.address


async def _keep(connection: AsyncConnection, head: EpochHead, scores: bytes, now_seconds: int) -> EpochHead:
    """The newest epoch that is kept: this one, unless another process was faster. Done twice it changes nothing."""
    await epochs.keep(connection, head, scores)
    await epochs.prune(connection, now_seconds)
    newest = await epochs.newest(connection)
    assert newest is not None
    return newest


def _made(number: int, scores: list[MarginScore]) -> tuple[SealedEpoch, bytes]:
    return SealedEpoch(seal(number, scores), {score.owner: score for score in scores}), pack(scores)


def _opened(head: EpochHead, packed: bytes) -> SealedEpoch:
    """The epoch that was kept. Raises PackedError where its scores do not lead to its root."""
    scores = unpack(packed)
    epoch = seal(head.number, scores) if scores else None
    if epoch is None or _head(epoch.statement, head.sealed_at) != head:
        raise PackedError("its scores do not lead to its root")
    return SealedEpoch(epoch, {score.owner: score for score in scores})


def _now() -> int:
    return time.time_ns() // 1_000


def _head(statement: ScoreEpoch, sealed_at: int) -> EpochHead:
    root = "0x" + statement.root.hex()
    return EpochHead(statement.epoch, root, statement.count, statement.as_of, statement.valid_until, sealed_at)


async def attester(live: Live, settings: Settings) -> Attester | None:
    """None where no signer is set. Raises SignerError for one that cannot be used."""
    named = {
        KEY: settings.signing_key.get_secret_value() if settings.signing_key else "",
        KEY_FILE: str(settings.signing_key_file) if settings.signing_key_file else "",
        PASSWORD: settings.signing_password.get_secret_value() if settings.signing_password else "",
        COMMAND: settings.signer_command.get_secret_value() if settings.signer_command else "",
    }
    signer = await signer_from({name: value for name, value in named.items() if value})
    return Attester(live, signer, settings) if signer is not None else None
