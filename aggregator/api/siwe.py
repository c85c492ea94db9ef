"""Sign-In with Ethereum (EIP-4361): a message that names this service and a number used once, signed by the wallet (EIP-191).

Pure: what a key proves is judged here; what a contract would have to be asked is in `contract_wallets`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from eth_hash.auto import keccak

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address, ChainId, checksum, evm_chain, parse_address
from aggregator.publish.attestation.signer import recover

LONGEST_MESSAGE = 4_096
LONGEST_VALIDITY_SECONDS = 86_400
CLOCK_TOLERANCE_SECONDS = 300
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_MESSAGE = re.compile(
    rf"""(?:(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://)?(?P<domain>[^\s/]+) wants you to sign in with your Ethereum account:
(?P<address>0x[0-9a-fA-F]{{40}})

(?:(?P<statement>[^\n]+)
)?
URI: (?P<uri>\S+)
Version: (?P<version>\S+)
Chain ID: (?P<chain>\d{{1,18}})
Nonce: (?P<nonce>[0-9a-zA-Z]{{8,64}})
Issued At: (?P<issued>{_TIME})(?:
Expiration Time: (?P<expires>{_TIME}))?(?:
Not Before: (?P<begins>{_TIME}))?(?:
Request ID: (?P<request>\S*))?(?:
Resources:(?:
- \S+)*)?\Z""",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a good message says. Times in seconds since the epoch; `expires` None where it names none."""

    address: Address
    chain: ChainId
    """the chain that it names: where the account's contract is, if it is one"""
    nonce: str
    issued: float
    expires: float | None


def read_message(text: str, domain: str, now: float) -> SignIn:
    """A message for this service that is good now. InputError says what is wrong with it."""
    match = _MESSAGE.match(text) if len(text) <= LONGEST_MESSAGE else None
    if match is None:
        raise InputError("the message does not have the form of EIP-4361")
    if match["domain"].lower() != domain.lower():
        raise InputError(f"the message is for {match['domain'][:100]} and not for {domain}")
    host = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#\s]+)", match["uri"])
    if host is None or host[1].lower() != domain.lower():
        raise InputError(f"the message's URI is not one of {domain}")
    if match["version"] != "1":
        raise InputError("the message's version is not 1")
    address = parse_address(match["address"])
    if checksum(address) != match["address"]:
        raise InputError("the message's address must have its EIP-55 checksum")
    issued, expires, begins = (_time(match[name]) for name in ("issued", "expires", "begins"))
    assert issued is not None
    if issued > now + CLOCK_TOLERANCE_SECONDS or (begins is not None and begins > now):
        raise InputError("the message is from the future")
    if issued < now - LONGEST_VALIDITY_SECONDS or (expires is not None and expires <= now):
        raise InputError("the message has expired")
    return SignIn(address, evm_chain(int(match["chain"])), match["nonce"], issued, expires)


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    fraction = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        return datetime.fromisoformat(fraction).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise InputError("the message names a time that does not exist") from None


def message_digest(text: str) -> bytes:
    """What is signed of a text, 32 bytes (EIP-191, version 0x45)."""
    message = text.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)


def signer_of(digest: bytes, signature: bytes) -> Address | None:
    """The key that signed a 32-byte hash, as its address; None for a signature that no key gives: of another form, or a twin's."""
    if len(signature) != 65 or signature[64] not in (0, 1, 27, 28):
        return None
    return recover(digest, signature[:64] + bytes([27 + signature[64] % 27]))
