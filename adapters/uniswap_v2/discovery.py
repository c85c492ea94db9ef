"""Pairs of tokens that no registry lists, found among the tokens that the owners received.

Whatever a token says of itself proves nothing: a pair is believed where the factory itself names it for the tokens it claims.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from adapters.erc20 import TokenReads
from adapters.uniswap_v2.pairs import Pair
from adapters.uniswap_v2.state import StateReads, ask_state
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.abi import Event, Function
from aggregator.reading.adapter import Scope
from aggregator.reading.owner_facts import OwnerFacts
from aggregator.reading.reads import Log, Read, why

TOKEN0 = Function("token0()(address)")
TOKEN1 = Function("token1()(address)")
GET_PAIR = Function("getPair(address,address)(address)")
TRANSFER = Event("Transfer(address indexed,address indexed,uint256)")

MAXIMUM_STRANGERS = 400
"""tokens that are tried as pairs in one snapshot, the latest received first"""
REORGANISATION_BLOCKS = 128
"""searched again each time, as a reorganisation may have moved a transfer"""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A token met in the logs, asked whether it is a pair, and what it would be worth if so."""

    address: Address
    token0: Read[Any]
    token1: Read[Any]
    named: Read[Any]
    """the factory's own pair for these tokens"""
    state: StateReads
    tokens: tuple[TokenReads, TokenReads]


@dataclass(frozen=True, slots=True)
class Met:
    """Tokens received, the latest first, and why the search is not complete, if it is not."""

    addresses: tuple[Address, ...]
    incomplete: str | None = None


def search(scope: Scope) -> Read[tuple[Log, ...]]:
    """Logs of tokens received, from where the last complete search for these owners ended."""
    scanned: OwnerFacts[int] = scope.memory.of_owners("scanned")
    start = scope.deployment.deployed_at or 0
    # a local network has the factory at its usual address, but not the chain's usual height
    start = start if start <= scope.block.number else 0
    resumed = (
        min((start if (last := scanned.get(owner)) is None else last for owner in scope.owners), default=start) - REORGANISATION_BLOCKS
    )
    receivers = [f"0x{int(owner, 16):064x}" for owner in scope.owners]
    return scope.reads.logs(None, (TRANSFER.topic, None, receivers), max(start, resumed))


def met(scope: Scope, outcome: Outcome[tuple[Log, ...]], settled: Collection[Address]) -> Met:
    """Tokens in the logs beside the listed ones and those in `settled`."""
    if not isinstance(outcome, Value):
        return Met((), why(outcome))
    # an NFT's transfer carries its id as a fourth topic
    received = (log.address for log in reversed(outcome.value) if len(log.topics) == 3)
    addresses = tuple(dict.fromkeys(a for a in received if a not in settled and a not in scope.tokens))
    beyond = len(addresses) - MAXIMUM_STRANGERS
    return Met(addresses[:MAXIMUM_STRANGERS], f"{beyond} more tokens were received than one snapshot tries" if beyond > 0 else None)


def ask(scope: Scope, address: Address) -> Stranger:
    """Ask a token whether it is a pair, and for its state, in one round."""
    token0, token1 = scope.reads.call(address, TOKEN0), scope.reads.call(address, TOKEN1)
    first, second = token0.word(0), token1.word(0)
    return Stranger(
        address,
        token0,
        token1,
        scope.reads.call(scope.contract("factory"), GET_PAIR, first, second),
        ask_state(scope, address, first, second),
        (TokenReads.ask(scope, first), TokenReads.ask(scope, second)),
    )


async def recognised(stranger: Stranger) -> Pair | Unknown | None:
    """The pair, None where it is none of this factory's, or why that cannot be told."""
    values: list[Any] = []
    for read in (stranger.token0, stranger.token1, stranger.named):
        outcome = await read
        if isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT:
            return outcome
        if isinstance(outcome, Unknown | Absent):
            return None
        values.append(outcome.value)
    token0, token1, named = values
    return Pair(stranger.address, token0, token1) if named == stranger.address else None


def remember(scope: Scope) -> None:
    """The search was complete: the next one for these owners begins here."""
    scanned: OwnerFacts[int] = scope.memory.of_owners("scanned")
    for owner in scope.owners:
        scanned.put(owner, scope.block.number)


def forget(scope: Scope) -> None:
    """Something that was found could not be tried: search again from the beginning next time."""
    for owner in scope.owners:
        scope.memory.of_owners("scanned").drop(owner)
