"""Venues' and clearing houses' methods with parameters and scenes that between them reach every rule: pinned figures stand on them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.classes import FactorClass
from aggregator.risk.margin import drift, dydx, hyperliquid, mango, span, strategy_based, synthetix, tims, unified, vega
from aggregator.risk.margin.interface import MarginModel
from aggregator.risk.margin.span_calculator import CommoditySpread, SpreadLeg
from aggregator.risk.margin.synthetix import WAD, KeeperTerms, MarketTerms
from aggregator.risk.margin.unified_scenarios import UnifiedParameters
from tests.risk.margin.kit import book, decimal, market_of, option, perpetual, spot
from tests.risk.margin.scenes import DAY, Scene, call, flat, put

PRICES = {"BTC": 61_234.5, "ETH": 2_598.61, "SOL": 151.27, "HYPE": 38.4, "XRP": 2.31, "weETH": 2_790.0, "WETH": 2_598.61}
PRICES |= {"SPX": 1_451.19, "NDX": 1_790.0, "RUT": 820.0, "SPY": 145.3, "XAU": 2_650.0, "LINK": 14.2}
PRICES |= dict.fromkeys(("USDC", "USDe", "USDT", "DAI", "USTC", "CREDIT"), 1.0)


def scene(*holdings: Holding, cash: float = 0.0) -> Scene:
    return book(*holdings, cash=cash), market_of(holdings, 2_598.61, 0.6, 0.03, PRICES)


def future(name: str, size: float, days: float) -> Holding:
    return Holding(Instrument(InstrumentKind.FUTURE, name, int(days * DAY)), decimal(size))


def index_option(name: str, strike: int, size: int, premium: str, *, is_call: bool = True, days: int = 57) -> Holding:
    kind = InstrumentKind.CALL if is_call else InstrumentKind.PUT
    return Holding(Instrument(kind, name, days * DAY, Decimal(strike), Decimal(100)), Decimal(size), Decimal(premium))


PERPETUALS = {
    "one long": scene(perpetual(3, 2_500), cash=500),
    "two markets": scene(perpetual(-2.5, 60_000, underlying="BTC"), perpetual(40, 2_550), cash=9_000),
    "three markets": scene(
        perpetual(1.25, 60_500, underlying="BTC"), perpetual(-10, 2_600), perpetual(-90, 149, underlying="SOL"), cash=-2_000
    ),
    "small profits": scene(perpetual(1, 2_508.61), perpetual(10, 149, underlying="SOL"), perpetual(30, 37, underlying="HYPE"), cash=40_000),
    "tiny profits": scene(perpetual(1, 2_594.61), perpetual(1, 148, underlying="SOL"), perpetual(2, 37.4, underlying="HYPE"), cash=9),
    "deep profits": scene(perpetual(5, 1_500), perpetual(7, 90, underlying="SOL"), perpetual(-4, 60, underlying="HYPE"), cash=900),
    "one of many windows": scene(perpetual(5_500, 151, underlying="SOL"), cash=70_000),
    "one thin market": scene(perpetual(900, 38, underlying="HYPE"), cash=60_000),
    "another thin market": scene(perpetual(9_000, 2.2, underlying="XRP"), cash=60_000),
    "rich": scene(perpetual(600, 2_590), perpetual(-3, 61_000, underlying="BTC"), cash=3_000_000),
    "bitcoin alone": scene(perpetual(330, 61_000, underlying="BTC"), cash=900_000),
    "large": scene(perpetual(3_000, 60_500, underlying="BTC"), perpetual(-90_000, 2_600), perpetual(800_000, 150, underlying="SOL")),
    "thin markets": scene(perpetual(900, 30, underlying="HYPE"), perpetual(-5_000, 2.2, underlying="XRP"), cash=100),
}
TOKENS = {
    "deposit and borrow": scene(spot("SOL", 400), spot("ETH", -4), cash=3_000),
    "deposit behind a perpetual": scene(spot("SOL", 50_000), perpetual(-60_000, 151, underlying="SOL"), cash=-1_000_000),
    "lent": scene(spot("HYPE", 2_000), spot("BTC", 2), perpetual(-2, 61_000, underlying="BTC"), cash=-50_000),
    "a great deal supplied": scene(spot("HYPE", 2_000_000), perpetual(-1_000_000, 38, underlying="HYPE"), cash=-9_000_000),
    "a little borrowed": scene(spot("SOL", -3), spot("ETH", 1)),
    "much ether": scene(spot("ETH", 2_000), cash=10),
    "borrowed in kind": scene(spot("SOL", -9_000), spot("ETH", 40), spot("HYPE", -70), cash=1_500_000),
    "less of each": scene(spot("ETH", 100), spot("BTC", 30), spot("HYPE", 15_000), perpetual(1)),
    "more of each": scene(spot("ETH", 5_000), spot("BTC", 80), perpetual(1)),
    "borrowed against ether": scene(spot("ETH", 900), spot("BTC", 3), perpetual(15, 2_500), cash=-300),
}
LISTED = {
    "calendar": scene(future("ETH", 30, 20), future("ETH", -25, 90), future("BTC", -1, 20), future("BTC", 1, 100), perpetual(4)),
    "within a tier": scene(future("ETH", 12, 10), future("ETH", -12, 25), future("BTC", 2, 70), future("BTC", -1, 100)),
    "near delivery": scene(future("ETH", -7, 1.5), future("BTC", 0.5, 1.0), future("SOL", 30, 1.0)),
    "months at the edges": scene(
        future("BTC", 3, 30),
        future("BTC", -3, 32),
        future("BTC", 2, 10),
        future("BTC", -2, 20),
        future("ETH", 9, 60),
        future("ETH", -9, 90),
    ),
    "far months": scene(future("SOL", 60, 45), future("SOL", -60, 80), future("BTC", 1, 45), future("BTC", -1, 80)),
    "almost delivered": scene(*(future(name, size, days) for name, size in (("BTC", 1), ("ETH", 9), ("SOL", -70)) for days in (1.95, 2.1))),
    "butterfly and a future": scene(call(2_400, 10), call(2_600, -20), call(2_800, 10), future("ETH", -3, 30), perpetual(1)),
    "far options sold": scene(call(9_000, -40), put(900, -30), option(140_000, -3, underlying="BTC"), option(400, -9, underlying="SOL")),
    "straddle over months": scene(call(2_600, -5), put(2_600, -5, 60), put(2_300, 5, 90), spot("ETH", 3), spot("weETH", 2)),
    "two commodities": scene(
        perpetual(2, 60_000, underlying="BTC"), perpetual(-50), option(2_500, -8), option(60_000, 1, underlying="BTC")
    ),
    "other": scene(
        perpetual(100, underlying="SOL"),
        option(160, -40, underlying="SOL"),
        option(140, 30, call=False, expiry=100 * DAY, underlying="SOL"),
        future("SOL", -60, 45),
        future("SOL", 40, 60),
        future("SOL", 9, 12),
        future("SOL", -5, 20),
    ),
}
SECURITIES = {
    "covered and naked": scene(spot("ETH", 2), call(2_600, -3), put(2_500, -2)),
    "in the money": scene(spot("ETH", 2), call(2_000, -2), put(2_900, -1)),
    "far sold": scene(call(6_000, -2), put(1_500, -2)),
    "spreads": scene(call(2_600, -2), call(2_800, 2), put(2_500, -1, 30), put(2_400, 1, 60)),
    "iron condor": scene(put(2_300, 1), put(2_450, -1), call(2_750, -1), call(2_950, 1)),
    "long-dated": scene(call(2_600, 2, 300), put(2_000, 1, 400)),
    "short stock": scene(spot("ETH", -3), put(2_400, -1), call(2_700, 1), call(2_500, 1), put(2_500, -1)),
    "hedged stock": scene(spot("ETH", 3), put(2_500, 1), call(2_700, -1), put(2_000, 1), call(2_000, -1)),
    "collar far below": scene(spot("ETH", 1), put(1_200, 1), call(2_700, -1)),
    "index": scene(
        spot("SPY", 1_500, "SPX"),
        index_option("SPX", 1_460, -2, "21.66"),
        index_option("SPX", 1_400, -1, "9.1", is_call=False),
        index_option("NDX", 1_800, -1, "30"),
        index_option("RUT", 700, -1, "2.2", is_call=False),
    ),
    "index boxes": scene(
        index_option("SPX", 1_400, 1, "65"),
        index_option("SPX", 1_400, -1, "9", is_call=False),
        index_option("SPX", 1_500, -1, "6"),
        index_option("SPX", 1_500, 1, "46", is_call=False),
    ),
    "index apart": scene(spot("SPY", 1_000, "SPX"), index_option("NDX", 1_800, 1, "35", is_call=False), index_option("RUT", 820, -1, "20")),
    "index floors": scene(
        index_option("RUT", 1_200, -1, "0.1"), index_option("SPX", 900, -1, "0.1", is_call=False), index_option("NDX", 2_900, -1, "0.1")
    ),
}
JOINT = {
    "days on record": scene(perpetual(2, underlying="BTC"), perpetual(9), perpetual(-500, underlying="SOL"), spot("XRP", 900)),
    "collateral and its hedge": scene(spot("ETH", 9), perpetual(-9), spot("weETH", 2, "ETH"), spot("USDC", 500)),
    "options on two": scene(call(2_800, -3), put(2_300, -2, 60), option(60_000, -1, underlying="BTC"), perpetual(-1, underlying="BTC")),
    "one against the other": scene(perpetual(3, underlying="BTC"), perpetual(-70)),
    "a smile that turns": scene(put(2_000, 8, 10), put(1_800, -12, 10), call(3_200, -3, 300), call(3_600, 4, 300)),
    "calls far away": scene(call(9_000, -40)),
    "calendar": scene(call(2_600, -5, 20), call(2_600, 5, 90)),
    "a conversion": scene(call(2_600, 1), put(2_600, -1), perpetual(-1)),
    "a strangle": scene(call(3_400, -5), put(2_000, -5)),
    "calm": flat(call(2_600, 4, 20), call(2_700, -8, 20), volatility=0.2),
    "a straddle bought": scene(call(2_600, 4), put(2_600, 4)),
    "assets of other kinds": scene(
        *(spot(name, 1_000 / PRICES[name]) for name in ("XAU", "DAI", "USTC", "USDT", "LINK", "CREDIT")), perpetual(-1, underlying="LINK")
    ),
    "hours left": scene(call(2_600, -4, 0.3), put(2_500, 3, 0.3), put(2_700, -3, 0.3)),
    "minutes left": flat(call(2_590, -4, 0.003), put(2_590, 3, 0.003), put(2_610, -3, 0.003), volatility=1.5),
    "debt in stable coins": scene(spot("USDC", -9_000), spot("USDe", -900)),
}

TIER = dydx.LiquidityTier(100_000, 500_000, 1_000_000_000_000, 4_000_000_000_000)
SPOT_TERMS = drift.SpotTerms(9, 8_000, 9_000, 12_000, 11_000, 7_000, 4_000_000 * drift.QUOTE, 50_000 * drift.BASE)
BANK = mango.Bank(Decimal(".7"), Decimal("1.35"), Decimal(".8"), Decimal("1.25"), 6, 9e12, 5e12, 4e11, 8e11)
SNX = MarketTerms(2_000 * WAD, 2 * WAD, WAD // 50, WAD // 2, 40 * WAD, WAD // 500, WAD // 1_000, WAD, 20)
ETHER_COLLATERAL = synthetix.CollateralTerms(50_000 * WAD, 2 * WAD, WAD // 100, WAD // 20)


def taking(scenes: dict[str, Scene], *names: str) -> dict[str, Scene]:
    """The scenes that hold none of these assets as SPOT."""
    return {label: one for label, one in scenes.items() if not any(held.instrument.symbol in names for held in one[0].holdings)}


def lending_nothing(scenes: dict[str, Scene]) -> dict[str, Scene]:
    """The scenes in which no asset is borrowed in kind."""
    return {label: one for label, one in scenes.items() if all(held.size > 0 for held in one[0].holdings if held.instrument.symbol)}


SETTINGS: dict[str, tuple[MarginModel[Any], Any, dict[str, Scene]]] = {
    "dydx-v4": (
        dydx.MODEL,
        replace(
            dydx.SAMPLE,
            markets={
                **dydx.SAMPLE.markets,
                "SOL": dydx.DydxMarket(-7, -8, TIER, 150_000_000_000),
                "HYPE": dydx.DydxMarket(-6, -8, TIER, 52_000_000_000),
                "XRP": dydx.DydxMarket(-5, -10, TIER, 100_000_000_000),
            },
            own_ppm={"BTC": 30_000},
        ),
        PERPETUALS,
    ),
    "drift": (
        drift.MODEL,
        replace(
            drift.SAMPLE,
            spot={"SOL": SPOT_TERMS, "ETH": replace(SPOT_TERMS, decimals=8, imf=9_000, scale_start=5 * 10**12, deposits=5 * 10**11)},
            perpetual={
                "ETH": drift.PerpetualTerms(1_000, 500, 3_000, 9_000, 9_500, 40_000),
                "SOL": drift.PerpetualTerms(1_500, 700, 200, 8_000, 8_500, 90_000),
            },
            fallback=drift.PerpetualTerms(2_000, 500, 9_000, 7_000, 7_500, 90_000),
            averages={"SOL": 150.0, "ETH": 2_650.0, "USDC": 1.01},
            own_ratio=1_100,
        ),
        PERPETUALS | taking(TOKENS, "BTC", "HYPE"),
    ),
    "mango": (
        mango.MODEL,
        replace(
            mango.SAMPLE,
            banks={**mango.SAMPLE.banks, "SOL": BANK, "ETH": replace(BANK, deposits=1e12, borrows=9e9)},
            perpetuals={
                "ETH": mango.PerpetualTerms(Decimal(".85"), Decimal("1.15"), Decimal(".92"), Decimal("1.08"), Decimal(".9"), Decimal(".97"))
            },
            stable_prices={"SOL": 149.0, "ETH": 2_640.0},
        ),
        PERPETUALS | TOKENS,
    ),
    "synthetix": (
        synthetix.MODEL,
        replace(
            synthetix.SAMPLE,
            markets={"BTC": SNX, "ETH": SNX, "SOL": replace(SNX, skew_scale=90_000 * WAD), "HYPE": SNX, "XRP": SNX},
            collaterals={
                "ETH": ETHER_COLLATERAL,
                "BTC": replace(ETHER_COLLATERAL, skew_scale=100 * WAD, scalar=WAD // 10),
                "HYPE": replace(ETHER_COLLATERAL, skew_scale=1_000_000 * WAD),
            },
            keeper=KeeperTerms(10 * WAD, WAD // 5, 900 * WAD, WAD // 20, WAD // 30_000, 60 * WAD, 20 * WAD),
        ),
        PERPETUALS | taking(lending_nothing(TOKENS), "SOL"),
    ),
    "vega-es": (
        vega.MODEL,
        replace(
            vega.SAMPLE,
            markets={"ETH": vega.MarketModel(vega.LognormalModel(0.01, 0.01, 0.2, 0.9), vega.Slippage(Decimal(".002"), Decimal("1e-6")))},
        ),
        PERPETUALS,
    ),
    "hyperliquid": (
        hyperliquid.MODEL,
        replace(
            hyperliquid.SAMPLE,
            tables={**hyperliquid.SAMPLE.tables, "XRP": hyperliquid.MarginTable.flat(20)},
            tokens={**hyperliquid.SAMPLE.tokens, "ETH": hyperliquid.TokenTerms(Decimal(".4"), Decimal(500))},
            leverage={"ETH": Decimal(10)},
        ),
        PERPETUALS | lending_nothing(TOKENS),
    ),
    "span": (
        span.MODEL,
        replace(
            span.EXAMPLE,
            credits=(CommoditySpread((SpreadLeg("BTC", 1.0, 1), SpreadLeg("ETH", 22.0, -1)), 0.4),),
            haircuts={"weETH": 0.3},
        ),
        LISTED,
    ),
    "reg-t": (strategy_based.MODEL, strategy_based.StrategyParameters(), SECURITIES),
    "tims": (tims.MODEL, tims.TimsParameters(), SECURITIES),
    "unified": (
        unified.MODEL,
        replace(UnifiedParameters(), classes={"XRP": FactorClass.UNKNOWN, "CREDIT": FactorClass.RWA_CREDIT}, draws=256),
        JOINT,
    ),
}
