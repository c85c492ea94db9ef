"""How far a pool stands from the market."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from aggregator.localnet import trading
from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy.shared import token_decimals
from aggregator.localnet.trading import Venue
from aggregator.localnet.world import World


async def distance(world: World, chain_id: int, venue: Venue) -> Decimal:
    """Of the pool's price from the world's prices, as a share of these."""
    first, second = venue.symbols
    decimals = [token_decimals(world, chain_id, symbol) for symbol in venue.symbols]
    (state,) = await world.chains[chain_id].calls([trading.state_of(world, venue)])
    if venue.generation == "v2":
        price = (Decimal(cast(int, state[1])) / cast(int, state[0])).scaleb(decimals[0] - decimals[1])
    else:
        price = maths.price_of(cast(int, state[0]), decimals[0], decimals[1])
    return abs(price / (world.prices[first] / world.prices[second]) - 1)
