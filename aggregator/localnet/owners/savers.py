"""Owners of vault shares, staked ether and tokenised funds."""

from __future__ import annotations

from decimal import Decimal

from aggregator.localnet.deploy.vaults import DONATED_VAULT, GATED_VAULT, INNER_VAULT, MARKET_VAULT, OFFSET_VAULT, OUTER_VAULT
from aggregator.localnet.owners.holding_parts import FundShares, StakedEther, VaultShares, Wallet, Withdrawals
from aggregator.localnet.owners.profile import Profile

VAULTS = (
    Profile(
        "vault-savings",
        "the well-known savings vaults: sDAI, sUSDS, sUSDe and syrupUSDC",
        tuple(
            VaultShares(vault=vault, usd=usd)
            for vault, usd in (("sDAI", 20_000), ("sUSDS", 35_000), ("sUSDe", 15_000), ("syrupUSDC", 10_000))
        ),
    ),
    Profile(
        "vault-nested",
        "shares of a vault of a vault of a vault that lends in Morpho's markets, on Ethereum and Base",
        (
            VaultShares(vault=OUTER_VAULT, usd=40_000),
            VaultShares(vault=INNER_VAULT, usd=12_000),
            VaultShares(chain_id=8453, vault=OUTER_VAULT, usd=22_000),
        ),
    ),
    Profile(
        "vault-of-markets",
        "shares of the vault that lends in Morpho's markets itself",
        (VaultShares(vault=MARKET_VAULT, usd=75_000), VaultShares(chain_id=8453, vault=MARKET_VAULT, usd=30_000)),
    ),
    Profile(
        "vault-odd",
        "shares with twelve more decimals than their asset, shares that cannot be redeemed now, and shares of a vault that was given ether",
        (
            VaultShares(vault=OFFSET_VAULT, usd=9_000),
            VaultShares(vault=GATED_VAULT, usd=14_000),
            VaultShares(vault=DONATED_VAULT, usd=21_000),
        ),
    ),
    Profile(
        "vault-leaving",
        "on the way out: half of the sUSDe in the cooldown, half of the syrupUSDC in the redemption queue",
        (
            VaultShares(vault="sUSDe", usd=24_000, leaving=Decimal("0.5")),
            VaultShares(vault="syrupUSDC", usd=16_000, leaving=Decimal("0.5")),
        ),
    ),
)
STAKING = (
    Profile(
        "steth-and-wsteth",
        "stETH as well as wstETH on Ethereum, and bridged wstETH on both rollups",
        (
            StakedEther(steth="12.5", wsteth="8.25"),
            Wallet(chain_id=42161, tokens={"wstETH": "3.5"}),
            Wallet(chain_id=8453, tokens={"wstETH": "1.75"}),
        ),
    ),
    Profile(
        "staking-tokens",
        "rETH, cbETH and weETH on Ethereum, and their bridged forms",
        (
            Wallet(tokens={"rETH": "6", "cbETH": "4", "weETH": "9.5"}),
            Wallet(chain_id=42161, tokens={"rETH": "2", "weETH": "1"}),
            Wallet(chain_id=8453, tokens={"cbETH": "5", "weETH": "2.25"}),
        ),
    ),
    Profile(
        "withdrawal-queue",
        "stETH in Lido's withdrawal queue: one request ready to be claimed, two waiting",
        (Withdrawals(steth=("5", "7.5", "20"), ready=1), StakedEther(steth="2")),
    ),
)
FUNDS = (
    Profile(
        "rwa-treasury",
        "a treasury of tokenised funds: OUSG, BUIDL, USTB, USDY, TBILL and USYC",
        tuple(
            FundShares(fund=fund, usd=usd)
            for fund, usd in (
                *(("OUSG", 500_000), ("BUIDL", 750_000), ("USTB", 250_000)),
                *(("USDY", 120_000), ("TBILL", 90_000), ("USYC", 60_000)),
            )
        ),
    ),
    Profile(
        "rwa-barred",
        "holds BUIDL and USDY that the issuers let nobody move any more",
        (FundShares(fund="BUIDL", usd=200_000, barred=True), FundShares(fund="USDY", usd=50_000, barred=True)),
    ),
    Profile(
        "rwa-and-dollars",
        "OUSG beside plain dollars and euros in the wallet",
        (FundShares(fund="OUSG", usd=80_000), Wallet(tokens={"USDC": "12000", "USDT": "8000", "DAI": "2500", "EURC": "5000"})),
    ),
)
