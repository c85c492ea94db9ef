"""Books and markets that between them reach every rule of the methods: the pinned figures stand on them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY, Forward, Market, Quote
from tests.risk.margin.kit import book, market_of, option, perpetual, spot

Scene = tuple[MarginBook, Market]

DAY = SECONDS_PER_DAY
SPOT = 2600.0


def call(strike: float, size: float, days: float = 30) -> Holding:
    return option(strike, size, expiry=int(days * DAY))


def put(strike: float, size: float, days: float = 30) -> Holding:
    return option(strike, size, call=False, expiry=int(days * DAY))


def flat(*holdings: Holding, cash: float = 0.0, volatility: float = 0.6, rate: float = 0.0) -> Scene:
    return book(*holdings, cash=cash), market_of(holdings, SPOT, volatility, rate, {"USDT": 1.0, "weETH": 2800.0})


CANONICAL: dict[str, Scene] = {
    "long call": flat(call(2600, 1)),
    "short call": flat(call(2600, -1)),
    "short put": flat(put(2600, -1)),
    "short straddle": flat(call(2600, -1), put(2600, -1)),
    "short call spread": flat(call(2600, -1), call(2800, 1)),
    "short call and long perpetual": flat(call(2600, -1), perpetual(0.55, unrealised=0)),
    "long call and short put": flat(call(2600, 1), put(2600, -1)),
    "conversion": flat(call(2600, 1), put(2600, -1), perpetual(-1, unrealised=0)),
    "short strangle": flat(put(2000, -1), call(3400, -1)),
    "ten short far calls": flat(call(5000, -10)),
}
"""ETH at 2,600, 30 days, volatility .6"""


def doubtful(scene: Scene, confidence: float, stable: float = 1.0) -> Scene:
    """The same with oracles that are not sure of themselves, or a stable coin off its peg."""
    made, market = scene

    def weak(one: Quote) -> Quote:
        return Quote(one.value, confidence)

    return made, replace(
        market,
        spot={key: weak(one) for key, one in market.spot.items()},
        assets={key: weak(one) for key, one in market.assets.items()},
        perpetuals={key: weak(one) for key, one in market.perpetuals.items()},
        stable=stable,
    )


def settling(scene: Scene) -> Scene:
    """Half of every forward already averaged, a carry in the rest."""
    made, market = scene
    forwards = {key: Forward(one.variable * 0.505, one.variable * 0.5, 0.08, one.confidence) for key, one in market.forwards.items()}
    return made, replace(market, forwards=forwards)


MIXED = (
    call(2600, -3, 5),
    put(2200, -2, 5),
    call(3000, 4),
    put(2400, 1),
    call(2600, -1, 120),
    put(1800, -2, 120),
    perpetual(1.5, unrealised=40),
)

CASES: dict[str, Scene] = {
    **CANONICAL,
    "three expiries and a perpetual": flat(*MIXED, cash=5_000.0, rate=0.05),
    "calm surface": flat(call(2800, -2, 45), put(2400, -2, 45), volatility=0.2),
    "hours left": flat(call(2600, -1, 0.4), put(2600, 1, 0.4), volatility=0.9),
    "settlement average running": settling(flat(call(2600, -2, 0.003), put(2600, 1, 0.003))),
    "covered by the underlying": flat(spot("ETH", 2), call(2800, -2), spot("weETH", 1, "ETH"), spot("USDT", 1_000, "USDT")),
    "oracles in doubt": doubtful(flat(call(2600, -1), perpetual(-1, unrealised=0), spot("ETH", 1)), 0.3),
    "stable coin off its peg": doubtful(flat(call(2600, -1), perpetual(2, unrealised=-15), spot("ETH", 1)), 1.0, 0.95),
    "deep short put": flat(put(6000, -1, 7)),
    "wing for wing": flat(put(1500, -4, 60), put(1600, 4, 60), call(4500, -4, 60), call(4400, 4, 60)),
    "gains only": flat(call(2000, 5, 90), rate=0.1),
    "short far put and long near": flat(put(1000, -8, 200), put(2600, 1, 200), volatility=0.8),
    "perpetual alone": flat(perpetual(-2, unrealised=0)),
    "reversal": flat(call(2600, -1), put(2600, 1), perpetual(1, unrealised=0)),
    "nearly a conversion": flat(call(2600, 1), put(2600, -1), perpetual(-1.05, unrealised=0)),
    "straddle with hours left": flat(call(2600, -1, 0.4), put(2600, -1, 0.4), volatility=0.9),
    "oracles just below": doubtful(flat(call(2600, -1), perpetual(-1, unrealised=0), spot("ETH", 1)), 0.54),
    "oracles just above": doubtful(flat(call(2600, -1), perpetual(-1, unrealised=0), spot("ETH", 1)), 0.56),
    "dear money": flat(call(3000, -1, 90), rate=1.0),
    "deep spread, a little short": flat(call(100, -10), call(120, 9.9)),
    "huge conversion": flat(call(2600, 40_000), put(2600, -40_000), perpetual(-40_000, unrealised=0)),
    "large delta": flat(perpetual(-12_000, unrealised=0)),
    "enormous delta": flat(perpetual(-60_000, unrealised=0)),
    "wing against the smile": flat(put(2000, 3, 10), put(1800, -6, 10), call(3200, -3, 300), call(3600, 4, 300)),
}

COIN_EXPIRY = 75 * DAY


NEAR_EXPIRY = 10 * DAY


def coin_contract(
    kind: InstrumentKind, size: float, underlying: str = "BTC", strike: float | None = None, expiry: int = COIN_EXPIRY
) -> Holding:
    """A coin-settled contract: USD for perpetuals and futures, coins for options."""
    instrument = Instrument(
        kind,
        underlying,
        None if kind is InstrumentKind.PERPETUAL else expiry,
        None if strike is None else Decimal(str(strike)),
        inverse=True,
        settlement=underlying,
    )
    return Holding(instrument, Decimal(str(size)), unrealised=Decimal(0))


COIN_MARKET = Market(
    as_of=0.0,
    spot={"BTC": Quote(65_000.0), "ETH": Quote(2_600.0)},
    assets={"stETH": Quote(2_590.0), "USDC": Quote(1.0)},
    perpetuals={"BTC": Quote(65_100.0), "ETH": Quote(2_601.0)},
    forwards={("BTC", COIN_EXPIRY): Forward(66_000.0), ("ETH", COIN_EXPIRY): Forward(2_620.0), ("BTC", NEAR_EXPIRY): Forward(65_200.0)},
    volatilities={
        ("BTC", COIN_EXPIRY, 70_000.0): Quote(0.55),
        ("BTC", COIN_EXPIRY, 150_000.0): Quote(0.9),
        ("ETH", COIN_EXPIRY, 2_500.0): Quote(0.7),
        ("BTC", NEAR_EXPIRY, 66_000.0): Quote(0.25),
    },
)

FUTURE, PERPETUAL, CALL, PUT = InstrumentKind.FUTURE, InstrumentKind.PERPETUAL, InstrumentKind.CALL, InstrumentKind.PUT

COIN_CASES: dict[str, Scene] = {
    "perpetual and future": (book(coin_contract(PERPETUAL, 20_000), coin_contract(FUTURE, -8_000)), COIN_MARKET),
    "short call": (book(coin_contract(CALL, -1, strike=70_000)), COIN_MARKET),
    "hedged in the coin": (book(coin_contract(CALL, -1, strike=70_000), coin_contract(PERPETUAL, 30_000)), COIN_MARKET),
    "many far calls": (book(coin_contract(CALL, -1_500, strike=150_000)), COIN_MARKET),
    "calm near straddle": (
        book(coin_contract(CALL, -1, strike=66_000, expiry=NEAR_EXPIRY), coin_contract(PUT, -1, strike=66_000, expiry=NEAR_EXPIRY)),
        COIN_MARKET,
    ),
    "coin against dollar": (book(coin_contract(PERPETUAL, 65_000), perpetual(-1, unrealised=0, underlying="BTC")), COIN_MARKET),
    "two coins": (book(coin_contract(PUT, -5, "ETH", 2_500), coin_contract(PERPETUAL, -9_000)), COIN_MARKET),
    "large coin delta": (book(coin_contract(PERPETUAL, 60_000_000)), COIN_MARKET),
    "assets beside a perpetual": (
        book(coin_contract(PERPETUAL, 20_000), spot("BTC", 0.2), spot("stETH", 3, "ETH"), spot("USDC", 500)),
        COIN_MARKET,
    ),
    "enormous coin delta": (book(coin_contract(PERPETUAL, 300_000_000)), COIN_MARKET),
}

BOX = ((9, 10, True), (9, -10, False), (10, -10, True), (10, 10, False))

OTHER_CASES: dict[str, Scene] = {
    "another coin": (book(perpetual(-100, unrealised=0, underlying="APT")), market_of([perpetual(1, underlying="APT")], 9.0)),
    "calls on another coin": (book(option(9, -10, underlying="APT")), market_of([option(9, 1, underlying="APT")], 9.0)),
    "box on another coin": (
        book(*(option(strike, size, call=is_call, underlying="APT") for strike, size, is_call in BOX)),
        market_of([option(strike, 1, underlying="APT") for strike, _, _ in BOX], 9.0),
    ),
}
"""an underlying that only a method with terms for all others takes"""
