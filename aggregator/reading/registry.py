"""The shipped token registry: which tokens there are on each chain, with where each address was taken from.

Data lives in `registry_data/<chain>.yaml`, one file a chain, and is checked when it is first needed. Reading a token's balance needs
nothing but its address; decimals here are hints that the chain's own answer overrides.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from aggregator.model.errors import ConfigurationError, InputError
from aggregator.model.identifiers import Address, AssetId, ChainId, asset_address, asset_chain, erc20
from aggregator.model.identifiers import native as native_asset
from aggregator.model.token import Token, TokenKind
from aggregator.reading.data import Caip2, Data, QuotedAddress, load_data

DATA_FOLDER = Path(__file__).with_name("registry_data")

Decimals = Annotated[int, Field(ge=0, le=77)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class NativeEntry(Data):
    """A chain's native currency; `slip44` is its coin type in CAIP-19 ids."""

    symbol: Name
    decimals: Decimals
    slip44: Annotated[int, Field(ge=0)]
    factor: Name
    source: Name


class TokenEntry(Data):
    """One token of a chain's file."""

    symbol: Name
    address: QuotedAddress
    decimals: Decimals
    kind: Annotated[TokenKind, Field(strict=False)]
    factor: Name
    """risk factor of its market price; see `Token.factor`"""
    source: Annotated[str, Field(min_length=1)]


class ChainTokens(Data):
    """A whole file of `registry_data`."""

    chain: Caip2
    native: NativeEntry
    tokens: Annotated[tuple[TokenEntry, ...], Field(strict=False)]
    wrapped_native: QuotedAddress

    @field_validator("tokens")
    @classmethod
    def _each_address_once(cls, tokens: tuple[TokenEntry, ...]) -> tuple[TokenEntry, ...]:
        seen: dict[Address, str] = {}
        for token in tokens:
            if token.address in seen:
                raise ValueError(f"each address once, {token.address} is both {seen[token.address]} and {token.symbol}")
            seen[token.address] = token.symbol
        return tokens

    @field_validator("wrapped_native")
    @classmethod
    def _listed(cls, address: Address, others: ValidationInfo) -> Address:
        tokens = others.data.get("tokens")
        if tokens is not None and all(token.address != address for token in tokens):
            raise ValueError("an address of this file's tokens")
        return address


class _Chain:
    """One chain's tokens, ready for look-ups."""

    __slots__ = ("native", "tokens", "wrapped_native")

    def __init__(self, entry: ChainTokens) -> None:
        chain = entry.chain
        own = entry.native
        self.native = Token(native_asset(chain, own.slip44), own.symbol, own.decimals, TokenKind.NATIVE, own.factor, own.source)
        tokens = {
            token.address: Token(erc20(chain, token.address), token.symbol, token.decimals, token.kind, token.factor, token.source)
            for token in entry.tokens
        }
        self.tokens: Mapping[Address, Token] = MappingProxyType(tokens)
        self.wrapped_native = tokens[entry.wrapped_native]


_NO_TOKENS: Mapping[Address, Token] = MappingProxyType({})


class Registry:
    """Tokens of all chains by CAIP-2 id. Immutable; `registry()` gives the shipped one."""

    __slots__ = ("_chains",)

    def __init__(self, folder: Path = DATA_FOLDER) -> None:
        """Read every file of `folder`; ConfigurationError names file, line, field and what was expected."""
        chains: dict[ChainId, _Chain] = {}
        for path in sorted(folder.glob("*.yaml")):
            entry: ChainTokens = load_data(path, ChainTokens)
            if entry.chain in chains:
                raise ConfigurationError(path, None, "chain", f"one file a chain, {entry.chain} has another")
            chains[entry.chain] = _Chain(entry)
        self._chains = chains

    @property
    def chains(self) -> tuple[ChainId, ...]:
        """Chains with a token file, sorted."""
        return tuple(sorted(self._chains))

    def tokens(self, chain: ChainId) -> Mapping[Address, Token]:
        """ERC-20 tokens of a chain by lower-case address; empty for a chain without a file."""
        known = self._chains.get(chain)
        return known.tokens if known is not None else _NO_TOKENS

    def native(self, chain: ChainId) -> Token:
        """The native currency; InputError for a chain without a file."""
        return self._chain(chain).native

    def wrapped_native(self, chain: ChainId) -> Token:
        """The canonical wrapper of the native currency; InputError for a chain without a file."""
        return self._chain(chain).wrapped_native

    def token(self, asset: AssetId) -> Token | None:
        """The token with this CAIP-19 id, None where the registry does not list it."""
        known = self._chains.get(asset_chain(asset))
        if known is None:
            return None
        address = asset_address(asset)
        if address is not None:
            return known.tokens.get(address)
        return known.native if known.native.asset == asset else None

    def _chain(self, chain: ChainId) -> _Chain:
        known = self._chains.get(chain)
        if known is None:
            raise InputError(f"no tokens are listed for {chain}; known are {', '.join(self.chains)}")
        return known


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The shipped registry, read once."""
    return Registry()
