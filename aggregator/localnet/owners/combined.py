"""Owners in several protocols and on several chains: hedged, large, or in trouble in one place and rich in another."""

from __future__ import annotations

from decimal import Decimal

from aggregator.localnet.deploy.vaults import MARKET_VAULT, OUTER_VAULT
from aggregator.localnet.owners.exchange_parts import WHOLE, PairShare, Position, SingletonPosition
from aggregator.localnet.owners.holding_parts import FundShares, StakedEther, Uninvited, VaultShares, Wallet
from aggregator.localnet.owners.lending_parts import LendingAccount
from aggregator.localnet.owners.morpho_parts import Borrow, Supply
from aggregator.localnet.owners.profile import Profile

COMBINED = (
    Profile(
        "three-chains",
        "a large owner on all three chains: Aave and Morpho debts, v2, v3 and v4 liquidity, staked ether, cash",
        (
            LendingAccount(supplied={"WETH": 2_400_000, "wstETH": 900_000}, borrowed={"USDC": 3, "USDT": 1}, health=Decimal("1.85")),
            Position(pool=("USDC", "WETH", 500), bounds=(-0.1, 0.1), usd=400_000, at_end=True),
            PairShare(pair=("USDC", "WETH"), usd=120_000),
            StakedEther(steth="40", wsteth="25"),
            Wallet(tokens={"USDC": "250000", "WBTC": "3.2"}, native="18"),
            LendingAccount(chain_id=42161, supplied={"WETH": 600_000}, borrowed={"USDC": 1}, health=Decimal("1.3")),
            Position(chain_id=42161, pool=("WBTC", "WETH", 500), bounds=WHOLE, usd=150_000),
            Wallet(chain_id=42161, tokens={"ARB": "40000", "USDC": "18000"}, native="3"),
            Borrow(chain_id=8453, market="cbBTC/USDC", usd=500_000, health=Decimal("1.45")),
            SingletonPosition(chain_id=8453, pool=("ETH", "USDC", 500), bounds=(-0.15, 0.15), usd=80_000, at_end=True),
            Wallet(chain_id=8453, tokens={"cbETH": "30", "USDC": "60000"}, native="5"),
        ),
    ),
    Profile(
        "whale",
        "tens of millions of dollars, most of it staked ether in e-mode, the rest spread over everything",
        (
            LendingAccount(supplied={"wstETH": 38_000_000}, borrowed={"WETH": 1}, health=Decimal("1.07"), e_mode="ETH correlated"),
            LendingAccount(protocol="spark", supplied={"WETH": 9_000_000}, borrowed={"DAI": 1}, health=Decimal("1.6")),
            Borrow(market="WBTC/USDC", usd=6_000_000, health=Decimal("1.35")),
            Position(pool=("USDC", "WETH", 500), bounds=(-0.2, 0.2), usd=3_000_000, at_end=True),
            VaultShares(vault="sUSDe", usd=2_500_000),
            LendingAccount(chain_id=42161, supplied={"WBTC": 4_000_000}, borrowed={"USDC": 1}, health=Decimal("2.2")),
            LendingAccount(chain_id=8453, supplied={"WETH": 3_000_000, "cbBTC": 2_000_000}, borrowed={"USDC": 1}, health=Decimal("1.9")),
            Wallet(tokens={"AAVE": "20000", "LINK": "150000"}, native="1200"),
            Uninvited(which=("Advertisement", "BoundlessToken")),
        ),
    ),
    Profile(
        "hedged-staker",
        "holds wstETH and owes as much ether on Aave against dollars: long and short the same",
        (
            StakedEther(wsteth="50"),
            LendingAccount(supplied={"USDC": 300_000}, borrowed={"WETH": 180_000}),
        ),
    ),
    Profile(
        "hedged-lp",
        "v3 liquidity on Ethereum whose ether side is borrowed on Aave, and a savings vault",
        (
            Position(pool=("USDC", "WETH", 500), bounds=(-0.15, 0.15), usd=200_000, at_end=True),
            LendingAccount(supplied={"USDC": 160_000}, borrowed={"WETH": 115_000}),
            VaultShares(vault="sUSDS", usd=60_000),
        ),
    ),
    Profile(
        "hedged-across-chains",
        "long ether on Base, short as much on Arbitrum: nothing is at risk but each account by itself",
        (
            LendingAccount(chain_id=8453, supplied={"WETH": 150_000}, borrowed={"USDC": 70_000}),
            LendingAccount(chain_id=42161, supplied={"USDC": 260_000}, borrowed={"WETH": 150_000}),
        ),
    ),
    Profile(
        "treasury-desk",
        "tokenised treasuries and vaults, a WETH debt hedged by staked ether, collateral idle on Base",
        (
            *(FundShares(fund=fund, usd=usd) for fund, usd in (("BUIDL", 1_200_000), ("OUSG", 600_000), ("USDY", 300_000))),
            VaultShares(vault=OUTER_VAULT, usd=150_000),
            VaultShares(vault="sUSDS", usd=400_000),
            LendingAccount(supplied={"USDC": 500_000}, borrowed={"WETH": 250_000}),
            StakedEther(wsteth="65"),
            VaultShares(chain_id=8453, vault=MARKET_VAULT, usd=80_000),
        ),
    ),
    Profile(
        "rich-but-liquidatable",
        "an account on Arbitrum that may be liquidated now, while idle dollars on Ethereum would cover it many times",
        (
            LendingAccount(chain_id=42161, supplied={"WETH": 70_000}, borrowed={"USDC": 1}, health=Decimal("0.98")),
            Wallet(tokens={"USDC": "400000"}, native="1"),
        ),
    ),
    Profile(
        "carry-trade",
        "sUSDe on Aave and on Morpho against dollars that earn in another vault",
        (
            LendingAccount(supplied={"sUSDe": 250_000}, borrowed={"USDT": 1}, health=Decimal("1.09"), e_mode="USDe Stablecoins"),
            Borrow(market="sUSDe/DAI", usd=90_000, health=Decimal("1.12")),
            VaultShares(vault=MARKET_VAULT, usd=110_000),
            Supply(chain_id=42161, market="wstETH/USDC", usd=40_000),
        ),
    ),
)
