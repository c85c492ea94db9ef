"""The service's signed scores: one owner's statement on request, and all watched owners' under one root, epoch after epoch."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping

from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.live.live import Live
from aggregator.engine.settings import Settings
from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.document import ScoreAttestation, attest
from aggregator.publish.attestation.epoch import Epoch, seal
from aggregator.publish.attestation.signer import COMMAND, KEY, KEY_FILE, PASSWORD, Signer, signer_from
from aggregator.publish.attestation.statement import Domain, MarginScore
from aggregator.publish.attestation.summary import ScoreWithheld

EPOCHS_KEPT = 12
"""the newest epochs; a statement of an older one has expired anyway"""


class Attester:
    """Signs what `live` has assessed. `run` seals epochs until it is cancelled."""

    def __init__(self, live: Live, signer: Signer, settings: Settings) -> None:
        self.live, self.signer, self.settings = live, signer, settings
        self.epochs: OrderedDict[int, tuple[Epoch, Mapping[Address, MarginScore]]] = OrderedDict()

    async def statement(self, owner: OwnerAddress) -> MarginScore:
        """The owner's present statement, read first where nobody has asked before.

        Raises ScoreWithheld where coverage is too low for a score, InputError for an owner on one chain only.
        """
        if owner.chain is not None:
            raise InputError(f"a score is signed for an address on every chain that is read, not for {owner.chain} alone")
        one = await self.live.current(owner)
        assert one.assessed is not None
        return _signable(one.assessed.statement)

    async def attestation(self, owner: OwnerAddress, domain: Domain) -> ScoreAttestation:
        """Signed for one contract on one chain."""
        document, _ = await attest(self.signer, domain, await self.statement(owner))
        return document

    async def included(self, owner: Address, domain: Domain, number: int | None = None) -> ScoreAttestation:
        """The statement that the newest epoch (or this one) has of the owner, with its proof. Raises KeyError where there is none."""
        epoch, scores = self.epochs[next(reversed(self.epochs)) if number is None else number]
        document, _ = await attest(self.signer, domain, scores[owner])
        return document.model_copy(update={"inclusion": await epoch.inclusion(self.signer, domain, owner)})

    def newest(self) -> Epoch | None:
        """The epoch that was sealed last; None before the first."""
        return next(reversed(self.epochs.values()))[0] if self.epochs else None

    async def run(self) -> None:
        """Seal an epoch now and then; the first as soon as every watched owner has been read, or when its time has come anyway."""
        period = self.settings.epoch_seconds
        waited = 0
        while waited < period and not self._everybody_read():
            await asyncio.sleep(1.0)
            waited += 1
        while True:
            await self.seal(time.time_ns() // 10**9 // period)
            await asyncio.sleep(period if self.epochs else 1.0)

    def _everybody_read(self) -> bool:
        watched = [one for one in self.live.followed.values() if one.watched]
        return bool(watched) and all(one.assessed is not None for one in watched)

    async def seal(self, number: int) -> Epoch | None:
        """All watched owners' statements as one epoch; None where there is no score at all."""
        found = [one.assessed.statement for one in self.live.followed.values() if one.watched and one.assessed is not None]
        scores = [one for one in found if isinstance(one, MarginScore)]
        if not scores:
            return None
        epoch = await asyncio.to_thread(seal, number, scores)
        self.epochs[number] = (epoch, {score.owner: score for score in scores})
        while len(self.epochs) > EPOCHS_KEPT:
            self.epochs.popitem(last=False)
        return epoch


def _signable(statement: MarginScore | str) -> MarginScore:
    if isinstance(statement, str):
        raise ScoreWithheld(statement)
    return statement


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
