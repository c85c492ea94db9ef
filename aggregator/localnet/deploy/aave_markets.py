"""Aave's deployments on the three chains, at the addresses of its address book, and their e-modes."""

from __future__ import annotations

from aggregator.localnet.deploy.aave_reserves import ARBITRUM, BASE, ETHEREUM
from aggregator.localnet.deploy.lending_terms import EMode, Market

_DOLLARS = ("USDC", "USDT")
AAVE: dict[int, Market] = {
    1: Market(
        identifier="Aave Ethereum Market",
        prefix="Eth",
        provider="0x2f39d218133AFaB8F2B819B1066c7E434Ad94E9e",
        pool="0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2",
        oracle="0x54586bE62E3c3580375aE3723C145253060Ca0C2",
        data_provider="0x0a16f2FCC0D44FaE41cc54e079281D84A363bECD",
        ui_data_provider="0x56b7A1012765C285afAC8b8F25C69Bf10ccfE978",
        treasury="0x464C71f6c2F760DdA6093dCB91C24c39e5d6e18c",
        reserves=ETHEREUM,
        e_modes=(
            EMode(
                *(1, "ETH correlated", (9300, 9500, 10100)),
                *(("WETH", "wstETH", "cbETH", "rETH", "weETH"), ("WETH",), ("cbETH",)),
            ),
            EMode(2, "USDe Stablecoins", (9000, 9200, 10400), ("USDe", "sUSDe"), _DOLLARS),
            EMode(3, "weETH Stablecoins", (7750, 8000, 10750), ("weETH",), _DOLLARS),
            EMode(4, "cbBTC Stablecoins", (8000, 8300, 10500), ("cbBTC",), (*_DOLLARS, "DAI")),
        ),
    ),
    42161: Market(
        identifier="Aave Arbitrum Market",
        prefix="Arb",
        provider="0xa97684ead0e402dC232d5A977953DF7ECBaB3CDb",
        pool="0x794a61358D6845594F94dc1DB02A252b5b4814aD",
        oracle="0xb56c2F0B653B2e0b10C9b928C8580Ac5Df02C7C7",
        data_provider="0x243Aa95cAC2a25651eda86e80bEe66114413c43b",
        ui_data_provider="0x13c833256BD767da2320d727a3691BAff3770E39",
        treasury="0x053D55f9B5AF8694c503EB288a1B7E552f590710",
        sentinel="0x7A9ff54A6eE4a21223036890bB8c4ea2D62c686b",
        reserves=ARBITRUM,
        e_modes=(
            EMode(
                *(1, "Stablecoins", (9300, 9500, 10100), ("DAI", "USDC.e", "USDT", "USDC")),
                *(("DAI", "USDC.e", "USDT", "USDC"), ("USDC.e",)),
            ),
            EMode(2, "ETH correlated", (9300, 9500, 10100), ("WETH", "wstETH", "weETH"), ("WETH",)),
        ),
    ),
    8453: Market(
        identifier="Aave Base Market",
        prefix="Bas",
        provider="0xe20fCBdBfFC4Dd138cE8b2E6FBb6CB49777ad64D",
        pool="0xA238Dd80C259a72e81d7e4664a9801593F98d1c5",
        oracle="0x2Cc0Fc26eD4563A5ce5e8bdcfe1A2878676Ae156",
        data_provider="0x0F43731EB8d45A581f4a36DD74F5f358bc90C73A",
        ui_data_provider="0xb84A20e848baE3e13897934bB4e74E2225f4546B",
        treasury="0xBA9424d650A4F5c80a0dA641254d1AcCE2A37057",
        sentinel="0x943AcD0c93d7a8Bee7dA5Fd0DC3d0028237074d6",
        reserves=BASE,
        e_modes=(
            EMode(1, "ETH correlated", (9300, 9500, 10100), ("WETH", "cbETH", "wstETH", "weETH"), ("WETH",)),
            EMode(2, "cbBTC Stablecoins", (8000, 8300, 10500), ("cbBTC",), ("USDC",)),
        ),
    ),
}
