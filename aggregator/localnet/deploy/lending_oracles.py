"""The oracles of the lending markets: feeds as they are, and small adapters placed where the address book has them."""

from __future__ import annotations

from collections.abc import Sequence

from aggregator.localnet import abi
from aggregator.localnet.anvil import GENESIS_TIME
from aggregator.localnet.deploy.lending_terms import (
    FeedOracle,
    FixedOracle,
    Oracle,
    ProductOracle,
    RatioOracle,
    Reserve,
    StableOracle,
)
from aggregator.localnet.world import World, WorldError

_WEEK = 7 * 24 * 3_600


async def place_oracles(world: World, chain_id: int, reserves: Sequence[Reserve]) -> dict[str, str]:
    """Put every listed oracle on the chain; returns the price sources by symbol.

    Adapters without an address of their own are created at an ordinary one.
    """
    placed: dict[Oracle, str] = {}
    sources: dict[str, str] = {}
    for reserve in reserves:
        if reserve.oracle not in placed:
            placed[reserve.oracle] = await _place(world, chain_id, reserve, sources)
        sources[reserve.symbol] = placed[reserve.oracle]
    return sources


async def _place(world: World, chain_id: int, reserve: Reserve, sources: dict[str, str]) -> str:
    oracle, symbol = reserve.oracle, reserve.symbol
    if isinstance(oracle, FeedOracle):
        if oracle.address not in world.feed(chain_id, oracle.feed).proxies:
            raise WorldError(f"{oracle.address} is no proxy of {oracle.feed} on chain {chain_id}")
        return oracle.address
    arguments: list[object]
    if isinstance(oracle, StableOracle):
        contract, types = "CappedStableAdapter", ["string", "address", "int256"]
        arguments = [f"Capped {oracle.feed}", _feed(world, chain_id, oracle.feed), oracle.cap]
    elif isinstance(oracle, FixedOracle):
        contract, types = "FixedPriceAdapter", ["string", "int256"]
        arguments = [f"{symbol} / USD", oracle.price]
    elif isinstance(oracle, ProductOracle):
        contract, types = "ProductAdapter", ["string", "address", "address"]
        feeds = [_feed(world, chain_id, description) for description in (oracle.first, oracle.second)]
        arguments = [f"{symbol} / USD", *feeds]
    else:
        contract, types = "CappedRatioAdapter", ["string", "address", "address", "bytes", "uint8", "uint256", "uint256"]
        arguments = _ratio_arguments(world, chain_id, symbol, oracle, sources)
    code = world.own(contract)
    if not oracle.address:
        return await world.chains[chain_id].deploy(code, types, arguments)
    await world.chains[chain_id].place(oracle.address, code, types, arguments)
    return oracle.address


def _ratio_arguments(world: World, chain_id: int, symbol: str, oracle: RatioOracle, sources: dict[str, str]) -> list[object]:
    of = oracle.base.removeprefix("oracle of ")
    base = sources[of] if of != oracle.base else _feed(world, chain_id, oracle.base)
    feed = oracle.provider.removeprefix("feed:")
    from_feed = feed != oracle.provider
    provider = _feed(world, chain_id, feed) if from_feed else world.token(chain_id, oracle.provider).address
    getter = abi.parse(oracle.getter)
    call = getter.encode([10**18] if getter.arguments else [])
    description = f"Capped {symbol} / USD"
    return [description, base, provider, call, 18, oracle.growth, GENESIS_TIME - _WEEK]


def _feed(world: World, chain_id: int, description: str) -> str:
    return world.feed(chain_id, description).proxies[0]
