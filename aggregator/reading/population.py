"""Everybody in a protocol at once: what an adapter gives that can find all margin accounts of a deployment from its logs.

Accounts are columns, not objects: `PopulationLegs` names them by their place in the market's list of owners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from aggregator.model.book import LiquidationRule
from aggregator.model.identifiers import Address, AssetId
from aggregator.model.snapshot import Gap, Remark
from aggregator.model.token import Token
from aggregator.reading.adapter import OracleQuote


@dataclass(frozen=True, slots=True)
class PopulationReserve:
    """An asset on the terms that some accounts hold it on. `oracle_price`: of one whole token in the market's numeraire, None unknown.

    `threshold`, `bonus`: shares of 1, both 0 for what does not count as collateral. `closed`: nobody can seize or repay it now.
    """

    asset: AssetId
    symbol: str
    decimals: int
    oracle_price: Decimal | None
    threshold: Decimal = Decimal(0)
    bonus: Decimal = Decimal(0)
    closed: bool = False


@dataclass(slots=True)
class PopulationLegs:
    """One side of all accounts: place of the account, place of the reserve, raw amount (None where it could not be read)."""

    accounts: list[int] = field(default_factory=list)
    reserves: list[int] = field(default_factory=list)
    amounts: list[int | None] = field(default_factory=list)

    def add(self, account: int, reserve: int, amount: int | None) -> None:
        """One more leg; an account names a reserve once on a side."""
        self.accounts.append(account)
        self.reserves.append(reserve)
        self.amounts.append(amount)


@dataclass(frozen=True, slots=True)
class PopulationMarket:
    """All margin accounts of one market. `numeraire`: `USD`, or the asset that oracle prices count in."""

    market: str
    label: str
    numeraire: str
    rule: LiquidationRule
    owners: tuple[Address, ...]
    reserves: tuple[PopulationReserve, ...]
    collateral: PopulationLegs
    debt: PopulationLegs
    supplied: Mapping[AssetId, int] = field(default_factory=dict)
    """raw amounts that lenders who are no margin accounts have supplied, by asset; empty where lenders are accounts themselves"""


@dataclass(frozen=True, slots=True)
class Population:
    """What one deployment told of everybody in it. `unread` names what makes accounts missing; `gaps` what is missing of accounts."""

    markets: tuple[PopulationMarket, ...] = ()
    unread: tuple[Gap, ...] = ()
    gaps: tuple[Gap, ...] = ()
    remarks: tuple[Remark, ...] = ()
    tokens: tuple[Token, ...] = ()
    quotes: tuple[OracleQuote, ...] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    """how it was come by, for people: logs folded, balances read again"""
