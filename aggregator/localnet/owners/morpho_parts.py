"""Positions in Morpho's markets, steered to the health factor that they are meant to end with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from aggregator.localnet import outlook
from aggregator.localnet.deploy import morpho
from aggregator.localnet.deploy.shared import raw_worth
from aggregator.localnet.owners.profile import Part, spend
from aggregator.localnet.world import World, WorldError

_PRICE_SCALE = 10**36
_WAD = 10**18
_MOST = Decimal("0.9995")  # of what the market lends: its own check rounds against the borrower
_RESERVE = Decimal("0.985")  # what only the fall can bring below 1 is left a little lower, then repaired


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply(Part):
    """``usd`` supplied to a market, named as ``morpho.market`` does."""

    chain_id: int = 1
    market: str
    usd: int

    async def open(self, world: World, owner: str) -> None:
        market = morpho.market(world, self.chain_id, self.market)
        await morpho.supply(world, market, owner, raw_worth(world, self.chain_id, market.loan, self.usd))


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrow(Part):
    """``usd`` of collateral in a market; ``health`` it is to end with, None for no debt. ``borrowed_usd`` instead:
    a debt as it is, left alone. What was borrowed is spent."""

    chain_id: int = 1
    market: str
    usd: int
    health: Decimal | None = None
    borrowed_usd: int = 0

    async def open(self, world: World, owner: str) -> None:
        market = morpho.market(world, self.chain_id, self.market)
        collateral = raw_worth(world, self.chain_id, market.collateral, self.usd)
        if self.health is not None:
            lltv = Decimal(market.lltv) / _WAD
            fall = outlook.factor(world.seed, market.collateral) / outlook.factor(world.seed, market.loan)
            first = self.health / Decimal(fall) * (_RESERVE if self.health < 1 else 1)
            borrowed = await morpho.open_position(world, market, owner, collateral, lltv * min(_MOST, 1 / first))
            await spend(world, self.chain_id, owner, market.loan, borrowed)
        else:
            await morpho.supply_collateral(world, market, owner, collateral)
            if self.borrowed_usd:
                borrowed = raw_worth(world, self.chain_id, market.loan, self.borrowed_usd)
                await morpho.borrow(world, market, owner, borrowed)
                await spend(world, self.chain_id, owner, market.loan, borrowed)

    async def settle(self, world: World, owner: str) -> None:
        if self.health is not None:
            await steer(world, morpho.market(world, self.chain_id, self.market), owner, self.health)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidatedBorrow(Borrow):
    """Borrows the most that he may, and is liquidated at the end: ``seized`` is the share of his collateral that goes.
    When all goes, the rest of the debt is the suppliers' loss."""

    seized: Decimal

    async def settle(self, world: World, owner: str) -> None:
        market = morpho.market(world, self.chain_id, self.market)
        held = (await morpho.position(world, market, owner)).collateral
        await morpho.liquidate(world, market, owner, int(held * self.seized))


async def state(world: World, market: morpho.Market, owner: str) -> tuple[int, int, int]:
    """``(collateral, most, debt)`` now, raw, after writing the interest: ``most`` is what the market lends against
    the collateral, rounded down, ``debt`` rounded up, as Morpho itself compares them."""
    await morpho.accrue_interest(world, market)
    position = await morpho.position(world, market, owner)
    totals = await world.chains[market.chain_id].call(
        morpho.BLUE[market.chain_id], "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)", market.id_bytes
    )
    borrowed, shares = cast(int, totals[2]) + 1, cast(int, totals[3]) + 10**6  # virtual assets and shares
    debt = -(-position.borrow_shares * borrowed // shares)
    price = await morpho.oracle_price(world, market)
    return position.collateral, position.collateral * price // _PRICE_SCALE * market.lltv // _WAD, debt


async def steer(world: World, market: morpho.Market, owner: str, health: Decimal) -> None:
    """Bring a position to a health factor: repay or borrow.

    Raises WorldError when it stands above a target below 1, where only prices lead to.
    """
    _, most, debt = await state(world, market, owner)
    wanted = int(most / health)
    if debt > wanted:
        await morpho.repay(world, market, owner, debt - wanted)
    elif health < 1:
        raise WorldError(f"{owner} stands at {most / debt:.4f} in {market.name}: the fall did not reach {health}")
    elif wanted > debt:
        await morpho.borrow(world, market, owner, wanted - debt)
        await spend(world, market.chain_id, owner, market.loan, wanted - debt)
