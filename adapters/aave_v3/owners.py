"""One owner in one pool: bitmap, e-mode, the pool's own verdict, and the balance of every reserve's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.aave_v3 import surface
from adapters.aave_v3.market import Market, Reserve, ReserveReading
from adapters.aave_v3.maths import AccountData, EfficiencyMode, Generation
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.outcome import Absent, Outcome, Reason, Value
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Argument, Read, Word, why
from aggregator.reading.text import clean_text

_NOTHING = Value(0)


@dataclass(frozen=True, slots=True)
class Amounts:
    """One owner's balances in one reserve, raw units; None where not read."""

    reserve: Reserve
    supplied: int | None
    variable_debt: int | None
    stable_debt: int | None

    @property
    def is_empty(self) -> bool:
        """Nothing supplied and nothing owed, all of it read."""
        return self.supplied == self.variable_debt == self.stable_debt == 0

    @property
    def is_complete(self) -> bool:
        return None not in (self.supplied, self.variable_debt, self.stable_debt)

    @property
    def owed(self) -> int:
        """Debt as far as it was read."""
        return (self.variable_debt or 0) + (self.stable_debt or 0)


@dataclass(frozen=True, slots=True)
class Account:
    """One owner's account at the pinned block."""

    owner: Address
    configuration: int | None
    """two bits a reserve: borrowed, used as collateral"""
    view: AccountData | None
    view_failure: str
    mode: EfficiencyMode | None
    amounts: tuple[Amounts, ...]
    """of every reserve with anything in it or anything unread about it"""
    failures: tuple[tuple[str, str], ...]
    mode_is_known: bool = True

    def is_collateral(self, reserve_id: int) -> bool:
        return self.configuration is not None and self.configuration >> (2 * reserve_id + 1) & 1 == 1

    def is_borrowed(self, reserve_id: int) -> bool:
        return self.configuration is not None and self.configuration >> (2 * reserve_id) & 1 == 1


class ModeReading:
    """The reads of one e-mode category; `when` skips them all outside e-mode."""

    def __init__(self, scope: Scope, oracle: Word, category: Argument, when: Word | None = None) -> None:
        call, pool = scope.reads.call, scope.contract("pool")
        self.data = call(pool, surface.E_MODE_DATA, category, when=when)
        source = self.data.word(surface.E_MODE_PRICE_SOURCE_WORD)
        self.price = call(oracle, surface.ASSET_PRICE, source, when=source, gas=surface.PRICE_GAS)
        self.collateral = call(pool, surface.E_MODE_COLLATERAL, category, when=when)
        self.zero_ltv = call(pool, surface.E_MODE_ZERO_LTV, category, when=when)
        self.isolated = call(pool, surface.E_MODE_ISOLATED, category, when=when)

    async def resolve(self, category: int, generation: Generation, known: bool) -> EfficiencyMode | str:
        """The category, or why it could not be read. A generation that is only assumed may lack what is newest."""
        data, price = await self.data, await self.price
        bitmaps = [await self.collateral, await self.zero_ltv, await self.isolated]
        since = [Generation.V3_2, Generation.V3_6, Generation.V3_7]
        if not isinstance(data, Value):
            return why(data)
        loan_to_value, threshold, bonus, source, label = data.value
        own_price = 0
        if generation < Generation.V3_2 and source != ZERO_ADDRESS:
            if not isinstance(price, Value):
                return f"its price: {why(price)}"
            own_price = price.value
        values: list[int] = []
        for bitmap, first in zip(bitmaps, since, strict=True):
            needed = generation >= first and (known or first is Generation.V3_2)
            if needed and not isinstance(bitmap, Value):
                return why(bitmap)
            values.append(int(bitmap.value) if generation >= first and isinstance(bitmap, Value) else 0)
        collateral, zero_ltv, isolated = values
        return EfficiencyMode(category, loan_to_value, threshold, bonus, clean_text(label), own_price, collateral, zero_ltv, isolated != 0)


@dataclass(slots=True)
class BalanceReading:
    """Balances of one owner in one reserve; None for what its bitmap says is nothing."""

    supplied: Read[Any]
    variable_debt: Read[Any] | None
    stable_debt: Read[Any] | None


class OwnerReading:
    """The reads of one owner. Balances are read at once while few are asked for, else after the bitmap is known."""

    def __init__(self, scope: Scope, owner: Address, oracle: Word) -> None:
        call, pool = scope.reads.call, scope.contract("pool")
        self._scope = scope
        self.owner = owner
        self.configuration = call(pool, surface.USER_CONFIGURATION, owner)
        self.e_mode = call(pool, surface.USER_E_MODE, owner)
        self.view = call(pool, surface.USER_ACCOUNT, owner, gas=surface.ACCOUNT_GAS)
        self.mode: ModeReading | None = None
        self._oracle = oracle
        self._balances: list[BalanceReading] = []

    def read_everything(self, reserves: list[ReserveReading], with_stable_debt: bool) -> None:
        """All balances and the e-mode, before the bitmap is known."""
        category = self.e_mode.word(0)
        self.mode = ModeReading(self._scope, self._oracle, category, when=category)
        for reserve in reserves[len(self._balances) :]:
            stable = self._balance(reserve.stable_token) if with_stable_debt else None
            self._balances.append(BalanceReading(self._balance(reserve.supply_token), self._balance(reserve.variable_token), stable))

    def read_the_rest(self, reserves: list[ReserveReading], ids: list[int | None], configuration: int | None, stable: bool) -> None:
        """What is still to be read now that the bitmap is known: supplies of every reserve, debts of the borrowed ones.

        `ids` by position, None for reserves not seen before; without a bitmap every debt is read.
        """
        del self._balances[len(reserves) :]
        for balance, reserve in zip(self._balances, reserves, strict=False):
            if stable and balance.stable_debt is None:
                balance.stable_debt = self._balance(reserve.stable_token)
        for index in range(len(self._balances), len(reserves)):
            reserve, reserve_id = reserves[index], ids[index]
            borrowed = configuration is None or reserve_id is None or configuration >> 2 * reserve_id & 1 == 1
            self._balances.append(
                BalanceReading(
                    self._balance(reserve.supply_token),
                    self._balance(reserve.variable_token) if borrowed else None,
                    self._balance(reserve.stable_token) if borrowed and stable else None,
                )
            )

    def _balance(self, token: Address | Word) -> Read[Any]:
        return self._scope.reads.call(token, surface.BALANCE, self.owner)

    async def account(self, market: Market, addresses: tuple[Address, ...]) -> Account:
        """The account as far as it could be read."""
        configuration, category, view = await self.configuration, await self.e_mode, await self.view
        failures = [
            (what, why(outcome))
            for what, outcome in (("configuration", configuration), ("e-mode", category))
            if not isinstance(outcome, Value)
        ]
        mode: EfficiencyMode | None = None
        if isinstance(category, Value) and category.value != 0:
            resolved: EfficiencyMode | str = f"no e-mode has the number {category.value}"
            if self.mode is not None:
                resolved = await self.mode.resolve(category.value, market.generation, market.revision_known)
            if isinstance(resolved, str):
                failures.append((f"e-mode {category.value}", resolved))
            else:
                mode = resolved
        in_mode = not isinstance(category, Value) or category.value != 0
        amounts = []
        by_address = {reserve.facts.underlying: reserve for reserve in market.reserves}
        for address, balance in zip(addresses, self._balances, strict=True):
            if (reserve := by_address.get(address)) is not None:
                held = await self._amounts(reserve, balance, market.generation, failures)
                if not held.is_empty:
                    amounts.append(held)
        return Account(
            owner=self.owner,
            configuration=configuration.value if isinstance(configuration, Value) else None,
            view=AccountData(*view.value) if isinstance(view, Value) else None,
            view_failure="" if isinstance(view, Value) else why(view),
            mode=mode,
            amounts=tuple(amounts),
            failures=tuple(failures),
            mode_is_known=mode is not None or not in_mode,
        )

    async def _amounts(self, reserve: Reserve, balance: BalanceReading, generation: Generation, failures: list[tuple[str, str]]) -> Amounts:
        symbol = reserve.facts.symbol
        outcomes: list[tuple[str, Outcome[Any]]] = [
            (f"{symbol} supplied", await balance.supplied),
            (f"{symbol} debt", _NOTHING if balance.variable_debt is None else await balance.variable_debt),
        ]
        stable: Outcome[Any] = _NOTHING
        if balance.stable_debt is not None and generation < Generation.V3_2 and reserve.facts.stable_token != ZERO_ADDRESS:
            stable = await balance.stable_debt
            # many forks never deployed it for later reserves: no code, no debt
            stable = _NOTHING if isinstance(stable, Absent) and stable.reason is Reason.NO_CODE else stable
        outcomes.append((f"{symbol} stable debt", stable))
        failures += [(what, why(outcome)) for what, outcome in outcomes if not isinstance(outcome, Value)]
        supplied, variable, fixed = (outcome.value if isinstance(outcome, Value) else None for _, outcome in outcomes)
        return Amounts(reserve, supplied, variable, fixed)
