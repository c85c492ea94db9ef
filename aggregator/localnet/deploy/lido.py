"""Lido on Ethereum: stETH, wstETH and the withdrawal queue at their production addresses, with their rounding.

Own small contracts with the production read surface. The rate starts at the market table's level and changes only by
``report`` and ``slash``, as the accounting oracle does it; on the other chains wstETH is a plain bridged token whose
rate comes from a feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from aggregator.localnet import market
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import Token, World

# Lido's deployed contracts on mainnet.
STAKED_ETHER = "0xae7ab96520DE3A18E5e111B5EaAb095312D7fE84"
WRAPPED_STAKED_ETHER = "0x7f39C581F595B53c5cb19bD0b3f8dA6c935E2Ca0"
WITHDRAWAL_QUEUE = "0x889edC2eDab5f40e902b864aD4d7AdE8E412F9B1"
CHAIN = 1

FIRST_STAKER = "0x000000000000000000000000000000000000057a"
FIRST_STAKE = 250_000  # shares, each worth the market table's rate in ether after the first report
OPERATOR_FEE = Decimal("0.1")  # of rewards, minted as shares


@dataclass(frozen=True, slots=True)
class Lido:
    staked_ether: str
    wrapped_staked_ether: str
    withdrawal_queue: str


async def deploy(world: World) -> None:
    """Deploy on Ethereum, make stETH and wstETH mintable tokens of the world, and record a ``Lido``."""
    chain = world.chains[CHAIN]
    await chain.place(STAKED_ETHER, world.own("StakedEther"), ["address", "address"], [DEPLOYER, WRAPPED_STAKED_ETHER])
    await chain.place(WRAPPED_STAKED_ETHER, world.own("WrappedStakedEther"), ["address", "address"], [STAKED_ETHER, DEPLOYER])
    await chain.place(WITHDRAWAL_QUEUE, world.own("WithdrawalQueue"), ["address", "address"], [STAKED_ETHER, DEPLOYER])
    world.add_token(Token(CHAIN, "stETH", STAKED_ETHER, 18))
    world.add_token(Token(CHAIN, "wstETH", WRAPPED_STAKED_ETHER, 18))
    world.record(CHAIN, Lido(STAKED_ETHER, WRAPPED_STAKED_ETHER, WITHDRAWAL_QUEUE))
    await world.mint(CHAIN, "stETH", FIRST_STAKER, raw(FIRST_STAKE, 18))
    # an odd remainder: balances round as they do on mainnet
    pooled = raw(FIRST_STAKE * market.RATES["wstETH"], 18) + 123_456_789
    await chain.send(DEPLOYER, STAKED_ETHER, "report(uint256,uint256)", pooled, 0)


async def rate(world: World) -> int:
    """Ether a share, 1e18 (``wstETH.stEthPerToken``)."""
    return await _read(world, WRAPPED_STAKED_ETHER, "stEthPerToken()(uint256)")


async def give_steth(world: World, owner: str, amount: int) -> int:
    """Stake ``amount`` wei for ``owner``; returns the shares received."""
    before = await shares_of(world, owner)
    await world.mint(CHAIN, "stETH", owner, amount)
    return await shares_of(world, owner) - before


async def give_wsteth(world: World, owner: str, amount: int) -> None:
    """Exactly ``amount`` raw wstETH for ``owner``, backed by as many new shares."""
    await world.mint(CHAIN, "wstETH", owner, amount)


async def shares_of(world: World, owner: str) -> int:
    return await _read(world, STAKED_ETHER, "sharesOf(address)(uint256)", owner)


async def report(world: World, change: Decimal) -> None:
    """An oracle report that changes the pooled ether by ``change`` (0.0001 = one basis point of rewards).

    A tenth of a reward goes to the operator as new shares; a loss is shared by all and costs no fee.
    """
    pooled = await _read(world, STAKED_ETHER, "getTotalPooledEther()(uint256)")
    shares = await _read(world, STAKED_ETHER, "getTotalShares()(uint256)")
    reward = int(pooled * change)
    fee = max(0, int(reward * OPERATOR_FEE))
    fee_shares = fee * shares // (pooled + reward - fee)
    await world.chains[CHAIN].send(DEPLOYER, STAKED_ETHER, "report(uint256,uint256)", pooled + reward, fee_shares)


async def slash(world: World, loss: Decimal) -> None:
    """A report that lowers every balance by ``loss`` (0.01 = one per cent)."""
    await report(world, -loss)


async def request_withdrawals(world: World, owner: str, amounts: Sequence[int]) -> list[int]:
    """Put raw stETH of ``owner`` (which it must hold) into the queue; returns the NFT ids."""
    chain = world.chains[CHAIN]
    last = await _read(world, WITHDRAWAL_QUEUE, "getLastRequestId()(uint256)")
    async with chain.block():
        await chain.send(owner, STAKED_ETHER, "approve(address,uint256)", WITHDRAWAL_QUEUE, sum(amounts))
        await chain.send(owner, WITHDRAWAL_QUEUE, "requestWithdrawals(uint256[],address)", list(amounts), owner)
    return list(range(last + 1, last + 1 + len(amounts)))


async def finalize_withdrawals(world: World, last_id: int) -> None:
    """Lock the ether of every request up to ``last_id``, at today's rate and never above the amount asked for."""
    chain = world.chains[CHAIN]
    # the ether comes back from the validators when it is needed
    await chain.set_balance(STAKED_ETHER, await _read(world, STAKED_ETHER, "getTotalPooledEther()(uint256)"))
    await chain.send(DEPLOYER, WITHDRAWAL_QUEUE, "finalize(uint256)", last_id)


async def claim_withdrawal(world: World, owner: str, request_id: int) -> None:
    """Pay a finalised request out to its ``owner`` and burn the NFT."""
    await world.chains[CHAIN].send(owner, WITHDRAWAL_QUEUE, "claimWithdrawal(uint256)", request_id)


async def _read(world: World, address: str, signature: str, *arguments: object) -> int:
    (answer,) = await world.chains[CHAIN].call(address, signature, *arguments)
    return cast(int, answer)
