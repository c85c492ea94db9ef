"""Staking tokens on Ethereum whose protocol rate grows by the second: rETH, cbETH, weETH.

Own contracts at the production addresses with each protocol's own rate getter. On the other chains they are plain
bridged tokens, and their rate is a feed's.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import cast

from aggregator.localnet import market
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import Token, World

CHAIN = 1


@dataclass(frozen=True, slots=True)
class RateToken:
    """``getter``: the protocol's rate in underlying ether for one token, 1e18."""

    symbol: str
    address: str
    getter: str


@dataclass(frozen=True, slots=True)
class _Product:
    address: str
    contract: str
    getter: str
    growth: str  # a year


# The protocols' deployed tokens on mainnet.
_PRODUCTS = MappingProxyType(
    {
        "rETH": _Product("0xae78736Cd615f374D3085123A210448E74Fc6393", "RocketEther", "getExchangeRate()(uint256)", "0.026"),
        "cbETH": _Product("0xBe9895146f7AF43049ca1c1AE358B0541Ea49704", "CoinbaseStakedEther", "exchangeRate()(uint256)", "0.025"),
        "weETH": _Product("0xCd5fE23C85820F7B72D0926FC9b05b43E359b7ee", "WrappedEEther", "getRate()(uint256)", "0.029"),
    }
)


async def deploy(world: World) -> None:
    """Deploy all of them, make them mintable tokens of the world, and record a ``RateToken`` by (chain, symbol)."""
    chain = world.chains[CHAIN]
    for symbol, product in _PRODUCTS.items():
        arguments = [DEPLOYER, raw(market.RATES[symbol], 18), raw(product.growth, 18)]
        await chain.place(product.address, world.own(product.contract), ["address", "uint256", "uint256"], arguments)
        world.add_token(Token(CHAIN, symbol, product.address, 18))
        world.record((CHAIN, symbol), RateToken(symbol, product.address, product.getter))


async def rate(world: World, symbol: str) -> int:
    """The protocol's rate now, 1e18."""
    token = world.recorded(RateToken)[CHAIN, symbol]
    (answer,) = await world.chains[CHAIN].call(token.address, token.getter)
    return cast(int, answer)


async def set_rate(world: World, symbol: str, value: Decimal, yearly_growth: Decimal | None = None) -> None:
    """Set the rate (a slashing lowers it) and, when given, the growth a year from here on."""
    product = _PRODUCTS[symbol]
    growth = raw(product.growth if yearly_growth is None else yearly_growth, 18)
    await world.chains[CHAIN].send(DEPLOYER, product.address, "setRate(uint256,uint256)", raw(value, 18), growth)
