"""The contracts' portfolio cases with their environment, as book and market.

Spot, forwards, rates and what some cases override stand in the contracts' test code, not in their case files.
Source: derivexyz/v2-core@7736900d, TestCaseExpiries.t.sol and the two portfolio-case tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aggregator.model.instrument import Holding
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY, Forward, Market, Quote
from tests.risk.margin.kit import option, perpetual, spot

EXPIRIES = {
    date: days * SECONDS_PER_DAY + 8 * 3_600
    for date, days in zip(
        ("20230104", "20230111", "20230118", "20230227", "20230804", "20230811", "20230818", "20230825"),
        (3, 10, 17, 57, 215, 222, 229, 238),
        strict=True,
    )
}
CARRY = {
    "eth": (0.91345, 2.83305, 4.7545, 15.7696, 59.87416, 61.85933, 63.8284, 66.3744),
    "btc": (12.7883, 39.66276, 66.56301, 220.77451, 838.23835, 865.90472, 893.59763, 929.24184),
}
SPOT = {"eth": 2000.0, "btc": 28000.0}
PERPETUAL_OVER_SPOT = {"eth": 1.0, "btc": 20.0}
RATE = 0.02
VOLATILITY = 0.5


@dataclass(frozen=True)
class Environment:
    """What a case sets beside its portfolio. Forwards and volatilities by date, and by date and strike: price and confidence."""

    stable: float = 1.0
    spot: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    perpetual: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    forward: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    volatility: Mapping[tuple[str, str, float], float] = field(default_factory=dict)
    volatility_confidence: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """of the whole expiry, as the feed has it"""


EIGHTEENTH = "20230118"


def _weak(spot_confidence: float, volatility: float, volatility_confidence: float, forward_confidence: float, **more: Any) -> Environment:
    return Environment(
        spot={"eth": (2000.0, spot_confidence)},
        forward={("eth", EIGHTEENTH): (2004.75, forward_confidence)},
        volatility={("eth", EIGHTEENTH, 1700.0): volatility},
        volatility_confidence={("eth", EIGHTEENTH): volatility_confidence},
        **more,
    )


PMRM_ENVIRONMENTS = {
    "test_depeg_contingency_pm": Environment(stable=0.2),
    "test_oracle_cont_long_call_pm": _weak(0.1, 0.5, 0.3, 0.4),
    "test_oracle_cont_short_call_pm": _weak(0.1, 0.5, 0.1, 0.4),
    "test_oracle_cont_base_asset_pm": _weak(0.1, 0.01, 0.1, 0.02),
    "test_oracle_cont_long_perp_asset_pm": _weak(0.3, 0.5, 0.1, 0.02, perpetual={"eth": (2001.0, 0.1)}),
    "test_general_portfolio_pm": Environment(
        spot={"eth": (2004.0, 0.3)},
        perpetual={"eth": (2017.0, 0.3)},
        forward={("eth", "20230227"): (2014.7545, 0.2)},
        volatility={("eth", EIGHTEENTH, strike): level for strike, level in ((1700.0, 0.15), (2100.0, 1.01), (1000.0, 0.33))},
        volatility_confidence={("eth", EIGHTEENTH): 0.1},
    ),
}


def _call(volatility_confidence: float, forward_confidence: float, spot_confidence: float, **more: Any) -> Environment:
    return Environment(
        spot={"eth": (2000.0, spot_confidence)},
        forward={("eth", EIGHTEENTH): (2004.75, forward_confidence)},
        volatility_confidence={("eth", EIGHTEENTH): volatility_confidence},
        **more,
    )


JUST_BELOW = 0.4 - 1e-15
STANDARD_ENVIRONMENTS = {
    "test_USDC_depeg": Environment(stable=0.1),
    "test_short_call_low_vol_conf": Environment(volatility_confidence={("eth", EIGHTEENTH): 0.1}),
    "test_short_call_low_vol_and_fwd_confidence": _call(0.5, JUST_BELOW, 1.0),
    "test_short_call_low_spot_vol_fwd_confidence": _call(0.5, 0.4, 0.2),
    "test_long_call_low_spot_vol_fwd_confidence": _call(0.5, 0.4, 0.2),
    "test_short_options_two_expiries_low_conf_one_expiry": _call(0.3, 0.4, 0.9),
    "test_long_eth_perp_low_perp_confidence": Environment(perpetual={"eth": (2001.0, 0.1)}),
    "test_base_asset_low_spot_confidence": Environment(spot={"eth": (2000.0, 0.1)}),
    "test_long_perp_and_USDC_depeg": Environment(stable=0.1),
    "test_general_portfolio": _call(0.5, JUST_BELOW, 0.2, stable=0.97),
}


def scene(case: Mapping[str, Any], environment: Environment) -> tuple[MarginBook, Market]:
    """A portfolio case as book and market at time 0."""
    spots, perpetuals, forwards = {}, {}, {}
    for coin, level in SPOT.items():
        name = coin.upper()
        spots[name] = Quote(*environment.spot.get(coin, (level, 1.0)))
        perpetuals[name] = Quote(*environment.perpetual.get(coin, (level + PERPETUAL_OVER_SPOT[coin], 1.0)))
        for (date, seconds), carry in zip(EXPIRIES.items(), CARRY[coin], strict=True):
            price, confidence = environment.forward.get((coin, date), (level + carry, 1.0))
            forwards[name, seconds] = Forward(price, rate=RATE, confidence=confidence)
    holdings: list[Holding] = []
    volatilities = {}
    for one in case["options"]:
        coin, date, strike = one["underlying"], one["expiry"], float(one["strike"])
        seconds = EXPIRIES[date]
        holdings.append(option(one["strike"], _amount(one), call=one["type"] == "call", expiry=seconds, underlying=coin.upper()))
        confidence = environment.volatility_confidence.get((coin, date), 1.0)
        volatilities[coin.upper(), seconds, strike] = Quote(environment.volatility.get((coin, date, strike), VOLATILITY), confidence)
    for one in case["perps"]:
        name, entry = one["underlying"].upper(), Decimal(one["entryPrice"]).scaleb(-8)
        profit = (Decimal(str(perpetuals[name].value)) - entry) * _amount(one)
        holdings.append(perpetual(_amount(one), unrealised=profit, underlying=name))
    holdings += [spot(one["underlying"].upper(), _amount(one)) for one in case["bases"]]
    market = Market(0.0, spots, {}, perpetuals, forwards, volatilities, environment.stable)
    return MarginBook(tuple(holdings), float(Decimal(case["cash"]).scaleb(-8))), market


def _amount(one: Mapping[str, Any]) -> Decimal:
    return Decimal(one["amount"]).scaleb(-8)


def truncates_to(value: float, dollars: int) -> bool:
    """Whether a contract's division would leave these whole dollars: towards zero, a billionth of slack for floating point."""
    return any(int(value + slack) == dollars for slack in (0.0, 1e-9, -1e-9))
