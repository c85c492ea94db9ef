"""Subaccounts of a dYdX address: cross accounts 0–127 and the isolated child accounts from 128 on, one margin account each."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext

from adapters.dydx_v4.answers import Height, Market, Markets, PerpetualPosition, Subaccount, Subaccounts
from adapters.dydx_v4.maths import initial_fraction, liquidatable, liquidation_price
from aggregator.model.bech32 import is_bech32
from aggregator.model.identifiers import AccountId, Address
from aggregator.model.instrument import (
    Holding,
    Instrument,
    InstrumentKind,
    MarginMode,
    VenueAccount,
    VenueBalance,
    VenueFigures,
    VenueParameters,
)
from aggregator.model.outcome import Absent, Outcome, Unknown, Value
from aggregator.model.snapshot import Gap, Remark
from aggregator.reading.adapter import Holdings
from aggregator.reading.reads import why
from aggregator.reading.venue import VenueAdapter, VenueOwner, VenueScope
from aggregator.reading.venue_answers import DIGITS

CHILDREN_FROM = 128
"""parent subaccounts are 0–127; a higher number is a child of number mod 128 and holds one isolated position"""
USDC = "USDC"
LAG_MS = 60_000
"""an indexer further behind than this is called stale"""
APART = Decimal("0.01")
"""of equity: more than prices move between two requests"""


class DydxV4(VenueAdapter):
    """See the module. Equity and free collateral are the indexer's; maintenance margin and liquidation prices follow the chain's rules."""

    def names(self, text: str) -> AccountId | None:
        word = text.strip().lower()
        return AccountId(self.manifest.chain, Address(word)) if is_bech32(word, "dydx") and len(word) == 43 else None

    async def read(self, scope: VenueScope) -> Holdings:
        asked = [(owner, scope.reads.get(f"/addresses/{owner.name}", Subaccounts)) for owner in scope.owners]
        markets_read = scope.reads.get("/perpetualMarkets", Markets)
        height = await scope.reads.get("/height", Height)
        markets = await markets_read
        as_of_ms, remarks = _as_of(height, scope.now_ms)
        found: dict[str, VenueAccount] = {}
        gaps: list[Gap] = []
        for owner, read in asked:
            match await read:
                case Value(answer):
                    for subaccount in answer.subaccounts:
                        account = _Account(subaccount, owner, markets.value.markets if isinstance(markets, Value) else {}, as_of_ms)
                        found.update({one.account: one for one in account.made()})
                        remarks.extend(account.remarks)
                        if account.unpriced:
                            reason = "the market is not among the indexer's" if isinstance(markets, Value) else why(markets)
                            what = f"margin of {', '.join(account.unpriced)} in subaccount {subaccount.number} of {owner.name}"
                            gaps.append(self.gap(what, reason))
                case Absent():
                    pass  # the indexer has never seen this address
                case Unknown() as unknown:
                    gaps.append(self.gap(f"subaccounts of {owner.name}", str(unknown)))
        return Holdings(venue_accounts=tuple(found.values()), gaps=tuple(gaps), remarks=tuple(remarks))


VENUE = DydxV4


def _as_of(height: Outcome[Height], now_ms: int) -> tuple[int, list[Remark]]:
    """Time of the last block that the indexer knows, and what there is to say about it."""
    if not isinstance(height, Value) or height.value.time.tzinfo is None:
        reason = "a time without a zone" if isinstance(height, Value) else why(height)
        return now_ms, [Remark("venue-time-unknown", f"dydx-v4: taken as of now, as the indexer's block is not known ({reason})")]
    time_ms = int(height.value.time.timestamp() * 1000)
    if now_ms - time_ms > LAG_MS:
        return time_ms, [Remark("venue-stale", f"dydx-v4: the indexer is {(now_ms - time_ms) // 1000} seconds behind")]
    return time_ms, []


class _Account:
    """One subaccount."""

    def __init__(self, subaccount: Subaccount, owner: VenueOwner, markets: Mapping[str, Market], as_of_ms: int) -> None:
        self.subaccount, self.owner, self.as_of_ms = subaccount, owner, as_of_ms
        self.remarks: list[Remark] = []
        self.markets = {name: markets[name] for name in subaccount.perpetuals if name in markets}
        self.unpriced = sorted(name for name in subaccount.perpetuals if self.markets.get(name) is None or self._price(name) is None)
        """markets of open positions without terms or an oracle price"""

    def _price(self, name: str) -> Decimal | None:
        return self.markets[name].oracle_price if name in self.markets else None

    def made(self) -> list[VenueAccount]:
        """The account, or nothing where it holds nothing."""
        if not self.subaccount.perpetuals and not self.subaccount.equity and not any(one.size for one in self.subaccount.assets.values()):
            return []
        with localcontext(prec=DIGITS):
            return [self._made()]

    def _made(self) -> VenueAccount:
        subaccount = self.subaccount
        sizes = {name: _signed(one) for name, one in subaccount.perpetuals.items()}
        maintenance = None if self.unpriced else sum((self._maintenance(name, size) for name, size in sizes.items()), Decimal(0))
        holdings = tuple(self._holding(name, sizes[name], maintenance) for name in sorted(sizes))
        unrealised = sum((one.unrealized_profit for one in subaccount.perpetuals.values()), Decimal(0))
        others = tuple(
            VenueBalance(one.symbol, one.size if one.side == "LONG" else -one.size)
            for one in subaccount.assets.values()
            if one.symbol != USDC and one.size
        )
        self._compare(sizes)
        return VenueAccount(
            venue="dydx-v4",
            account=f"{subaccount.address}/{subaccount.number}",
            owner=self.owner.account,
            mode=MarginMode.ISOLATED if self._isolated else MarginMode.CROSS,
            # the profit of open positions stands in the holdings; with it this is the indexer's equity to the last digit
            balances=(VenueBalance(USDC, subaccount.equity - unrealised, price_usd=Decimal(1), collateral_weight=Decimal(1)), *others),
            holdings=holdings,
            as_of_ms=self.as_of_ms,
            figures=VenueFigures(
                equity=subaccount.equity,
                initial_margin=subaccount.equity - subaccount.free_collateral,
                maintenance_margin=maintenance,
                liquidatable=None if maintenance is None else liquidatable(subaccount.equity, maintenance),
            ),
            parameters=self._parameters(),
            collateral_symbol=USDC,
            label=f"subaccount {subaccount.number}",
        )

    @property
    def _isolated(self) -> bool:
        return self.subaccount.number >= CHILDREN_FROM or any(market.kind == "ISOLATED" for market in self.markets.values())

    def _maintenance(self, name: str, size: Decimal) -> Decimal:
        return abs(size) * (self._price(name) or Decimal(0)) * self.markets[name].maintenance_fraction

    def _holding(self, name: str, size: Decimal, maintenance: Decimal | None) -> Holding:
        position, price = self.subaccount.perpetuals[name], self._price(name)
        liquidation = None
        if maintenance is not None and price is not None:
            fraction = self.markets[name].maintenance_fraction
            liquidation = liquidation_price(size, price, fraction, self.subaccount.equity, maintenance)
        return Holding(
            Instrument(InstrumentKind.PERPETUAL, _underlying(name), venue="dydx-v4", symbol=name, settlement=USDC),
            size,
            mark_price=price,
            entry_price=position.entry_price,
            unrealised=position.unrealized_profit,
            liquidation_price=liquidation,
        )

    def _parameters(self) -> VenueParameters:
        values: dict[str, Decimal | int | bool | str] = {
            "subaccount.number": self.subaccount.number,
            "subaccount.parent": self.subaccount.number % CHILDREN_FROM,
            "subaccount.height": self.subaccount.height,
        }
        usdc = self.subaccount.assets.get(USDC)
        if usdc is not None:
            values["subaccount.usdc"] = usdc.size if usdc.side == "LONG" else -usdc.size
        for name, market in sorted(self.markets.items()):
            values[f"{name}.initial_margin_fraction"] = market.initial_fraction
            values[f"{name}.maintenance_margin_fraction"] = market.maintenance_fraction
            values[f"{name}.open_interest"] = market.open_interest
            if market.kind:
                values[f"{name}.market_type"] = market.kind
            if market.lower_cap is not None and market.upper_cap is not None:
                values[f"{name}.open_interest_lower_cap"] = market.lower_cap
                values[f"{name}.open_interest_upper_cap"] = market.upper_cap
            if market.oracle_price is not None:
                values[f"{name}.oracle_price"] = market.oracle_price
                if market.lower_cap is not None and market.upper_cap is not None:
                    notional = market.open_interest * market.oracle_price
                    scaled = initial_fraction(market.initial_fraction, notional, market.lower_cap, market.upper_cap)
                    values[f"{name}.scaled_initial_margin_fraction"] = scaled
        return VenueParameters(self.as_of_ms, "indexer /perpetualMarkets", values)

    def _compare(self, sizes: Mapping[str, Decimal]) -> None:
        """The equity again from its parts: what they should add up to but for the moment between two requests."""
        if self.unpriced:
            return
        usdc = self.subaccount.assets.get(USDC)
        cash = Decimal(0) if usdc is None else (usdc.size if usdc.side == "LONG" else -usdc.size)
        again = cash + sum((size * (self._price(name) or Decimal(0)) for name, size in sizes.items()), Decimal(0))
        if abs(again - self.subaccount.equity) > APART * max(abs(self.subaccount.equity), Decimal(1)):
            account = f"{self.subaccount.address}/{self.subaccount.number}"
            self.remarks.append(
                Remark(
                    "venue-recomputation-differs", f"dydx-v4: {account} states {self.subaccount.equity:f} of equity, its parts {again:f}"
                )
            )


def _signed(position: PerpetualPosition) -> Decimal:
    return abs(position.size) if position.side == "LONG" else -abs(position.size)


def _underlying(market: str) -> str:
    """`BTC` of `BTC-USD`, and of `WIF,RAYDIUM,…-USD` the `WIF`."""
    return market.rpartition("-")[0].partition(",")[0] or market
