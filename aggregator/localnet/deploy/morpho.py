"""Morpho Blue at its production addresses, with markets whose ids are production's wherever oracle and rate model are.

Compiled from the published sources. The rate model is an own adaptive curve at the production address; oracles are own
ones composed from feeds, at the production oracle's address where the market is a production market
(``morpho_markets.py``). Besides: a market whose oracle can be broken, an idle one (no oracle, no rate model, no
collateral) and a hostile one whose oracle has the wrong scale.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import cast

from eth_utils.crypto import keccak

from aggregator.localnet import abi
from aggregator.localnet.artifacts import MORPHO
from aggregator.localnet.deploy import morpho_markets as catalogue
from aggregator.localnet.deploy.shared import HOUSE_BORROWER, LIQUIDITY_PROVIDER, approve, provide, raw_worth
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import World, WorldError

# Morpho's address book (npm @morpho-org/morpho-ts).
BLUE = MappingProxyType(
    {
        1: "0xBBBBBbbBBb9cC5e90e3b3Af64bdAF62C37EEFFCb",
        42161: "0x6c247b1F6182318877311737BaC0844bAa518F5e",
        8453: "0xBBBBBbbBBb9cC5e90e3b3Af64bdAF62C37EEFFCb",
    }
)
ADAPTIVE_CURVE = MappingProxyType(
    {
        1: "0x870aC11D48B15DB9a138Cf899d20F13F79Ba00BC",
        42161: "0x66F30587FB8D4206918deb78ecA7d5eBbafD06DA",
        8453: "0x46415998764C29aB2a25CbeA6254146D50D22687",
    }
)
FEE_RECIPIENT = "0x00000000000000000000000000000000000Fee01"
MARKET_FEE = 10**17  # a tenth of the interest, on the markets that charge one
ENABLED_LLTVS = (0, 385, 625, 770, 860, 915, 945, 965, 980)  # thousandths, the ones Morpho's governance enabled
PARAMS = "(address,address,address,address,uint256)"

Params = tuple[str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class Market:
    """``id``: keccak of the encoded parameters; ``lltv``: 1e18. ``collateral`` is "" in an idle market."""

    chain_id: int
    name: str
    id: str
    loan: str
    collateral: str
    loan_token: str
    collateral_token: str
    oracle: str
    irm: str
    lltv: int

    @property
    def params(self) -> Params:
        return self.loan_token, self.collateral_token, self.oracle, self.irm, self.lltv

    @property
    def id_bytes(self) -> bytes:
        return bytes.fromhex(self.id[2:])


@dataclass(frozen=True, slots=True)
class MorphoBlue:
    morpho: str
    irm: str
    brittle_oracle: str
    markets: tuple[Market, ...]


@dataclass(frozen=True, slots=True)
class Position:
    supply_shares: int
    borrow_shares: int
    collateral: int


def market_id(params: Params) -> str:
    """keccak256(abi.encode(params)), 0x-hex."""
    return "0x" + keccak(abi.encode([PARAMS], [params])).hex()


def deployment(world: World, chain_id: int) -> MorphoBlue:
    """What ``deploy`` recorded for a chain."""
    return world.recorded(MorphoBlue)[chain_id]


def find_market(world: World, chain_id: int, name: str) -> Market | None:
    """A market by its name (``"WBTC/USDC"``), or None."""
    return next((market for market in deployment(world, chain_id).markets if market.name == name), None)


def market(world: World, chain_id: int, name: str) -> Market:
    """The same; WorldError when there is none."""
    found = find_market(world, chain_id, name)
    if found is None:
        raise WorldError(f"no Morpho market {name} on chain {chain_id}")
    return found


async def deploy(world: World) -> None:
    """Deploy on every chain, with base supply and borrowing; records a ``MorphoBlue`` for each.

    Needs tokens, feeds, Lido, rate tokens and vaults.
    """
    await asyncio.gather(*(_deploy_on(world, chain_id) for chain_id in world.chains))


async def _deploy_on(world: World, chain_id: int) -> None:
    chain, blue, irm = world.chains[chain_id], BLUE[chain_id], ADAPTIVE_CURVE[chain_id]
    await chain.place(blue, world.artifact(MORPHO, "Morpho").code, ["address"], [DEPLOYER])
    await chain.place(irm, world.own("AdaptiveCurveRate"), ["address"], [blue])
    async with chain.block():
        await chain.send(DEPLOYER, blue, "enableIrm(address)", irm)
        await chain.send(DEPLOYER, blue, "enableIrm(address)", abi.ZERO_ADDRESS)
        await chain.send(DEPLOYER, blue, "setFeeRecipient(address)", FEE_RECIPIENT)
        for lltv in ENABLED_LLTVS:
            await chain.send(DEPLOYER, blue, "enableLltv(uint256)", lltv * 10**15)
    listings = catalogue.LISTINGS[chain_id]
    brittle = ""
    markets: list[Market] = []
    for listing in listings:
        oracle = await catalogue.deploy_oracle(world, chain_id, listing)
        if listing.oracle_kind == "brittle":
            brittle = oracle
        markets.append(_market(world, chain_id, listing, oracle, irm))
    async with chain.block():
        for made, listing in zip(markets, listings, strict=True):
            await chain.send(DEPLOYER, blue, f"createMarket({PARAMS})", made.params)
            if listing.charges_fee:
                await chain.send(DEPLOYER, blue, f"setFee({PARAMS},uint256)", made.params, MARKET_FEE)
    for made, listing in zip(markets, listings, strict=True):
        if listing.production_id and made.id != listing.production_id:
            raise WorldError(f"market {made.name} has id {made.id}, not {listing.production_id}")
    world.record(chain_id, MorphoBlue(blue, irm, brittle, tuple(markets)))
    await _seed(world, chain_id, listings, markets)


def _market(world: World, chain_id: int, listing: catalogue.Listing, oracle: str, irm: str) -> Market:
    loan = world.token(chain_id, listing.loan).address
    idle = not listing.collateral
    collateral = abi.ZERO_ADDRESS if idle else world.token(chain_id, listing.collateral).address
    params = (loan, collateral, oracle, abi.ZERO_ADDRESS if idle else irm, listing.lltv * 10**15)
    return Market(chain_id, listing.name, market_id(params), listing.loan, listing.collateral, *params)


async def _seed(world: World, chain_id: int, listings: tuple[catalogue.Listing, ...], markets: list[Market]) -> None:
    """Base supply, and borrowing up to the listing's utilisation against twice its worth of collateral."""
    blue = BLUE[chain_id]
    symbols = {symbol for one in markets for symbol in (one.loan, one.collateral) if symbol}
    await approve(world, chain_id, LIQUIDITY_PROVIDER, blue, symbols)
    for made, listing in zip(markets, listings, strict=True):
        if not listing.supply_usd:
            continue
        supplied = raw_worth(world, chain_id, made.loan, listing.supply_usd)
        await supply(world, made, LIQUIDITY_PROVIDER, supplied)
        if listing.utilization:
            borrowed_usd = listing.supply_usd * listing.utilization
            collateral = raw_worth(world, chain_id, made.collateral, 2 * borrowed_usd)
            await supply_collateral(world, made, HOUSE_BORROWER, collateral)
            await borrow(world, made, HOUSE_BORROWER, int(supplied * listing.utilization))


async def supply(world: World, market: Market, owner: str, assets: int) -> None:
    """Supply raw ``assets`` of the loan token on behalf of ``owner``."""
    await provide(world, market.chain_id, market.loan, assets)
    await world.chains[market.chain_id].send(
        LIQUIDITY_PROVIDER,
        BLUE[market.chain_id],
        f"supply({PARAMS},uint256,uint256,address,bytes)",
        *(market.params, assets, 0, owner, b""),
    )


async def withdraw(world: World, market: Market, owner: str, assets: int) -> None:
    """Withdraw raw ``assets`` of ``owner``'s supply to the owner."""
    signature = f"withdraw({PARAMS},uint256,uint256,address,address)"
    await _send(world, market, owner, signature, market.params, assets, 0, owner, owner)


async def supply_collateral(world: World, market: Market, owner: str, assets: int) -> None:
    """Supply raw ``assets`` of the collateral token on behalf of ``owner``."""
    await provide(world, market.chain_id, market.collateral, assets)
    await world.chains[market.chain_id].send(
        LIQUIDITY_PROVIDER,
        BLUE[market.chain_id],
        f"supplyCollateral({PARAMS},uint256,address,bytes)",
        *(market.params, assets, owner, b""),
    )


async def withdraw_collateral(world: World, market: Market, owner: str, assets: int) -> None:
    """Withdraw raw collateral of ``owner`` to the owner; raises when the position would not be healthy."""
    signature = f"withdrawCollateral({PARAMS},uint256,address,address)"
    await _send(world, market, owner, signature, market.params, assets, owner, owner)


async def borrow(world: World, market: Market, owner: str, assets: int) -> None:
    """Borrow raw ``assets`` as ``owner``, who receives them."""
    signature = f"borrow({PARAMS},uint256,uint256,address,address)"
    await _send(world, market, owner, signature, market.params, assets, 0, owner, owner)


async def repay(world: World, market: Market, owner: str, assets: int) -> None:
    """Repay raw ``assets`` of ``owner``'s debt with fresh tokens."""
    await provide(world, market.chain_id, market.loan, assets)
    signature = f"repay({PARAMS},uint256,uint256,address,bytes)"
    await _send(world, market, LIQUIDITY_PROVIDER, signature, market.params, assets, 0, owner, b"")


async def liquidate(world: World, market: Market, borrower: str, seized: int) -> None:
    """Seize raw collateral of an unhealthy ``borrower``, repaying with fresh tokens; raises for a healthy one.

    When nothing of the collateral is left, the rest of the debt is the suppliers' loss.
    """
    # the whole collateral's worth is more than the repayment, which leaves the liquidator his bonus
    worth = seized * await oracle_price(world, market) // 10**36
    await provide(world, market.chain_id, market.loan, worth + 1)
    signature = f"liquidate({PARAMS},address,uint256,uint256,bytes)"
    await _send(world, market, LIQUIDITY_PROVIDER, signature, market.params, borrower, seized, 0, b"")


async def open_position(world: World, market: Market, owner: str, collateral: int, ltv: Decimal) -> int:
    """Supply raw ``collateral`` and borrow ``ltv`` (0.7) of its worth at the market's oracle; returns what was
    borrowed (raw). At most the market's LLTV."""
    await supply_collateral(world, market, owner, collateral)
    worth = collateral * await oracle_price(world, market) // 10**36
    borrowed = int(worth * ltv)
    await borrow(world, market, owner, borrowed)
    return borrowed


async def accrue_interest(world: World, market: Market) -> None:
    """Write the interest up to the next block into the market."""
    await _send(world, market, DEPLOYER, f"accrueInterest({PARAMS})", market.params)


async def oracle_price(world: World, market: Market) -> int:
    """The oracle's ``price()``: raw loan tokens for a raw collateral token, 1e36."""
    (price,) = await world.chains[market.chain_id].call(market.oracle, "price()(uint256)")
    return cast(int, price)


async def position(world: World, market: Market, owner: str) -> Position:
    answer = await world.chains[market.chain_id].call(
        BLUE[market.chain_id], "position(bytes32,address)(uint256,uint128,uint128)", market.id_bytes, owner
    )
    return Position(*cast("tuple[int, int, int]", answer))


async def set_oracle_broken(world: World, chain_id: int, broken: bool) -> None:
    """Make the brittle market's oracle revert, or answer again."""
    oracle = deployment(world, chain_id).brittle_oracle
    await world.chains[chain_id].send(DEPLOYER, oracle, "setBroken(bool)", broken)


async def _send(world: World, market: Market, sender: str, signature: str, *arguments: object) -> None:
    await world.chains[market.chain_id].send(sender, BLUE[market.chain_id], signature, *arguments)
