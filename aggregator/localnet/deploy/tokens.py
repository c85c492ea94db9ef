"""The plain tokens at their production addresses, and the uninvited ones that turn up in real wallets.

Tokens that earn or wrap something on chain 1 (stETH, wstETH, rETH, cbETH, weETH, the savings vaults) have deployers of
their own; on the rollups the same names are plain bridged tokens and belong here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import Token, World

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"

# symbol, decimals, address; sources: the tokens' issuers' deployments as listed in the Aave address book.
_PLAIN: dict[int, tuple[tuple[str, int, str], ...]] = {
    1: (
        ("USDC", 6, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
        ("DAI", 18, "0x6B175474E89094C44Da98b954EedeAC495271d0F"),
        ("WBTC", 8, "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"),
        ("cbBTC", 8, "0xcbB7C0000aB88B473b1f5aFd9ef808440eed33Bf"),
        ("LINK", 18, "0x514910771AF9Ca656af840dff83E8264EcF986CA"),
        ("AAVE", 18, "0x7Fc66500c84A76Ad7e9c93437bFc5Ac33E2DDaE9"),
        ("UNI", 18, "0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984"),
        ("CRV", 18, "0xD533a949740bb3306d119CC777fa900bA034cd52"),
        ("GHO", 18, "0x40D16FC0246aD3160Ccc09B8D0D3A2cD28aE6C2f"),
        ("USDS", 18, "0xdC035D45d973E3EC169d2276DDab16f1e407384F"),
        ("USDe", 18, "0x4c9EDD5852cd905f086C759E8383e09bff1E68B3"),
        ("LUSD", 18, "0x5f98805A4E8be255a32880FDeC7F6728C6568bA0"),
        ("EURC", 6, "0x1aBaEA1f7C830bD89Acc67eC4af516284b1bC33c"),
    ),
    42161: (
        ("USDC", 6, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
        ("USDC.e", 6, "0xFF970A61A04b1cA14834A43f5dE4533eBDDB5CC8"),
        ("DAI", 18, "0xDA10009cBd5D07dd0CeCc66161FC93D7c9000da1"),
        ("WBTC", 8, "0x2f2a2543B76A4166549F7aaB2e75Bef0aefC5B0f"),
        ("LINK", 18, "0xf97f4df75117a78c1A5a0DBb814Af92458539FB4"),
        ("ARB", 18, "0x912CE59144191C1204E64559FE8253a0e49E6548"),
        ("wstETH", 18, "0x5979D7b546E38E414F7E9822514be443A4800529"),
        ("weETH", 18, "0x35751007a407ca6FEFfE80b3cB397736D2cf4dbe"),
        ("rETH", 18, "0xEC70Dcb4A1EFa46b8F2D97C310C9c4790ba5ffA8"),
    ),
    8453: (
        ("USDC", 6, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
        ("USDbC", 6, "0xd9aAEc86B65D86f6A7B5B1b0c42FFA531710b6CA"),
        ("DAI", 18, "0x50c5725949A6F0c72E6C4a641F24049A917DB0Cb"),
        ("cbBTC", 8, "0xcbB7C0000aB88B473b1f5aFd9ef808440eed33Bf"),
        ("cbETH", 18, "0x2Ae3F1Ec7F1F5012CFEab0185bfc7aa3cf0DEc22"),
        ("wstETH", 18, "0xc1CBa3fCea344f92D9239c08C0568f6F2F0ee452"),
        ("weETH", 18, "0x04C0599Ae5A44757c0af6F9eC3b93da8976c150A"),
        ("sUSDS", 18, "0x5875eEE11Cf8398102FdAd704C9E96607675467a"),
    ),
}
_UNRETURNING = {
    1: ("USDT", 6, "0xdAC17F958D2ee523a2206206994597C13D831ec7"),
    42161: ("USDT", 6, "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9"),
}
_FIXED_NAME = {1: ("MKR", 18, "0x9f8F72aA9304c8B593d555F12eF6589cC3A579A2")}
_WRAPPED_NATIVE = {
    1: "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
    42161: "0x82aF49447D8a07e3bd95BD0d56f35241523fBab1",
    8453: "0x4200000000000000000000000000000000000006",
}
# What symbol() answers where it is not the name that this project uses to tell two tokens apart.
_ON_CHAIN_SYMBOL = {"USDC.e": "USDC"}


@dataclass(frozen=True, slots=True)
class UninvitedTokens:
    """Addresses on chain 1 by contract name; each has ``announce(address owner, uint256 value)``, which makes it turn
    up among the owner's ``Transfer`` logs. ``vanished`` held code when it was announced and holds none any more."""

    tokens: dict[str, str]
    vanished: str


async def deploy(world: World) -> None:
    """Multicall3, wrapped native currency and plain tokens on every chain; the uninvited tokens on chain 1."""
    multicall = _multicall_code(world)
    for chain_id, chain in world.chains.items():
        await chain.place(MULTICALL3, multicall)
        await _wrapped_native(world, chain_id)
        for symbol, decimals, address in _PLAIN[chain_id]:
            await _place(world, "ManagedToken", chain_id, symbol, decimals, address)
        if chain_id in _UNRETURNING:
            await _place(world, "UnreturningToken", chain_id, *_UNRETURNING[chain_id])
        if chain_id in _FIXED_NAME:
            await _fixed_name(world, chain_id, *_FIXED_NAME[chain_id])
    await _uninvited(world)


def _multicall_code(world: World) -> bytes:
    source = world.artifacts.text("viem", "constants/contracts.ts")
    found = re.search(r"multicall3Bytecode\s*=\s*'0x([0-9a-f]+)'", source)
    if found is None:
        raise LookupError("viem holds no Multicall3 bytecode")
    return bytes.fromhex(found.group(1))


async def _wrapped_native(world: World, chain_id: int) -> None:
    address = _WRAPPED_NATIVE[chain_id]
    await world.chains[chain_id].place(address, world.artifact("@uniswap/v2-periphery", "build/WETH9.json").code)
    world.add_token(Token(chain_id, "WETH", address, 18, supply="wrap"))


async def _place(world: World, contract: str, chain_id: int, symbol: str, decimals: int, address: str) -> None:
    shown = _ON_CHAIN_SYMBOL.get(symbol, symbol)
    await world.chains[chain_id].place(
        address, world.own(contract), ["string", "string", "uint8", "address"], [shown, shown, decimals, DEPLOYER]
    )
    world.add_token(Token(chain_id, symbol, address, decimals))


async def _fixed_name(world: World, chain_id: int, symbol: str, decimals: int, address: str) -> None:
    names = [b"Maker".ljust(32, b"\0"), symbol.encode().ljust(32, b"\0")]
    await world.chains[chain_id].place(address, world.own("FixedNameToken"), ["bytes32", "bytes32", "address"], [*names, DEPLOYER])
    world.add_token(Token(chain_id, symbol, address, decimals))


async def _uninvited(world: World) -> None:
    chain = world.chains[1]
    tokens = {
        name: await chain.deploy(world.own(name))
        for name in (*("EndlessToken", "BloatedToken", "RevertingToken", "MistypedToken", "LookupToken", "BoundlessToken"),)
    }
    spam = world.own("SpamToken")
    advertisement = ["Visit reward.example to claim $5000", "reward.example"]
    tokens["Advertisement"] = await chain.deploy(spam, ["string", "string"], advertisement)
    tokens["Lookalike"] = await chain.deploy(spam, ["string", "string"], ["USD Coin", "USDC"])
    tokens["Markup"] = await chain.deploy(spam, ["string", "string"], ["<img src=x onerror=alert(1)>", "\u202e\x00💰"])
    vanished = await chain.deploy(spam, ["string", "string"], ["Gone", "GONE"])
    world.record(1, UninvitedTokens(tokens, vanished))


async def vanish(world: World) -> None:
    """Take away the code of the token that is to be gone, once it has been announced to its holders."""
    token = uninvited(world).vanished
    await world.chains[1].rpc("anvil_setCode", token, "0x")


def uninvited(world: World) -> UninvitedTokens:
    return world.recorded(UninvitedTokens)[1]
