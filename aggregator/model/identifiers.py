"""Chain, account and asset identifiers: CAIP-2, CAIP-10, CAIP-19, lower case in keys and EIP-55 when shown.

Sources: ChainAgnostic CAIPs 2, 10, 19; EIP-55; EIP-3770 short names are resolved by the chain registry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from aggregator.model.errors import InputError

ChainId = NewType("ChainId", str)
"""CAIP-2, for example `eip155:1`."""

Address = NewType("Address", str)
"""A 20-byte EVM address: `0x` and 40 lower-case hex digits."""

AssetId = NewType("AssetId", str)
"""CAIP-19, for example `eip155:1/erc20:0x…` or `eip155:1/slip44:60`."""

ZERO_ADDRESS = Address("0x" + "0" * 40)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_CHAIN = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}\Z")


def evm_chain(reference: int) -> ChainId:
    """CAIP-2 id of the EVM chain with this EIP-155 number."""
    return ChainId(f"eip155:{reference}")


def evm_reference(chain: ChainId) -> int:
    """EIP-155 number of an EVM chain; InputError for another namespace."""
    namespace, _, reference = chain.partition(":")
    if namespace != "eip155" or not reference.isdigit():
        raise InputError(f"{chain} is not an EVM chain; expected eip155:NUMBER")
    return int(reference)


def parse_chain(text: str) -> ChainId:
    """Validate a CAIP-2 id."""
    if not _CHAIN.match(text):
        raise InputError(f"{text!r} is not a CAIP-2 chain id such as eip155:1")
    return ChainId(text)


def checksum(address: Address) -> str:
    """EIP-55 form of an address, for people."""
    from eth_hash.auto import keccak

    digits = address[2:]
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if int(h, 16) >= 8 else d for d, h in zip(digits, digest, strict=False))


def parse_address(text: str) -> Address:
    """Lower-case address of a hex string. A mixed-case string must carry a right EIP-55 checksum."""
    if not _ADDRESS.match(text):
        raise InputError(f"{text!r} is not an address; expected 0x and 40 hex digits")
    address = Address(text.lower())
    if text[2:] not in (text[2:].lower(), text[2:].upper()) and checksum(address) != text:
        raise InputError(f"{text} has a wrong EIP-55 checksum; expected {checksum(address)} or all lower case")
    return address


def address_of_word(word: int) -> Address:
    """Address in the low 20 bytes of a 256-bit word."""
    return Address(f"0x{word & (1 << 160) - 1:040x}")


def erc20(chain: ChainId, address: Address) -> AssetId:
    """CAIP-19 id of a fungible token."""
    return AssetId(f"{chain}/erc20:{address}")


def native(chain: ChainId, slip44: int) -> AssetId:
    """CAIP-19 id of a chain's native currency."""
    return AssetId(f"{chain}/slip44:{slip44}")


def asset_chain(asset: AssetId) -> ChainId:
    """The chain an asset lives on."""
    return ChainId(asset.partition("/")[0])


def asset_address(asset: AssetId) -> Address | None:
    """The token's address, None for a native currency."""
    _, _, reference = asset.partition("/erc20:")
    return Address(reference) if reference else None


@dataclass(frozen=True, slots=True, order=True)
class AccountId:
    """CAIP-10: an address on a chain."""

    chain: ChainId
    address: Address

    def __str__(self) -> str:
        return f"{self.chain}:{self.address}"

    @property
    def shown(self) -> str:
        """The same with the EIP-55 address where it is an EVM one, for people."""
        return f"{self.chain}:{checksum(self.address) if _ADDRESS.match(self.address) else self.address}"
