"""Which feeds there are: production addresses of the proxies, what they price, how often they speak.

Addresses are those of the feeds' public directory as the Aave address book lists them; heartbeats are of the order
of the real ones (an hour for what moves, a day for what hardly does).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from aggregator.localnet import market
from aggregator.localnet.history import HOUR

DAY = 24 * HOUR
_SYMBOLS = {"STETH": "stETH"}


@dataclass(frozen=True, slots=True)
class Listing:
    """``description`` as the feed says it; ``model``: whose history; ``heartbeat`` in seconds."""

    description: str
    proxies: tuple[str, ...]
    model: str
    heartbeat: int = HOUR
    decimals: int = 8

    @property
    def symbol(self) -> str:
        """Whose USD price this is in the market's table; empty for a rate between two tokens."""
        base, _, quote = self.description.partition(" / ")
        return _SYMBOLS.get(base, base) if quote == "USD" else ""

    @property
    def last(self) -> Decimal:
        """What the feed shows at the genesis, from the market's tables."""
        base, _, quote = self.description.removesuffix(" Exchange Rate").partition(" / ")
        if self.description.endswith("Exchange Rate"):
            return market.RATES[base]
        price = market.PRICES[_SYMBOLS.get(base, base)]
        return price if quote == "USD" else price / market.PRICES[quote]


SEQUENCER_FEEDS = {
    42161: "0xFdB631F5EE196F0ed6FAa767959853A9F217697D",
    8453: "0xBCF85224fc0756B9Fa45aA7892530B47e10b6433",
}


def _listing(description: str, *proxies: str, heartbeat: int = HOUR, decimals: int = 8, model: str = "") -> Listing:
    return Listing(description, proxies, model or description.partition(" / ")[0], heartbeat, decimals)


LISTINGS: dict[int, tuple[Listing, ...]] = {
    1: (
        _listing(
            "ETH / USD",
            "0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419",
            "0x5424384B256154046E9667dDFaaa5e550145215e",
            "0x5147eA642CAEF7BD9c1265AadcA78f997AbB9649",
        ),
        _listing(
            "BTC / USD",
            "0xF4030086522a5bEEa4988F8cA5B36dbC97BeE88c",
            "0xb41E773f507F7a7EA890b1afB7d2b660c30C8B0A",
            "0x85355da30ee4b35F4B30759Bd49a1EBE3fc41Bdb",
        ),
        _listing("LINK / USD", "0x2c1d072e956AFFC0D435Cb7AC38EF18d24d9127c", "0xC7e9b623ed51F033b32AE7f1282b1AD62C28C183"),
        _listing("AAVE / USD", "0x547a514d5e3769680Ce22B2361c10Ea13619e8a9", "0xF02C1e2A3B77c1cacC72f72B44f7d0a4c62e4a85"),
        _listing("UNI / USD", "0x553303d460EE0afB37EdFf9bE42922D8FF63220e"),
        _listing("CRV / USD", "0xCd627aA160A6fA45Eb793D19Ef54f5062F20f33f", heartbeat=DAY),
        _listing("STETH / USD", "0xCfE54B5cD566aB89272946F602D76Ea879CAb4a8", model="stETH"),
        _listing(
            "STETH / ETH",
            "0x86392dC19c0b719886221c78AB11eb8Cf5c52812",
            heartbeat=DAY,
            decimals=18,
            model="stETH / ETH",
        ),
        _listing("WBTC / BTC", "0xfdFD9C85aD200c506Cf9e21F1FD8dd01932FBB23", heartbeat=DAY, model="WBTC / BTC"),
        _listing("EUR / USD", "0xb49f677943BC038e9857d61E7d053CaA2C1734C1", heartbeat=DAY),
        _listing(
            "USDC / USD",
            "0x8fFfFfd4AfB6115b954Bd326cbe7B4BA576818f6",
            "0xEa674bBC33AE708Bc9EB4ba348b04E4eB55b496b",
            heartbeat=DAY,
        ),
        _listing(
            "USDT / USD",
            "0x3E7d1eAB13ad0104d2750B8863b489D65364e32D",
            "0x62c2ab773B7324ad9e030D777989B3b5d5c54c0A",
            heartbeat=DAY,
        ),
        _listing("DAI / USD", "0xAed0c38402a5d19df6E4c03F4E2DceD6e29c1ee9"),
        _listing("USDS / USD", "0xfF30586cD0F29eD462364C7e81375FC0C71219b1", heartbeat=DAY),
        _listing("USDe / USD", "0xa569d910839Ae8865Da8F8e70FfFb0cBA869F961", heartbeat=DAY),
        _listing("GHO / USD", "0x3f12643D3f6f874d39C2a4c9f2Cd6f2DbAC877FC", heartbeat=DAY),
        _listing("LUSD / USD", "0x3D7aE7E594f2f2091Ad8798313450130d0Aba3a0", heartbeat=DAY),
    ),
    42161: (
        _listing("ETH / USD", "0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612"),
        _listing("BTC / USD", "0x6ce185860a4963106506C203335A2910413708e9"),
        _listing("WBTC / USD", "0xd0C7101eACbB49F3deCcCc166d238410D6D46d57", model="WBTC"),
        _listing("LINK / USD", "0x86E53CF1B870786351Da77A57575e79CB55812CB"),
        _listing("ARB / USD", "0xb2A824043730FE05F3DA2efaFa1CBbe83fa548D6"),
        _listing("USDC / USD", "0x50834F3163758fcC1Df9973b6e91f0F0F0434aD3", heartbeat=DAY),
        _listing("USDT / USD", "0x3f3f5dF88dC9F13eac63DF89EC16ef6e7E25DdE7", heartbeat=DAY),
        _listing("DAI / USD", "0xc5C8E77B397E531B8EC06BFb0048328B30E9eCfB", heartbeat=DAY),
        _listing(
            "wstETH / stETH Exchange Rate",
            "0xB1552C5e96B312d0Bf8b554186F846C40614a540",
            heartbeat=DAY,
            decimals=18,
            model="wstETH",
        ),
        _listing(
            "rETH / ETH Exchange Rate",
            "0xF3272CAfe65b190e76caAF483db13424a3e23dD2",
            heartbeat=DAY,
            decimals=18,
            model="rETH",
        ),
        _listing(
            "weETH / eETH Exchange Rate",
            "0x20bAe7e1De9c596f5F7615aeaa1342Ba99294e12",
            heartbeat=DAY,
            decimals=18,
            model="weETH",
        ),
    ),
    8453: (
        _listing("ETH / USD", "0x71041dddad3595F9CEd3DcCFBe3D1F4b0a16Bb70"),
        _listing("BTC / USD", "0x64c911996D3c6aC71f9b455B1E8E7266BcbD848F"),
        _listing("cbBTC / USD", "0x07DA0E54543a844a80ABE69c8A12F22B3aA59f9D", model="BTC"),
        _listing("USDC / USD", "0x7e860098F58bBFC8648a4311b374B1D669a2bc6B", heartbeat=DAY),
        _listing("DAI / USD", "0x591e79239a7d679378eC8c847e5038150364C78F", heartbeat=DAY),
        _listing("USDS / USD", "0x2330aaE3bca5F05169d5f4597964D44522F62930", heartbeat=DAY),
        _listing(
            "cbETH / ETH Exchange Rate",
            "0x868a501e68F3D1E89CfC0D22F6b22E8dabce5F04",
            heartbeat=DAY,
            decimals=18,
            model="cbETH",
        ),
        _listing(
            "wstETH / stETH Exchange Rate",
            "0xB88BAc61a4Ca37C43a3725912B1f472c9A5bc061",
            heartbeat=DAY,
            decimals=18,
            model="wstETH",
        ),
        _listing(
            "weETH / eETH Exchange Rate",
            "0x35e9D7001819Ea3B39Da906aE6b06A62cfe2c181",
            heartbeat=DAY,
            decimals=18,
            model="weETH",
        ),
        _listing(
            "sUSDS / USDS Exchange Rate",
            "0x906B24a339b848369B24Dc9Ed368b947fB9693bf",
            heartbeat=DAY,
            decimals=18,
            model="sUSDS",
        ),
    ),
}
