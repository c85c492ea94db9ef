"""The rows of a recorded history, one JSON object a line: what may stand in them and what it means. See docs/alerts.md.

Names are needed; a figure that is null or left out is not known. Unknown kinds and fields are refused, for a figure under a wrong
name would be a figure that is missing without anybody seeing it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from aggregator.publish.alerts.instant import Instant
from aggregator.publish.alerts.observations import (
    AllocationObserved,
    BackingObserved,
    BridgeObserved,
    CurveObserved,
    MarketObserved,
    Observed,
    PriceObserved,
    ProtocolObserved,
    ReplacedObserved,
    WalletObserved,
)

Name = Annotated[str, Field(min_length=1, max_length=300)]
Label = Annotated[str, Field(max_length=300)] | None
Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(pattern=r"^-?\d{1,60}(\.\d{1,60})?([eE][-+]?\d{1,3})?$")]


class Row(BaseModel):
    """Base: `t` RFC 3339 in UTC; `block` where the row was read from a chain."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    t: str
    kind: str
    block: Annotated[int, Field(ge=0)] | None = None

    def observed(self, t: Instant) -> Observed:
        """The row as an observation."""
        raise NotImplementedError


class MarketRow(Row):
    protocol: Label = None
    chain: Label = None
    market: Name
    collateral: Label = None
    loan: Label = None
    supply_usd: Figure | None = None
    borrow_usd: Figure | None = None

    def observed(self, t: Instant) -> MarketObserved:
        names = (self.protocol or "", self.chain or "", self.market, self.collateral or "", self.loan or "")
        return MarketObserved(t, *names, self.supply_usd, self.borrow_usd, block=self.block)


class PriceRow(Row):
    asset: Name
    usd: Figure | None = None
    source: Label = None
    venue: Label = None

    def observed(self, t: Instant) -> PriceObserved:
        return PriceObserved(t, self.asset, self.usd, self.source or "", self.venue or "", block=self.block)


class AllocationRow(Row):
    vault: Name
    chain: Label = None
    market: Name
    usd: Figure | None = None
    curator: Label = None

    def observed(self, t: Instant) -> AllocationObserved:
        return AllocationObserved(t, self.vault, self.chain or "", self.market, self.usd, self.curator or "", block=self.block)


class BackingRow(Row):
    token: Name
    shares: dict[Name, Figure]

    def observed(self, t: Instant) -> BackingObserved:
        return BackingObserved(t, self.token, self.shares, block=self.block)


class BridgeRow(Row):
    """`locked` and `in_flight` may be given by chain and are summed; not known then where one chain's is not."""

    token: Name
    bridge: Name
    locked: Figure | dict[Name, Figure | None] | None = None
    minted: dict[Name, Figure | None]
    in_flight: Figure | dict[Name, Figure | None] | None = None

    def observed(self, t: Instant) -> BridgeObserved:
        return BridgeObserved(t, self.token, self.bridge, _total(self.locked), self.minted, _total(self.in_flight), block=self.block)


class ProtocolRow(Row):
    protocol: Name
    tvl_usd: Figure | None = None
    chain: Label = None

    def observed(self, t: Instant) -> ProtocolObserved:
        return ProtocolObserved(t, self.protocol, self.tvl_usd, self.chain or "", block=self.block)


class AccountRow(BaseModel):
    """A margin account as in the health document; what no rule looks at may stand there and is not read further."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    chain: Label = None
    protocol: Label = None
    market: Label = None
    label: Label = None
    owner: Label = None
    kind: Label = None
    health_factor: Text | Figure | None = None
    shadow_health_factor: Text | Figure | None = None
    collateral_usd: Text | Figure | None = None
    debt_usd: Text | Figure | None = None
    trapped_collateral_usd: Text | Figure | None = None
    liquidation_threshold: Text | Figure | None = None
    close_factor: Text | Figure | None = None
    liquidation: dict[str, Any] | None = None
    positions: list[Any] | None = None

    def observed(self, t: Instant, owner: str, block: int | None) -> WalletObserved:
        """ValueError where a figure is negative or a move is not a number."""
        collateral, debt, threshold = (_positive(one) for one in (self.collateral_usd, self.debt_usd, self.liquidation_threshold))
        health = _positive(self.health_factor)
        if health is None and collateral is not None and debt and threshold is not None:
            health = collateral * threshold / debt
        return WalletObserved(
            t,
            owner,
            self.chain or "",
            self.protocol or "",
            self.market or "",
            health,
            _positive(self.shadow_health_factor),
            collateral,
            debt,
            self._distance(),
            _positive(self.trapped_collateral_usd),
            block=block,
        )

    def _distance(self) -> float | None:
        prices = (self.liquidation or {}).get("prices")
        if not isinstance(prices, list):
            return None
        moves = [float(one["move"]) for one in prices if isinstance(one, dict) and isinstance(one.get("move"), str | int | float)]
        if any(move != move for move in moves):
            raise ValueError("liquidation: a move is not a number")
        return min((abs(move) for move in moves), default=None)


class WalletRow(Row):
    """`owner` and the account's fields, or the whole account under `margin_account`."""

    owner: Name
    margin_account: AccountRow

    def observed(self, t: Instant) -> WalletObserved:
        return self.margin_account.observed(t, self.owner, self.block)


class CurveRow(Row):
    """`market` left out: all of the protocol on the chain."""

    protocol: Name
    chain: Label = None
    market: Label = None
    liquidatable_debt_usd: Figure | None = None
    spiral_distance: Figure | None = None

    def observed(self, t: Instant) -> CurveObserved:
        figures = (self.liquidatable_debt_usd, self.spiral_distance)
        return CurveObserved(t, self.protocol, self.chain or "", self.market or "", *figures, block=self.block)


class ReplacedRow(Row):
    """`block`: the first one that was replaced."""

    chain: Name
    owner: Label = None
    block: Annotated[int, Field(ge=0)]

    def observed(self, t: Instant) -> ReplacedObserved:
        return ReplacedObserved(t, self.chain, self.owner or "", block=self.block)


ROWS: dict[str, type[Row]] = {
    "market": MarketRow,
    "price": PriceRow,
    "allocation": AllocationRow,
    "backing": BackingRow,
    "bridge": BridgeRow,
    "protocol": ProtocolRow,
    "wallet": WalletRow,
    "curve": CurveRow,
    "replaced": ReplacedRow,
}


def row_of(content: dict[str, object]) -> Row:
    """The row in a line's object. ValueError (pydantic's included) where it is none."""
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in ROWS:
        raise ValueError(f"kind: expected one of {', '.join(ROWS)}")
    if kind == "wallet" and "margin_account" not in content:
        own = {name: value for name, value in content.items() if name in Row.model_fields or name == "owner"}
        content = {**own, "margin_account": {name: value for name, value in content.items() if name not in own}}
    return ROWS[kind].model_validate(content)


def _total(amount: float | dict[str, float | None] | None) -> float | None:
    if not isinstance(amount, dict):
        return amount
    known = [one for one in amount.values() if one is not None]
    return sum(known) if known and len(known) == len(amount) else None


def _positive(figure: str | float | None) -> float | None:
    if figure is None:
        return None
    value = float(figure)
    if not 0 <= value < float("inf"):
        raise ValueError("a figure of an account is negative or not finite")
    return value
