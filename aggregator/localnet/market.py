"""What the local market is worth at the genesis: the price table that feeds, pools and owners start from.

Levels are plausible for January 2026, not quotes. ``PRICES`` is USD a whole unit; ``RATES`` is how much of its
underlying one share or liquid-staking token is redeemable for, at the genesis.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType


def _table(**entries: str) -> MappingProxyType[str, Decimal]:
    return MappingProxyType({symbol: Decimal(value) for symbol, value in entries.items()})


RATES = _table(
    wstETH="1.2238",
    rETH="1.1563",
    cbETH="1.1241",
    weETH="1.0872",
    sDAI="1.1987",
    sUSDS="1.0846",
    sUSDe="1.2153",
    syrupUSDC="1.1514",
)
RATE_UNDERLYING = MappingProxyType(
    {
        "wstETH": "ETH",
        "rETH": "ETH",
        "cbETH": "ETH",
        "weETH": "ETH",
        "sDAI": "DAI",
        "sUSDS": "USDS",
        "sUSDe": "USDe",
        "syrupUSDC": "USDC",
    }
)
_PLAIN = _table(
    ETH="3000",
    WETH="3000",
    stETH="2998.5",
    BTC="90000",
    WBTC="89910",
    cbBTC="89955",
    LINK="13.5",
    AAVE="165",
    UNI="6.2",
    ARB="0.21",
    CRV="0.42",
    MKR="1750",
    USDC="0.9999",
    USDbC="0.9999",
    USDT="1.0003",
    DAI="0.9998",
    USDS="0.9999",
    USDe="0.9994",
    GHO="0.9991",
    LUSD="0.9987",
    EUR="1.1725",
    EURC="1.1725",
)
PRICES: MappingProxyType[str, Decimal] = MappingProxyType(
    {**_PLAIN, "USDC.e": _PLAIN["USDC"], **{symbol: rate * _PLAIN[RATE_UNDERLYING[symbol]] for symbol, rate in RATES.items()}}
)
FOLLOWERS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "ETH": ("WETH", "stETH", "wstETH", "rETH", "cbETH", "weETH"),
        "BTC": ("WBTC", "cbBTC"),
        "USDC": ("USDC.e", "USDbC", "syrupUSDC"),
        "EUR": ("EURC",),
        "DAI": ("sDAI",),
        "USDS": ("sUSDS",),
        "USDe": ("sUSDe",),
    }
)
"""What moves by the same factor when the price of the key is set."""
