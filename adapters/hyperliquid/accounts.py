"""From an address's states to its margin accounts, so that no dollar stands twice.

Standard: a cross pool on each dex, an account for each isolated position, and the spot balances; all apart.
Unified: the spot balance of a dex's collateral token *is* the pool behind the cross positions of every dex with that collateral, marked to
market, isolated margins included. The dexes' own states are then only where positions are listed.
Portfolio margin: one pool of all spot balances, each counting at its loan-to-value, behind the cross positions of all dexes.

In each of them the cash of a pool is what remains after isolated margins and the unrealised profit of its positions, so that
cash + Σ unrealised profit over all accounts is what the venue states, whatever the mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from adapters.hyperliquid.answers import ClearinghouseState, Position, SpotBalance, SpotState
from adapters.hyperliquid.checks import APART, APART_BETWEEN, Checks, split, total
from adapters.hyperliquid.market import USDC, Market, perpetual
from adapters.hyperliquid.maths import LIQUIDATED_ABOVE, PLAIN
from aggregator.model.identifiers import AccountId
from aggregator.model.instrument import Holding, MarginMode, VenueAccount, VenueBalance, VenueFigures, VenueParameters
from aggregator.model.snapshot import Remark

SOURCE = "info: clearinghouseState, spotClearinghouseState, allPerpMetas"
Values = dict[str, Decimal | int | bool | str]


class Keeping(StrEnum):
    """How an account keeps its balances."""

    STANDARD = "standard"
    UNIFIED = "unified"
    PORTFOLIO = "portfolio-margin"

    @property
    def pooled(self) -> bool:
        return self is not Keeping.STANDARD


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one address. `states` by dex; `spot` is None where it could not be read, which a gap names."""

    address: str
    owner: AccountId
    keeping: Keeping
    states: Mapping[str, ClearinghouseState]
    spot: SpotState | None
    now_ms: int
    more: Mapping[str, Decimal | int | bool | str] = field(default_factory=dict)
    """parameters of the address as a whole"""


def accounts_of(standing: Standing, market: Market) -> tuple[list[VenueAccount], list[Remark]]:
    """Every margin account of one address, and what does not agree in it. Runs in a decimal context wide enough to be exact."""
    builder = _Builder(standing, market)
    if standing.keeping is Keeping.STANDARD:
        builder.standard()
    elif standing.keeping is Keeping.UNIFIED:
        builder.unified()
    else:
        builder.portfolio()
    return builder.accounts, builder.checks.remarks


class _Builder:
    def __init__(self, standing: Standing, market: Market) -> None:
        self.standing, self.market = standing, market
        self.accounts: list[VenueAccount] = []
        self.checks = Checks(standing.address, market)
        times = [state.time for state in standing.states.values() if state.time is not None]
        self.as_of_ms = min(times, default=standing.now_ms)
        self.rows = {} if standing.spot is None else {row.token: row for row in standing.spot.balances if row.token is not None}
        self.available = dict((standing.spot and standing.spot.available) or ())

    # -- the three ways of keeping ---------------------------------------------------------------------------------------------------

    def standard(self) -> None:
        for dex, state in self.standing.states.items():
            cross, isolated = split([state])
            summary = state.cross
            self.checks.state(dex, state)
            if cross or summary.account_value:
                self._pool(
                    self._name(dex),
                    self._collateral(dex),
                    cross,
                    [self._cash(self._collateral(dex), summary.account_value - _profit(cross), state.withdrawable)],
                    value=summary.account_value,
                    initial=summary.margin_used,
                    maintenance=state.maintenance,
                    label=f"perpetuals on {dex}" if dex else "perpetuals",
                )
            self._isolated(self._collateral(dex), isolated)
        if self.standing.spot is not None:
            self._spot(self.standing.spot.balances)

    def unified(self) -> None:
        by_token = self._by_token()
        pools = {token for token, states in by_token.items() if token == USDC or any(state.positions for state in states)}
        for token in sorted(pools):
            states = by_token[token]
            cross, isolated = split(states)
            value, cash = self._pooled_cash(token, cross, isolated)
            if cross or value:
                self._pool(
                    self._name("" if token == USDC else self.market.symbol(token)),
                    token,
                    cross,
                    cash,
                    value=value,
                    initial=total(state.cross.margin_used for state in states),
                    maintenance=_total_or_none(state.maintenance for state in states),
                    label=f"unified {self.market.symbol(token)}",
                    available=self.available.get(token),
                )
            self._isolated(token, isolated)
        if self.standing.spot is not None:
            self._spot([row for row in self.standing.spot.balances if row.token not in pools])

    def portfolio(self) -> None:
        by_token = self._by_token()
        everything, cash = [], []
        dollars: Decimal | None = None
        for token, states in by_token.items():
            cross, isolated = split(states)
            value, balances = self._pooled_cash(token, cross, isolated)
            everything += cross
            cash += balances if token == USDC or cross or value else []
            dollars = value if token == USDC else dollars
            self._isolated(token, isolated)
        others = [row for row in (self.standing.spot.balances if self.standing.spot else ()) if row.token not in by_token and row.total]
        if not everything and not others and not any(balance.amount for balance in cash):
            return
        ratio = None if self.standing.spot is None else self.standing.spot.portfolio_ratio
        maintenance = self._summed({token: [state.maintenance for state in states] for token, states in by_token.items()})
        figures = VenueFigures(
            initial_margin=self._summed({token: [state.cross.margin_used for state in states] for token, states in by_token.items()}),
            maintenance_margin=maintenance,
            margin_ratio=ratio,
            liquidatable=None if ratio is None else ratio > LIQUIDATED_ABOVE,
        )
        terms = {key: value for row in self.rows.values() for key, value in _terms(row).items()}
        balances = [*cash, *(self._balance(row, row.ltv if row.ltv is not None else Decimal(0)) for row in others)]
        self._add(self._name(""), USDC, MarginMode.PORTFOLIO, balances, everything, figures, "portfolio margin", terms)
        if all(token == USDC or not any(state.positions for state in states) for token, states in by_token.items()):
            self.checks.ratio(dollars, maintenance, ratio, self.rows)
            self.checks.liquidations(everything, self.available.get(USDC), APART_BETWEEN)

    def _by_token(self) -> dict[int, list[ClearinghouseState]]:
        """States by their dex's collateral; dollars are always there and first."""
        by_token: dict[int, list[ClearinghouseState]] = {USDC: []}
        for dex, state in self.standing.states.items():
            by_token.setdefault(self._collateral(dex), []).append(state)
        return by_token

    def _summed(self, amounts: Mapping[int, Sequence[Decimal | None]]) -> Decimal | None:
        """In USD; None where an amount or the price of one that is not zero is not known."""
        parts = [Decimal(0) if amount == 0 else self._usd(amount, token) for token, several in amounts.items() for amount in several]
        return _total_or_none(parts)

    # -- their parts -------------------------------------------------------------------------------------------------------------------

    def _name(self, part: str) -> str:
        return f"{self.standing.address}/{part}" if part else self.standing.address

    def _collateral(self, dex: str) -> int:
        return self.market.collateral.get(dex, USDC)

    def _pooled_cash(
        self, token: int, cross: Sequence[Position], isolated: Sequence[Position]
    ) -> tuple[Decimal | None, list[VenueBalance]]:
        """Value of a pool without isolated margins, and its cash; nothing of either where the spot state is not known."""
        if self.standing.spot is None:
            return None, []
        row = self.rows.get(token)
        value = (Decimal(0) if row is None else row.total) - total(one.margin for one in isolated)
        return value, [self._cash(token, value - _profit(cross), self.available.get(token))]

    def _cash(self, token: int, amount: Decimal, withdrawable: Decimal | None) -> VenueBalance:
        price = self.market.price(token)
        return VenueBalance(self.market.symbol(token), amount, price, self.market.assets.get(token), Decimal(1), withdrawable)

    def _balance(self, row: SpotBalance, weight: Decimal) -> VenueBalance:
        token = -1 if row.token is None else row.token
        free = self.available.get(token, row.total - max(row.hold, Decimal(0)))
        return VenueBalance(row.coin, row.total, self.market.price(token), self.market.assets.get(token), weight, free)

    def _pool(
        self,
        account: str,
        token: int,
        cross: Sequence[Position],
        cash: Sequence[VenueBalance],
        *,
        value: Decimal | None,
        initial: Decimal,
        maintenance: Decimal | None,
        label: str,
        available: Decimal | None = None,
    ) -> None:
        figures = VenueFigures(
            equity=self._usd(value, token),
            initial_margin=self._usd(initial, token),
            maintenance_margin=self._usd(maintenance, token),
            margin_ratio=PLAIN.divide(maintenance, value) if value is not None and maintenance is not None and value > 0 else None,
            liquidatable=None if value is None or maintenance is None else value < maintenance,
        )
        self._add(account, token, MarginMode.CROSS, cash, cross, figures, label)
        pooled = self.standing.keeping.pooled
        own = value - maintenance if value is not None and maintenance is not None else None
        self.checks.liquidations(cross, available if pooled else own, APART_BETWEEN if pooled else APART)

    def _isolated(self, token: int, positions: Iterable[Position]) -> None:
        for one in positions:
            table = self.market.table(one.coin, one.max_leverage)
            maintenance = None if table is None else table.maintenance(one.value)
            figures = VenueFigures(
                equity=self._usd(one.margin, token),
                initial_margin=self._usd(PLAIN.divide(one.value, Decimal(max(one.leverage.value, 1))), token),
                maintenance_margin=self._usd(maintenance, token),
                margin_ratio=PLAIN.divide(maintenance, one.margin) if maintenance is not None and one.margin > 0 else None,
                liquidatable=None if maintenance is None else one.margin < maintenance,
            )
            name, label = self._name(f"isolated/{one.coin}"), f"isolated {one.coin}"
            self._add(name, token, MarginMode.ISOLATED, [self._cash(token, one.margin - one.unrealised, None)], [one], figures, label)
            self.checks.liquidations([one], None if maintenance is None else one.margin - maintenance, APART)

    def _spot(self, rows: Iterable[SpotBalance]) -> None:
        held = [row for row in rows if row.total]
        if held:
            terms = {key: value for row in held for key, value in _terms(row).items()}
            balances = [self._balance(row, Decimal(0)) for row in held]
            self._add(self._name("spot"), USDC, MarginMode.CROSS, balances, (), VenueFigures(), "spot", terms)

    def _add(
        self,
        account: str,
        token: int,
        mode: MarginMode,
        balances: Sequence[VenueBalance],
        positions: Sequence[Position],
        figures: VenueFigures,
        label: str,
        terms: Mapping[str, Decimal | int | bool | str] | None = None,
    ) -> None:
        symbol = self.market.symbol(token)
        self.accounts.append(
            VenueAccount(
                venue="hyperliquid",
                account=account,
                owner=self.standing.owner,
                mode=mode,
                balances=tuple(balances),
                holdings=tuple(_holding(one, symbol) for one in positions),
                as_of_ms=self.as_of_ms,
                figures=figures,
                parameters=VenueParameters(self.as_of_ms, SOURCE, {**self.standing.more, **(terms or {}), **self._tables(positions)}),
                collateral_symbol=symbol,
                label=label,
            )
        )

    def _usd(self, amount: Decimal | None, token: int) -> Decimal | None:
        price = self.market.price(token)
        return None if amount is None or price is None else amount * price

    def _tables(self, positions: Iterable[Position]) -> Values:
        """What margins these positions: the tier's leverage, the one chosen, and every tier."""
        values: Values = {}
        for one in positions:
            values[f"{one.coin}.leverage"] = one.leverage.value
            values[f"{one.coin}.margin_mode"] = one.leverage.kind
            if one.max_leverage is not None:
                values[f"{one.coin}.max_leverage"] = one.max_leverage
            table = self.market.table(one.coin, one.max_leverage)
            for number, (bound, leverage) in enumerate(table.tiers if table is not None else ()):
                values[f"{one.coin}.tier.{number}.lower_bound"] = bound
                values[f"{one.coin}.tier.{number}.max_leverage"] = leverage
        return values


def _holding(position: Position, settlement: str) -> Holding:
    instrument, powers = perpetual(position.coin, settlement)

    def of_one(price: Decimal | None) -> Decimal | None:
        return None if price is None else price.scaleb(-powers)

    return Holding(
        instrument,
        position.size,
        mark_price=of_one(PLAIN.divide(position.value, abs(position.size))) if position.size else None,
        entry_price=of_one(position.entry_price),
        unrealised=position.unrealised,
        liquidation_price=of_one(position.liquidation_price),
        margin=position.margin if position.leverage.kind == "isolated" else None,
        leverage=Decimal(position.leverage.value),
    )


def _terms(row: SpotBalance) -> Values:
    """What a balance's row says beyond its amount."""
    stated = {"hold": row.hold, "ltv": row.ltv, "borrowed": row.borrowed, "supplied": row.supplied}
    return {f"{row.coin}.{name}": value for name, value in stated.items() if value is not None and (value or name == "ltv")}


def _profit(positions: Iterable[Position]) -> Decimal:
    return total(one.unrealised for one in positions)


def _total_or_none(values: Iterable[Decimal | None]) -> Decimal | None:
    known = list(values)
    return None if any(value is None for value in known) else total(value for value in known if value is not None)
