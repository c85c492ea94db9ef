"""All accounts of a pool: logs for who holds what in scaled units, the market once for what that is worth now.

Rounds: cold four (the market; logs; e-modes and what has to be read after all; the head), warm two. Every token's scaled balances must
add up to its own `scaledTotalSupply` at the block; where they do not, its holders' balances are read, and where that does not help
either, what is missing is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from adapters.aave_v3 import portfolio, surface
from adapters.aave_v3.ledger import TOPICS, Ledger, TokenRole, balance
from adapters.aave_v3.market import USD, Market, MarketReading, Place, Reserve, Structure, structure_of
from adapters.aave_v3.maths import EfficiencyMode, Generation, effective_price, effective_terms
from adapters.aave_v3.owners import ModeReading
from aggregator.model.book import HALF_IF_MILD, HALF_IF_MILD_AT_ANY_SIZE, LiquidationRule
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.outcome import Value
from aggregator.model.units import BPS
from aggregator.reading.abi import Function, MalformedAnswer
from aggregator.reading.adapter import Adapter, Scope
from aggregator.reading.population import Population, PopulationLegs, PopulationMarket, PopulationReserve
from aggregator.reading.reads import Log, Read, why

NORMALIZED_INCOME = Function("getReserveNormalizedIncome(address)(uint256)")
NORMALIZED_DEBT = Function("getReserveNormalizedVariableDebt(address)(uint256)")
SCALED_TOTAL = Function("scaledTotalSupply()(uint256)")
SCALED_BALANCE = Function("scaledBalanceOf(address)(uint256)")

_LEDGER = "population"
_Debt: TypeAlias = tuple[Address, Address]
"""a stable debt: token and user"""


@dataclass(frozen=True, slots=True)
class Indices:
    """The reads of one reserve's indices at the block, and of what its tokens say is out in all."""

    income: Read[Any]
    debt: Read[Any]
    supplied: Read[Any]
    owed: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, asset: Place, supply_token: Place, variable_token: Place) -> Indices:
        call, pool = scope.reads.call, scope.contract("pool")
        return cls(
            call(pool, NORMALIZED_INCOME, asset),
            call(pool, NORMALIZED_DEBT, asset),
            call(supply_token, SCALED_TOTAL),
            call(variable_token, SCALED_TOTAL),
        )


@dataclass(slots=True)
class _Reading:
    """What the rounds have told so far."""

    scope: Scope
    market: Market
    indices: list[Indices]
    modes: dict[int, ModeReading]
    stable: dict[_Debt, Read[Any]]
    problems: list[tuple[str, str]] = field(default_factory=list)
    """what is not known of everybody's balances, and why"""
    read_again: int = 0


async def read_population(adapter: Adapter, scope: Scope, structure: Structure | None, fixed: Generation | None, slots: int) -> Population:
    """Everybody in the pool. `structure`: what is remembered of the market; `slots`: reserves to make room for in the first round."""
    ledger = scope.memory.recall(_LEDGER, Ledger)
    if ledger is not None and (structure is None or ledger.until > scope.block.number):
        ledger = None
    scope.memory.keep(_LEDGER, None)  # until all of it has been folded: half of a block's logs would be worse than none
    market_reading = MarketReading(scope, fixed, structure, len(structure.reserves) if structure else slots)
    indices = [Indices.ask(scope, one.asset, one.supply_token, one.variable_token) for one in market_reading.reserves]
    since = _first_block(scope) if ledger is None else ledger.until + 1
    early = _ask_logs(scope, structure, since) if structure is not None else None
    modes = {category: _ask_mode(scope, market_reading, category) for category in _categories(ledger)}
    stable = _ask_stable(scope, ledger) if ledger is not None else {}
    if not await market_reading.is_deployed():
        return Population()
    if (objection := await market_reading.objection()) is not None:
        return Population(unread=(adapter.gap(scope, *objection),))
    addresses = await market_reading.extend()
    indices += [Indices.ask(scope, one.asset, one.supply_token, one.variable_token) for one in market_reading.reserves[len(indices) :]]
    del indices[len(addresses) :]
    if structure is not None and not await market_reading.agrees(structure, addresses):
        return await read_population(adapter, scope, None, fixed, slots)
    market = await market_reading.market(addresses)
    seen = structure_of(market)
    if seen is None:
        failures = market.failures or (("reserves", f"revision {market.revision} is not known"),)
        return Population(unread=tuple(adapter.gap(scope, f"all accounts: {what}", reason) for what, reason in failures))
    scope.memory.keep("structure", seen)
    if structure is not None and len(seen.reserves) > len(structure.reserves):
        early, ledger, since = None, None, _first_block(scope)  # a new reserve's tokens were not listened to
    logs = await (early if early is not None else _ask_logs(scope, seen, since))
    if not isinstance(logs, Value):
        return Population(unread=(adapter.gap(scope, f"all accounts: logs since block {since}", why(logs)),))
    reading = _Reading(scope, market, indices, modes, stable)
    ledger = ledger if ledger is not None else Ledger(until=since - 1)
    try:
        ledger.fold(logs.value, market.pool, _roles(seen), market.generation)
    except MalformedAnswer as error:
        return Population(unread=(adapter.gap(scope, "all accounts", str(error)),))
    ledger.until = scope.block.number
    await _settle(reading, ledger, market_reading)
    scope.memory.keep(_LEDGER, ledger)
    return await _population(adapter, reading, ledger, logs.value)


async def _settle(reading: _Reading, ledger: Ledger, market_reading: MarketReading) -> None:
    """One more round for what the logs made necessary: e-modes and stable debts met for the first time, balances that do not add up."""
    for category in _categories(ledger) - set(reading.modes):
        reading.modes[category] = _ask_mode(reading.scope, market_reading, category)
    reading.stable |= _ask_stable(reading.scope, ledger, set(reading.stable))
    again: dict[Address, dict[Address, Read[Any]]] = {}
    totals: dict[Address, Any] = {}
    for reserve, indices in zip(reading.market.reserves, reading.indices, strict=True):
        for token, read in ((reserve.facts.supply_token, indices.supplied), (reserve.facts.variable_token, indices.owed)):
            totals[token] = await read
            if not _adds_up(ledger, token, totals[token]) or token in ledger.doubtful:
                holders = list(ledger.scaled.get(token, {}))
                again[token] = {user: reading.scope.reads.call(token, SCALED_BALANCE, user) for user in holders}
    names = {token: f"{reserve.facts.symbol} {role.value}" for reserve in reading.market.reserves for token, role in _tokens(reserve)}
    for token, balances in again.items():
        reading.read_again += len(balances)
        for user, read in balances.items():
            outcome = await read
            if isinstance(outcome, Value):
                ledger.scaled[token][user] = outcome.value
            else:
                reading.problems.append((f"{names[token]} of {user}", why(outcome)))
        if _adds_up(ledger, token, totals[token]):
            ledger.doubtful.discard(token)
        else:
            total = totals[token]
            reason = "the accounts that logs name do not add up to the token's own total" if isinstance(total, Value) else why(total)
            reading.problems.append((f"{names[token]} of all accounts", reason))


def _adds_up(ledger: Ledger, token: Address, total: Any) -> bool:
    return isinstance(total, Value) and sum(ledger.scaled.get(token, {}).values()) == total.value


async def _population(adapter: Adapter, reading: _Reading, ledger: Ledger, logs: Iterable[Log]) -> Population:
    scope, market = reading.scope, reading.market
    gaps = [adapter.gap(scope, what, reason) for what, reason in market.failures]
    modes: dict[int, EfficiencyMode | None] = {}
    for category, read in reading.modes.items():
        resolved = await read.resolve(category, market.generation, market.revision_known)
        modes[category] = None if isinstance(resolved, str) else resolved
        if isinstance(resolved, str):
            gaps.append(adapter.gap(scope, f"e-mode {category}", resolved))
    columns = _Columns(market, ledger, modes)
    for reserve, indices in zip(market.reserves, reading.indices, strict=True):
        income, debt = await indices.income, await indices.debt
        await _fill(columns, reading, reserve, income, debt)
        if reserve.price is None:
            gaps.append(adapter.gap(scope, f"oracle price of {reserve.facts.symbol}", reserve.price_failure))
        gaps += [
            adapter.gap(scope, f"{name} index of {reserve.facts.symbol}", why(outcome))
            for name, outcome in (("income", income), ("debt", debt))
            if not isinstance(outcome, Value)
        ]
    return Population(
        markets=(columns.market(scope.deployment.market),),
        unread=tuple(adapter.gap(scope, what, reason) for what, reason in reading.problems),
        gaps=tuple(gaps),
        tokens=tuple(portfolio.unlisted(scope, market)),
        quotes=tuple(portfolio.quotes(adapter.slug, market)),
        facts={"logs": sum(1 for _ in logs), "balances read": reading.read_again + len(reading.stable)},
    )


async def _fill(columns: _Columns, reading: _Reading, reserve: Reserve, income: Any, debt: Any) -> None:
    facts, generation = reserve.facts, reading.market.generation
    for user, scaled in columns.ledger.scaled.get(facts.supply_token, {}).items():
        amount = balance(scaled, income.value, TokenRole.SUPPLY, generation) if isinstance(income, Value) else None
        columns.supply(user, reserve, amount)
    owed: dict[Address, int | None] = {
        user: balance(scaled, debt.value, TokenRole.VARIABLE, generation) if isinstance(debt, Value) else None
        for user, scaled in columns.ledger.scaled.get(facts.variable_token, {}).items()
    }
    for (token, user), read in reading.stable.items():
        if token == facts.stable_token:
            outcome = await read
            before = owed.get(user, 0)
            known = before is not None and isinstance(outcome, Value)
            owed[user] = before + outcome.value if known and before is not None and isinstance(outcome, Value) else None
    for user, amount in owed.items():
        if amount != 0:
            columns.owe(user, reserve, amount)


class _Columns:
    """Columns under construction: an account a user, a reserve column a set of terms."""

    def __init__(self, market: Market, ledger: Ledger, modes: Mapping[int, EfficiencyMode | None]) -> None:
        self.ledger = ledger
        self._market, self._modes = market, modes
        self._users: dict[Address, int] = {}
        self._reserves: dict[PopulationReserve, int] = {}
        self._places: dict[tuple[Address, bool | None, int], int] = {}
        self._collateral, self._debt = PopulationLegs(), PopulationLegs()

    def supply(self, user: Address, reserve: Reserve, amount: int | None) -> None:
        used = user in self.ledger.collateral.get(reserve.facts.underlying, ())
        self._collateral.add(self._account(user), self._column(reserve, used, self.ledger.e_modes.get(user, 0)), amount)

    def owe(self, user: Address, reserve: Reserve, amount: int | None) -> None:
        self._debt.add(self._account(user), self._column(reserve, None, self.ledger.e_modes.get(user, 0)), amount)

    def _account(self, user: Address) -> int:
        return self._users.setdefault(user, len(self._users))

    def _column(self, reserve: Reserve, used: bool | None, category: int) -> int:
        """The reserve's column on these terms; `used` as collateral, None for a debt."""
        key = (reserve.facts.underlying, used, category)
        if key not in self._places:
            made = self._on_terms(reserve, used, category)
            self._places[key] = self._reserves.setdefault(made, len(self._reserves))
        return self._places[key]

    def _on_terms(self, reserve: Reserve, used: bool | None, category: int) -> PopulationReserve:
        market, mode = self._market, self._modes.get(category) if category else None
        price = None if reserve.price is None else effective_price(market.generation, reserve.configuration, reserve.price, mode)
        threshold = bonus = Decimal(0)
        if used:
            # an e-mode that could not be read counts as none: its terms are never stricter than the reserve's own
            terms = effective_terms(market.generation, reserve.facts.reserve_id, reserve.configuration, mode)
            threshold = portfolio.fraction(terms.liquidation_threshold)
            bonus = portfolio.fraction(max(terms.liquidation_bonus - BPS, 0))
        return PopulationReserve(
            reserve.asset,
            reserve.facts.symbol,
            reserve.decimals,
            None if price is None else portfolio.in_numeraire(market, price),
            threshold,
            bonus,
            closed=reserve.configuration.paused or not reserve.configuration.active,
        )

    def market(self, label: str) -> PopulationMarket:
        return PopulationMarket(
            self._market.pool,
            label,
            self._market.numeraire or USD,
            rule_of(self._market.generation),
            tuple(self._users),
            tuple(self._reserves),
            self._collateral,
            self._debt,
        )


def rule_of(generation: Generation) -> LiquidationRule:
    """How much one liquidation may repay in this generation."""
    return HALF_IF_MILD if generation >= Generation.V3_3 else HALF_IF_MILD_AT_ANY_SIZE


def _first_block(scope: Scope) -> int:
    """Where log searches begin; a chain that is shorter than the deployment is old is another network with the same contracts."""
    deployed = scope.deployment.deployed_at or 0
    return deployed if deployed <= scope.block.number else 0


def _ask_logs(scope: Scope, structure: Structure, since: int) -> Read[tuple[Log, ...]]:
    return scope.reads.logs((scope.contract("pool"), *_roles(structure)), [TOPICS], since)


def _ask_mode(scope: Scope, reading: MarketReading, category: int) -> ModeReading:
    return ModeReading(scope, reading.oracle.word(0), category)


def _ask_stable(scope: Scope, ledger: Ledger, known: Set[_Debt] = frozenset()) -> dict[_Debt, Read[Any]]:
    debts = {(token, user) for token, users in ledger.stable.items() for user in users} - known
    return {(token, user): scope.reads.call(token, surface.BALANCE, user) for token, user in sorted(debts)}


def _categories(ledger: Ledger | None) -> set[int]:
    return set(ledger.e_modes.values()) if ledger is not None else set()


def _roles(structure: Structure) -> dict[Address, TokenRole]:
    roles: dict[Address, TokenRole] = {}
    for facts in structure.reserves:
        roles[facts.supply_token], roles[facts.variable_token] = TokenRole.SUPPLY, TokenRole.VARIABLE
        if facts.stable_token != ZERO_ADDRESS and structure.generation < Generation.V3_2:
            roles[facts.stable_token] = TokenRole.STABLE
    return roles


def _tokens(reserve: Reserve) -> tuple[tuple[Address, TokenRole], ...]:
    return (reserve.facts.supply_token, TokenRole.SUPPLY), (reserve.facts.variable_token, TokenRole.VARIABLE)
