"""What people write for a chain, an endpoint, a block and an owner. Every mistake is an InputError of one line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.chains.configuration import ChainsConfiguration
from aggregator.chains.urls import EndpointUrl
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, Address, ChainId, parse_address

_NAME = re.compile(r"[^\s:/@.]+(\.[^\s:/@.]+)+\Z")
_HIGHEST_BLOCK = 1 << 64


@dataclass(frozen=True, slots=True)
class OwnerAddress:
    """An owner given by address: on `chain`, or on every chain where it is None."""

    address: Address
    chain: ChainId | None = None

    def accounts(self, chains: Iterable[ChainId]) -> tuple[AccountId, ...]:
        """The owner's accounts among `chains`."""
        return tuple(AccountId(chain, self.address) for chain in chains if self.chain in (None, chain))


@dataclass(frozen=True, slots=True)
class OwnerName:
    """An owner given by an ENS name, still to be resolved; `chain` limits where its address is looked at."""

    name: str
    chain: ChainId | None = None


def resolve_chain(text: str, configuration: ChainsConfiguration) -> ChainId:
    """Chain id of `eip155:1`, `1`, `eth` or an alias such as `ethereum`; InputError where it is none of the configured chains."""
    word = text.strip().lower()
    candidate = ChainId(f"eip155:{int(word)}" if word.isascii() and word.isdigit() else word)
    if candidate in configuration:
        return candidate
    for chain, entry in configuration.chains.items():
        if word == entry.short_name or word in entry.aliases:
            return chain
    known = ", ".join(f"{entry.short_name} ({chain})" for chain, entry in configuration.chains.items())
    raise InputError(f"unknown chain {_quoted(text)}; expected one of {known}")


def parse_rpc_override(text: str, configuration: ChainsConfiguration) -> tuple[ChainId, str]:
    """Chain and URL of `CHAIN=URL`, as `--rpc` takes it. No error shows the URL, which may hold a key.

    `${NAME}` in it is filled in from the environment when the endpoint is first used, so that a key need not stand in the process list.
    """
    chain_text, separator, url = text.partition("=")
    if not separator or "://" in chain_text:
        raise InputError("--rpc: expected CHAIN=URL, for example eth=https://rpc.example")
    chain = resolve_chain(chain_text, configuration)
    try:
        return chain, EndpointUrl(url.strip()).reveal()
    except ValueError:
        raise InputError(f"--rpc {chain_text}=…: expected an http:// or https:// URL after the equals sign") from None


def rpc_overrides(texts: Iterable[str], configuration: ChainsConfiguration) -> dict[ChainId, tuple[str, ...]]:
    """All `--rpc` values by chain, in the order given: several for one chain fail over to one another."""
    overrides: dict[ChainId, tuple[str, ...]] = {}
    for text in texts:
        chain, url = parse_rpc_override(text, configuration)
        overrides[chain] = (*overrides.get(chain, ()), url)
    return overrides


def parse_block_pin(text: str, configuration: ChainsConfiguration) -> tuple[ChainId, int]:
    """Chain and block number of `CHAIN=N`, as `--block` takes it; the number is decimal or 0x-hex."""
    chain_text, separator, number_text = text.partition("=")
    if not separator:
        raise InputError(f"--block {_quoted(text)}: expected CHAIN=NUMBER, for example eth=21000000")
    chain = resolve_chain(chain_text, configuration)
    word = number_text.strip().lower()
    if not re.fullmatch(r"[0-9]+|0x[0-9a-f]+", word):
        raise InputError(f"--block {_quoted(text)}: expected a block number after the equals sign")
    number = int(word, 16 if word.startswith("0x") else 10)
    if number >= _HIGHEST_BLOCK:
        raise InputError(f"--block {_quoted(text)}: no chain has a block {number_text}")
    return chain, number


def parse_owner(text: str, configuration: ChainsConfiguration) -> OwnerAddress | OwnerName:
    """An owner: `eip155:1:0x…` (CAIP-10), `eth:0x…` (EIP-3770), `0x…` (all chains), or a name such as `example.eth`.

    A name may have a chain before it, as in `arb1:example.eth`. Names are not normalised here.
    """
    word = text.strip()
    chain_text, separator, rest = word.rpartition(":")
    chain = resolve_chain(chain_text, configuration) if separator else None
    if rest[:2].lower() == "0x" and "." not in rest:
        return OwnerAddress(parse_address("0x" + rest[2:]), chain)
    if _NAME.match(rest):
        return OwnerName(rest, chain)
    raise InputError(f"{_quoted(text)} is not an owner; expected 0x and 40 hex digits, CHAIN:0x…, or a name such as example.eth")


def _quoted(text: str) -> str:
    """What was written, short and in one line."""
    return repr(text if len(text) <= 80 else text[:79] + "…")
