"""dYdX v4: one cross account of perpetuals with USDC behind them; nothing nets between markets. Exact in the chain's own integers.

    notional  = |quantums|·price·10^(exponent + resolution + 6)                        quote quantums (10⁻⁶ USDC), towards zero
    IMF       = base, or base + (1 − base)·(OI − lower)/(upper − lower) between the open-interest caps (ppm, down), 1 from the upper on
    IM        = ⌈notional·max(IMF, the account's own)⌉
    MM        = ⌈⌈notional·base⌉·maintenance fraction⌉                                 the base IMF, never the scaled one
    liquidated where MM > 0 and MM > net collateral = USDC + Σ signed notional + quote balances

Source: dydxprotocol/v4-chain@84d4664b, `x/perpetuals/lib/lib.go`, `x/perpetuals/types/liquidity_tier.go`, `lib/margin/risk.go`,
`lib/quantums.go`, `x/clob/keeper/liquidations.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import Kind, MarginBook, MissingInput, Requirement, one_by_one
from aggregator.risk.margin.lines import (
    Line,
    at_oracle,
    by_row,
    exact,
    linear_perpetual,
    net_lines,
    parameter,
    refuse_other_than,
    value,
)
from aggregator.risk.margin.market import Array, Market

PPM = 1_000_000
QUOTE_RESOLUTION = -6
"""a quote quantum is a millionth of a USDC"""


@dataclass(frozen=True, slots=True)
class LiquidityTier:
    """Margin of a group of markets; ratios in parts per million, caps in quote quantums. ValueError where the chain would refuse it."""

    initial_margin_ppm: int
    maintenance_fraction_ppm: int
    lower_cap: int = 0
    upper_cap: int = 0
    """0: open interest does not raise the initial margin"""

    def __post_init__(self) -> None:
        for name in ("initial_margin_ppm", "maintenance_fraction_ppm"):
            if not 0 <= getattr(self, name) <= PPM:
                raise ValueError(f"{name} of {getattr(self, name)} is not between 0 and {PPM}")
        if not 0 <= self.lower_cap <= self.upper_cap:
            raise ValueError(f"open-interest caps {self.lower_cap} and {self.upper_cap} are not in order")


@dataclass(frozen=True, slots=True)
class Risk:
    """Net collateral, initial and maintenance margin in quote quantums, of a position or of an account."""

    net: int = 0
    initial: int = 0
    maintenance: int = 0

    def __add__(self, other: Risk) -> Risk:
        return Risk(self.net + other.net, self.initial + other.initial, self.maintenance + other.maintenance)

    @property
    def initially_collateralised(self) -> bool:
        return self.net >= self.initial

    @property
    def maintained(self) -> bool:
        return self.net >= self.maintenance

    @property
    def liquidatable(self) -> bool:
        return self.maintenance > 0 and self.maintenance > self.net

    def riskier_than(self, other: Risk) -> bool:
        """The chain's order of liquidation: lower net/maintenance first; of equals the larger maintenance, without any the lower net."""
        own, theirs = self.net * other.maintenance, other.net * self.maintenance
        if own != theirs:
            return own < theirs
        if self.maintenance == 0 and other.maintenance == 0:
            return self.net < other.net
        return self.maintenance > other.maintenance


def multiply_ppm_up(amount: int, ppm: int) -> int:
    """amount·ppm / 1,000,000, rounded up."""
    return -(-amount * ppm // PPM)


def quote_quantums(base_quantums: int, resolution: int, price: int, exponent: int) -> int:
    """Value of base quantums (10^resolution of a coin each) at `price`·10^exponent, in quote quantums, rounded towards zero; signed."""
    power = exponent + resolution - QUOTE_RESOLUTION
    product = base_quantums * price
    if power >= 0:
        return product * int(10**power)
    magnitude = abs(product) // int(10**-power)
    return magnitude if product >= 0 else -magnitude


def adjusted_initial_margin_ppm(tier: LiquidityTier, open_notional: int) -> int:
    """Initial margin fraction at an open interest in quote quantums, ppm, rounded down."""
    if tier.upper_cap == 0 or open_notional <= tier.lower_cap:
        return tier.initial_margin_ppm
    if open_notional >= tier.upper_cap:
        return PPM
    increase = (PPM - tier.initial_margin_ppm) * (open_notional - tier.lower_cap) // (tier.upper_cap - tier.lower_cap)
    return tier.initial_margin_ppm + increase


def initial_margin(tier: LiquidityTier, notional: int, open_notional: int, own_ppm: int = 0) -> int:
    """Quote quantums, rounded up. `own_ppm` is the account's chosen fraction, 0 for none; the larger one counts."""
    return multiply_ppm_up(notional, max(adjusted_initial_margin_ppm(tier, open_notional), own_ppm))


def maintenance_margin(tier: LiquidityTier, notional: int) -> int:
    """Quote quantums, rounded up twice, as the chain does."""
    return multiply_ppm_up(multiply_ppm_up(notional, tier.initial_margin_ppm), tier.maintenance_fraction_ppm)


@dataclass(frozen=True, slots=True)
class DydxMarket:
    """A perpetual market. `exponent` is that of its price feed, `open_interest` in base quantums."""

    resolution: int
    exponent: int
    tier: LiquidityTier
    open_interest: int = 0

    def position(self, quantums: int, price: int, quote_balance: int = 0, own_ppm: int = 0) -> Risk:
        """Risk of a signed position at a price (times 10^exponent)."""
        notional = quote_quantums(abs(quantums), self.resolution, price, self.exponent)
        open_notional = quote_quantums(self.open_interest, self.resolution, price, self.exponent)
        signed = notional if quantums >= 0 else -notional
        return Risk(
            signed + quote_balance,
            initial_margin(self.tier, notional, open_notional, own_ppm),
            maintenance_margin(self.tier, notional),
        )


def bankruptcy_quote_quantums(account: Risk, before: Risk, after: Risk) -> int:
    """Quote quantums at which closing a part of a position leaves the insurance fund untouched: −ΔNet − ⌊net·|ΔMM| / MM⌋.

    `before` and `after` are the position's risk without quote balance, `account` that of the whole account.
    """
    if account.maintenance == 0:
        raise ValueError("an account without maintenance margin is not liquidated")
    return before.net - after.net - account.net * abs(after.maintenance - before.maintenance) // account.maintenance


def fillable_price(account: Risk, position: Risk, quantums: int, adjustment_ppm: int = PPM, spread_ppm: int = 1_500_000) -> Fraction:
    """Price, in quote quantums a base quantum, at which a liquidation order is placed: (PNNV − ABR·SMMR·PMMR)/size.

    ABR = adjustment·(1 − net/MM), between 0 and 1. The chain's configuration gives both ppm.
    """
    if account.maintenance == 0 or quantums == 0:
        raise ValueError("only an open position of an account with maintenance margin is liquidated")
    rating = Fraction(adjustment_ppm, PPM) * (1 - Fraction(account.net, account.maintenance))
    spread = min(max(rating, Fraction(0)), Fraction(1)) * Fraction(position.maintenance * spread_ppm, PPM)
    return (position.net - spread) / quantums


@dataclass(frozen=True, slots=True)
class DydxParameters:
    """Markets by underlying; `own_ppm` is the initial margin fraction that the account chose for a market."""

    markets: Mapping[str, DydxMarket]
    source: str
    confirmed: bool
    """whether they were read with the account, not taken from a sample"""
    own_ppm: Mapping[str, int] = field(default_factory=dict)


_LARGE = LiquidityTier(20_000, 600_000)
_MEDIUM = LiquidityTier(50_000, 600_000, 40_000_000_000_000, 100_000_000_000_000)
SAMPLE = DydxParameters(
    markets={
        "BTC": DydxMarket(-10, -5, _LARGE, 3_817_348_000_000),
        "ETH": DydxMarket(-9, -6, _LARGE, 7_457_108_000_000),
        "SOL": DydxMarket(-7, -8, _MEDIUM, 419_179_000_000),
    },
    source="indexer sample of December 2025, perpetualMarkets; price exponents of the chain's genesis",
    confirmed=False,
)


@dataclass(frozen=True, slots=True)
class Dydx:
    """See the module. Linear perpetuals at the oracle price (`Market.spot`), USDC as cash."""

    id: str = "dydx-v4"
    version: str = "1"
    source: str = "dydxprotocol/v4-chain@84d4664b protocol/x/perpetuals, protocol/lib/margin"

    def default_parameters(self) -> DydxParameters:
        return SAMPLE

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refuse_other_than(book, linear_perpetual, "an account holds perpetuals settled in USDC, and USDC is the only collateral")

    def risk(self, line: Line, market: Market, parameters: DydxParameters) -> Risk:
        """Of one net position. Size and price are taken to the chain's integers, the size towards zero."""
        terms = parameter(parameters.markets, line.key, "dYdX market parameters")
        if line.key not in market.spot:
            raise MissingInput(f"spot price of {line.key} is missing")
        quantums = int(line.units.scaleb(-terms.resolution))
        price = round(exact(market.spot[line.key].value).scaleb(-terms.exponent))
        return terms.position(quantums, price, own_ppm=parameters.own_ppm.get(line.key, 0))

    def requirement(self, book: MarginBook, market: Market, parameters: DydxParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        lines = net_lines(book)
        risks = [self.risk(line, market, parameters) for line in lines]
        whole = sum(risks, Risk())
        chosen = [one.initial if kind is Kind.INITIAL else one.maintenance for one in risks]
        found = Found(
            amount=(whole.initial if kind is Kind.INITIAL else whole.maintenance) / 1e6,
            parts=by_row(book, lines, np.array(chosen) / 1e6),
            equity=value(book, at_oracle(market))[0],
            components={
                "initial": whole.initial / 1e6,
                "maintenance": whole.maintenance / 1e6,
                "notional": sum(abs(one.net) for one in risks) / 1e6,
            },
            verified=parameters.confirmed,
            notes=() if parameters.confirmed else (f"margin fractions from a sample: {parameters.source}",),
        )
        return assemble(self, book, market, parameters, kind, found)

    def isolated(self, book: MarginBook, market: Market, parameters: DydxParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        return one_by_one(self, book, market, parameters, kind)


MODEL = Dydx()
