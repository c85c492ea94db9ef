"""Liquidity providers of Uniswap v2, v3 and v4."""

from __future__ import annotations

from aggregator.localnet.deploy.uniswap_v4 import DYNAMIC_FEE
from aggregator.localnet.owners.exchange_parts import WHOLE, Ladder, OnTick, PairShare, Position, SingletonPosition
from aggregator.localnet.owners.profile import Profile

_ETHER = ("USDC", "WETH", 500)
_STABLE = ("USDC", "USDT", 100)

PAIRS = (
    Profile(
        "v2-lp",
        "shares of two Uniswap v2 pairs on Ethereum",
        (PairShare(pair=("USDC", "WETH"), usd=60_000), PairShare(pair=("DAI", "WETH"), usd=15_000)),
    ),
    Profile(
        "v2-lp-rollups",
        "shares of v2 pairs on Arbitrum and Base",
        (PairShare(chain_id=42161, pair=("WETH", "USDC"), usd=25_000), PairShare(chain_id=8453, pair=("WETH", "USDC"), usd=35_000)),
    ),
)
CONCENTRATED = (
    Profile(
        "v3-in-range",
        "a Uniswap v3 position around the present price, earning",
        (Position(pool=_ETHER, bounds=(-0.08, 0.08), usd=90_000, at_end=True),),
    ),
    Profile(
        "v3-below",
        "a position whose range lies below the price: all of it is the pool's second token",
        (Position(pool=_ETHER, bounds=(-0.5, -0.3), usd=40_000, at_end=True),),
    ),
    Profile(
        "v3-above",
        "a position whose range lies above the price: all of it is the pool's first token",
        (Position(pool=_ETHER, bounds=(0.3, 0.5), usd=40_000, at_end=True),),
    ),
    Profile(
        "v3-fell-out",
        "was in range before the fall, and is not any more: stopped earning on the way",
        (Position(pool=("USDC", "WETH", 3000), bounds=(-0.06, 0.06), usd=70_000),),
    ),
    Profile(
        "v3-full-range",
        "v3 positions over the whole range, as in v2",
        (
            Position(pool=("WBTC", "WETH", 3000), bounds=WHOLE, usd=50_000),
            Position(chain_id=8453, pool=("WETH", "USDC", 500), bounds=WHOLE, usd=30_000),
        ),
    ),
    Profile(
        "v3-on-tick",
        "the pool's price stands exactly on this position's lower bound, reached from below: in range",
        (OnTick(chain_id=42161, pool=("WETH", "USDT", 500), edge="lower", coming="up", usd=35_000),),
    ),
    Profile(
        "v3-on-tick-from-above",
        "the pool's price stands exactly on this position's lower bound, reached from above: out of range",
        (OnTick(chain_id=8453, pool=("cbETH", "WETH", 500), edge="lower", coming="down", usd=20_000),),
    ),
    Profile(
        "v3-on-upper-tick",
        "the pool's price stands exactly on this position's upper bound",
        (OnTick(chain_id=42161, pool=("WBTC", "WETH", 500), edge="upper", coming="up", usd=20_000),),
    ),
    Profile(
        "v3-uncollected-fees",
        "a narrow position in a busy pool: some fees are written down as owed, later ones are not yet",
        (Position(pool=_STABLE, bounds=(-0.002, 0.002), usd=800_000, act="poke"),),
    ),
    Profile(
        "v3-half-withdrawn",
        "took half of the liquidity out and never collected it: it lies in the NFT",
        (Position(pool=("USDC", "WETH", 3000), bounds=(-0.3, 0.3), usd=60_000, act="halve"),),
    ),
    Profile(
        "v3-emptied",
        "took all of the liquidity out of one NFT without collecting, and out of another with it: no liquidity, one still owed",
        (
            Position(pool=_ETHER, bounds=(-0.2, 0.1), usd=25_000, act="empty"),
            Position(chain_id=42161, pool=("WETH", "USDC", 500), bounds=(-0.2, 0.1), usd=10_000, act="burn"),
        ),
    ),
    Profile(
        "v3-many",
        "twenty-eight v3 positions side by side",
        (Ladder(chain_id=42161, pool=("WETH", "USDC", 500), steps=28, width=0.01, usd=2_500),),
    ),
    Profile(
        "v3-staking-pair",
        "wstETH and WETH in the same v3 position, on Ethereum and Base: what looks like two assets is one",
        (
            Position(pool=("wstETH", "WETH", 100), bounds=(-0.01, 0.01), usd=150_000),
            Position(chain_id=8453, pool=("wstETH", "WETH", 100), bounds=(-0.01, 0.01), usd=50_000),
        ),
    ),
)
SINGLETON = (
    Profile(
        "v4-lp",
        "Uniswap v4 positions in native ether, in range and out of it",
        (
            SingletonPosition(pool=("ETH", "USDC", 500), bounds=(-0.1, 0.1), usd=45_000, at_end=True),
            SingletonPosition(pool=("ETH", "USDC", 500), bounds=(0.15, 0.3), usd=12_000, at_end=True),
            SingletonPosition(chain_id=8453, pool=("ETH", "USDC", 500), bounds=WHOLE, usd=18_000),
        ),
    ),
    Profile(
        "v4-lp-hooked",
        "a v4 position in a pool whose hook sets the fee, and one in a dollar pool",
        (
            SingletonPosition(pool=("ETH", "USDC", DYNAMIC_FEE), bounds=(-0.4, 0.4), usd=30_000),
            SingletonPosition(pool=("USDC", "USDT", 10), bounds=(-0.001, 0.001), usd=80_000),
        ),
    ),
    Profile(
        "v4-lp-emptied",
        "a v4 NFT without liquidity, beside one on Arbitrum that has some",
        (
            SingletonPosition(pool=("WBTC", "USDC", 3000), bounds=(-0.2, 0.2), usd=15_000, emptied=True),
            SingletonPosition(chain_id=42161, pool=("WBTC", "USDC", 3000), bounds=(-0.2, 0.2), usd=22_000, at_end=True),
        ),
    ),
)
