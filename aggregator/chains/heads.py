"""Which block a snapshot of a chain stands on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aggregator.chains.client import ChainClient, RpcCall
from aggregator.chains.endpoint import Endpoint
from aggregator.model.errors import EndpointInvalid, EndpointRefused
from aggregator.model.snapshot import Block

_HASH = re.compile(r"0x[0-9a-f]{64}\Z")
_METHOD = "eth_getBlockByNumber"


@dataclass(frozen=True, slots=True)
class Head:
    """A block to stand on, and who gave it."""

    block: Block
    source: Endpoint | None
    follows: bool
    """whether the earlier block that was asked about is proven to be part of the same chain; True where none was"""


async def pin_block(client: ChainClient, number: int | None = None) -> Block:
    """The latest block, or block `number`. EndpointError where no endpoint gives a block that can be believed."""
    return (await find_head(client, number)).block


async def find_head(client: ChainClient, number: int | None = None, earlier: Block | None = None) -> Head:
    """The latest block, or block `number`, and in the same request whether `earlier` still belongs to the chain.

    EndpointError where no endpoint gives a block that can be believed.
    """
    wanted = "latest" if number is None else hex(number)
    calls = [RpcCall(_METHOD, (wanted, False))]
    if earlier is not None:
        calls.append(RpcCall(_METHOD, (hex(earlier.number), False)))
    answer, *witness = await client.batch(calls)
    if isinstance(answer, EndpointRefused):
        raise answer
    block = parse_block(answer)
    if number is not None and block.number != number:
        raise EndpointInvalid(f"block {block.number} was given for block {number}")
    return Head(block, client.preferred, all(_is(found, earlier) for found in witness))


def _is(answer: object, block: Block | None) -> bool:
    try:
        return parse_block(answer) == block
    except EndpointInvalid:
        return False


def parse_block(answer: object) -> Block:
    """Block of an eth_getBlockBy… result; EndpointInvalid where it is not one."""
    if answer is None:
        raise EndpointInvalid("the endpoint does not have this block")
    if not isinstance(answer, Mapping):
        raise EndpointInvalid("not a block")
    try:
        block = Block(int(str(answer["number"]), 16), str(answer["hash"]).lower(), int(str(answer["timestamp"]), 16))
    except (KeyError, ValueError):
        raise EndpointInvalid("not a block") from None
    if not _HASH.match(block.hash):
        raise EndpointInvalid("not a block hash")
    return block
