"""The venue's own figures computed again: where they differ, the venue's stand and a remark says by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from adapters.hyperliquid.answers import ClearinghouseState, Position, SpotBalance
from adapters.hyperliquid.market import USDC, Market
from adapters.hyperliquid.maths import PLAIN, Support, liquidation_price, portfolio_ratio
from aggregator.model.snapshot import Remark

APART = Decimal("1e-6")
"""relative: more than rounding explains between figures of one answer"""
APART_BETWEEN = Decimal("0.01")
"""relative: more than prices move between two answers"""
SMALLEST = Decimal("0.00001")
"""ten units in the last place of what the venue prints"""


class Checks:
    """Of one address. `remarks` are what did not agree."""

    def __init__(self, address: str, market: Market) -> None:
        self.address, self.market = address, market
        self.remarks: list[Remark] = []

    def state(self, dex: str, state: ClearinghouseState) -> None:
        """Account value from raw dollars and positions, maintenance margin from the tables."""
        cross, isolated = split([state])
        where = dex or "the main dex"
        self._differs(f"value on {where}", state.whole.account_value, state.whole.raw_usd + signed([*cross, *isolated]), APART)
        self._differs(f"cross value on {where}", state.cross.account_value, state.cross.raw_usd + signed(cross), APART)
        tables = [self.market.table(one.coin, one.max_leverage) for one in cross]
        if state.maintenance is not None and all(table is not None for table in tables):
            again = total(table.maintenance(one.value) for table, one in zip(tables, cross, strict=True) if table is not None)
            self._differs(f"maintenance margin on {where}", state.maintenance, again, APART)

    def liquidations(self, positions: Iterable[Position], available: Decimal | None, apart: Decimal) -> None:
        """Liquidation prices from what is left above the maintenance margin."""
        for one in positions:
            table = self.market.table(one.coin, one.max_leverage)
            if available is None or table is None or one.liquidation_price is None or not one.size:
                continue
            again = liquidation_price(one.size, one.value / abs(one.size), available, table.leverage(one.value))
            if again is not None:
                self._differs(f"liquidation price of {one.coin}", one.liquidation_price, again, apart)

    def ratio(self, dollars: Decimal | None, maintenance: Decimal | None, stated: Decimal | None, rows: Mapping[int, SpotBalance]) -> None:
        """Portfolio margin ratio, where everything that it needs was read."""
        if dollars is None or maintenance is None or stated is None:
            return
        support = []
        for token, row in rows.items():
            if token != USDC and row.supplied and row.ltv:
                price = self.market.oracle.get(token)
                if price is None:
                    return
                support.append(Support(row.supplied * price, row.ltv))
        again = portfolio_ratio(dollars, maintenance, support)
        if again is not None:
            self._differs("portfolio margin ratio", stated, again, APART_BETWEEN)

    def _differs(self, what: str, stated: Decimal, again: Decimal, apart: Decimal) -> None:
        if abs(stated - again) > max(apart * max(abs(stated), abs(again)), SMALLEST):
            detail = f"hyperliquid: {self.address} states {stated:f} as {what}, recomputed {PLAIN.plus(again):f}"
            self.remarks.append(Remark("venue-recomputation-differs", detail))


def split(states: Iterable[ClearinghouseState]) -> tuple[list[Position], list[Position]]:
    """Cross and isolated positions, in the venue's order."""
    positions = [one.position for state in states for one in state.positions]
    return [one for one in positions if one.leverage.kind == "cross"], [one for one in positions if one.leverage.kind == "isolated"]


def signed(positions: Iterable[Position]) -> Decimal:
    """Σ value, negative of shorts."""
    return total(one.value if one.size > 0 else -one.value for one in positions)


def total(values: Iterable[Decimal]) -> Decimal:
    return sum(values, Decimal(0))
