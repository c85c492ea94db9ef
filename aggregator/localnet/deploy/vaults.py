"""ERC-4626 vaults: the well-known ones at their production addresses, and odd ones at addresses of their own.

``deploy`` needs the tokens; ``deploy_nested`` needs Morpho's markets too: it makes a vault that lends in them and two
vaults around its shares. Odd ones are for discovery by interface: a vault whose shares have 12 more decimals than its
asset, one whose withdrawals are gated, one that received a donation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import cast

from aggregator.localnet import market
from aggregator.localnet.deploy import morpho
from aggregator.localnet.deploy.shared import LIQUIDITY_PROVIDER, UNLIMITED, provide, raw
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import Token, World, WorldError

RAY = 10**27
YEAR = 365 * 86_400
CREDIT_BORROWER = "0x000000000000000000000000000000000000c4ed"
BASE_DEPOSIT = 25_000_000  # whole assets in each well-known vault


@dataclass(frozen=True, slots=True)
class Vault:
    """``asset``: the symbol of the asset, itself a vault's symbol where vaults are nested."""

    chain_id: int
    symbol: str
    address: str
    asset: str
    kind: str  # savings | cooldown | credit | plain | market


@dataclass(frozen=True, slots=True)
class _Savings:
    address: str
    name: str
    asset: str
    yearly_rate: str


# Sky's deployed savings tokens. On the other chains sUSDS is a bridged token without a vault's functions.
_SAVINGS: Mapping[tuple[int, str], _Savings] = MappingProxyType(
    {
        (1, "sDAI"): _Savings("0x83F20F44975D03b1b09e64809B757c47f942BEeA", "Savings Dai", "DAI", "0.0275"),
        (1, "sUSDS"): _Savings("0xa3931d71877C0E7a3148CB7Eb4463524FEc27fbD", "Savings USDS", "USDS", "0.045"),
    }
)
STAKED_USDE = "0x9D39A5DE30e57443BfF2A8307A4256c8797A3497"
COOLDOWN_SECONDS = 7 * 86_400
SYRUP_USDC = "0x80ac24aA929eaF5013f6436cdA2a7ba190f5Cc0b"
SYRUP_RATE = "0.072"
SYRUP_LENT = Decimal("0.92")

OFFSET_VAULT, GATED_VAULT, DONATED_VAULT = "ovUSDC", "gvUSDC", "dvWETH"
MARKET_VAULT, INNER_VAULT, OUTER_VAULT = "mmUSDC", "vmmUSDC", "vvmmUSDC"


def vault(world: World, chain_id: int, symbol: str) -> Vault:
    """The recorded vault; WorldError when there is none of that symbol."""
    found = world.recorded(Vault).get((chain_id, symbol))
    if found is None:
        raise WorldError(f"no vault {symbol} on chain {chain_id}")
    return found


async def deploy(world: World) -> None:
    """Deploy all but the nested vaults and record a ``Vault`` by (chain, symbol)."""
    for (chain_id, symbol), savings in _SAVINGS.items():
        await _deploy_savings(world, chain_id, symbol, savings)
    await _deploy_cooldown(world)
    await _deploy_credit(world)
    await _deploy_odd(world)


async def _deploy_savings(world: World, chain_id: int, symbol: str, savings: _Savings) -> None:
    chain = world.chains[chain_id]
    per_second = RAY + int((1 + Decimal(savings.yearly_rate)).ln() * RAY / YEAR)
    index = raw(market.RATES[symbol], 27)
    asset = world.token(chain_id, savings.asset).address
    types = ["address", "string", "string", "address", "uint192", "uint256"]
    arguments = [asset, savings.name, symbol, DEPLOYER, index, per_second]
    await chain.place(savings.address, world.own("SavingsVault"), types, arguments)
    await _register(world, Vault(chain_id, symbol, savings.address, savings.asset, "savings"))
    # years of interest in advance: the index grows without anybody paying in
    await world.mint(chain_id, savings.asset, savings.address, raw(BASE_DEPOSIT, 18))
    await deposit(world, chain_id, symbol, LIQUIDITY_PROVIDER, raw(BASE_DEPOSIT, 18))


async def _deploy_cooldown(world: World) -> None:
    chain, asset = world.chains[1], world.token(1, "USDe").address
    types = ["address", "string", "string", "address", "uint24"]
    arguments = [asset, "Staked USDe", "sUSDe", DEPLOYER, COOLDOWN_SECONDS]
    await chain.place(STAKED_USDE, world.own("CooldownVault"), types, arguments)
    await _register(world, Vault(1, "sUSDe", STAKED_USDE, "USDe", "cooldown"))
    await deposit(world, 1, "sUSDe", LIQUIDITY_PROVIDER, raw(BASE_DEPOSIT, 18))
    await world.mint(1, "USDe", STAKED_USDE, raw(BASE_DEPOSIT * (market.RATES["sUSDe"] - 1), 18))


async def _deploy_credit(world: World) -> None:
    chain, asset = world.chains[1], world.token(1, "USDC").address
    types = ["address", "string", "string", "address", "uint256"]
    arguments = [asset, "Syrup USDC", "syrupUSDC", DEPLOYER, raw(SYRUP_RATE, 18)]
    await chain.place(SYRUP_USDC, world.own("CreditVault"), types, arguments)
    await _register(world, Vault(1, "syrupUSDC", SYRUP_USDC, "USDC", "credit"))
    await deposit(world, 1, "syrupUSDC", LIQUIDITY_PROVIDER, raw(BASE_DEPOSIT, 6))
    total = BASE_DEPOSIT * market.RATES["syrupUSDC"]
    await world.mint(1, "USDC", SYRUP_USDC, raw(total - BASE_DEPOSIT, 6))
    await chain.send(DEPLOYER, SYRUP_USDC, "lend(address,uint256)", CREDIT_BORROWER, raw(total * SYRUP_LENT, 6))


async def _deploy_odd(world: World) -> None:
    for symbol, name, asset, offset in (
        (OFFSET_VAULT, "Offset USDC vault", "USDC", 12),
        (GATED_VAULT, "Gated USDC vault", "USDC", 0),
        (DONATED_VAULT, "Donated WETH vault", "WETH", 0),
    ):
        await _deploy_plain(world, 1, symbol, name, asset, offset)
    await deposit(world, 1, OFFSET_VAULT, LIQUIDITY_PROVIDER, raw("1000000.123456", 6))
    await deposit(world, 1, GATED_VAULT, LIQUIDITY_PROVIDER, raw(500_000, 6))
    await deposit(world, 1, DONATED_VAULT, LIQUIDITY_PROVIDER, raw(100, 18))
    await set_gate(world, 1, GATED_VAULT, True)
    await donate(world, 1, DONATED_VAULT, raw("3.7", 18))


async def deploy_nested(world: World) -> None:
    """A vault that lends in Morpho's markets, and two vaults around its shares; on Ethereum and Base."""
    for chain_id in (1, 8453):
        chain, asset = world.chains[chain_id], world.token(chain_id, "USDC").address
        types = ["address", "address", "string", "string", "address"]
        arguments = [morpho.deployment(world, chain_id).morpho, asset, "Market USDC vault", MARKET_VAULT, DEPLOYER]
        address = await chain.deploy(world.own("MarketVault"), types, arguments)
        await _register(world, Vault(chain_id, MARKET_VAULT, address, "USDC", "market"))
        async with chain.block():
            for name, cap in (("WBTC/USDC", 4_000_000), ("wstETH/USDC", 6_000_000), ("WETH/USDC", 50_000_000)):
                found = morpho.find_market(world, chain_id, name)
                if found is not None:
                    await chain.send(DEPLOYER, address, "addMarket(bytes32,uint184)", found.id_bytes, raw(cap, 6))
        await deposit(world, chain_id, MARKET_VAULT, LIQUIDITY_PROVIDER, raw(12_000_000, 6))
        await _deploy_plain(world, chain_id, INNER_VAULT, "Vault of the market vault", MARKET_VAULT, 0)
        await _deploy_plain(world, chain_id, OUTER_VAULT, "Vault of the vault", INNER_VAULT, 0)
        await deposit_through(world, chain_id, OUTER_VAULT, LIQUIDITY_PROVIDER, raw(250_000, 6))


async def _deploy_plain(world: World, chain_id: int, symbol: str, name: str, asset: str, offset: int) -> None:
    types = ["address", "string", "string", "uint8", "address"]
    arguments = [world.token(chain_id, asset).address, name, symbol, offset, DEPLOYER]
    address = await world.chains[chain_id].deploy(world.own("PlainVault"), types, arguments)
    await _register(world, Vault(chain_id, symbol, address, asset, "plain"))


async def _register(world: World, made: Vault) -> None:
    """Record the vault, make its shares a token of the world, and let the liquidity provider deposit."""
    chain = world.chains[made.chain_id]
    (decimals,) = await chain.call(made.address, "decimals()(uint8)")
    world.add_token(Token(made.chain_id, made.symbol, made.address, cast(int, decimals), supply="none"))
    world.record((made.chain_id, made.symbol), made)
    asset = world.token(made.chain_id, made.asset).address
    await chain.send(LIQUIDITY_PROVIDER, asset, "approve(address,uint256)", made.address, UNLIMITED)


async def deposit(world: World, chain_id: int, symbol: str, owner: str, assets: int) -> int:
    """Deposit raw ``assets`` of the vault's asset for ``owner``; returns the shares received."""
    made = vault(world, chain_id, symbol)
    await provide(world, chain_id, made.asset, assets)
    return await _deposit(world, made, owner, assets)


async def _deposit(world: World, made: Vault, owner: str, assets: int) -> int:
    before = await world.balance(made.chain_id, made.symbol, owner)
    chain = world.chains[made.chain_id]
    await chain.send(LIQUIDITY_PROVIDER, made.address, "deposit(uint256,address)", assets, owner)
    return await world.balance(made.chain_id, made.symbol, owner) - before


async def deposit_through(world: World, chain_id: int, symbol: str, owner: str, assets: int) -> int:
    """Deposit raw units of the innermost asset through every vault on the way; returns ``owner``'s new shares."""
    made = vault(world, chain_id, symbol)
    if (chain_id, made.asset) in world.recorded(Vault):
        assets = await deposit_through(world, chain_id, made.asset, LIQUIDITY_PROVIDER, assets)
        return await _deposit(world, made, owner, assets)
    return await deposit(world, chain_id, symbol, owner, assets)


async def redeem(world: World, chain_id: int, symbol: str, owner: str, shares: int) -> None:
    """Redeem ``shares`` of ``owner``; raises where the vault lets nobody out (gate, cooldown, queue)."""
    made = vault(world, chain_id, symbol)
    await world.chains[chain_id].send(owner, made.address, "redeem(uint256,address,address)", shares, owner, owner)


async def convert_to_assets(world: World, chain_id: int, symbol: str, shares: int) -> int:
    made = vault(world, chain_id, symbol)
    (assets,) = await world.chains[chain_id].call(made.address, "convertToAssets(uint256)(uint256)", shares)
    return cast(int, assets)


async def donate(world: World, chain_id: int, symbol: str, assets: int) -> None:
    """Send raw ``assets`` to the vault without shares in return: the share price jumps in one block."""
    made = vault(world, chain_id, symbol)
    await world.mint(chain_id, made.asset, made.address, assets)


async def set_gate(world: World, chain_id: int, symbol: str, closed: bool) -> None:
    """Close or open a plain vault: closed, ``maxWithdraw`` is 0 and ``convertToAssets`` unchanged."""
    made = vault(world, chain_id, symbol)
    await world.chains[chain_id].send(DEPLOYER, made.address, "setGated(bool)", closed)


async def cool_down(world: World, owner: str, shares: int) -> None:
    """Start the cooldown of ``shares`` of ``owner``'s sUSDe: they become assets in the silo."""
    await world.chains[1].send(owner, STAKED_USDE, "cooldownShares(uint256)", shares)


async def distribute_rewards(world: World, amount: int) -> None:
    """Pay raw USDe of rewards into sUSDe; they vest over eight hours."""
    chain = world.chains[1]
    async with chain.block():
        await world.mint(1, "USDe", DEPLOYER, amount)
        asset = world.token(1, "USDe").address
        await chain.send(DEPLOYER, asset, "approve(address,uint256)", STAKED_USDE, amount)
        await chain.send(DEPLOYER, STAKED_USDE, "transferInRewards(uint256)", amount)


async def request_redeem(world: World, owner: str, shares: int) -> None:
    """Put ``shares`` of ``owner``'s syrupUSDC into the redemption queue."""
    await world.chains[1].send(owner, SYRUP_USDC, "requestRedeem(uint256,address)", shares, owner)


async def impair(world: World, losses: int) -> None:
    """Mark raw USDC of syrupUSDC's loans as impaired: the exit value falls, the share price does not."""
    await world.chains[1].send(DEPLOYER, SYRUP_USDC, "impair(uint256)", losses)


async def write_off(world: World, loss: int) -> None:
    """Write off raw USDC of syrupUSDC's loans: the share price falls."""
    await world.chains[1].send(DEPLOYER, SYRUP_USDC, "writeOff(uint256)", loss)
