"""The document keeps its fixed shape, and its figures add up as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aggregator.engine.document import HealthDocument, build_document, to_json
from aggregator.engine.figures import down, fraction, money_down, money_up, percent, plain, probability, up, wad
from aggregator.engine.judgement import policy_for
from aggregator.model.portfolio import Portfolio
from aggregator.reading.catalogue import adapters
from aggregator.risk.assessment import assess
from tests.builders import (
    ARBITRUM,
    LINK,
    PAIR,
    SPAM,
    USDC,
    VAULT,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    concentrated,
    leg,
    portfolio,
    supplied,
    wallet,
)
from tests.risk.strategies import QUICK, portfolios

FULL = portfolio(
    [account(supplied(WSTETH, 10, "0.93"), borrowed(WETH, 9)), account(supplied(WETH, 1), market="prime")],
    [*wallet(leg(WETH, 1), leg(VAULT, 100), leg(PAIR, 1), leg(SPAM, 5)), concentrated(WETH, USDC, 1500, 2500, 2000, 10**15, fees=(5, 7))],
)


def document(one: Portfolio = FULL, prices: Any = None) -> dict[str, Any]:
    chosen = prices or book()
    made: dict[str, Any] = json.loads(to_json(build_document(one, chosen, assess(one, chosen, (), QUICK))))
    return made


SHAPE: dict[str, Any] = {
    "schema": str,
    "owners": [str],
    "snapshots": [{"chain": str, "block": int, "block_hash": str, "timestamp": str, "status": str, "detail": None}],
    "margin_accounts": [
        {
            "chain": str,
            "protocol": str,
            "market": str,
            "owner": str,
            "kind": str,
            "health_factor": str,
            "shadow_health_factor": str,
            "collateral_usd": str,
            "debt_usd": str,
            "liquidation_threshold": str,
            "liquidation": {"liquidatable": bool, "prices": [{"asset": str, "price_usd": str, "move": str}]},
            "positions": [],
        }
    ],
    "positions": [
        {
            "chain": str,
            "protocol": str,
            "market": str,
            "owner": str,
            "legs": [
                {
                    "asset": str,
                    "symbol": str,
                    "side": str,
                    "amount_raw": str,
                    "decimals": int,
                    "fees_raw": str,
                    "price_usd": str,
                    "value_usd": str,
                    "haircut": str,
                    "look_through": [],
                }
            ],
            "identifiers": {},
        }
    ],
    "health": {
        "equity_usd": str,
        "collateral_usd": str,
        "collateral_after_haircuts_usd": str,
        "debt_usd": str,
        "requirement_usd": str,
        "isolated_requirement_usd": str,
        "pooled_requirement_usd": str,
        "netting_benefit_usd": str,
        "trapped_collateral_usd": str,
        "margin_ratio": str,
        "score": str,
        "liquidation_probability": {"1d": str, "7d": str},
        "worst_scenario": {"name": str, "loss_usd": str},
    },
    "isolated_versus_cross": {
        "delta": {"isolated": str, "cross": str},
        "vega": {"isolated": str, "cross": str},
        "requirement": {"isolated": str, "cross": str},
        "liquidation_trigger": {"isolated": str, "cross": str},
    },
    "coverage": {"complete": bool, "missing": [{"chain": str, "protocol": str, "what": str, "why": str}]},
    "warnings": [{"code": str, "detail": str}],
}
"""the fixed contract: what must be there and of which type; more may be"""


def conforms(value: Any, shape: Any, path: str = "$") -> None:
    match shape:
        case dict():
            assert isinstance(value, dict), path
            for key, inner in shape.items():
                assert key in value, f"{path}.{key} is missing"
                conforms(value[key], inner, f"{path}.{key}")
        case [inner]:
            assert isinstance(value, list) and value, f"{path} must be a list with something in it"
            conforms(value[0], inner, f"{path}[0]")
        case []:
            assert isinstance(value, list), path
        case None:
            assert value is None, path
        case _:
            assert isinstance(value, shape), f"{path}: {value!r}"


def test_the_fixed_fields_are_there() -> None:
    conforms(document(), SHAPE)
    assert document()["schema"] == "crossmargin/health/1"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, float):
        yield value


@settings(max_examples=30, deadline=None)
@given(portfolios())
def test_no_floats_no_exponents_and_no_nan(one: Portfolio) -> None:
    made = document(one)
    assert list(_numbers(made)) == []
    for text in _strings({key: made[key] for key in ("health", "margin_accounts", "positions")}):
        assert not re.fullmatch(r"-?\d+(\.\d+)?[eE][-+]?\d+|nan|inf|-inf|NaN|Infinity", text), text


@settings(max_examples=30, deadline=None)
@given(portfolios())
def test_totals_are_the_sums_of_what_is_listed(one: Portfolio) -> None:
    made = document(one)
    positions = made["positions"] + [position for account in made["margin_accounts"] for position in account["positions"]]
    legs = [leg for position in positions for leg in position["legs"] if leg["value_usd"] is not None]
    owned = sum((Decimal(leg["value_usd"]) for leg in legs if leg["side"] in ("collateral", "idle")), Decimal(0))
    owed = sum((Decimal(leg["value_usd"]) for leg in legs if leg["side"] == "debt"), Decimal(0))
    kept = sum((Decimal(leg["value_usd"]) * (1 - Decimal(leg["haircut"])) for leg in legs if leg["haircut"] is not None), Decimal(0))
    health, slack = made["health"], Decimal("0.000002") * (len(legs) + 1)
    assert abs(Decimal(health["collateral_usd"]) - owned) <= slack
    assert abs(Decimal(health["debt_usd"]) - owed) <= slack
    assert abs(Decimal(health["collateral_after_haircuts_usd"]) - kept) <= slack
    assert abs(Decimal(health["equity_usd"]) - (owned - owed)) <= slack
    isolated, needed, pooled = (Decimal(health[f"{name}requirement_usd"]) for name in ("isolated_", "", "pooled_"))
    assert isolated >= needed >= pooled >= 0
    assert Decimal(health["netting_benefit_usd"]) == isolated - needed
    if needed > 1 and health["margin_ratio"] is not None:
        assert abs(Decimal(health["margin_ratio"]) - Decimal(health["equity_usd"]) / needed) < Decimal("0.0001")


@settings(max_examples=20, deadline=None)
@given(portfolios())
def test_a_document_reads_back_as_itself(one: Portfolio) -> None:
    made = build_document(one, book(), assess(one, book(), (), QUICK))
    assert HealthDocument.model_validate_json(to_json(made)) == made


def test_an_unexpected_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        HealthDocument.model_validate({**document(), "extra": 1})


def test_amounts_are_the_raw_integers() -> None:
    made = document()
    raw = {leg["symbol"]: leg["amount_raw"] for position in made["positions"] for leg in position["legs"]}
    assert raw["vUSDC"] == str(100 * 10**18) and raw["[bold]FREE\x1b[31m"] == str(5 * 10**18)
    vault = next(leg for position in made["positions"] for leg in position["legs"] if leg["symbol"] == "vUSDC")
    assert vault["look_through"] == [
        {
            "asset": USDC.asset,
            "symbol": "USDC",
            "amount_raw": "105000000",
            "decimals": 6,
            "value_usd": "105.000000",
            "look_through": [],
        }
    ]


def test_look_through_nests_down_to_plain_assets() -> None:
    staked = document()["margin_accounts"][0]["positions"][0]["legs"][0]
    assert staked["symbol"] == "wstETH" and staked["look_through"][0]["symbol"] == "stETH"


def test_health_factors_keep_every_digit_and_are_null_without_debt() -> None:
    first, second = document()["margin_accounts"]
    assert first["health_factor"] == "1.240000000000000000"
    assert second["health_factor"] is None and second["shadow_health_factor"] is None
    assert second["liquidation"]["prices"] == []
    assert wad(1_000_000_000_000_000_001) == "1.000000000000000001"


def test_withheld_figures_are_null_with_a_warning() -> None:
    made = document(portfolio([account(supplied(WETH, 10), borrowed(USDC, 9000))], unreachable=[ARBITRUM]))
    assert {name for name, value in made["health"].items() if value is None} >= {
        "equity_usd",
        "debt_usd",
        "requirement_usd",
        "isolated_requirement_usd",
        "pooled_requirement_usd",
        "netting_benefit_usd",
        "trapped_collateral_usd",
        "margin_ratio",
        "score",
        "liquidation_probability",
        "worst_scenario",
    }
    assert made["isolated_versus_cross"]["delta"] == {"isolated": None, "cross": None}
    assert made["snapshots"][1]["block"] is None and made["snapshots"][1]["status"] == "unreachable"
    assert "chain-unreachable" in {warning["code"] for warning in made["warnings"]}
    assert made["coverage"]["complete"] is False


def test_an_unpriced_leg_has_null_figures_and_never_zero() -> None:
    spam = next(leg for position in document()["positions"] for leg in position["legs"] if leg["asset"] == SPAM.asset)
    assert (spam["price_usd"], spam["value_usd"], spam["haircut"], spam["fees_usd"]) == (None, None, None, None)


def test_times_are_rfc_3339_in_utc() -> None:
    assert document()["snapshots"][0]["timestamp"] == "2023-11-14T22:13:20Z"


def test_the_trigger_names_the_first_account() -> None:
    made = document(portfolio([account(supplied(LINK, 1000), borrowed(USDC, 11_000))]))
    assert made["isolated_versus_cross"]["liquidation_trigger"]["isolated"] == "aave-v3 core on eip155:1 at a market move of −8.3 %"


@given(st.decimals(-(10**15), 10**15, places=12), st.integers(0, 12))
def test_rounding_goes_the_way_its_name_says(value: Decimal, places: int) -> None:
    low, high = Decimal(down(value, places)), Decimal(up(value, places))
    assert low <= value <= high
    assert high - low <= Decimal(1).scaleb(-places)
    assert abs(Decimal(fraction(value, places)) - value) <= Decimal(1).scaleb(-places) / 2


def test_how_figures_look() -> None:
    assert money_down(Decimal("1.9999999")) == "1.999999"
    assert money_up(Decimal("1.0000001")) == "1.000001"
    assert money_down(0.1 + 0.2) == "0.300000"
    assert down(Decimal("-0.0000001"), 6) == "-0.000001" and up(Decimal("-0.0000001"), 6) == "0.000000"
    assert plain(Decimal("1E+3")) == "1000" and plain(Decimal("0.00001234")) == "0.00001234"
    assert probability(1e-12) == "0.000000001" and probability(0.0) == "0.000000000" and probability(1.0) == "1.000000000"
    assert percent(-0.4375) == "−43.8 %" and percent(0.2) == "+20.0 %"


def test_the_policy_knows_which_protocols_cannot_hide_a_debt() -> None:
    harmless = policy_for(adapters()).debt_free_protocols
    assert {"wallet", "prices", "uniswap-v3"} <= harmless
    assert not {"aave-v3", "spark", "morpho-blue"} & harmless
