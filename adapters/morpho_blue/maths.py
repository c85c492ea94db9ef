"""Morpho Blue's integer arithmetic, in the order and with the rounding of the contract.

Source: morpho-org/morpho-blue `Morpho.sol`, `MathLib.sol`, `SharesMathLib.sol`. Rates are per second, rates, fees and LLTVs wads; an
oracle's price is loan units a collateral unit, scaled by 1e36. Where the contract's checked arithmetic would revert, so does this:
`Stuck` says that nobody can act on the market.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from aggregator.model.units import UINT256_MAX, WAD, mul_div_down, mul_div_up

VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
ORACLE_PRICE_SCALE = 10**36
LIQUIDATION_CURSOR = 3 * 10**17
MAXIMUM_LIQUIDATION_INCENTIVE_FACTOR = 115 * 10**16
UINT128_MAX = (1 << 128) - 1


class Stuck(ArithmeticError):
    """The contract's own arithmetic overflows here, so every call that needs the figure reverts."""


@dataclass(frozen=True, slots=True)
class MarketState:
    """Totals of a market as of `last_update` (seconds since the epoch); assets in raw loan units."""

    total_supply_assets: int
    total_supply_shares: int
    total_borrow_assets: int
    total_borrow_shares: int
    last_update: int
    fee: int
    """share of interest that goes to the fee recipient, wad"""

    @property
    def liquidity(self) -> int:
        """Raw loan units that are lent to nobody and can be withdrawn."""
        return self.total_supply_assets - self.total_borrow_assets

    def needs_rate(self, timestamp: int) -> bool:
        """Whether interest accrues between the last update and `timestamp`."""
        return timestamp > self.last_update and self.total_borrow_assets > 0


def taylor_compounded(rate: int, seconds: int) -> int:
    """e^(rate · seconds) − 1 as a wad by the first three terms of its series, each rounded down."""
    first = _checked(rate * seconds)
    second = mul_div_down(_checked(first * first), 1, 2 * WAD)
    third = mul_div_down(_checked(second * first), 1, 3 * WAD)
    return _checked(first + second + third)


def accrued(state: MarketState, rate: int, timestamp: int) -> tuple[MarketState, int]:
    """The state with interest up to `timestamp`, and the shares that the fee recipient gets for it. Stuck where the contract reverts."""
    if not state.needs_rate(timestamp):
        return replace(state, last_update=max(timestamp, state.last_update)), 0
    interest = _checked(state.total_borrow_assets * taylor_compounded(rate, timestamp - state.last_update)) // WAD
    supply, borrow = _uint128(state.total_supply_assets + interest), _uint128(state.total_borrow_assets + interest)
    fee_assets = _checked(interest * state.fee) // WAD
    fee_shares = to_shares_down(fee_assets, supply - fee_assets, state.total_supply_shares) if state.fee else 0
    return (
        MarketState(
            total_supply_assets=supply,
            total_supply_shares=_uint128(state.total_supply_shares + fee_shares),
            total_borrow_assets=borrow,
            total_borrow_shares=state.total_borrow_shares,
            last_update=timestamp,
            fee=state.fee,
        ),
        fee_shares,
    )


def to_assets_down(shares: int, total_assets: int, total_shares: int) -> int:
    """Raw assets that `shares` are worth to a supplier, rounded down."""
    return mul_div_down(_checked(shares * (total_assets + VIRTUAL_ASSETS)), 1, total_shares + VIRTUAL_SHARES)


def to_assets_up(shares: int, total_assets: int, total_shares: int) -> int:
    """Raw assets that `shares` oblige a borrower to, rounded up."""
    return mul_div_up(_checked(shares * (total_assets + VIRTUAL_ASSETS)), 1, total_shares + VIRTUAL_SHARES)


def to_shares_down(assets: int, total_assets: int, total_shares: int) -> int:
    """Shares that `assets` buy, rounded down."""
    return mul_div_down(_checked(assets * (total_shares + VIRTUAL_SHARES)), 1, total_assets + VIRTUAL_ASSETS)


def collateral_value(collateral: int, price: int) -> int:
    """Raw loan units that the collateral is worth at the oracle's price, rounded down. Stuck where the product overflows."""
    return _checked(collateral * price) // ORACLE_PRICE_SCALE


def maximum_borrow(value: int, lltv: int) -> int:
    """Raw loan units that collateral of this value carries, rounded down; above it the account is liquidatable."""
    return _checked(value * lltv) // WAD


def health_factor(maximum: int, borrowed: int) -> int:
    """maximum borrow / borrowed as a wad, rounded down; `borrowed` must be positive."""
    return maximum * WAD // borrowed


def liquidation_incentive_factor(lltv: int) -> int:
    """What a liquidator receives for each unit repaid, a wad: min(1.15, 1 / (1 − 0.3 · (1 − lltv)))."""
    discount = LIQUIDATION_CURSOR * (WAD - lltv) // WAD
    return min(MAXIMUM_LIQUIDATION_INCENTIVE_FACTOR, WAD * WAD // (WAD - discount))


def _checked(value: int) -> int:
    if value > UINT256_MAX:
        raise Stuck("the market's own arithmetic overflows 256 bits")
    return value


def _uint128(value: int) -> int:
    if value > UINT128_MAX:
        raise Stuck("the market's totals overflow 128 bits")
    return value
