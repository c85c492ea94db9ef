"""Trading venues, each read once a snapshot and only where somebody asks; beside the chains, never before them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aggregator.chains.venue import DEADLINE_SECONDS, LiveVenueReads, Venues
from aggregator.chains.venue_record import Recorder
from aggregator.engine.assemble import Found
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId
from aggregator.model.snapshot import Remark
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.venue import VenueAdapter, VenueOwner, VenueScope
from aggregator.reading.venue_manifest import venue, venues

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VenueReading:
    """What the venues told; `requests` are HTTP requests by slug."""

    found: tuple[Found, ...] = ()
    remarks: tuple[Remark, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VenueWork:
    """What to ask of which venue. `record` is a folder for cassettes."""

    owners: Mapping[str, tuple[VenueOwner, ...]]
    """by slug"""
    remarks: tuple[Remark, ...] = ()
    record: Path | None = None
    deadline_seconds: float = DEADLINE_SECONDS


def venue_work(owners: Sequence[AccountId], everywhere: bool, accounts: Iterable[str], record: Path | None = None) -> VenueWork:
    """Owners of the picture at every venue that knows them by address (with `everywhere`), and `NAME=ACCOUNT` each at its own.

    InputError for an account that is none of its venue, and for a recording of nothing.
    """
    asked: dict[str, dict[str, VenueOwner]] = {}
    remarks = []
    for text in accounts:
        slug, holder = _named(text)
        asked.setdefault(slug, {})[holder.name] = holder
    for adapter in venues() if everywhere else ():
        known = [owner for owner in owners if adapter.names(owner.address) is not None]
        for owner in known:
            asked.setdefault(adapter.slug, {}).setdefault(owner.address, VenueOwner(owner, owner.address))
        if not known and adapter.slug not in asked:
            what = f"{adapter.slug}: not asked, as it knows accounts by {adapter.manifest.account}; name one with --venue-account"
            remarks.append(Remark("venue-account-unknown", what))
    if record is not None and not asked:
        raise InputError("--record: no venue is asked; add --venues or --venue-account")
    return VenueWork({slug: tuple(several.values()) for slug, several in sorted(asked.items())}, tuple(remarks), record)


def _named(text: str) -> tuple[str, VenueOwner]:
    name, separator, account = text.partition("=")
    if not separator or not account.strip():
        raise InputError("--venue-account: expected NAME=ACCOUNT, for example derive=130837")
    adapter = venue(name.strip().lower())
    found = adapter.names(account)
    if found is None:
        raise InputError(f"--venue-account {adapter.slug}: {account[:80]!r} is not {adapter.manifest.account}")
    return adapter.slug, VenueOwner(found, found.address)


async def read_venues(network: Venues, work: VenueWork, memory: Callable[[str], Memory], now_ms: int) -> VenueReading:
    """Read every venue at once. Never raises for what a venue does: what is missing is named in the gaps."""
    if not work.owners:
        return VenueReading(remarks=work.remarks)
    adapters = [venue(slug) for slug in work.owners]
    clients = [network.client(adapter.manifest) for adapter in adapters]
    before = [client.statistics.requests for client in clients]
    found = await asyncio.gather(*(_read(network, adapter, work, memory(adapter.slug), now_ms) for adapter in adapters))
    requests = {client.slug: client.statistics.requests - earlier for client, earlier in zip(clients, before, strict=True)}
    return VenueReading(tuple(found), work.remarks, requests)


async def _read(network: Venues, adapter: VenueAdapter, work: VenueWork, memory: Memory, now_ms: int) -> Found:
    recorder = Recorder(adapter.slug) if work.record is not None else None
    async with LiveVenueReads(network.client(adapter.manifest), work.deadline_seconds, recorder) as reads:
        try:
            holdings = await adapter.read(VenueScope(work.owners[adapter.slug], reads, memory, now_ms))
        except Exception as error:  # a fault of ours in one adapter must not cost the others their answers
            log.exception("%s failed", adapter.slug)
            holdings = Holdings(gaps=(adapter.gap("all accounts", f"the adapter failed: {type(error).__name__}"),))
        if not reads.answered and not holdings.venue_accounts and holdings.gaps:
            # a venue that is down is one gap, not one for everything that was asked of it
            holdings = Holdings(gaps=(adapter.gap("everything at this venue", holdings.gaps[0].why),))
    if recorder is not None and work.record is not None:
        path = await asyncio.to_thread(recorder.write, work.record, str(now_ms))
        log.info("%s: %d exchanges recorded in %s", adapter.slug, len(recorder.exchanges), path)
    return Found(adapter.slug, holdings)
