"""Synthetix v3 perpetuals: margin that grows with a position's share of the market's skew scale. Exact in the contracts' 18 decimals.

    initial ratio    = |size|/skew scale·initial ratio + minimum ratio          maintenance ratio = initial ratio·scalar
    IM, MM           = |size|·price·ratio + minimum position margin, and the account's possible liquidation reward once
    available margin = Σ collateral·price·(1 − discount) + Σ size·(price − entry) − debt
    discount         = clamp(amount/skew scale·scalar, lower, upper): the more of a collateral, the less of it counts
    liquidated where available margin < MM + reward

Division truncates, as in Solidity. Source: Synthetixio/synthetix-v3@23585f73, `markets/perps-market/contracts/storage`: PerpsAccount,
PerpsMarketConfiguration, PerpsCollateralConfiguration, GlobalPerpsMarketConfiguration and AsyncOrder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aggregator.model.instrument import InstrumentKind
from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import AttributionMethod, Kind, MarginBook, MissingInput, Requirement, one_by_one
from aggregator.risk.margin.lines import (
    Line,
    asset_or_perpetual,
    at_oracle,
    by_row,
    exact,
    mark,
    net_lines,
    parameter,
    refuse_loans,
    refuse_other_than,
    value,
)
from aggregator.risk.margin.market import Array, Market

WAD = 10**18


def wad(number: Decimal | int | str) -> int:
    """A number with 18 decimals as an integer, to the nearest."""
    return round(Decimal(number).scaleb(18))


def multiply(first: int, second: int) -> int:
    """Of two 18-decimals integers, truncated."""
    product = first * second
    return product // WAD if product >= 0 else -(-product // WAD)


def divide(first: int, second: int) -> int:
    """Of two 18-decimals integers, truncated; `second` > 0."""
    return first * WAD // second if first >= 0 else -(-first * WAD // second)


@dataclass(frozen=True, slots=True)
class Margins:
    """18-decimals integers: ratios of notional, amounts in USD."""

    initial_ratio: int = 0
    maintenance_ratio: int = 0
    initial: int = 0
    maintenance: int = 0


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """A perpetual market; 18-decimals integers, `window_seconds` plain."""

    skew_scale: int
    initial_margin_ratio: int
    minimum_initial_margin_ratio: int
    maintenance_scalar: int
    minimum_position_margin: int = 0
    flag_reward_ratio: int = 0
    fees: int = 0
    """maker and taker fee together; with the multiplier and the window they bound what is liquidated at a time"""
    limit_multiplier: int = WAD
    window_seconds: int = 0

    def required(self, size: int, price: int) -> Margins:
        """Margins of a signed size at a price, without the account's liquidation reward."""
        if size == 0:
            return Margins()
        amount = abs(size)
        impact = 0 if self.skew_scale == 0 else divide(amount, self.skew_scale)
        initial = multiply(impact, self.initial_margin_ratio) + self.minimum_initial_margin_ratio
        maintenance = multiply(initial, self.maintenance_scalar)
        notional = multiply(amount, price)
        minimum = self.minimum_position_margin
        return Margins(initial, maintenance, multiply(notional, initial) + minimum, multiply(notional, maintenance) + minimum)

    def fill_price(self, skew: int, size: int, price: int) -> int:
        """Average of the price with the premium of the skew before and after an order."""
        if self.skew_scale == 0:
            return price
        before = price + multiply(price, divide(skew, self.skew_scale))
        after = price + multiply(price, divide(skew + size, self.skew_scale))
        return divide(before + after, 2 * WAD)

    def windows(self, size: int) -> int:
        """How many liquidation windows it takes to close a size; 1 where liquidation is not bounded."""
        bound = multiply(multiply(self.fees, self.skew_scale), self.limit_multiplier) * self.window_seconds
        return 1 if bound == 0 else -(-abs(size) // bound)


@dataclass(frozen=True, slots=True)
class CollateralTerms:
    """18-decimals integers. Without a skew scale nothing is discounted."""

    skew_scale: int
    scalar: int
    lower: int
    upper: int

    def discount(self, amount: int) -> int:
        if self.skew_scale == 0:
            return 0
        return min(max(multiply(divide(amount, self.skew_scale), self.scalar), self.lower), self.upper)

    def value(self, amount: int, price: int) -> int:
        """What an amount counts at a price."""
        return multiply(multiply(amount, price), WAD - self.discount(amount))


@dataclass(frozen=True, slots=True)
class KeeperTerms:
    """Bounds of a keeper's reward and costs of its transactions; 18-decimals integers, USD or ratios."""

    minimum_reward: int = 0
    minimum_profit_ratio: int = 0
    maximum_reward: int = 0
    maximum_scaling_ratio: int = WAD
    collateral_reward_ratio: int = 0
    flag_cost: int = 0
    liquidate_cost: int = 0

    def reward(self, reward: int, cost: int, available: int) -> int:
        """What a keeper gets: reward and cost between the caps; `available` 0 means that the margin does not bound it."""
        least = max(cost + self.minimum_reward, multiply(cost, self.minimum_profit_ratio + WAD))
        most = self.maximum_reward if available == 0 else min(multiply(available, self.maximum_scaling_ratio), self.maximum_reward)
        return min(max(least, reward + cost), most)

    def possible(self, flag_rewards: int, collateral: int, windows: int) -> int:
        """Possible liquidation reward of an account with open positions, given its undiscounted collateral."""
        accumulated = max(flag_rewards, multiply(collateral, self.collateral_reward_ratio))
        first = self.reward(accumulated, self.flag_cost + self.liquidate_cost, collateral)
        return first + (self.reward(0, self.liquidate_cost, 0) * (windows - 1) if windows else 0)


def liquidatable(available: int, maintenance: int, reward: int = 0) -> bool:
    """18-decimals integers; at the line an account is still safe."""
    return maintenance + reward > available


@dataclass(frozen=True, slots=True)
class SynthetixParameters:
    """Markets by underlying, collaterals by asset symbol; the book's cash is snxUSD and counts in full."""

    markets: Mapping[str, MarketTerms]
    collaterals: Mapping[str, CollateralTerms]
    keeper: KeeperTerms
    source: str
    confirmed: bool


def _terms(scale: int, initial: str, minimum: str) -> MarketTerms:
    return MarketTerms(scale * WAD, wad(initial), wad(minimum), wad("0.5"))


SAMPLE = SynthetixParameters(
    markets={
        "BTC": _terms(100, "2", "0.01"),
        "ETH": _terms(1_000, "2", "0.01"),
        "LINK": _terms(100_000, "2", "0.01"),
        "ARB": _terms(100_000, "1.5", "0.035"),
        "OP": _terms(100_000, "1.5", "0.035"),
    },
    collaterals={
        "BTC": CollateralTerms(100 * WAD, wad("1.5"), wad("0.01"), wad("0.05")),
        "ETH": CollateralTerms(50_000 * WAD, 2 * WAD, wad("0.01"), wad("0.05")),
    },
    keeper=KeeperTerms(),
    source="the contracts' own test markets, far smaller than those in use",
    confirmed=False,
)


@dataclass(frozen=True, slots=True)
class Synthetix:
    """See the module. `Market.spot` is the index price; the required amount also holds what collateral is discounted by."""

    id: str = "synthetix"
    version: str = "1"
    source: str = "Synthetixio/synthetix-v3@23585f73 markets/perps-market"

    def default_parameters(self) -> SynthetixParameters:
        return SAMPLE

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        only = "an account holds collateral and linear perpetuals only"
        return refuse_other_than(book, asset_or_perpetual, only) or refuse_loans(
            book, "an account owes snxUSD only: no collateral can be borrowed"
        )

    def requirement(self, book: MarginBook, market: Market, parameters: SynthetixParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        lines = net_lines(book)
        equity, _ = value(book, at_oracle(market))
        own: list[float] = []
        positions: list[tuple[MarketTerms, int, int]] = []
        collateral, required = max(wad(exact(book.cash)), 0), 0
        for line in lines:
            size = wad(line.units)
            if line.instrument.kind is InstrumentKind.SPOT:
                price = wad(exact(mark(line.instrument, market)))
                full = multiply(size, price)
                collateral += full
                own.append((full - parameter(parameters.collaterals, line.key, "Synthetix collateral terms").value(size, price)) / WAD)
                continue
            terms, price = parameter(parameters.markets, line.key, "Synthetix market terms"), self._index(line, market)
            positions.append((terms, size, price))
            margins = terms.required(size, price)
            chosen = margins.initial if kind is Kind.INITIAL else margins.maintenance
            required += chosen
            own.append(chosen / WAD)
        reward = self._reward(positions, collateral, parameters)
        amount = float(sum(own)) + reward / WAD
        shares = by_row(book, lines, _with_reward(own, [line.instrument.kind is InstrumentKind.PERPETUAL for line in lines], reward / WAD))
        found = Found(
            amount=amount,
            parts=shares,
            equity=equity,
            components={
                "positions": required / WAD,
                "liquidation-reward": reward / WAD,
                "collateral-discount": amount - (required + reward) / WAD,
            },
            verified=parameters.confirmed,
            notes=() if parameters.confirmed else (f"parameters not read from the venue: {parameters.source}",),
            method=AttributionMethod.PROPORTIONAL,
        )
        return assemble(self, book, market, parameters, kind, found)

    def _index(self, line: Line, market: Market) -> int:
        if line.key not in market.spot:
            raise MissingInput(f"spot price of {line.key} is missing")
        return wad(exact(market.spot[line.key].value))

    def _reward(self, positions: list[tuple[MarketTerms, int, int]], collateral: int, parameters: SynthetixParameters) -> int:
        open_ones = [one for one in positions if one[1] != 0]
        if not open_ones:
            return 0
        flags = sum(multiply(multiply(abs(size), price), terms.flag_reward_ratio) for terms, size, price in open_ones)
        return parameters.keeper.possible(flags, collateral, max(terms.windows(size) for terms, size, _ in open_ones))

    def isolated(self, book: MarginBook, market: Market, parameters: SynthetixParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        return one_by_one(self, book, market, parameters, kind)


def _with_reward(own: list[float], is_position: list[bool], reward: float) -> list[float]:
    """The reward shared among positions in proportion to their margin."""
    total = sum(one for one, position in zip(own, is_position, strict=True) if position)
    return [one + (reward * one / total if position and total > 0 else 0.0) for one, position in zip(own, is_position, strict=True)]


MODEL = Synthetix()
