"""What Aave lists on each chain: parameters, interest rates, oracles and the liquidity that the reserves start with.

Addresses come from the Aave address book; parameters are of the order of the production ones of early 2026, chosen so
that every behaviour of the protocol appears: e-mode-only collateral, isolation, siloed borrowing, caps, a frozen and a
paused reserve, collateral whose LTV is zero.
"""

from __future__ import annotations

from aggregator.localnet.deploy.lending_terms import (
    FeedOracle,
    FixedOracle,
    ProductOracle,
    RatioOracle,
    Reserve,
    StableOracle,
)

STEADY = (9000, 0, 250, 8000)
STABLE = (9200, 0, 550, 4000)
VOLATILE = (4500, 0, 700, 30000)
BITCOIN = (8000, 0, 400, 30000)

_ETHER, _NONE = "ETH / USD", (0, 0, 0)
_LIDO_RATE, _ETHERFI_RATE = "feed:wstETH / stETH Exchange Rate", "feed:weETH / eETH Exchange Rate"
_ROCKET_RATE, _COINBASE_RATE = "feed:rETH / ETH Exchange Rate", "feed:cbETH / ETH Exchange Rate"
_ANSWER = "latestAnswer()"

ETHEREUM = (
    Reserve(
        *("WETH", (8050, 8300, 10500), (3_000_000, 2_700_000), STEADY, 1500, 900, 78),
        FeedOracle("0x5424384B256154046E9667dDFaaa5e550145215e", _ETHER),
        a_token="0x4d5F47FA6A74757f35C14fD3a6Ef8E3C9BC514E8",
    ),
    Reserve(
        *("wstETH", (7850, 8100, 10600), (1_400_000, 50_000), (8000, 0, 100, 8500), 3500, 700, 2),
        RatioOracle(*("0xe1D97bF61901B075E9626c8A2340a7De385861Ef", _ETHER, "stETH", "getPooledEthByShares(uint256)", 968)),
        a_token="0x0B925eD163218f6662a35e0f0371Ac234f9E9371",
    ),
    Reserve(
        *("WBTC", (7300, 7800, 10500), (45_000, 10_000), BITCOIN, 5000, 500, 9),
        ProductOracle("0xDaa4B74C6bAc4e25188e64ebc68DB5050b690cAc", "WBTC / BTC", "BTC / USD"),
        a_token="0x5Ee5bf7ae06D1Be5997A1A72006FE6C607eC6DE8",
    ),
    Reserve(
        *("USDC", (7500, 7800, 10450), (8_000_000_000, 7_200_000_000), STABLE, 1000, 600, 82),
        StableOracle("0x3f73F03aa83B2A48ed27E964eD0fDb590332095B", "USDC / USD"),
        a_token="0x98C23E9d8f34FEFb1B7BD6a91B7FF122F4e16F5c",
        in_isolation=True,
    ),
    Reserve(
        *("DAI", (6300, 7700, 10500), (338_000_000, 271_000_000), STABLE, 2500, 90, 76),
        StableOracle("0x5c66322CA59bB61e867B28195576DbD8dA4b08dE", "DAI / USD"),
        a_token="0x018008bfb33d285247A21d44E50697654f754e63",
        in_isolation=True,
    ),
    Reserve(
        *("LINK", (6600, 7100, 10700), (15_000_000, 13_000_000), VOLATILE, 2000, 80, 12),
        FeedOracle("0xC7e9b623ed51F033b32AE7f1282b1AD62C28C183", "LINK / USD"),
        a_token="0x5E8C8A7243651DB1384C0dDfDbE39761E8e7E51a",
    ),
    Reserve(
        *("AAVE", (6900, 7600, 10750), (1_850_000, 0), VOLATILE, 2000, 100, 0),
        FeedOracle("0xF02C1e2A3B77c1cacC72f72B44f7d0a4c62e4a85", "AAVE / USD"),
        a_token="0xA700b4eB416Be35b2911fd5Dee80678ff64fF6C9",
    ),
    Reserve(
        *("cbETH", (7500, 7900, 10750), (40_000, 2_400), (4500, 0, 700, 30000), 1500, 50, 4),
        RatioOracle("0x889399C34461b25d70d43931e6cE9E40280E617B", _ETHER, "cbETH", "exchangeRate()", 812),
        a_token="0x977b6fc5dE62598B08C85AC8Cf2b745874E8b78c",
    ),
    Reserve(
        *("USDT", (7500, 7800, 10450), (8_000_000_000, 7_200_000_000), STABLE, 1000, 500, 80),
        StableOracle("0x260326c220E469358846b187eE53328303Efe19C", "USDT / USD"),
        a_token="0x23878914EFE38d27C4D67Ab83ed1b93A74D4086a",
        in_isolation=True,
    ),
    Reserve(
        *("rETH", (7500, 7900, 10750), (65_000, 4_000), (4500, 0, 700, 30000), 1500, 60, 3),
        RatioOracle("0x6929706c42d637DF5Ebf7F0BcfF2aF47F84Ea69D", _ETHER, "rETH", "getExchangeRate()", 930),
        a_token="0xCc9EE9483f662091a1de4795249E24aC0aC2630f",
    ),
    Reserve(
        *("LUSD", (6000, 7700, 10450), (18_000_000, 8_000_000), STABLE, 1000, 6, 40),
        StableOracle("0xEbb721daf3DA9f1b3dcEc590cDf648137172d7CB", "LUSD / USD"),
        a_token="0x3Fe6a295459FAe07DF8A0ceCC36F37160FE86AA9",
        closed="frozen",
    ),
    Reserve(
        *("CRV", (3500, 4100, 10830), (7_500_000, 5_000_000), VOLATILE, 3500, 1, 10),
        FeedOracle("0xCd627aA160A6fA45Eb793D19Ef54f5062F20f33f", "CRV / USD"),
        a_token="0x7B95Ec873268a6BFC6427e7a28e396Db9D0ebc65",
        ceiling=5_000_000,
    ),
    Reserve(
        *("UNI", (6500, 7400, 11000), (3_000_000, 500_000), VOLATILE, 2000, 8, 5),
        FeedOracle("0x553303d460EE0afB37EdFf9bE42922D8FF63220e", "UNI / USD"),
        a_token="0xF6D2224916DDFbbab6e6bd0D1B7034f4Ae0CaB18",
        closed="paused",
    ),
    Reserve(
        *("GHO", _NONE, (20_000_000, 18_000_000), STABLE, 1000, 12, 55),
        FixedOracle("0xD110cac5d8682A3b045D5524a9903E031d70FCCd"),
        a_token="0x00907f9921424583e7ffBfEdf84F92B7B2Be4977",
        siloed=True,
    ),
    Reserve(
        *("weETH", _NONE, (1_300_000, 0), STEADY, 4500, 250, 0),
        RatioOracle("0x87625393534d5C102cADB66D37201dF24cc26d4C", _ETHER, "weETH", "getRate()", 875),
        a_token="0xBdfa7b7893081B35Fb54027489e2Bc7A38275129",
    ),
    Reserve(
        *("USDe", _NONE, (500_000_000, 250_000_000), STABLE, 2500, 120, 30),
        StableOracle("0xC26D4a1c46d884cfF6dE9800B6aE7A8Cf48B4Ff8", "USDT / USD"),
        a_token="0x4F5923Fc5FD4a93352581b38B7cD26943012DECF",
    ),
    Reserve(
        *("sUSDe", _NONE, (400_000_000, 0), STABLE, 2000, 100, 0),
        RatioOracle(
            *("0x42bc86f2f08419280a99d8fbEa4672e7c30a86ec", "oracle of USDe", "sUSDe"),
            *("convertToAssets(uint256)", 5000),
        ),
        a_token="0x4579a27aF00A62C0EB156349f31B345c08386419",
    ),
    Reserve(
        *("cbBTC", (7300, 7800, 10500), (15_000, 1_000), BITCOIN, 5000, 250, 3),
        FeedOracle("0xb41E773f507F7a7EA890b1afB7d2b660c30C8B0A", "BTC / USD"),
        a_token="0x5c647cE0Ae10658ec44FA4E11A51c96e94efd1Dd",
    ),
    Reserve(
        *("USDS", (7500, 7800, 10750), (150_000_000, 120_000_000), STABLE, 2500, 60, 50),
        StableOracle("0x94C7FD62fd0506e71d8142E9D36687fC72A86B02", "USDS / USD"),
        a_token="0x32a6268f9Ba3642Dda7892aDd74f1D34469A4259",
    ),
)
ARBITRUM = (
    Reserve(
        *("DAI", (6300, 7700, 10500), (30_000_000, 24_000_000), STABLE, 2500, 4, 70),
        StableOracle("0x9F221bfD2d3F226b187d4419b49117aD7E698977", "DAI / USD"),
        a_token="0x82E64f49Ed5EC1bC6e43DAD4FC8Af9bb3A2312EE",
        in_isolation=True,
    ),
    Reserve(
        *("LINK", (7000, 7750, 10700), (1_500_000, 350_000), VOLATILE, 2000, 6, 10),
        FeedOracle("0x86E53CF1B870786351Da77A57575e79CB55812CB", "LINK / USD"),
        a_token="0x191c10Aa4AF7C30e871E70C95dB0E4eb77237530",
    ),
    Reserve(
        *("USDC.e", (0, 7800, 10500), (5_000_000, 4_500_000), STABLE, 5000, 2, 60),
        StableOracle("0x6200A5122Af8D5D9e69f4d526311Cd85241ACeC9", "USDC / USD"),
        a_token="0x625E7708f30cA75bfd92586e17077590C60eb4cD",
    ),
    Reserve(
        *("WBTC", (7300, 7800, 10700), (5_000, 1_100), BITCOIN, 5000, 40, 10),
        FeedOracle("0x6ce185860a4963106506C203335A2910413708e9", "BTC / USD"),
        a_token="0x078f358208685046a11C85e8ad32895DED33A249",
    ),
    Reserve(
        *("WETH", (8000, 8300, 10500), (175_000, 140_000), STEADY, 1500, 100, 76),
        FeedOracle("0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612", _ETHER),
        a_token="0xe50fA9b3c56FfB159cB0FCA61F5c9D750e8128c8",
    ),
    Reserve(
        *("USDT", (7500, 7800, 10500), (150_000_000, 135_000_000), STABLE, 1000, 25, 78),
        StableOracle("0x476494a850eec47301F74C8c9c2652495c47C56c", "USDT / USD"),
        a_token="0x6ab707Aca953eDAeFBc4fD23bA73294241490620",
        in_isolation=True,
    ),
    Reserve(
        *("wstETH", (7500, 7900, 10720), (160_000, 3_000), (8000, 0, 100, 8500), 1500, 15, 2),
        RatioOracle("0x87fE1503beFBF98C35c7526B0c488d950F822C0F", _ETHER, _LIDO_RATE, _ANSWER, 968),
        a_token="0x513c7E3a9c69cA3e22550eF58AC1C0088e918FFf",
    ),
    Reserve(
        *("rETH", (6700, 7400, 11000), (3_100, 600), VOLATILE, 1500, 5, 5),
        RatioOracle("0x256f33FC0110B1297f78f48524631D30B752480D", _ETHER, _ROCKET_RATE, _ANSWER, 930),
        a_token="0x8Eb270e296023E9D92081fdF967dDd7878724424",
    ),
    Reserve(
        *("USDC", (7500, 7800, 10500), (420_000_000, 350_000_000), STABLE, 1000, 60, 80),
        StableOracle("0x6200A5122Af8D5D9e69f4d526311Cd85241ACeC9", "USDC / USD"),
        a_token="0x724dc807b04555b71ed48a6896b6F41593b8C637",
        in_isolation=True,
    ),
    Reserve(
        *("ARB", (5800, 6300, 11000), (90_000_000, 20_000_000), VOLATILE, 2000, 5, 8),
        FeedOracle("0xb2A824043730FE05F3DA2efaFa1CBbe83fa548D6", "ARB / USD"),
        a_token="0x6533afac2E7BCCB20dca161449A13A32D391fb00",
        ceiling=20_000_000,
    ),
    Reserve(
        *("weETH", _NONE, (120_000, 0), STEADY, 4500, 40, 0),
        RatioOracle("0x517276B5972C4Db7E88B9F76Ee500E888a2D73C3", _ETHER, _ETHERFI_RATE, _ANSWER, 875),
        a_token="0x8437d7C167dFB82ED4Cb79CD44B7a32A1dd95c77",
    ),
)
BASE = (
    Reserve(
        *("WETH", (8000, 8300, 10500), (158_400, 142_560), STEADY, 1500, 50, 80),
        FeedOracle("0x71041dddad3595F9CEd3DcCFBe3D1F4b0a16Bb70", _ETHER),
        a_token="0xD4a0e0b9149BCee3C920d2E00b5dE09138fd8bb7",
    ),
    Reserve(
        *("cbETH", (7500, 7900, 10750), (14_000, 1_500), VOLATILE, 1500, 12, 4),
        RatioOracle("0x8e11Ad4531826ff47BD8157a2c705F5422Da6A61", _ETHER, _COINBASE_RATE, _ANSWER, 812),
        a_token="0xcf3D55c10DB69f28fD1A75Bd73f3D8A2d9c595ad",
    ),
    Reserve(
        *("USDbC", (0, 7800, 10500), (2_000_000, 1_000_000), STABLE, 5000, 1, 30),
        StableOracle("0xfcF82bFa2485253263969167583Ea4de09e9993b", "USDC / USD"),
        a_token="0x0a1d576f3eFeF75b330424287a95A366e8281D54",
        closed="frozen",
    ),
    Reserve(
        *("wstETH", (7500, 7900, 10700), (90_000, 1_500), (8000, 0, 100, 8500), 1500, 15, 2),
        RatioOracle("0x56038D3998C42db18ba3B821bD1EbaB9B678e657", _ETHER, _LIDO_RATE, _ANSWER, 968),
        a_token="0x99CBC45ea5bb7eF3a5BC08FB1B7E56bB2442Ef0D",
    ),
    Reserve(
        *("USDC", (7500, 7800, 10500), (360_000_000, 330_000_000), STABLE, 1000, 40, 81),
        StableOracle("0xfcF82bFa2485253263969167583Ea4de09e9993b", "USDC / USD"),
        a_token="0x4e65fE4DbA92790696d040ac24Aa414708F5c0AB",
        in_isolation=True,
    ),
    Reserve(
        *("weETH", _NONE, (85_000, 0), STEADY, 4500, 25, 0),
        RatioOracle("0xFc4d1d7a8FD1E6719e361e16044b460737F12C44", _ETHER, _ETHERFI_RATE, _ANSWER, 875),
        a_token="0x7C307e128efA31F540F2E2d976C995E0B65F51F6",
    ),
    Reserve(
        *("cbBTC", (7300, 7800, 10750), (4_900, 500), BITCOIN, 5000, 60, 4),
        FeedOracle("0x64c911996D3c6aC71f9b455B1E8E7266BcbD848F", "BTC / USD"),
        a_token="0xBdb9300b7CDE636d9cD4AFF00f6F009fFBBc8EE6",
    ),
)
