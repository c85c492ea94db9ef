"""Whether an account's own contract accepts a signature (ERC-1271), asked at the head of one chain.

The contract is a stranger's: it gets its own gas, one word of answer and a static call, and whatever else it does is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from aggregator.chains.client import ChainClient, RpcCall
from aggregator.chains.heads import pin_block
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.work import Abilities
from aggregator.model.errors import EndpointRefused, IncompleteError
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Reason, Unknown, Value
from aggregator.model.snapshot import Block
from aggregator.reading.abi import Function

IS_VALID_SIGNATURE: Final = Function("isValidSignature(bytes32,bytes)(bytes32)")
"""the answer is read as a whole word: what follows the four bytes must be zero, as OpenZeppelin's checker demands"""
ACCEPTED: Final = IS_VALID_SIGNATURE.selector + bytes(28)
GAS: Final = 3_000_000
"""many times what a signature check costs that is written in Solidity: P-256 takes 0.3 million"""
DELEGATION: Final = "0xef0100"
"""what the code of an externally owned account begins with while it is delegated (EIP-7702)"""


class Stance(Enum):
    """What an account's code on one chain makes of a signature."""

    NO_CODE = "no contract"
    DELEGATED = "delegated code"
    ACCEPTS = "accepts"
    REFUSES = "refuses"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` is empty but for a refusal."""

    stance: Stance
    why: str = ""


async def ask_contract(client: ChainClient, abilities: Abilities, account: Address, digest: bytes, signature: bytes) -> Verdict:
    """What the account's contract says of a signature over a 32-byte hash. EndpointError or IncompleteError where nobody could be asked."""
    block = await pin_block(client)
    code = await _code(client, account, block)
    if code == "0x":
        return Verdict(Stance.NO_CODE)
    if code.startswith(DELEGATION):
        return Verdict(Stance.DELEGATED)
    # a copy, so that a stranger's contract teaches us nothing of the endpoint
    async with PinnedReads(client, block, Abilities(abilities.lens, abilities.multicall)) as reads:
        outcome = await reads.call(account, IS_VALID_SIGNATURE, digest, signature, gas=GAS, limit=len(ACCEPTED))
    match outcome:
        case Value(answer):
            return Verdict(Stance.ACCEPTS) if answer == ACCEPTED else Verdict(Stance.REFUSES, "it answers otherwise")
        case Unknown(reason=Reason.ENDPOINT, detail=detail):
            raise IncompleteError(f"{client.chain} could not be asked: {detail}")
        case _:
            return Verdict(Stance.REFUSES, outcome.reason.value)


async def _code(client: ChainClient, account: Address, block: Block) -> str:
    """Code as lower-case 0x-hex."""
    (answer,) = await client.batch([RpcCall("eth_getCode", (account, {"blockHash": block.hash, "requireCanonical": True}))])
    if isinstance(answer, EndpointRefused):
        raise answer
    if not isinstance(answer, str) or not answer.startswith("0x"):
        raise IncompleteError(f"{client.chain} gave no code")
    return answer.lower()
