"""What haircuts are asked for: assets by name, and the size of the holding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId, ChainId, asset_chain, erc20, native, parse_address, parse_chain
from aggregator.model.token import Token, TokenKind
from aggregator.reading.registry import Registry

USUAL_SIZE = Decimal(10_000)
SMALLEST_SIZE, LARGEST_SIZE = Decimal("0.01"), Decimal(10**12)
"""USD"""


@dataclass(frozen=True, slots=True)
class HaircutRequest:
    """What a person asks for, as written. `assets` empty: every listed token of the chains."""

    assets: tuple[str, ...] = ()
    size_usd: Decimal = USUAL_SIZE
    implied: Mapping[str, float] = field(default_factory=dict)
    """a year's implied volatility by factor"""
    chains_file: Path | None = None
    rpc: tuple[str, ...] = ()
    only_chains: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()


def parse_size(text: str) -> Decimal:
    """Value of a holding in USD; InputError for what is none."""
    try:
        size = Decimal(text)
    except InvalidOperation:
        size = Decimal(-1)
    if not (size.is_finite() and SMALLEST_SIZE <= size <= LARGEST_SIZE):
        raise InputError(f"{text!r} is not a number of dollars from a cent to a trillion")
    return size


def chosen_tokens(words: Sequence[str], chains: Sequence[ChainId], listed: Registry) -> tuple[Token, ...]:
    """Tokens by CAIP-19 id or symbol on these chains; all listed ones without a word. InputError for a word that names none."""
    known: list[Token] = []
    for chain in chains:
        own = listed.tokens(chain)
        if own:
            known += [listed.native(chain), *own.values()]
    if not words:
        return tuple(sorted(known, key=lambda token: (chains.index(token.chain), token.symbol.lower(), token.asset)))
    found: dict[AssetId, Token] = {}
    for word in words:
        if "/" in word:
            asset = parse_asset(word)
            if asset_chain(asset) not in chains:
                raise InputError(f"{word}: its chain is not read")
            token = listed.token(asset) or Token(asset, "?", 18, TokenKind.UNKNOWN, asset, "discovered")
            found[token.asset] = token
            continue
        named = [token for token in known if token.symbol.lower() == word.lower()]
        if not named:
            raise InputError(f"{word}: no token of that name is listed on the chains that are read; a CAIP-19 id names any")
        found.update({token.asset: token for token in named})
    return tuple(found.values())


def parse_asset(text: str) -> AssetId:
    """A CAIP-19 id of a token or a native currency; InputError for anything else."""
    chain, _, name = text.partition("/")
    namespace, _, reference = name.partition(":")
    if namespace == "erc20":
        return erc20(parse_chain(chain), parse_address(reference))
    if namespace == "slip44" and reference.isdecimal():
        return native(parse_chain(chain), int(reference))
    raise InputError(f"{text}: expected a symbol or a CAIP-19 id such as eip155:1/erc20:0x…")
