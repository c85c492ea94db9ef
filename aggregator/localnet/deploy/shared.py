"""What several deployers need: the house's own accounts, amounts, and where CREATE2 puts a child."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from aggregator.localnet import abi

if TYPE_CHECKING:
    from aggregator.localnet.world import World

NATIVE = abi.ZERO_ADDRESS
DEADLINE = (1 << 256) - 1
UNLIMITED = (1 << 256) - 1

LIQUIDITY_PROVIDER = "0x000000000000000000000000000000000000a11c"
"""Pays for everything that is minted or deposited on behalf of somebody else, and owns the pools' base liquidity."""
TRADER = "0x00000000000000000000000000000000007ADe12"
"""Swaps, and so moves the pools' prices."""
HOUSE_BORROWER = "0x000000000000000000000000000000000000B047"
"""Borrows the lending markets' base utilisation."""


def raw(amount: Decimal | int | str, decimals: int) -> int:
    """Whole tokens to raw units, rounded down."""
    return int(Decimal(amount).scaleb(decimals).to_integral_value(rounding=ROUND_DOWN))


def raw_worth(world: World, chain_id: int, symbol: str, usd: Decimal | int) -> int:
    """How many raw units of ``symbol`` are worth ``usd`` at the world's prices, rounded down."""
    return raw(Decimal(usd) / world.prices[symbol], token_decimals(world, chain_id, symbol))


def token_address(world: World, chain_id: int, symbol: str) -> str:
    """The token's address; the zero address for native ``ETH``."""
    return NATIVE if symbol == "ETH" else world.token(chain_id, symbol).address


def token_decimals(world: World, chain_id: int, symbol: str) -> int:
    return 18 if symbol == "ETH" else world.token(chain_id, symbol).decimals


def in_order(world: World, chain_id: int, one: str, other: str) -> tuple[str, str]:
    """The two symbols with the lower address first, as pools hold them."""
    first, second = (int(token_address(world, chain_id, symbol), 16) for symbol in (one, other))
    return (one, other) if first < second else (other, one)


def create2_address(creator: str, salt: bytes, code_hash: str) -> str:
    """Where ``creator`` puts a contract with this salt and init code hash."""
    packed = b"\xff" + bytes.fromhex(creator[2:]) + salt + bytes.fromhex(code_hash[2:])
    return str(to_checksum_address(keccak(packed)[12:]))


async def provide(world: World, chain_id: int, symbol: str, amount: int) -> None:
    """Put ``amount`` raw of ``symbol`` into the liquidity provider's hands; vault shares by depositing.

    Not inside ``chain.block()`` for vault shares: their price is read first.
    """
    chain, token = world.chains[chain_id], world.token(chain_id, symbol)
    if token.supply != "none":
        await world.mint(chain_id, symbol, LIQUIDITY_PROVIDER, amount)
        return
    (asset,) = await chain.call(token.address, "asset()(address)")
    (assets,) = await chain.call(token.address, "previewMint(uint256)(uint256)", amount)
    assert isinstance(assets, int)
    asset_symbol = next(one.symbol for one in world.tokens.values() if one.chain_id == chain_id and one.address == asset)
    # the share price may grow until the transaction's own block
    await provide(world, chain_id, asset_symbol, assets + assets // 10**6 + 1)
    await chain.send(LIQUIDITY_PROVIDER, token.address, "mint(uint256,address)", amount, LIQUIDITY_PROVIDER)


async def approve(world: World, chain_id: int, owner: str, spender: str, symbols: set[str]) -> None:
    """Let ``spender`` move all that ``owner`` has or will have of these tokens (native ether needs none)."""
    chain = world.chains[chain_id]
    async with chain.block():
        for symbol in sorted(symbols - {"ETH"}):
            token = world.token(chain_id, symbol).address
            await chain.send(owner, token, "approve(address,uint256)", spender, UNLIMITED)


async def expect_code(world: World, chain_id: int, address: str, what: str) -> None:
    """Raise when nothing lies at an address where a child was expected."""
    if not await world.chains[chain_id].code(address):
        raise RuntimeError(f"{what} is not at {address} on chain {chain_id}")
