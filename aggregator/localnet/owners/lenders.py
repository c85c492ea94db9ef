"""Owners in Morpho's isolated markets."""

from __future__ import annotations

from decimal import Decimal

from aggregator.localnet.owners.morpho_parts import Borrow, LiquidatedBorrow, Supply
from aggregator.localnet.owners.profile import Profile

MORPHO = (
    Profile(
        "morpho-supplier",
        "lends USDC in two of Morpho's markets",
        (Supply(market="WBTC/USDC", usd=120_000), Supply(market="WETH/USDC", usd=30_000)),
    ),
    Profile(
        "morpho-supplier-with-fee",
        "lends where the market keeps a tenth of the interest, on Base, and where nothing is ever lent out",
        (Supply(chain_id=8453, market="cbBTC/USDC", usd=90_000), Supply(market="idle/USDC", usd=5_000)),
    ),
    Profile(
        "morpho-collateral-only",
        "wstETH and WBTC lie in Morpho as collateral without any debt",
        (Borrow(market="wstETH/USDC", usd=60_000), Borrow(market="WBTC/USDC", usd=25_000)),
    ),
    Profile(
        "morpho-borrower-safe",
        "USDC against WBTC on Morpho, health factor 2.1",
        (Borrow(market="WBTC/USDC", usd=180_000, health=Decimal("2.1")),),
    ),
    Profile(
        "morpho-borrower-levered",
        "WETH against wstETH at 94.5% on Morpho, health factor 1.02",
        (Borrow(market="wstETH/WETH", usd=400_000, health=Decimal("1.02")),),
    ),
    Profile(
        "morpho-borrower-edge",
        "USDC against WETH on Morpho, a hair above liquidation",
        (Borrow(market="WETH/USDC", usd=85_000, health=Decimal("1.001")),),
    ),
    Profile(
        "morpho-borrower-liquidatable",
        "USDC against wstETH on Morpho, health factor 0.97",
        (Borrow(market="wstETH/USDC", usd=130_000, health=Decimal("0.97")),),
    ),
    Profile(
        "morpho-borrower-bad-debt",
        "owes more than the collateral is worth in a market of Base",
        (Borrow(chain_id=8453, market="WETH/USDC", usd=50_000, health=Decimal("0.84")),),
    ),
    Profile(
        "morpho-partly-liquidated",
        "a third of the collateral went to a liquidator on Arbitrum",
        (LiquidatedBorrow(chain_id=42161, market="WETH/USDC", usd=90_000, health=Decimal("0.9"), seized=Decimal("0.33")),),
    ),
    Profile(
        "morpho-wiped-out",
        "all collateral was seized and the rest of the debt written off: nothing is left of the position",
        (LiquidatedBorrow(market="WETH/USDC", usd=45_000, health=Decimal("0.82"), seized=Decimal(1)),),
    ),
    Profile(
        "morpho-several-markets",
        "supplies and borrows in five isolated markets on three chains, of very different health",
        (
            Borrow(market="sUSDe/DAI", usd=70_000, health=Decimal("1.2")),
            Borrow(market="syrupUSDC/USDC", usd=60_000, health=Decimal("1.15")),
            Borrow(chain_id=42161, market="WBTC/USDC", usd=50_000, health=Decimal("1.04")),
            Borrow(chain_id=8453, market="cbETH/USDC", usd=30_000, health=Decimal("3")),
            Supply(chain_id=8453, market="wstETH/WETH", usd=20_000),
        ),
    ),
    Profile(
        "morpho-both-sides",
        "lends and borrows in the very same market",
        (Supply(market="wstETH/USDC", usd=40_000), Borrow(market="wstETH/USDC", usd=70_000, health=Decimal("1.6"))),
    ),
    Profile(
        "morpho-brittle-oracle",
        "borrows where the oracle may fail any day",
        (Borrow(market="brittle WETH/USDC", usd=40_000, health=Decimal("1.5")),),
    ),
    Profile(
        "morpho-wrong-oracle",
        "owes 50,000 USDC on ten LINK, as the market's oracle has the wrong scale: healthy there, worthless elsewhere",
        (Borrow(market="wrong-scale LINK/USDC", usd=135, borrowed_usd=50_000),),
    ),
)
