"""Which Morpho markets there are on the local chains, and what their oracles are made of.

``production_id`` markets are production's: tokens, oracle address, rate model and LLTV give exactly that id (the ids
and oracle addresses are those of the public markets; each was checked by hashing). What lies at the oracle's address
is an own oracle with Morpho's Chainlink oracle's getters, composed from the local feeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from aggregator.localnet import abi
from aggregator.localnet.deploy.shared import token_decimals
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import World

OracleKind = Literal["plain", "brittle", "wrong-scale", "none"]
_SIDE = "(address,uint256,address,address,uint8)"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an oracle: up to two feeds by description, or a rate read from a token (``rate:symbol``), after a
    vault's conversion where ``vault`` names one."""

    feeds: tuple[str, ...] = ()
    vault: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A market to create. ``lltv``: thousandths; ``supply_usd`` 0 leaves it empty."""

    collateral: str
    loan: str
    lltv: int
    base: Side = Side()
    quote: Side = Side()
    oracle_address: str = ""
    production_id: str = ""
    supply_usd: int = 0
    utilization: Decimal = Decimal(0)
    oracle_kind: OracleKind = "plain"
    charges_fee: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or f"{self.collateral}/{self.loan}"


_USDC, _USDT, _DAI = Side(("USDC / USD",)), Side(("USDT / USD",)), Side(("DAI / USD",))
_IDLE = Listing("", "USDC", 0, supply_usd=1_500_000, oracle_kind="none", label="idle/USDC")


def _brittle(supply_usd: int) -> Listing:
    return Listing(
        *("WETH", "USDC", 770, Side(("ETH / USD",)), _USDC),
        supply_usd=supply_usd,
        utilization=Decimal("0.4"),
        oracle_kind="brittle",
        label="brittle WETH/USDC",
    )


LISTINGS: MappingProxyType[int, tuple[Listing, ...]] = MappingProxyType(
    {
        1: (
            Listing(
                *("wstETH", "USDC", 860, Side(("rate:wstETH", "STETH / USD")), _USDC),
                oracle_address="0x48F7E36EB6B826B2dF4B2E630B62Cd25e89E40e2",
                production_id="0xb323495f7e4148be5643a4ea4a8221eef163e4bccfdedc2a6f4696baacbc86cc",
                supply_usd=40_000_000,
                utilization=Decimal("0.88"),
            ),
            Listing(
                *("WBTC", "USDC", 860, Side(("WBTC / BTC", "BTC / USD")), _USDC),
                oracle_address="0xDddd770BADd886dF3864029e4B377B5F6a2B6b83",
                production_id="0x3a85e619751152991742810df6ec69ce473daef99e28a64ab2340d7b7ccfee49",
                supply_usd=60_000_000,
                utilization=Decimal("0.9"),
            ),
            Listing(
                *("WETH", "USDC", 860, Side(("ETH / USD",)), _USDC),
                oracle_address="0xdC6fd5831277c693b1054e19E94047cB37c77615",
                production_id="0x7dde86a1e94561d9690ec678db673c1a6396365f7d1d65e129c5fff0990ff758",
                supply_usd=15_000_000,
                utilization=Decimal("0.62"),
            ),
            Listing(
                *("wstETH", "WETH", 945, Side(("rate:wstETH",))),
                oracle_address="0x2a01EB9496094dA03c4E364Def50f5aD1280AD72",
                production_id="0xc54d7acf14de29e0e5527cabd7a576506870346a78a11a6762e2cca66322ec41",
                supply_usd=50_000_000,
                utilization=Decimal("0.91"),
            ),
            Listing(
                *("weETH", "WETH", 860, Side(("rate:weETH",))),
                oracle_address="0x3fa58b74e9a8eA8768eb33c8453e9C2Ed089A40a",
                production_id="0x698fe98247a40c5771537b5786b2f3f9d78eb487b4ce4d75533cd0e94d88a115",
                supply_usd=20_000_000,
                utilization=Decimal("0.8"),
                charges_fee=True,
            ),
            Listing(
                *("sUSDe", "DAI", 860, Side(("USDe / USD",), "sUSDe"), _DAI),
                oracle_address="0x5D916980D5Ae1737a8330Bf24dF812b2911Aae25",
                production_id="0x39d11026eae1c6ec02aa4c0910778664089cdd97c3fd23f68f7cd05e2e95af48",
                supply_usd=6_000_000,
                utilization=Decimal("0.75"),
            ),
            Listing(
                *("syrupUSDC", "USDC", 915, Side((), "syrupUSDC")),
                oracle_address="0x80032f4cb6E3573b9ed61E888AF658E48Fb790cC",
                production_id="0x729badf297ee9f2f6b3f717b96fd355fc6ec00422284ce1968e76647b258cf44",
                supply_usd=8_000_000,
                utilization=Decimal("0.7"),
            ),
            _brittle(5_000_000),
            _IDLE,
            Listing(
                *("LINK", "USDC", 860, Side(("LINK / USD",)), _USDC),
                supply_usd=2_000_000,
                oracle_kind="wrong-scale",
                label="wrong-scale LINK/USDC",
            ),
        ),
        42161: (
            Listing(
                *("WETH", "USDC", 860, Side(("ETH / USD",)), _USDC),
                oracle_address="0x282FEB10549fde52bD61A6979424Ddf18A4971A2",
                production_id="0xca83d02be579485cc10945c9597a6141e772f1cf0e0aa28d09a327b6cbd8642c",
                supply_usd=10_000_000,
                utilization=Decimal("0.85"),
            ),
            Listing(
                *("wstETH", "USDC", 860, Side(("wstETH / stETH Exchange Rate", "ETH / USD")), _USDC),
                oracle_address="0x8e02a9b9Cc29d783b2fCB71C3a72651B591cae31",
                production_id="0x33e0c8ab132390822b07e5dc95033cf250c963153320b7ffca73220664da2ea0",
                supply_usd=6_000_000,
                utilization=Decimal("0.9"),
            ),
            Listing(
                *("WBTC", "USDC", 860, Side(("BTC / USD",)), _USDC),
                oracle_address="0x88193FcB705d29724A40Bb818eCAA47dD5F014d9",
                production_id="0xe6392ff19d10454b099d692b58c361ef93e31af34ed1ef78232e07c78fe99169",
                supply_usd=8_000_000,
                utilization=Decimal("0.8"),
            ),
            Listing(
                *("wstETH", "WETH", 945, Side(("wstETH / stETH Exchange Rate",))),
                oracle_address="0x70dCd188B6444fefFb772b1d3273D8f2767556FE",
                production_id="0x3e077841d6e3fcdd509fdf7430dec03618d3fd66734cdf9825fc677da8985ba6",
                supply_usd=9_000_000,
                utilization=Decimal("0.92"),
            ),
            _brittle(1_000_000),
            _IDLE,
        ),
        8453: (
            Listing(
                *("WETH", "USDC", 860, Side(("ETH / USD",)), _USDC),
                oracle_address="0xFEa2D58cEfCb9fcb597723c6bAE66fFE4193aFE4",
                production_id="0x8793cf302b8ffd655ab97bd1c695dbd967807e8367a65cb2f4edaf1380ba1bda",
                supply_usd=20_000_000,
                utilization=Decimal("0.89"),
            ),
            Listing(
                *("cbBTC", "USDC", 860, Side(("BTC / USD",)), _USDC),
                oracle_address="0x663BECd10daE6C4A3Dcd89F1d76c1174199639B9",
                production_id="0x9103c3b4e834476c9a62ea009ba2c884ee42e94e6e314a26f04d312434191836",
                supply_usd=60_000_000,
                utilization=Decimal("0.9"),
                charges_fee=True,
            ),
            Listing(
                *("cbETH", "USDC", 860, Side(("cbETH / ETH Exchange Rate", "ETH / USD")), _USDC),
                oracle_address="0xb40d93F44411D8C09aD17d7F88195eF9b05cCD96",
                production_id="0x1c21c59df9db44bf6f645d854ee710a8ca17b479451447e9f56758aee10a2fad",
                supply_usd=6_000_000,
                utilization=Decimal("0.83"),
            ),
            Listing(
                *("wstETH", "USDC", 860, Side(("wstETH / stETH Exchange Rate", "ETH / USD")), _USDC),
                oracle_address="0xD7A1abA119a236Fea5BBC5cAC6836465cbe9289A",
                production_id="0x13c42741a359ac4a8aa8287d2be109dcf28344484f91185f9a79bd5a805a55ae",
                supply_usd=6_000_000,
                utilization=Decimal("0.8"),
            ),
            Listing(
                *("wstETH", "WETH", 945, Side(("wstETH / stETH Exchange Rate",))),
                oracle_address="0x4A11590e5326138B514E08A9B52202D42077Ca65",
                production_id="0x3a4048c64ba1b375330d376b1ce40e4047d03b47ab4d48af484edec9fec801ba",
                supply_usd=12_000_000,
                utilization=Decimal("0.93"),
            ),
            _brittle(1_000_000),
            _IDLE,
        ),
    }
)

_RATE_CALLS = MappingProxyType({"wstETH": "stEthPerToken()", "weETH": "getRate()", "rETH": "getExchangeRate()"})


async def deploy_oracle(world: World, chain_id: int, listing: Listing) -> str:
    """Put the listing's oracle on the chain (at its production address when it has one); returns the address."""
    if listing.oracle_kind == "none":
        return abi.ZERO_ADDRESS
    chain = world.chains[chain_id]
    base = await _side(world, chain_id, listing.base, listing.collateral)
    if listing.oracle_kind == "wrong-scale":
        # the deployer took the collateral for a 6-decimals token: the price is 1e12 times too high
        base = (*base[:4], base[4] - 12)
    arguments = [base, await _side(world, chain_id, listing.quote, listing.loan)]
    if listing.oracle_address:
        await chain.place(listing.oracle_address, world.own("MarketOracle"), [_SIDE, _SIDE], arguments)
        return listing.oracle_address
    oracle = await chain.deploy(world.own("MarketOracle"), [_SIDE, _SIDE], arguments)
    if listing.oracle_kind != "brittle":
        return oracle
    return await chain.deploy(world.own("BrittleOracle"), ["address", "address"], [oracle, DEPLOYER])


async def _side(world: World, chain_id: int, side: Side, symbol: str) -> tuple[str, int, str, str, int]:
    feeds = [await _feed(world, chain_id, description) for description in side.feeds]
    feeds += [abi.ZERO_ADDRESS] * (2 - len(feeds))
    if not side.vault:
        return abi.ZERO_ADDRESS, 1, feeds[0], feeds[1], token_decimals(world, chain_id, symbol)
    vault = world.token(chain_id, side.vault)
    (asset,) = await world.chains[chain_id].call(vault.address, "asset()(address)")
    (decimals,) = await world.chains[chain_id].call(str(asset), "decimals()(uint8)")
    assert isinstance(decimals, int)
    return vault.address, 10**vault.decimals, feeds[0], feeds[1], decimals


async def _feed(world: World, chain_id: int, description: str) -> str:
    kind, _, symbol = description.partition(":")
    if kind != "rate":
        return world.feed(chain_id, description).proxies[0]
    call = _RATE_CALLS[symbol]
    arguments = [world.token(chain_id, symbol).address, abi.parse(call).selector, 18, f"{symbol} exchange rate"]
    return await world.chains[chain_id].deploy(world.own("RateFeed"), ["address", "bytes", "uint8", "string"], arguments)
