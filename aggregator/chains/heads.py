"""Which block a snapshot of a chain stands on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aggregator.chains.client import ChainClient, RpcCall
from aggregator.model.errors import EndpointInvalid, EndpointRefused
from aggregator.model.snapshot import Block

_HASH = re.compile(r"0x[0-9a-f]{64}\Z")


async def pin_block(client: ChainClient, number: int | None = None) -> Block:
    """The latest block, or block `number`. EndpointError where no endpoint gives a block that can be believed."""
    wanted = "latest" if number is None else hex(number)
    (answer,) = await client.batch([RpcCall("eth_getBlockByNumber", (wanted, False))])
    if isinstance(answer, EndpointRefused):
        raise answer
    block = parse_block(answer)
    if number is not None and block.number != number:
        raise EndpointInvalid(f"block {block.number} was given for block {number}")
    return block


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
