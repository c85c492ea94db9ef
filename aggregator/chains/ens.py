"""ENS names to addresses, through the registry contract, at a pinned block and in one round of reads.

Sources: EIP-137 (registry, resolvers, namehash), ENSIP-15 (normalisation, by the `ens` package), ENSIP-10 (wildcards and `resolve`),
EIP-3668 (the OffchainLookup revert). Names that are answered outside the chain are refused: whoever owns such a name could otherwise
make this program fetch any URL, and no block pins what it gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aggregator.chains.configuration import ChainsConfiguration
from aggregator.model.errors import IncompleteError, InputError
from aggregator.model.identifiers import ZERO_ADDRESS, Address, ChainId, address_of_word
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.abi import Function
from aggregator.reading.reads import Read, Reads, why

RESOLVER = Function("resolver(bytes32)(address)")
ADDRESS_OF = Function("addr(bytes32)(address)")
SUPPORTS_INTERFACE = Function("supportsInterface(bytes4)(bool)")
RESOLVE = Function("resolve(bytes,bytes)(bytes)")

_EXTENDED_RESOLVER = bytes.fromhex("9061b923")
"""ERC-165 id of `resolve(bytes,bytes)`"""
_OFFCHAIN_LOOKUP = bytes.fromhex("556f1830")
"""selector of OffchainLookup(address,string[],bytes,bytes4,bytes)"""
_LONGEST_NAME = 255
_RESOLVE_GAS = 2_000_000


def registry_chain(configuration: ChainsConfiguration) -> tuple[ChainId, Address]:
    """The chain that names are looked up on, and its registry; InputError where no chain has one."""
    for chain, entry in configuration.chains.items():
        if entry.ens_registry is not None:
            return chain, entry.ens_registry
    raise InputError("names cannot be resolved: no chain has an ens_registry in chains.yaml; give the address instead")


def normalised(name: str) -> str:
    """The name as ENSIP-15 writes it; InputError for one that cannot be a name."""
    from ens.exceptions import ENSException  # type: ignore[import-untyped]
    from ens.utils import normalize_name  # type: ignore[import-untyped]

    try:
        normal: str = normalize_name(name)
    except (ENSException, UnicodeError, ValueError) as error:
        detail = " ".join(str(error).split()).encode("ascii", "backslashreplace").decode()
        raise InputError(f"{name!r} is not a valid ENS name ({detail})") from None
    if not normal or len(normal.encode()) > _LONGEST_NAME:
        raise InputError(f"{name!r:.80} is not a valid ENS name (empty or longer than {_LONGEST_NAME} bytes)")
    return normal


def namehash(name: str) -> bytes:
    """Node of a normalised name (EIP-137)."""
    from ens.utils import normal_name_to_hash

    return bytes(normal_name_to_hash(name))


@dataclass(frozen=True, slots=True)
class _Level:
    """What is asked about the name or one of its parents."""

    resolver: Read[Any]
    is_extended: Read[Any]
    resolved: Read[Any]


async def resolve_name(reads: Reads, registry: Address, name: str) -> Address:
    """Address of an ENS name. All reads are made before the first is awaited, so they travel together.

    InputError: not a name, not registered, without an address, or answered outside the chain (CCIP-read).
    IncompleteError: the chain could not be read.
    """
    normal = normalised(name)
    query = ADDRESS_OF.encode((namehash(normal),))
    levels = [_ask(reads, registry, parent, normal, query) for parent in _with_parents(normal)]
    own = levels[0].resolver
    plain = reads.call(own.word(0), ADDRESS_OF, namehash(normal), when=own.word(0))
    for level in levels:
        resolver = _known(await level.resolver, normal, registry)
        if resolver == ZERO_ADDRESS:
            continue
        is_extended = await level.is_extended
        if isinstance(is_extended, Unknown) and is_extended.reason is Reason.ENDPOINT:
            raise IncompleteError(f"{normal} could not be resolved: {why(is_extended)}")
        if is_extended == Value(True):
            answer = _known(await level.resolved, normal, resolver)
            address = address_of_word(int.from_bytes(answer[:32], "big")) if len(answer) >= 32 else ZERO_ADDRESS
        elif level is levels[0]:
            address = _known(await plain, normal, resolver)
        else:
            break
        if address == ZERO_ADDRESS:
            raise InputError(f"the name {normal} is registered but has no address")
        return Address(address)
    raise InputError(f"the name {normal} is not registered or has no resolver")


def _with_parents(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _ask(reads: Reads, registry: Address, parent: str, name: str, query: bytes) -> _Level:
    from ens.utils import dns_encode_name

    resolver = reads.call(registry, RESOLVER, namehash(parent))
    is_extended = reads.call(resolver.word(0), SUPPORTS_INTERFACE, _EXTENDED_RESOLVER, when=resolver.word(0))
    resolved = reads.call(resolver.word(0), RESOLVE, bytes(dns_encode_name(name)), query, gas=_RESOLVE_GAS, when=is_extended.word(0))
    return _Level(resolver, is_extended, resolved)


def _known(outcome: Outcome[Any], name: str, contract: Address) -> Any:
    """The value; otherwise the error that says why the name has no address."""
    match outcome:
        case Value(value):
            return value
        case Unknown(reason=Reason.REVERTED, data=data) if data[:4] == _OFFCHAIN_LOOKUP:
            raise InputError(f"the name {name} is resolved outside the chain (CCIP-read), which is not supported; give the address instead")
        case Unknown(reason=Reason.ENDPOINT):
            raise IncompleteError(f"{name} could not be resolved: {why(outcome)}")
        case Absent(reason=Reason.NO_CODE):
            raise InputError(f"{name} could not be resolved: there is no ENS contract at {contract} on this chain")
        case _:
            raise InputError(f"{name} could not be resolved: contract {contract} gave no address ({why(outcome)})")
