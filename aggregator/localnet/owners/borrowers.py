"""Owners in Aave and Spark: from supply alone to debts that no collateral covers, and every special rule between."""

from __future__ import annotations

from decimal import Decimal

from aggregator.localnet.owners.lending_parts import LendingAccount, LiquidatedAccount, ReceivedShares
from aggregator.localnet.owners.profile import Profile

_HEALTH = Decimal

AAVE = (
    Profile(
        "aave-supplier",
        "supplies USDC and WETH to Aave and owes nothing",
        (LendingAccount(supplied={"USDC": 80_000, "WETH": 45_000}),),
    ),
    Profile(
        "aave-safe",
        "owes a little USDC against WETH on Aave, health factor 3.2",
        (LendingAccount(supplied={"WETH": 160_000}, borrowed={"USDC": 1}, health=_HEALTH("3.2")),),
    ),
    Profile(
        "aave-several-assets",
        "six kinds of collateral and four of debt in one Aave account, health factor 1.75",
        (
            LendingAccount(
                supplied={"WETH": 90_000, "WBTC": 70_000, "wstETH": 40_000, "USDC": 25_000, "AAVE": 8_000, "cbBTC": 30_000},
                borrowed={"USDC": 4, "USDT": 3, "DAI": 2, "WETH": 1},
                health=_HEALTH("1.75"),
            ),
        ),
    ),
    Profile(
        "aave-tight",
        "USDT against WBTC on Aave, health factor 1.08: a fall of 7.4% liquidates",
        (LendingAccount(supplied={"WBTC": 210_000}, borrowed={"USDT": 1}, health=_HEALTH("1.08")),),
    ),
    Profile(
        "aave-edge",
        "a hair above liquidation on Aave: wstETH against USDC, health factor 1.002",
        (LendingAccount(supplied={"wstETH": 95_000}, borrowed={"USDC": 1}, health=_HEALTH("1.002")),),
    ),
    Profile(
        "aave-liquidatable",
        "drifted below one in the month's fall: WETH against USDC on Aave, health factor 0.975",
        (LendingAccount(supplied={"WETH": 140_000}, borrowed={"USDC": 1}, health=_HEALTH("0.975")),),
    ),
    Profile(
        "aave-deep-under-water",
        "so far below one that a liquidator may repay all of it at once: health factor 0.91",
        (LendingAccount(supplied={"WETH": 75_000}, borrowed={"USDC": 1, "DAI": 1}, health=_HEALTH("0.91")),),
    ),
    Profile(
        "aave-bad-debt",
        "owes more than all of the collateral is worth since LINK crashed",
        (LendingAccount(supplied={"LINK": 60_000}, borrowed={"USDC": 1}, health=_HEALTH("0.66")),),
    ),
    Profile(
        "aave-partly-liquidated",
        "lost a part of the WETH to a liquidator at the end of the month",
        (LiquidatedAccount(supplied={"WETH": 200_000}, borrowed={"USDC": 1}, health=_HEALTH("0.96"), repaid=Decimal("0.45")),),
    ),
    Profile(
        "aave-short-ether",
        "WETH debt against USDC on Aave: gains when ether falls, health factor 1.35",
        (LendingAccount(supplied={"USDC": 250_000}, borrowed={"WETH": 1}, health=_HEALTH("1.35")),),
    ),
    Profile(
        "aave-emode-ether",
        "levered staking: wstETH against WETH in Aave's ether e-mode, health factor 1.03",
        (LendingAccount(supplied={"wstETH": 500_000}, borrowed={"WETH": 1}, health=_HEALTH("1.03"), e_mode="ETH correlated"),),
    ),
    Profile(
        "aave-emode-ltv-zero",
        "cbETH that counts for health but lends nothing in the ether e-mode, beside wstETH, against WETH",
        (
            LendingAccount(
                supplied={"wstETH": 60_000, "cbETH": 60_000},
                borrowed={"WETH": 1},
                health=_HEALTH("1.6"),
                e_mode="ETH correlated",
            ),
        ),
    ),
    Profile(
        "aave-emode-only-collateral",
        "sUSDe, which is collateral in its e-mode alone, against USDC",
        (LendingAccount(supplied={"sUSDe": 120_000}, borrowed={"USDC": 1}, health=_HEALTH("1.05"), e_mode="USDe Stablecoins"),),
    ),
    Profile(
        "aave-emode-restaked",
        "weETH against dollars in an e-mode of its own, health factor 1.12",
        (LendingAccount(supplied={"weETH": 180_000}, borrowed={"USDT": 1}, health=_HEALTH("1.12"), e_mode="weETH Stablecoins"),),
    ),
    Profile(
        "aave-isolation",
        "CRV in isolation mode, which may only borrow dollars and only under its debt ceiling",
        (LendingAccount(supplied={"CRV": 50_000}, borrowed={"USDC": 1}, health=_HEALTH("1.4"), enabled=("CRV",)),),
    ),
    Profile(
        "aave-siloed-debt",
        "owes GHO, a siloed asset that bears no other debt beside it",
        (LendingAccount(supplied={"WETH": 60_000}, borrowed={"GHO": 1}, health=_HEALTH("1.7")),),
    ),
    Profile(
        "aave-collateral-disabled",
        "WETH supplied but switched off as collateral: only the USDC stands for the debt",
        (
            LendingAccount(
                supplied={"WETH": 90_000, "USDC": 50_000},
                borrowed={"DAI": 1},
                health=_HEALTH("1.5"),
                disabled=("WETH",),
            ),
        ),
    ),
    Profile(
        "aave-received-shares",
        "received aTokens by transfer, which are not collateral, beside a small account of their own",
        (
            LendingAccount(supplied={"USDC": 20_000}, borrowed={"USDT": 1}, health=_HEALTH("1.3")),
            ReceivedShares(symbol="WETH", usd=33_000),
        ),
    ),
    Profile(
        "aave-frozen-collateral",
        "LUSD in a frozen reserve, still collateral for a USDC debt",
        (LendingAccount(supplied={"LUSD": 40_000}, borrowed={"USDC": 1}, health=_HEALTH("1.45")),),
    ),
    Profile(
        "aave-paused-collateral",
        "UNI in a paused reserve: nothing can move, and the debt goes on growing",
        (LendingAccount(supplied={"UNI": 50_000}, borrowed={"USDC": 1}, health=_HEALTH("1.25")),),
    ),
    Profile(
        "arbitrum-borrower",
        "WETH and WBTC against USDC and USDT on Arbitrum, health factor 1.5",
        (
            LendingAccount(
                chain_id=42161, supplied={"WETH": 80_000, "WBTC": 40_000}, borrowed={"USDC": 2, "USDT": 1}, health=_HEALTH("1.5")
            ),
        ),
    ),
    Profile(
        "arbitrum-isolation",
        "ARB in isolation mode on Arbitrum, after a hard fall: health factor 1.04",
        (LendingAccount(chain_id=42161, supplied={"ARB": 45_000}, borrowed={"USDC": 1}, health=_HEALTH("1.04"), enabled=("ARB",)),),
    ),
    Profile(
        "arbitrum-emode-dollars",
        "USDC against USDT in the stablecoin e-mode, where only a broken peg hurts",
        (LendingAccount(chain_id=42161, supplied={"USDC": 300_000}, borrowed={"USDT": 1}, health=_HEALTH("1.04"), e_mode="Stablecoins"),),
    ),
    Profile(
        "base-emode-bitcoin",
        "cbBTC against USDC in its e-mode on Base, health factor 1.06",
        (
            LendingAccount(
                chain_id=8453, supplied={"cbBTC": 220_000}, borrowed={"USDC": 1}, health=_HEALTH("1.06"), e_mode="cbBTC Stablecoins"
            ),
        ),
    ),
    Profile(
        "base-liquidatable",
        "cbETH and WETH against USDC on Base, fell below one: health factor 0.985",
        (LendingAccount(chain_id=8453, supplied={"WETH": 60_000, "cbETH": 40_000}, borrowed={"USDC": 1}, health=_HEALTH("0.985")),),
    ),
)

SPARK = (
    Profile(
        "spark-safe",
        "DAI against wstETH on Spark, health factor 1.9",
        (LendingAccount(protocol="spark", supplied={"wstETH": 130_000}, borrowed={"DAI": 1}, health=_HEALTH("1.9")),),
    ),
    Profile(
        "spark-edge",
        "USDS against rETH on Spark, a hair above liquidation",
        (LendingAccount(protocol="spark", supplied={"rETH": 70_000}, borrowed={"USDS": 1}, health=_HEALTH("1.003")),),
    ),
    Profile(
        "spark-liquidatable",
        "USDC against WETH on Spark, health factor 0.96",
        (LendingAccount(protocol="spark", supplied={"WETH": 110_000}, borrowed={"USDC": 1}, health=_HEALTH("0.96")),),
    ),
    Profile(
        "spark-debt-only",
        "all collateral was liquidated and did not cover the debt: what is left owes and owns nothing",
        (LiquidatedAccount(protocol="spark", supplied={"WETH": 55_000}, borrowed={"DAI": 1}, health=_HEALTH("0.8"), repaid=Decimal(1)),),
    ),
    Profile(
        "spark-emode-dollars",
        "DAI against USDC in an e-mode that takes both for exactly one dollar",
        (LendingAccount(protocol="spark", supplied={"USDC": 150_000}, borrowed={"DAI": 1}, health=_HEALTH("1.06"), e_mode="Stablecoins"),),
    ),
    Profile(
        "spark-stable-rate",
        "owes USDC at Spark's stable rate against weETH, health factor 1.4",
        (LendingAccount(protocol="spark", supplied={"weETH": 90_000}, borrowed={"USDC": 1}, health=_HEALTH("1.4"), stable_rate=True),),
    ),
    Profile(
        "spark-siloed-debt",
        "owes USDT, siloed on Spark, against wstETH and savings DAI",
        (LendingAccount(protocol="spark", supplied={"wstETH": 40_000, "sDAI": 40_000}, borrowed={"USDT": 1}, health=_HEALTH("1.55")),),
    ),
    Profile(
        "spark-isolation",
        "cbBTC in isolation mode on Spark against USDC",
        (LendingAccount(protocol="spark", supplied={"cbBTC": 80_000}, borrowed={"USDC": 1}, health=_HEALTH("1.3"), enabled=("cbBTC",)),),
    ),
    Profile(
        "spark-received-shares",
        "received spTokens by transfer: in this generation the first ones do become collateral, and USDC is owed on them",
        (ReceivedShares(protocol="spark", symbol="WETH", usd=25_000), LendingAccount(protocol="spark", borrowed={"USDC": 9_000})),
    ),
)
