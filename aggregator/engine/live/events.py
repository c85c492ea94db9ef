"""What the stream says of owners and chains: small JSON that tells that something changed and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from aggregator.engine.live.assess import Assessed
from aggregator.model.identifiers import Address, ChainId
from aggregator.model.snapshot import Block
from aggregator.store.chronicle import Event
from aggregator.store.tables import Moment
from aggregator.store.watch import StoredAlert

HEALTH, WITHDRAWN, ALERT, SYSTEMIC = "health", "withdrawn", "alert", "systemic"
KINDS = (HEALTH, WITHDRAWN, ALERT, SYSTEMIC)


def health_event(owner: str, assessed: Assessed, chain: ChainId | None, at: Moment) -> Event:
    """An owner was assessed anew because of something on a chain; None for something at a trading venue."""
    figures = assessed.figures
    body = {
        "owner": owner,
        "snapshot": assessed.snapshot,
        "score": figures.score,
        "margin_ratio": figures.margin_ratio,
        "equity_usd": figures.equity_usd,
        "health_factor": assessed.lowest_health,
        "complete": figures.complete,
        "blocks": [{"chain": of, "block": block.number, "block_hash": block.hash} for of, block in assessed.blocks],
    }
    return Event(HEALTH, at, orjson.dumps(body).decode(), Address(owner), chain)


def withdrawn_events(chain: ChainId, head: Block, orphaned: Sequence[Block], owners: Iterable[str], at: Moment) -> tuple[Event, ...]:
    """Blocks were replaced: one event for the chain, one for each owner whose figures stood on them."""
    body: dict[str, object] = {
        "chain": chain,
        "head": {"block": head.number, "block_hash": head.hash},
        "orphaned": [{"block": block.number, "block_hash": block.hash} for block in orphaned],
    }
    whole = Event(WITHDRAWN, at, orjson.dumps(body).decode(), None, chain)
    return (whole, *(Event(WITHDRAWN, at, orjson.dumps({"owner": one, **body}).decode(), Address(one), chain) for one in owners))


def alert_event(alert: StoredAlert) -> Event:
    return Event(ALERT, alert.at, alert.body, alert.owner, None, alert.severity)
