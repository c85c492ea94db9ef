"""One pool at one block: its reserves, their configuration, prices and liquidity, and who may be liquidated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from adapters.aave_v3 import surface
from adapters.aave_v3.maths import REVISIONS, Generation, ReserveConfiguration
from aggregator.model.identifiers import ZERO_ADDRESS, Address, AssetId, erc20
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, Word, why
from aggregator.reading.text import clean_text

Place: TypeAlias = Address | Word
USD = "USD"


@dataclass(frozen=True, slots=True)
class ReserveFacts:
    """What of a reserve outlives a snapshot; every round checks it again."""

    underlying: Address
    reserve_id: int
    supply_token: Address
    stable_token: Address
    variable_token: Address
    symbol: str


@dataclass(frozen=True, slots=True)
class Structure:
    """What of a market outlives a snapshot."""

    generation: Generation
    reserves: tuple[ReserveFacts, ...]


@dataclass(frozen=True, slots=True)
class Reserve:
    """One reserve at the pinned block. `price` of one whole token in base units, `liquidity` in raw units; None where not read."""

    facts: ReserveFacts
    asset: AssetId
    configuration: ReserveConfiguration
    price: int | None
    price_failure: str
    source: Address | None
    liquidity: int | None
    grace_until: int
    """seconds since the epoch up to which the reserve takes part in no liquidation"""
    supply_rate: int
    variable_rate: int
    """interest a year at this block, rays"""

    @property
    def decimals(self) -> int:
        return self.configuration.decimals


@dataclass(frozen=True, slots=True)
class Market:
    """One pool at the pinned block."""

    pool: Address
    generation: Generation
    revision_known: bool
    """False where the pool says a revision that nobody described: `generation` is then the newest known, for decoding only"""
    revision: str
    oracle: Address | None
    numeraire: str | None
    unit: int | None
    """base units per whole unit of the numeraire"""
    liquidation_allowed: bool | None
    """what the sequencer's sentinel says; True where there is none, None where it did not answer"""
    reserves: tuple[Reserve, ...]
    is_complete: bool
    """whether every listed reserve could be read"""
    failures: tuple[tuple[str, str], ...]
    """what could not be read of the market as a whole, and why"""


class ReserveReading:
    """The reads of one reserve. Its tokens are known addresses, or words of its own data when it is met for the first time."""

    def __init__(self, scope: Scope, oracle: Word, asset: Place, facts: ReserveFacts | None, generation: Generation | None) -> None:
        call, pool = scope.reads.call, scope.contract("pool")
        self.asset = asset
        self.facts = facts
        self.data = call(pool, surface.RESERVE_DATA, asset)
        self.supply_token: Place = facts.supply_token if facts else self._token(surface.SUPPLY_TOKEN_WORD)
        self.variable_token: Place = facts.variable_token if facts else self._token(surface.VARIABLE_TOKEN_WORD)
        self.stable_token: Place = facts.stable_token if facts else self._token(surface.STABLE_TOKEN_WORD)
        self.price = call(oracle, surface.ASSET_PRICE, asset, gas=surface.PRICE_GAS)
        self.source = call(oracle, surface.ASSET_SOURCE, asset)
        self.symbol = None if facts else call(asset, surface.SYMBOL, limit=512)
        old = generation is not None and generation < Generation.V3_1
        self.liquidity = call(asset, surface.BALANCE, self.supply_token) if old else call(pool, surface.VIRTUAL_BALANCE, asset)
        self.grace = None if old else call(pool, surface.GRACE_PERIOD, asset)

    def _token(self, index: int) -> Word:
        return self.data.word(index)


class MarketReading:
    """The reads of one pool, all made before any is known."""

    def __init__(self, scope: Scope, fixed: Generation | None, structure: Structure | None, slots: int) -> None:
        call = scope.reads.call
        provider, pool = scope.contract("pool_addresses_provider"), scope.contract("pool")
        self.scope = scope
        self.fixed = fixed
        self.expected = fixed if fixed is not None else structure.generation if structure else None
        self.named_pool = call(provider, surface.GET_POOL)
        self.oracle = call(provider, surface.GET_PRICE_ORACLE)
        self.sentinel = call(provider, surface.GET_SENTINEL)
        self.allowed = call(self.sentinel.word(0), surface.LIQUIDATION_ALLOWED, when=self.sentinel.word(0))
        self.revision = call(pool, surface.POOL_REVISION)
        self.list = call(pool, surface.RESERVES_LIST, gas=surface.LIST_GAS)
        self.base_currency = call(self.oracle.word(0), surface.BASE_CURRENCY)
        self.base_unit = call(self.oracle.word(0), surface.BASE_UNIT)
        known = structure.reserves if structure else ()
        self.reserves = [self._reserve(facts.underlying, facts) for facts in known]
        self.reserves += [self._reserve(self.list.word(surface.LIST_WORD + index), None) for index in range(len(known), slots)]

    def _reserve(self, asset: Place, facts: ReserveFacts | None) -> ReserveReading:
        return ReserveReading(self.scope, self.oracle.word(0), asset, facts, self.expected)

    async def is_deployed(self) -> bool:
        """False where neither the provider nor the pool has code in this block."""
        return not (isinstance(await self.named_pool, Absent) and isinstance(await self.list, Absent))

    async def objection(self) -> tuple[str, str] | None:
        """What speaks against reading this pool at all, and why; None where all is well."""
        named, listed, pool = await self.named_pool, await self.list, self.scope.contract("pool")
        if isinstance(named, Value) and named.value != pool:
            return "pool", f"its provider names {named.value} instead of {pool}"
        if isinstance(named, Absent):
            return "pool", "nothing is deployed at its provider"
        return None if isinstance(listed, Value) else ("list of reserves", why(listed))

    async def extend(self) -> tuple[Address, ...]:
        """The listed reserves; reads of those beyond the expected number are added, those of too many expected are dropped."""
        listed = await self.list
        assert isinstance(listed, Value)
        addresses = tuple(Address(address) for address in listed.value)
        self.reserves += [self._reserve(address, None) for address in addresses[len(self.reserves) :]]
        del self.reserves[len(addresses) :]
        return addresses

    async def agrees(self, structure: Structure, addresses: tuple[Address, ...]) -> bool:
        """Whether what was remembered still holds; where a reserve could not be read nothing speaks against it."""
        if addresses[: len(structure.reserves)] != tuple(facts.underlying for facts in structure.reserves):
            return False
        for reading, facts in zip(self.reserves, structure.reserves, strict=False):
            data = await reading.data
            if isinstance(data, Value) and _tokens(data.value) != (
                facts.reserve_id,
                facts.supply_token,
                facts.stable_token,
                facts.variable_token,
            ):
                return False
        return (await self.generation())[0] == structure.generation

    async def generation(self) -> tuple[Generation, bool, str]:
        """Generation, whether it is known or only the newest that is, and what the pool calls its revision.

        A pool that does not say its revision this once is taken to be what it was; the recomputed health would show if it were not.
        """
        revision = await self.revision
        text = str(revision.value) if isinstance(revision, Value) else f"unreadable, {why(revision)}"
        known = self.fixed
        if known is None:
            known = REVISIONS.get(revision.value) if isinstance(revision, Value) else self.expected
        return (known, True, text) if known is not None else (max(Generation), False, text)

    async def market(self, addresses: tuple[Address, ...]) -> Market:
        """Everything of the market; what could not be read is None and stands in `failures` where it concerns every account."""
        generation, known, revision = await self.generation()
        failures: list[tuple[str, str]] = []
        named, oracle = await self.named_pool, await self.oracle
        if isinstance(named, Unknown):
            failures.append(("pool", f"not confirmed by its provider: {why(named)}"))
        if not isinstance(oracle, Value):
            failures.append(("price oracle", why(oracle)))
        numeraire, unit = await self._numeraire(failures)
        reserves = []
        for reading, address in zip(self.reserves, addresses, strict=True):
            reserve = await self._resolve(reading, address, failures)
            if reserve is not None:
                reserves.append(reserve)
        return Market(
            pool=self.scope.contract("pool"),
            generation=generation,
            revision_known=known,
            revision=revision,
            oracle=oracle.value if isinstance(oracle, Value) else None,
            numeraire=numeraire,
            unit=unit,
            liquidation_allowed=await self._allowed(generation),
            reserves=tuple(reserves),
            is_complete=len(reserves) == len(addresses),
            failures=tuple(failures),
        )

    async def _numeraire(self, failures: list[tuple[str, str]]) -> tuple[str | None, int | None]:
        currency, unit = await self.base_currency, await self.base_unit
        if isinstance(currency, Value) and isinstance(unit, Value) and unit.value > 0:
            named = currency.value
            return USD if named == ZERO_ADDRESS else erc20(self.scope.chain, named), unit.value
        failures.append(("base currency of the oracle", why(unit if not isinstance(unit, Value) else currency)))
        return None, None

    async def _allowed(self, generation: Generation) -> bool | None:
        """A provider without the getter, or without a sentinel, lets every liquidation through; so does 3.7, which no longer asks."""
        sentinel, allowed = await self.sentinel, await self.allowed
        if generation >= Generation.V3_7 or isinstance(sentinel, Absent):
            return True
        if isinstance(sentinel, Value) and sentinel.value == ZERO_ADDRESS:
            return True
        return allowed.value if isinstance(allowed, Value) else None

    async def _resolve(self, reading: ReserveReading, address: Address, failures: list[tuple[str, str]]) -> Reserve | None:
        data = await reading.data
        if not isinstance(data, Value):
            failures.append((f"reserve {address}", why(data)))
            return None
        price, source, liquidity = await reading.price, await reading.source, await reading.liquidity
        reserve_id, supply_token, stable_token, variable_token = _tokens(data.value)
        return Reserve(
            facts=ReserveFacts(address, reserve_id, supply_token, stable_token, variable_token, await self._symbol(reading, address)),
            asset=erc20(self.scope.chain, address),
            configuration=ReserveConfiguration.decode(data.value[surface.CONFIGURATION_WORD]),
            price=price.value if isinstance(price, Value) else None,
            price_failure="" if isinstance(price, Value) else why(price),
            source=source.value if isinstance(source, Value) and source.value != ZERO_ADDRESS else None,
            liquidity=liquidity.value if isinstance(liquidity, Value) else None,
            grace_until=await _grace(reading.grace),
            supply_rate=data.value[surface.SUPPLY_RATE_WORD],
            variable_rate=data.value[surface.VARIABLE_RATE_WORD],
        )

    async def _symbol(self, reading: ReserveReading, address: Address) -> str:
        if (token := self.scope.tokens.get(address)) is not None:
            return token.symbol
        if reading.symbol is None:
            return reading.facts.symbol if reading.facts else _short(address)
        answer = await reading.symbol
        return (clean_text(answer.value) if isinstance(answer, Value) else "") or _short(address)


def structure_of(market: Market) -> Structure | None:
    """What to remember; None while a reserve or the generation is not known."""
    if not market.revision_known or not market.is_complete:
        return None
    return Structure(market.generation, tuple(reserve.facts for reserve in market.reserves))


async def _grace(read: Read[Any] | None) -> int:
    """0 where the pool knows no grace periods. A read that failed otherwise is taken as none: never calmer than the truth."""
    outcome: Outcome[Any] = Absent(Reason.SKIPPED) if read is None else await read
    return outcome.value if isinstance(outcome, Value) else 0


def _tokens(data: tuple[Any, ...]) -> tuple[int, Address, Address, Address]:
    return (
        data[surface.ID_WORD],
        data[surface.SUPPLY_TOKEN_WORD],
        data[surface.STABLE_TOKEN_WORD],
        data[surface.VARIABLE_TOKEN_WORD],
    )


def _short(address: Address) -> str:
    return f"{address[:6]}…{address[-4:]}"
