"""Who signs: a key from a file, from the environment, or a command that signs for us. The key is never printed.

A key file holds 32 bytes as hex, or an encrypted keystore (version 3) with its password in `CROSSMARGIN_SIGNING_PASSWORD`; nobody but its
owner may read it. A signer command gets the EIP-712 JSON on its standard input and prints the 65-byte signature as hex; it is started
once per signature, without a shell, and a few at a time: whoever asks the service for scores cannot make it start as many as he likes.
"""

from __future__ import annotations

import asyncio
import shlex
import stat
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.statement import Domain, MarginScore, ScoreEpoch
from aggregator.publish.attestation.typed_data import digest, hash_epoch, hash_score, typed_data_json

KEY: Final = "CROSSMARGIN_SIGNING_KEY"
KEY_FILE: Final = "CROSSMARGIN_SIGNING_KEY_FILE"
PASSWORD: Final = "CROSSMARGIN_SIGNING_PASSWORD"
COMMAND: Final = "CROSSMARGIN_SIGNER_COMMAND"
COMMAND_TIMEOUT_SECONDS = 30.0
MOST_COMMANDS = 4
"""running at once; the others wait"""
SIGNATURES_KEPT = 4_096
"""of a command: a statement is asked for again and again while it is the present one"""
HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""of secp256k1: signatures with a larger s are refused, because each has a twin"""


class SignerError(InputError):
    """No usable key or signature; the message says what to do and never holds the key."""


class Signer(Protocol):
    """Signs statements for a domain."""

    @property
    def address(self) -> Address: ...

    async def sign(self, domain: Domain, statement: MarginScore | ScoreEpoch) -> bytes:
        """65 bytes r, s, v with v 27 or 28. Raises SignerError."""
        ...


@dataclass(frozen=True, slots=True)
class KeySigner:
    """A key in memory. Its repr shows the address only."""

    key: PrivateKey = field(repr=False)
    address: Address

    @staticmethod
    def of(secret: bytes) -> KeySigner:
        """Raises SignerError when this is no secp256k1 key."""
        try:
            if len(secret) != 32:
                raise ValueError  # the library would pad it
            key = PrivateKey(secret)
        except ValueError:
            raise SignerError("the signing key is not a secp256k1 key: 32 bytes as 64 hex digits, above zero and below the order") from None
        return KeySigner(key, _address_of(key.public_key))

    async def sign(self, domain: Domain, statement: MarginScore | ScoreEpoch) -> bytes:
        return self.sign_digest(digest(domain, struct_hash(statement)))

    def sign_digest(self, value: bytes) -> bytes:
        """65 bytes of a 32-byte digest, deterministic (RFC 6979)."""
        signature: bytes = self.key.sign_recoverable(value, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])


@dataclass(frozen=True, slots=True)
class CommandSigner:
    """Somebody else's program. What it returns is checked to be of `address`."""

    command: tuple[str, ...] = field(repr=False)
    address: Address
    _known: OrderedDict[bytes, bytes] = field(default_factory=OrderedDict, repr=False, compare=False)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_COMMANDS), repr=False, compare=False)

    async def sign(self, domain: Domain, statement: MarginScore | ScoreEpoch) -> bytes:
        signed = digest(domain, struct_hash(statement))
        known = self._known.get(signed)
        if known is None:
            async with self._places:
                known = self._known.get(signed) or await self._ask(domain, statement, signed)
            self._known[signed] = known
            if len(self._known) > SIGNATURES_KEPT:
                self._known.popitem(last=False)
        return known

    async def _ask(self, domain: Domain, statement: MarginScore | ScoreEpoch, signed: bytes) -> bytes:
        answer = await _run(self.command, typed_data_json(domain, statement))
        try:
            signature = bytes.fromhex(answer.strip().removeprefix("0x"))
        except ValueError:
            raise SignerError("the signer command printed something else than a signature as hex") from None
        if recover(signed, signature) != self.address:
            raise SignerError(f"the signer command's signature is not of {self.address}")
        return signature


def struct_hash(statement: MarginScore | ScoreEpoch) -> bytes:
    """hashStruct of either kind, 32 bytes."""
    return hash_score(statement) if isinstance(statement, MarginScore) else hash_epoch(statement)


def recover(value: bytes, signature: bytes) -> Address | None:
    """Who signed this digest; None for a signature of the wrong length or form, a twin, or of nobody."""
    if len(signature) != 65 or signature[64] not in (27, 28) or int.from_bytes(signature[32:64], "big") > HALF_ORDER:
        return None
    try:
        return _address_of(PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), value, hasher=None))
    except Exception:  # the library raises bare Exception for points that are not on the curve
        return None


async def signer_from(settings: Mapping[str, str]) -> Signer | None:
    """The signer that these settings (an environment) name; None when they name none. Raises SignerError, also for more than one."""
    named = [name for name in (KEY, KEY_FILE, COMMAND) if settings.get(name)]
    if not named:
        return None
    if len(named) > 1:
        raise SignerError(f"more than one signer is set: {', '.join(named)}; leave one")
    if named == [KEY]:
        return KeySigner.of(_key(settings[KEY], KEY))
    if named == [KEY_FILE]:
        return await asyncio.to_thread(_from_file, Path(settings[KEY_FILE]), settings.get(PASSWORD))
    return await _from_command(tuple(shlex.split(settings[COMMAND])))


async def _from_command(command: tuple[str, ...]) -> CommandSigner:
    """Which address it signs for is found by letting it sign once."""
    probe = ScoreEpoch(0, bytes(32), 0, 0, 0)
    nowhere = Domain(0, Address("0x" + "00" * 20))
    answer = await _run(command, typed_data_json(nowhere, probe))
    try:
        address = recover(digest(nowhere, struct_hash(probe)), bytes.fromhex(answer.strip().removeprefix("0x")))
    except ValueError:
        address = None
    if address is None:
        raise SignerError(f"{COMMAND} did not print a 65-byte signature as hex for the typed data on its standard input")
    return CommandSigner(command, address)


async def _run(command: tuple[str, ...], document: bytes) -> str:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise SignerError(f"the signer command could not be started: {error.strerror}") from None
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_SECONDS):
            said, _ = await process.communicate(document)
    except TimeoutError:
        raise SignerError(f"the signer command took longer than {COMMAND_TIMEOUT_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SignerError(f"the signer command ended with status {process.returncode}")
    return said.decode("ascii", errors="replace")


def _from_file(path: Path, password: str | None) -> KeySigner:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SignerError(f"{KEY_FILE}: {path} cannot be read") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SignerError(f"{KEY_FILE}: others may read {path}; `chmod 600` it")
    if not text.startswith("{"):
        return KeySigner.of(_key(text, KEY_FILE))
    if password is None:
        raise SignerError(f"{KEY_FILE} is an encrypted keystore: set {PASSWORD}")
    from eth_account import Account  # a second to import, and only keystores need it

    try:
        return KeySigner.of(bytes(Account.decrypt(text, password)))
    except (ValueError, KeyError, TypeError):
        raise SignerError(f"{KEY_FILE}: {path} cannot be decrypted with {PASSWORD}") from None


def _key(text: str, name: str) -> bytes:
    try:
        return bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        raise SignerError(f"{name} is not hex: 64 digits are expected") from None


def _address_of(key: PublicKey) -> Address:
    return Address("0x" + keccak(key.format(compressed=False)[1:])[-20:].hex())
