"""What SparkLend lists: reserves of the older generation, with an e-mode that prices its members by one constant.

The tokens are the configurator's children in the order in which production listed the assets, so they lie at the
production addresses although not every asset is listed here.
"""

from __future__ import annotations

from aggregator.localnet.deploy.aave_reserves import BITCOIN, STABLE, STEADY
from aggregator.localnet.deploy.lending_terms import (
    EMode,
    FeedOracle,
    FixedOracle,
    Market,
    ProductOracle,
    RatioOracle,
    Reserve,
)

_ETHER, _ETHER_FEED = "ETH / USD", "0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419"
_DOLLAR = FixedOracle("")
# The market's own dollar: DAI and USDS are taken as one dollar each, whatever they trade at.
_STAKED_RATES = (4500, 25, 300, 30000)

_RESERVES = (
    Reserve(
        *("DAI", (0, 1, 10450), (2_000_000_000, 1_800_000_000), STABLE, 0, 300, 70, _DOLLAR),
        a_token="0x4DEDf26112B3Ec8eC46e7E31EA5e123490B05B8B",
        in_isolation=True,
    ),
    Reserve(
        *("sDAI", (7900, 8000, 10500), (1_000_000_000, 0), STABLE, 1000, 40, 0),
        RatioOracle("", "oracle of DAI", "sDAI", "convertToAssets(uint256)", 2000),
        a_token="0x78f897F0fE2d3B5690EbAe7f19862DEacedF10a7",
    ),
    Reserve(
        *("USDC", (7000, 7500, 10450), (800_000_000, 700_000_000), STABLE, 1000, 120, 60),
        FeedOracle("0x8fFfFfd4AfB6115b954Bd326cbe7B4BA576818f6", "USDC / USD"),
        a_token="0x377C3bd93f2a2984E1E7bE6A5C22c525eD4A4815",
        in_isolation=True,
        stable_rate=True,
    ),
    Reserve(
        *("WETH", (8200, 8300, 10500), (2_000_000, 1_000_000), STEADY, 500, 350, 70),
        FeedOracle(_ETHER_FEED, _ETHER),
        a_token="0x59cD1C87501baa753d0B5B5Ab5D8416A45cD71DB",
    ),
    Reserve(
        *("wstETH", (7900, 8000, 10700), (1_600_000, 2_000), _STAKED_RATES, 3000, 300, 1),
        RatioOracle("", _ETHER, "stETH", "getPooledEthByShares(uint256)", 968),
        a_token="0x12B54025C112Aa61fAce2CDB7118740875A566E9",
    ),
    Reserve(
        *("WBTC", (7400, 7500, 10700), (10_000, 1_000), BITCOIN, 2000, 120, 5),
        ProductOracle("", "WBTC / BTC", "BTC / USD"),
        a_token="0x4197ba364AE6698015AE5c1468f54087602715b2",
        closed="frozen",
    ),
    Reserve(
        *("rETH", (7450, 7700, 10750), (50_000, 2_400), _STAKED_RATES, 1500, 20, 3),
        RatioOracle("", _ETHER, "rETH", "getExchangeRate()", 930),
        a_token="0x9985dF20D7e9103ECBCeb16a84956434B6f06ae8",
    ),
    Reserve(
        *("USDT", (0, 0, 0), (800_000_000, 700_000_000), STABLE, 1000, 90, 65),
        FeedOracle("0x3E7d1eAB13ad0104d2750B8863b489D65364e32D", "USDT / USD"),
        a_token="0xe7dF13b8e3d6740fe17CBE928C7334243d86c92f",
        siloed=True,
    ),
    Reserve(
        *("weETH", (7200, 7300, 11000), (200_000, 0), STEADY, 1500, 80, 0),
        RatioOracle("", _ETHER, "weETH", "getRate()", 875),
        a_token="0x3CFd5C0D4acAA8Faee335842e4f31159fc76B008",
    ),
    Reserve(
        *("cbBTC", (6500, 7000, 10800), (10_000, 500), BITCOIN, 2000, 60, 3),
        FeedOracle("0xF4030086522a5bEEa4988F8cA5B36dbC97BeE88c", "BTC / USD"),
        a_token="0xb3973D459df38ae57797811F2A1fd061DA1BC123",
        ceiling=50_000_000,
    ),
    Reserve(
        *("USDS", (0, 1, 10450), (2_000_000_000, 1_800_000_000), STABLE, 0, 100, 60, _DOLLAR),
        a_token="0xC02aB1A5eaA8d1B114EF786D9bde108cD4364359",
    ),
    Reserve(
        *("sUSDS", (7900, 8000, 10500), (500_000_000, 0), STABLE, 1000, 30, 0),
        RatioOracle("", "oracle of USDS", "sUSDS", "convertToAssets(uint256)", 2000),
        a_token="0x6715bc100A183cc65502F05845b589c1919ca3d3",
    ),
)

SPARK = Market(
    identifier="Spark Protocol",
    prefix="sp",
    provider="0x02C3eA4e34C0cBd694D2adFa2c690EECbC1793eE",
    pool="0xC13e21B648A5Ee794902342038FF3aDAB66BE987",
    oracle="",
    data_provider="",
    ui_data_provider="0xF028c2F4b19898718fD0F77b9b881CbfdAa5e8Bb",
    treasury="0xb137E7d16564c81ae2b0C8ee6B55De81dd46ECe5",
    reserves=_RESERVES,
    e_modes=(
        EMode(1, "ETH", (9200, 9300, 10100), ("WETH", "wstETH", "rETH", "weETH"), ()),
        EMode(2, "Stablecoins", (9100, 9300, 10100), ("DAI", "USDC"), (), price_source=FixedOracle("")),
    ),
)
