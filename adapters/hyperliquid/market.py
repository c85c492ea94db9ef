"""What is true for every account: dexes and their collateral, margin tables, tokens and what they trade at, lending terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from adapters.hyperliquid.answers import AllMetas, Listing, Meta, PerpDexes, Reserves, SpotMarkets
from adapters.hyperliquid.maths import MarginTable
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId, ChainId, erc20, parse_address
from aggregator.model.instrument import Instrument, InstrumentKind

USDC = 0
"""token index of what the venue counts in"""
MAIN = ""
"""name of the venue's own dex"""
LARGEST_FLAT_TABLE = 50
"""below it a table's number is its leverage"""

_THOUSANDS = re.compile(r"k[A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Market:
    """By token index unless said otherwise. Prices in USDC, which the venue takes for a dollar."""

    collateral: Mapping[str, int] = field(default_factory=lambda: {MAIN: USDC})
    """token by dex; the main dex is always there"""
    tables: Mapping[str, MarginTable] = field(default_factory=dict)
    """by coin, as `flx:CRCL`"""
    symbols: Mapping[int, str] = field(default_factory=lambda: {USDC: "USDC"})
    assets: Mapping[int, AssetId] = field(default_factory=dict)
    """contract on HyperEVM, where the token has one"""
    prices: Mapping[int, Decimal] = field(default_factory=lambda: {USDC: Decimal(1)})
    oracle: Mapping[int, Decimal] = field(default_factory=dict)
    """price that lending goes by"""
    ltv: Mapping[int, Decimal] = field(default_factory=dict)

    def symbol(self, token: int) -> str:
        return self.symbols.get(token, f"token {token}")

    def price(self, token: int) -> Decimal | None:
        """What the venue's lending goes by, else what the token trades at."""
        return self.oracle.get(token, self.prices.get(token))

    def table(self, coin: str, max_leverage: int | None) -> MarginTable | None:
        """Margin table of a coin: the one listed, unless the position says that it is in none of its tiers (it has changed since)."""
        listed = self.tables.get(coin)
        if max_leverage is None or max_leverage < 1 or (listed and any(leverage == max_leverage for _, leverage in listed.tiers)):
            return listed
        return MarginTable.flat(max_leverage)


def market_of(
    chain: ChainId, dexes: PerpDexes | None, metas: AllMetas | None, spot: SpotMarkets | None, reserves: Reserves | None
) -> Market:
    """Everything that could be read, put together; None where it could not."""
    symbols, assets, prices = {USDC: "USDC"}, {}, {USDC: Decimal(1)}
    if spot is not None:
        meta, contexts = spot.root
        symbols |= {token.index: token.name for token in meta.tokens}
        for token in meta.tokens:
            try:
                if token.contract is not None:
                    assets[token.index] = erc20(chain, parse_address(token.contract.address.lower()))
            except InputError:
                continue
        marks = {context.coin: context.mark_price for context in contexts}
        for pair in meta.universe:
            mark = marks.get(pair.name)
            if len(pair.tokens) == 2 and pair.tokens[1] == USDC and mark is not None and mark > 0:
                prices.setdefault(pair.tokens[0], mark)
    collateral = {MAIN: USDC}
    tables: dict[str, MarginTable] = {}
    if metas is not None:
        for number, one in enumerate(metas.root):
            dex = _dex(number, one, dexes)
            if dex is not None:
                collateral[dex] = one.collateral
            tables |= _tables(one)
    return Market(
        collateral,
        tables,
        symbols,
        assets,
        prices,
        {} if reserves is None else {token: one.oracle_price for token, one in reserves.root if token != USDC},
        {} if reserves is None else {token: one.ltv for token, one in reserves.root},
    )


def _dex(number: int, meta: Meta, dexes: PerpDexes | None) -> str | None:
    """Name of the dex that a meta is of: its coins' prefix, else its place in the list; None where neither tells."""
    if number == 0:
        return MAIN
    prefixes = {listing.name.partition(":")[0] for listing in meta.universe if ":" in listing.name}
    if len(prefixes) == 1:
        return prefixes.pop()
    listed = dexes.root[number] if dexes is not None and number < len(dexes.root) else None
    return None if listed is None else listed.name


def _tables(meta: Meta) -> dict[str, MarginTable]:
    known: dict[int, MarginTable] = {}
    for number, one in meta.tables:
        try:
            known[number] = MarginTable(tuple((tier.lower_bound, tier.max_leverage) for tier in one.tiers))
        except ValueError:
            continue
    return {one.name: _listed(one, known) for one in meta.universe}


def _listed(listing: Listing, known: Mapping[int, MarginTable]) -> MarginTable:
    if listing.table is None:
        return MarginTable.flat(listing.max_leverage)
    flat = MarginTable.flat(listing.table if 0 < listing.table < LARGEST_FLAT_TABLE else listing.max_leverage)
    return known.get(listing.table, flat)


def perpetual(coin: str, settlement: str) -> tuple[Instrument, int]:
    """The instrument of a coin, and by how many powers of ten one contract is more than a unit of its underlying (`kPEPE`: 3)."""
    name = coin.rpartition(":")[2]
    thousands = bool(_THOUSANDS.fullmatch(name))
    instrument = Instrument(
        InstrumentKind.PERPETUAL,
        name[1:] if thousands else name,
        contract_size=Decimal(1_000 if thousands else 1),
        settlement=settlement,
        venue="hyperliquid",
        symbol=coin,
    )
    return instrument, 3 if thousands else 0
