"""Which markets there are: ids shipped as data, continued from `CreateMarket` logs.

A market's id is the hash of its parameters, so an id cannot be wrong, only missing. What is shipped says up to which block it is
complete; from there the logs are asked, within what the chain's endpoints serve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from aggregator.model.identifiers import Address, address_of_word
from aggregator.reading.abi import Event
from aggregator.reading.adapter import Memory, Scope
from aggregator.reading.manifest import Caip2, Data, load_data
from aggregator.reading.reads import Log

FOLDER = Path(__file__).with_name("markets")
CREATE_MARKET = Event("CreateMarket(bytes32 indexed,(address,address,address,address,uint256))")
REORGANISATION_MARGIN = 64
"""blocks that are scanned again next time: a market may be created in a block that replaces one seen before"""

_IDS, _SCANNED = "market ids", "scanned to block"


class ShippedMarkets(Data):
    """A file of `markets/`: ids of one chain, and the block up to which no id is missing."""

    chain: Caip2
    complete_to: Annotated[int, Field(ge=0)]
    source: str
    markets: Annotated[tuple[Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")], ...], Field(strict=False)]


@dataclass(frozen=True, slots=True)
class KnownMarkets:
    """Ids known before anything is asked, and the block from which logs have to be searched; None where nothing is left to search."""

    ids: tuple[bytes, ...]
    search_from: int | None


@lru_cache(maxsize=16)
def shipped(name: str) -> ShippedMarkets:
    """The file `markets/<name>.yaml`."""
    return load_data(FOLDER / f"{name}.yaml", ShippedMarkets)


def known_markets(scope: Scope) -> KnownMarkets:
    """Shipped and remembered ids.

    A chain whose head lies before the deployment's block is another network with the same contracts, a local one: nothing that is
    shipped holds there, and the logs are asked from its first block.
    """
    deployed, head = scope.deployment.deployed_at or 0, scope.block.number
    remembered = scope.memory.recall(_IDS, tuple) or ()
    scanned = scope.memory.recall(_SCANNED, int)
    ids: tuple[bytes, ...] = ()
    complete_to = deployed - 1
    if head < deployed:
        complete_to = -1
    elif "markets" in scope.deployment.parameters:
        file = shipped(str(scope.deployment.parameters["markets"]))
        ids, complete_to = tuple(bytes.fromhex(market[2:]) for market in file.markets), file.complete_to
    first = max(complete_to + 1, 0 if scanned is None else min(scanned, head) - REORGANISATION_MARGIN)
    return KnownMarkets(tuple(dict.fromkeys((*ids, *remembered))), first if first <= head else None)


def created(logs: Iterable[Log]) -> tuple[bytes, ...]:
    """Ids of `CreateMarket` logs, each once, in order."""
    ids = (bytes.fromhex(log.topics[1][2:]) for log in logs if len(log.topics) == 2)
    return tuple(dict.fromkeys(market for market in ids if len(market) == 32))


def tokens(logs: Iterable[Log]) -> frozenset[Address]:
    """Loan and collateral tokens that `CreateMarket` logs name."""
    words = (log.data[start : start + 32] for log in logs for start in (0, 32))
    return frozenset(address_of_word(int.from_bytes(word, "big")) for word in words if len(word) == 32)


def remember(memory: Memory, found: tuple[bytes, ...], head: int) -> None:
    """Keep what the logs up to `head` gave."""
    if found:
        earlier = memory.recall(_IDS, tuple) or ()
        memory.keep(_IDS, tuple(dict.fromkeys((*earlier, *found))))
    memory.keep(_SCANNED, max(head, memory.recall(_SCANNED, int) or 0))
