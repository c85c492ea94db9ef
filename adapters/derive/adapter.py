"""Subaccounts of a Derive wallet, or of their numbers: what they hold, what it is worth and what is left above the margin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal, localcontext
from typing import TypeVar

from adapters.derive.answers import Collateral, Position, Subaccount, decode_instruments, decode_subaccount, decode_wallet
from adapters.derive.instruments import CASH, instrument, option_currency
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, Address, parse_address
from aggregator.model.instrument import Greeks, Holding, MarginMode, VenueAccount, VenueBalance, VenueFigures, VenueParameters
from aggregator.model.outcome import Unknown, Value
from aggregator.model.snapshot import Gap, Remark
from aggregator.reading.adapter import Holdings
from aggregator.reading.reads import why
from aggregator.reading.venue import Json, VenueAdapter, VenueOwner, VenueRead, VenueReads, VenueRequest, VenueScope
from aggregator.reading.venue_answers import DIGITS

T = TypeVar("T")

APART = Decimal("1e-6")
"""of the larger side: more than rounding explains between figures of one answer"""
LONGEST_NUMBER = 18
_LABELS = {"SM": "standard margin", "PM": "portfolio margin", "PM2": "portfolio margin 2"}
PLAIN = Context(prec=28)
"""what quotients are rounded to, half even"""


class Derive(VenueAdapter):
    """See the module. Margin types: SM (standard), PM and PM2 (by scenarios). Every figure is the venue's own statement."""

    def names(self, text: str) -> AccountId | None:
        word = text.strip()
        if word.isascii() and word.isdigit() and len(word) <= LONGEST_NUMBER:
            return AccountId(self.manifest.chain, Address(str(int(word))))
        try:
            return AccountId(self.manifest.chain, parse_address(word))
        except InputError:
            return None

    async def read(self, scope: VenueScope) -> Holdings:
        gaps: list[Gap] = []
        owners = await self._numbers(scope, gaps)
        watched = {number: _public(scope.reads, "margin_watch", decode_subaccount, {"subaccount_id": number}) for number in owners}
        subaccounts: dict[int, Subaccount] = {}
        for number, read in watched.items():
            outcome = await read
            if isinstance(outcome, Value) and not outcome.value.failed:
                subaccounts[number] = outcome.value
            else:
                reason = "the venue could not load it" if isinstance(outcome, Value) else why(outcome)
                gaps.append(self.gap(f"subaccount {number} of {owners[number].name}", reason))
        expiries, remarks = await _expiries(scope.reads, (one for subaccount in subaccounts.values() for one in subaccount.positions))
        found: list[VenueAccount] = []
        for number, subaccount in subaccounts.items():
            account = _Account(subaccount, owners[number], expiries, scope.now_ms)
            found.extend(account.made())
            remarks.extend(account.remarks)
            gaps.extend(self.gap(f"{name} in subaccount {number}", "an instrument of no known form") for name in account.unknown)
        return Holdings(venue_accounts=tuple(found), gaps=tuple(gaps), remarks=tuple(remarks))

    async def _numbers(self, scope: VenueScope, gaps: list[Gap]) -> dict[int, VenueOwner]:
        """Subaccount numbers with whose they are, each once."""
        numbers = {int(owner.name): owner for owner in scope.owners if owner.name.isdigit()}
        wallets = [
            (owner, _public(scope.reads, "get_subaccounts", decode_wallet, {"wallet": owner.name}))
            for owner in scope.owners
            if not owner.name.isdigit()
        ]
        for owner, read in wallets:
            outcome = await read
            if isinstance(outcome, Value):
                numbers.update({number: numbers.get(number, owner) for number in outcome.value.subaccounts})
            elif isinstance(outcome, Unknown):
                gaps.append(self.gap(f"subaccounts of {owner.name}", str(outcome)))
        return numbers


VENUE = Derive


def _public(reads: VenueReads, method: str, decode: Callable[[bytes], T], body: Mapping[str, Json]) -> VenueRead[T]:
    return reads.ask(VenueRequest("POST", f"/public/{method}", body), decode)


async def _expiries(reads: VenueReads, positions: Iterable[Position]) -> tuple[dict[str, int], list[Remark]]:
    """Listed expiry of each option held, by name. Where a listing cannot be read the usual hour will stand, which is said."""
    held = {one.name for one in positions if one.kind == "option"}
    currencies = sorted({currency for currency in map(option_currency, held) if currency is not None})
    listings = [
        (
            currency,
            _public(reads, "get_instruments", decode_instruments, {"currency": currency, "instrument_type": "option", "expired": False}),
        )
        for currency in currencies
    ]
    expiries: dict[str, int] = {}
    remarks = []
    for currency, read in listings:
        outcome = await read
        if isinstance(outcome, Value):
            expiries.update({one.name: one.option.expiry for one in outcome.value if one.option is not None and one.name in held})
        else:
            detail = f"derive: {currency} options are taken to expire at 08:00 UTC, as their listing is not known ({why(outcome)})"
            remarks.append(Remark("venue-expiry-assumed", detail))
    return expiries, remarks


class _Account:
    """One subaccount."""

    def __init__(self, subaccount: Subaccount, owner: VenueOwner, expiries: Mapping[str, int], now_ms: int) -> None:
        self.subaccount, self.owner, self.now_ms = subaccount, owner, now_ms
        self.remarks: list[Remark] = []
        made = {one.name: instrument(one.name, expiries.get(one.name)) for one in subaccount.positions if one.kind != "erc20"}
        self.instruments = {name: one for name, one in made.items() if one is not None}
        self.unknown = sorted({one.name for one in subaccount.positions} - self.instruments.keys())
        """positions that are nothing known"""

    @property
    def as_of_ms(self) -> int:
        return self.now_ms if self.subaccount.valued_at is None else self.subaccount.valued_at * 1000

    def made(self) -> list[VenueAccount]:
        """The account, or nothing where it holds nothing."""
        subaccount = self.subaccount
        if not subaccount.positions and not subaccount.value and not any(one.amount for one in subaccount.collaterals):
            return []
        with localcontext(prec=DIGITS):
            return [self._made()]

    def _made(self) -> VenueAccount:
        subaccount = self.subaccount
        self._compare()
        return VenueAccount(
            venue="derive",
            account=str(subaccount.number),
            owner=self.owner.account,
            mode=MarginMode.CROSS if subaccount.margin_type == "SM" else MarginMode.PORTFOLIO,
            balances=tuple(_balance(one) for one in subaccount.collaterals if one.amount),
            holdings=tuple(self._holding(one) for one in subaccount.positions if one.name in self.instruments),
            as_of_ms=self.as_of_ms,
            figures=VenueFigures(
                equity=subaccount.value,
                # the venue states what is left above each requirement
                initial_margin=subaccount.value - subaccount.initial_margin,
                maintenance_margin=subaccount.value - subaccount.maintenance_margin,
                liquidatable=subaccount.under_liquidation or subaccount.maintenance_margin < 0,
            ),
            parameters=self._parameters(),
            collateral_symbol=CASH,
            label=_LABELS.get(subaccount.margin_type, subaccount.margin_type),
        )

    def _holding(self, position: Position) -> Holding:
        option = position.kind == "option"
        return Holding(
            self.instruments[position.name],
            position.amount,
            mark_price=position.mark_price,
            entry_price=position.average_price,
            # a perpetual's value is the profit since its last settlement, funding included; an option was paid for
            unrealised=None if option else position.mark_value,
            liquidation_price=position.liquidation_price,
            leverage=position.leverage,
            greeks=Greeks(position.delta, position.gamma, position.vega, position.theta) if option else None,
        )

    def _parameters(self) -> VenueParameters:
        subaccount = self.subaccount
        values: dict[str, Decimal | int | bool | str] = {
            "subaccount.margin_type": subaccount.margin_type,
            "subaccount.currency": ",".join(subaccount.currencies),
            "subaccount.is_delayed_liquidation": subaccount.delayed_liquidation,
        }
        optional = {
            "subaccount.manager_id": subaccount.manager,
            "subaccount.risk_universe_id": subaccount.universe,
            "subaccount.open_orders_margin": subaccount.open_orders_margin,
            "subaccount.mm_credits": subaccount.maintenance_credits,
        }
        values.update({name: value for name, value in optional.items() if value is not None})
        for collateral in subaccount.collaterals:
            if collateral.mark_value > 0:
                values[f"{collateral.asset}.maintenance_discount"] = PLAIN.divide(collateral.maintenance_margin, collateral.mark_value)
                values[f"{collateral.asset}.initial_discount"] = PLAIN.divide(collateral.initial_margin, collateral.mark_value)
        for position in subaccount.positions:
            values[f"{position.name}.index_price"] = position.index_price
            values[f"{position.name}.maintenance_margin"] = position.maintenance_margin
            values[f"{position.name}.initial_margin"] = position.initial_margin
            notional = abs(position.amount) * position.mark_price
            # by scenarios a position's margin is a share of the whole; by standard rules it is a fraction of its own notional
            if position.kind == "perp" and subaccount.margin_type == "SM" and notional:
                values[f"{position.name}.maintenance_fraction"] = PLAIN.divide(position.mark_value - position.maintenance_margin, notional)
                values[f"{position.name}.initial_fraction"] = PLAIN.divide(position.mark_value - position.initial_margin, notional)
        return VenueParameters(self.as_of_ms, "margin_watch: what was applied to this account", values)

    def _compare(self) -> None:
        """Value and margin again from their rows. Of scenarios the rows need not add up to the margin."""
        subaccount = self.subaccount
        if subaccount.delayed_liquidation:
            detail = f"derive: subaccount {subaccount.number} is judged by margins that are lowered for a time"
            self.remarks.append(Remark("venue-margin-lowered", detail))
        rows: list[tuple[str, Decimal, Decimal]] = [("value", subaccount.value, _sum(one.mark_value for one in self._rows()))]
        if subaccount.margin_type == "SM":
            credits = subaccount.maintenance_credits or Decimal(0)
            margin = _sum(one.maintenance_margin for one in self._rows()) + credits
            rows.append(("maintenance margin", subaccount.maintenance_margin, margin))
        for what, stated, again in rows:
            if abs(stated - again) > APART * max(abs(stated), abs(again)):
                detail = (
                    f"derive: subaccount {subaccount.number} states {PLAIN.plus(stated):f} of {what}, its rows make {PLAIN.plus(again):f}"
                )
                self.remarks.append(Remark("venue-recomputation-differs", detail))

    def _rows(self) -> tuple[Position | Collateral, ...]:
        return (*self.subaccount.positions, *self.subaccount.collaterals)


def _balance(collateral: Collateral) -> VenueBalance:
    weight = PLAIN.divide(collateral.maintenance_margin, collateral.mark_value) if collateral.mark_value else None
    return VenueBalance(collateral.asset, collateral.amount, price_usd=collateral.mark_price, collateral_weight=weight)


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, Decimal(0))
