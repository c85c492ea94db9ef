"""What a token is worth in another by its protocol's own rate: a view of the protocol, or a feed where that is on another chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapters.erc20 import component
from aggregator.model.composition import Composition, Part
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.model.position import Component
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read

SAMPLE = 10**36
"""raw units that a conversion is sampled with: so many that rounding in the sample moves no real amount, and still below 2^128, which
some contracts ask of their arguments"""
RATE_GAS = 1_000_000
FEED_DECIMALS = Function("decimals()(uint8)")
LATEST_ROUND = Function("latestRoundData()(uint80,int256,uint256,uint256,uint80)")
LATE = 2
"""heartbeats after which a rate feed is called stale"""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Ratio:
    """`denominator` raw units of a token are worth `numerator` raw units of its underlying; `age` in seconds where a feed says so."""

    numerator: int
    denominator: int
    age: int | None = None

    def of(self, amount: int) -> int:
        """What `amount` raw units are worth, rounded down."""
        return amount * self.numerator // self.denominator

    def composition(self, token: Token, underlying: Token, kind: str = "rate") -> Composition:
        """The ratio as what the token is made of."""
        part = Part(underlying.asset, underlying.symbol, underlying.decimals, self.numerator)
        return Composition(token.asset, self.denominator, (part,), kind)

    @classmethod
    def sampled(cls, value: int) -> Ratio:
        """The ratio of a conversion that gave `value`, rounded down, for SAMPLE.

        The exact rate lies in [value, value + 1) / SAMPLE. Its upper end is taken: it gives every exact quotient exactly, where the lower
        end would lose a unit.
        """
        return cls(value + 1, SAMPLE)

    def look_through(self, amount: int, underlying: Token) -> tuple[Component, ...]:
        """What `amount` raw units of the token are, one level down."""
        return (component(underlying, self.of(amount)),)


@dataclass(frozen=True, slots=True)
class ConversionReads:
    """A view that converts an amount of the token to raw units of the underlying."""

    sample: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, contract: Address, function: str) -> ConversionReads:
        """`function` is the name of a view of one amount."""
        return cls(scope.reads.call(contract, Function(f"{function}(uint256)(uint256)"), SAMPLE, gas=RATE_GAS))

    async def ratio(self, scope: Scope, token: Token, underlying: Token) -> Outcome[Ratio]:
        """Ratio in raw units; Unknown for a rate of zero."""
        return _positive(await self.sample, Ratio.sampled)


@dataclass(frozen=True, slots=True)
class ViewReads:
    """A view that gives whole units of the underlying for one whole token, as a wad."""

    rate: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, contract: Address, function: str) -> ViewReads:
        """`function` is the name of a view without arguments."""
        return cls(scope.reads.call(contract, Function(f"{function}()(uint256)"), gas=RATE_GAS))

    async def ratio(self, scope: Scope, token: Token, underlying: Token) -> Outcome[Ratio]:
        """Ratio in raw units; Unknown for a rate of zero."""
        return _positive(await self.rate, lambda value: _whole(value, 18, token, underlying))


@dataclass(frozen=True, slots=True)
class FeedReads:
    """A Chainlink-shaped feed of the rate, for a token whose protocol lives on another chain."""

    decimals: Read[Any]
    round: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, feed: Address) -> FeedReads:
        return cls(scope.reads.call(feed, FEED_DECIMALS), scope.reads.call(feed, LATEST_ROUND))

    async def ratio(self, scope: Scope, token: Token, underlying: Token) -> Outcome[Ratio]:
        """Ratio in raw units with its age; Unknown for an answer that is not positive."""
        decimals, latest = await self.decimals, await self.round
        if not isinstance(decimals, Value) or decimals.value > 77:
            return decimals if not isinstance(decimals, Value) else Unknown(Reason.MALFORMED, f"{decimals.value} decimals")
        if not isinstance(latest, Value):
            return latest
        _, answer, _, updated, _ = latest.value
        age = max(0, scope.block.timestamp - updated)
        return _positive(Value(answer), lambda value: _whole(value, decimals.value, token, underlying, age))


RateReads: TypeAlias = ConversionReads | ViewReads | FeedReads


def ask_rate(scope: Scope, token: Address) -> RateReads:
    """The rate that a deployment's parameters describe.

    `rate` is `conversion` or `view`, asked of the contract in the role `rate` (the token itself where there is none) by the name in
    `function`; or `feed`, asked of the contract in the role `rate_feed`.
    """
    contracts, parameters = scope.deployment.contracts, scope.deployment.parameters
    how, function = str(parameters["rate"]), str(parameters.get("function", ""))
    if how == "feed":
        return FeedReads.ask(scope, contracts["rate_feed"])
    contract = contracts.get("rate", token)
    return ConversionReads.ask(scope, contract, function) if how == "conversion" else ViewReads.ask(scope, contract, function)


def staleness(token: Token, ratio: Ratio, heartbeat: int) -> tuple[Remark, ...]:
    """A remark where a feed's rate is older than its heartbeat explains; the rate stands, as such rates hardly move."""
    if ratio.age is None or ratio.age <= LATE * heartbeat:
        return ()
    return (Remark("rate-stale", f"the rate of {token.symbol} ({token.asset}) is {ratio.age // 3600} hours old"),)


def _whole(rate: int, rate_decimals: int, token: Token, underlying: Token, age: int | None = None) -> Ratio:
    """Ratio in raw units from a rate between whole units."""
    shift = underlying.decimals - token.decimals
    return Ratio(rate * 10 ** max(0, shift), 10 ** (rate_decimals + max(0, -shift)), age)


def _positive(outcome: Outcome[int], make: Callable[[int], Ratio]) -> Outcome[Ratio]:
    if not isinstance(outcome, Value):
        return outcome
    return Value(make(outcome.value)) if outcome.value > 0 else Unknown(Reason.MALFORMED, f"a rate of {outcome.value}")
