"""The off-chain half of the contract's lookup (ERC-3668): from the request's call data to the answer that the contract decodes.

The request is `attest(address owner, uint256 chainId, address verifier)`. Whoever asks: the answer is signed for that verifier on that
chain and is good nowhere else, so any contract may be served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from eth_hash.auto import keccak

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.signer import Signer
from aggregator.publish.attestation.statement import Domain, MarginScore
from aggregator.publish.attestation.typed_data import encode_answer

SELECTOR = keccak(b"attest(address,uint256,address)")[:4]
_LENGTH = 4 + 3 * 32
_LARGEST_CHAIN_ID = 2**63


@dataclass(frozen=True, slots=True)
class Request:
    """Whose score, for which verifying contract."""

    owner: Address
    domain: Domain


def decode_request(data: str) -> Request:
    """From 0x-hex call data. Raises InputError with what was expected."""
    try:
        raw = bytes.fromhex(data.removeprefix("0x"))
    except ValueError:
        raise InputError("the request's data is not hex") from None
    if len(raw) != _LENGTH or raw[:4] != SELECTOR:
        raise InputError("the request's data is not a call of attest(address owner, uint256 chainId, address verifier)")
    owner, chain_id, verifier = (raw[start : start + 32] for start in range(4, _LENGTH, 32))
    if any(owner[:12]) or any(verifier[:12]):
        raise InputError("the request's addresses have more than 20 bytes")
    number = int.from_bytes(chain_id, "big")
    if number >= _LARGEST_CHAIN_ID:
        raise InputError(f"no chain has the id {number}")
    return Request(Address("0x" + owner[12:].hex()), Domain(number, Address("0x" + verifier[12:].hex())))


def encode_request(request: Request) -> str:
    """The call data that the contract sends, as 0x-hex."""
    words = (bytes.fromhex(request.owner[2:]), request.domain.chain_id.to_bytes(32, "big"), bytes.fromhex(request.domain.verifier[2:]))
    return "0x" + (SELECTOR + b"".join(word.rjust(32, b"\0") for word in words)).hex()


async def answer(data: str, score_of: Callable[[Address], Awaitable[MarginScore]], signer: Signer) -> str:
    """The gateway's answer, 0x-hex of `abi.encode(MarginScore, bytes signature)`.

    `score_of` gives the current statement of an owner. Raises InputError for a bad request, and whatever `score_of` and the signer raise.
    """
    request = decode_request(data)
    score = await score_of(request.owner)
    return "0x" + encode_answer(score, await signer.sign(request.domain, score)).hex()
