"""The account arithmetic: against the protocol's own library on recorded inputs, and its laws of rounding on any input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.aave_v3.maths import (
    CLOSE_FACTOR_HEALTH,
    REVISIONS,
    SMALL_POSITION,
    AccountData,
    EfficiencyMode,
    Generation,
    Holding,
    ReserveConfiguration,
    account_data,
    close_factor,
    collateral_value,
    debt_value,
    effective_price,
    effective_terms,
)
from aggregator.model.units import BPS, RAY, UINT256_MAX, WAD

VECTORS = Path(__file__).parents[3] / "shared/DATA/vectors/protocols/aave_v3_user_summary.json"
SECONDS_PER_YEAR = 31_536_000
GENERATIONS = st.sampled_from(list(Generation))


def configuration(
    loan_to_value: int = 7_500,
    threshold: int = 8_000,
    bonus: int = 10_500,
    decimals: int = 18,
    category: int = 0,
    debt_ceiling: int = 0,
    flags: int = 1 << 56,
) -> ReserveConfiguration:
    word = loan_to_value | threshold << 16 | bonus << 32 | decimals << 48 | flags | category << 168 | debt_ceiling << 212
    return ReserveConfiguration.decode(word)


def holding(
    reserve_id: int = 0,
    own: ReserveConfiguration | None = None,
    price: int = 10**8,
    supplied: int = 0,
    debt: int = 0,
    stable: int = 0,
    is_collateral: bool = True,
) -> Holding:
    own = own if own is not None else configuration()
    return Holding(reserve_id, own, price, supplied, debt, stable, is_collateral and supplied > 0, debt + stable > 0)


# -- the protocol's own library -------------------------------------------------------------------------------------------


def recorded_cases() -> list[Any]:
    if not VECTORS.is_file():
        return []
    cases = json.loads(VECTORS.read_text())["cases"]
    assert isinstance(cases, list)
    return cases


def ray_mul(a: int, b: int) -> int:
    return (a * b + RAY // 2) // RAY


def accrued(reserve: dict[str, Any], now: int) -> tuple[int, int]:
    """Normalised income and debt, as the contracts accrue them since 3.4: linear, and the exponential's third-order expansion."""
    elapsed = now - reserve["lastUpdateTimestamp"]
    income = RAY + int(reserve["liquidityRate"]) * elapsed // SECONDS_PER_YEAR
    x = int(reserve["variableBorrowRate"]) * elapsed // SECONDS_PER_YEAR
    growth = RAY + x + ray_mul(x, x // 2 + ray_mul(x, x // 6))
    return ray_mul(income, int(reserve["liquidityIndex"])), ray_mul(growth, int(reserve["variableBorrowIndex"]))


def recorded_mode(given_input: dict[str, Any]) -> EfficiencyMode | None:
    for entry in given_input["eModes"]:
        if entry["id"] == given_input["userEmodeCategoryId"]:
            mode = entry["eMode"]
            return EfficiencyMode(
                category=entry["id"],
                loan_to_value=int(mode["ltv"]),
                liquidation_threshold=int(mode["liquidationThreshold"]),
                liquidation_bonus=int(mode["liquidationBonus"]),
                collateral_bitmap=int(mode["collateralBitmap"]),
                zero_ltv_bitmap=int(mode["ltvzeroBitmap"]),
            )
    return None


def recorded_holdings(given_input: dict[str, Any]) -> Iterator[Holding]:
    reserves = {reserve["underlyingAsset"]: reserve for reserve in given_input["reserves"]}
    for user in given_input["userReserves"]:
        reserve = reserves[user["underlyingAsset"]]
        income, growth = accrued(reserve, given_input["currentTimestamp"])
        supplied = int(user["scaledATokenBalance"]) * income // RAY
        debt = -(-int(user["scaledVariableDebt"]) * growth // RAY)
        own = configuration(
            int(reserve["baseLTVasCollateral"]),
            int(reserve["reserveLiquidationThreshold"]),
            int(reserve["reserveLiquidationBonus"]),
            reserve["decimals"],
        )
        price = int(reserve["priceInMarketReferenceCurrency"])
        enabled = user["usageAsCollateralEnabledOnUser"]
        yield Holding(reserve["originalId"], own, price, supplied, debt, 0, enabled, debt > 0)


def close(ours: int, theirs: Decimal, relative: Decimal, absolute: Decimal) -> bool:
    return abs(Decimal(ours) - theirs) <= max(relative * theirs, absolute)


@pytest.mark.data
@pytest.mark.skipif(not VECTORS.is_file(), reason="the recorded vectors lie beside the project and are not here")
def test_figures_agree_with_the_protocols_own_library() -> None:
    """Health to 1e-4 and the verdict exactly; the library divides decimals where the contract divides integers."""
    verdicts = {True: 0, False: 0}
    for case in recorded_cases():
        expected = case["expected"]
        ours = account_data(Generation.V3_6, recorded_holdings(case["input"]), recorded_mode(case["input"]))
        theirs = Decimal(expected["healthFactor"])
        unit = Decimal(10) ** case["input"]["marketReferenceCurrencyDecimals"]
        assert close(ours.debt, Decimal(expected["totalBorrowsMarketReferenceCurrency"]) * unit, Decimal("1e-4"), Decimal(8)), case["id"]
        if theirs == -1:
            assert ours.health_factor == UINT256_MAX
            continue
        assert close(ours.health_factor, theirs * WAD, Decimal("1e-4"), Decimal(0)), case["id"]
        assert (ours.health_factor < WAD) == (theirs < 1), case["id"]
        verdicts[theirs < 1] += 1
    assert min(verdicts.values()) > 50


# -- what each generation does differently ----------------------------------------------------------------------------------


def test_health_by_hand_in_both_orders_of_operations() -> None:
    supplies = [
        holding(0, configuration(7_500, 8_000), 1_999_99999999, supplied=3 * WAD),
        holding(1, configuration(7_000, 7_501, decimals=6), 1_00000001, supplied=1_234_567_891),
        holding(2, configuration(decimals=6), 99_999_999, debt=4_000_000_001),
    ]
    old = account_data(Generation.V3_0, supplies, None)
    new = account_data(Generation.V3_5, supplies, None)
    first, second = 5_999_99999997, 1_234_567_891 * 1_00000001 // 10**6
    assert (old.collateral, old.debt) == (first + second, 4_000_000_001 * 99_999_999 // 10**6)
    assert new.debt == old.debt + 1
    average = (first * 8_000 + second * 7_501) // (first + second)
    assert old.liquidation_threshold == new.liquidation_threshold == average
    assert old.health_factor == (((first + second) * average + 5_000) // BPS * WAD + old.debt // 2) // old.debt
    assert new.health_factor == ((first * 8_000 + second * 7_501) * WAD + new.debt // 2) // new.debt // BPS
    assert old.health_factor != new.health_factor


def test_an_e_mode_reaches_collateral_without_a_base_threshold_only_since_3_6() -> None:
    only_in_mode = configuration(0, 0, 0)
    mode = EfficiencyMode(2, 9_000, 9_300, 10_100, collateral_bitmap=1 << 5)
    assert effective_terms(Generation.V3_6, 5, only_in_mode, mode).liquidation_threshold == 9_300
    assert effective_terms(Generation.V3_5, 5, only_in_mode, mode).liquidation_threshold == 0
    assert effective_terms(Generation.V3_6, 4, only_in_mode, mode).liquidation_threshold == 0
    supplied = [holding(5, only_in_mode, supplied=WAD)]
    assert account_data(Generation.V3_6, supplied, None).collateral == 10**8
    assert account_data(Generation.V3_5, supplied, None).collateral == 0


def test_outside_its_bitmap_an_asset_keeps_its_base_terms() -> None:
    own = configuration(7_000, 7_500, 10_600)
    mode = EfficiencyMode(1, 9_000, 9_300, 10_100, collateral_bitmap=0b10, zero_ltv_bitmap=0b10)
    assert effective_terms(Generation.V3_6, 0, own, mode) == effective_terms(Generation.V3_6, 0, own, None)
    inside = effective_terms(Generation.V3_6, 1, own, mode)
    assert (inside.loan_to_value, inside.liquidation_threshold, inside.liquidation_bonus) == (0, 9_300, 10_100)
    assert effective_terms(Generation.V3_5, 1, own, mode).loan_to_value == 9_000


def test_an_e_modes_own_price_counts_for_its_assets_and_only_before_3_2() -> None:
    member, other = configuration(category=1), configuration(category=2)
    mode = EfficiencyMode(1, 9_000, 9_300, 10_100, price=1_01000000)
    assert effective_price(Generation.V3_0, member, 10**8, mode) == 1_01000000
    assert effective_price(Generation.V3_0, other, 10**8, mode) == 10**8
    assert effective_price(Generation.V3_2, member, 10**8, mode) == 10**8
    assert effective_terms(Generation.V3_1, 9, member, mode).liquidation_threshold == 9_300
    assert effective_terms(Generation.V3_1, 9, other, mode).liquidation_threshold == 8_000


def test_stable_and_variable_debt_are_rounded_once_together() -> None:
    one = holding(0, configuration(decimals=6), 1_50000000, debt=1, stable=1)
    assert account_data(Generation.V3_0, [one], None).debt == 2 * 1_50000000 // 10**6


def test_a_debt_worth_nothing_leaves_health_without_bound_until_3_5() -> None:
    dust = holding(0, configuration(decimals=18), 10**8, debt=1)
    assert account_data(Generation.V3_4, [dust], None).health_factor == UINT256_MAX
    assert account_data(Generation.V3_5, [dust], None) == AccountData(0, 1, 0, 0, 0, 0)


def test_nothing_at_all_is_healthy_without_bound() -> None:
    for generation in Generation:
        assert account_data(generation, [], None) == AccountData(0, 0, 0, 0, 0, UINT256_MAX)


def test_configuration_bits() -> None:
    own = configuration(1, 2, 3, 6, category=7, debt_ceiling=9, flags=1 << 57 | 1 << 60 | 1 << 62)
    assert own == ReserveConfiguration(1, 2, 3, 6, False, True, False, True, False, True, 7, 9)
    assert ReserveConfiguration.decode(1 << 252 | 1 << 63).debt_ceiling == 0


@pytest.mark.parametrize(
    ("generation", "health", "collateral", "debt", "share"),
    [
        (Generation.V3_0, CLOSE_FACTOR_HEALTH, 10**13, 10**13, "1"),
        (Generation.V3_0, CLOSE_FACTOR_HEALTH + 1, 10**13, 10**13, "0.5"),
        (Generation.V3_2, WAD - 1, 1, 1, "0.5"),
        (Generation.V3_3, WAD - 1, SMALL_POSITION, SMALL_POSITION, "0.5"),
        (Generation.V3_3, WAD - 1, SMALL_POSITION - 1, SMALL_POSITION, "1"),
        (Generation.V3_6, WAD - 1, SMALL_POSITION, SMALL_POSITION - 1, "1"),
        (Generation.V3_6, 0, SMALL_POSITION, SMALL_POSITION, "1"),
    ],
)
def test_close_factor(generation: Generation, health: int, collateral: int, debt: int, share: str) -> None:
    assert close_factor(generation, health, collateral, debt) == Decimal(share)


def test_every_release_has_its_generation_and_every_generation_its_name() -> None:
    assert sorted(REVISIONS) == list(range(1, 12))
    assert [REVISIONS[revision] for revision in sorted(REVISIONS)] == sorted(REVISIONS.values())
    assert {Generation.parse(generation.text) for generation in Generation} == set(Generation) == set(REVISIONS.values())
    with pytest.raises(ValueError, match=r"expected one of 3\.0"):
        Generation.parse("2.0")


# -- laws on any input ------------------------------------------------------------------------------------------------------

AMOUNTS = st.integers(min_value=0, max_value=10**33)
PRICES = st.integers(min_value=1, max_value=10**14)
THRESHOLDS = st.integers(min_value=0, max_value=BPS)


@st.composite
def any_holding(draw: st.DrawFn) -> Holding:
    threshold = draw(THRESHOLDS)
    own = configuration(draw(st.integers(0, threshold)), threshold, 10_500, draw(st.integers(0, 27)), draw(st.integers(0, 2)))
    supplied, debt = draw(AMOUNTS), draw(AMOUNTS)
    return Holding(draw(st.integers(0, 127)), own, draw(PRICES), supplied, debt, 0, draw(st.booleans()), draw(st.booleans()))


MODES = st.none() | st.builds(
    EfficiencyMode,
    category=st.integers(1, 2),
    loan_to_value=st.integers(0, 9_000),
    liquidation_threshold=st.integers(9_000, BPS),
    liquidation_bonus=st.just(10_100),
    price=st.just(0),
    collateral_bitmap=st.integers(0, (1 << 128) - 1),
    zero_ltv_bitmap=st.integers(0, (1 << 128) - 1),
)


@given(GENERATIONS, AMOUNTS, PRICES, st.integers(0, 27))
def test_collateral_is_rounded_down_and_debt_up_since_3_5(generation: Generation, amount: int, price: int, decimals: int) -> None:
    unit = 10**decimals
    assert collateral_value(amount, price, decimals) * unit <= amount * price < (collateral_value(amount, price, decimals) + 1) * unit
    debt = debt_value(generation, amount, price, decimals)
    if generation >= Generation.V3_5:
        assert (debt - 1) * unit < amount * price <= debt * unit
    else:
        assert debt == collateral_value(amount, price, decimals)


@given(GENERATIONS, st.lists(any_holding(), max_size=6), MODES)
def test_health_never_exceeds_the_exact_ratio_by_more_than_its_rounding(
    generation: Generation, holdings: list[Holding], mode: EfficiencyMode | None
) -> None:
    data = account_data(generation, holdings, mode)
    if data.debt == 0:
        assert data.health_factor == UINT256_MAX
        return
    weighted = 0
    for one in holdings:
        if one.is_collateral and (generation >= Generation.V3_6 or one.configuration.liquidation_threshold):
            terms = effective_terms(generation, one.reserve_id, one.configuration, mode)
            weighted += collateral_value(one.supplied, one.price, one.configuration.decimals) * terms.liquidation_threshold
    # half a unit of the weighted value is the most that rounding gives away in the older order, half a wad's unit in the newer
    slack = BPS // 2 if generation < Generation.V3_5 else 0
    assert data.health_factor * BPS * data.debt <= (weighted + slack) * WAD + BPS * data.debt
    assert data.liquidation_threshold * data.collateral <= weighted


@given(GENERATIONS, st.lists(any_holding(), min_size=1, max_size=5), MODES, AMOUNTS)
def test_more_debt_is_never_healthier(generation: Generation, holdings: list[Holding], mode: EfficiencyMode | None, more: int) -> None:
    first, *others = holdings
    own = first.configuration
    before = Holding(first.reserve_id, own, first.price, first.supplied, first.variable_debt, 0, first.is_collateral, True)
    after = Holding(first.reserve_id, own, first.price, first.supplied, first.variable_debt + more, 0, first.is_collateral, True)
    healthier = account_data(generation, [before, *others], mode).health_factor
    assert account_data(generation, [after, *others], mode).health_factor <= healthier


@given(st.lists(any_holding(), min_size=1, max_size=5), MODES, AMOUNTS, st.sampled_from([g for g in Generation if g >= Generation.V3_5]))
def test_more_of_a_collateral_is_never_less_healthy_since_3_5(
    holdings: list[Holding], mode: EfficiencyMode | None, more: int, generation: Generation
) -> None:
    """Before, the average threshold is truncated, so more of a weak collateral could cost a unit."""
    first, *others = holdings
    own = first.configuration
    after = Holding(first.reserve_id, own, first.price, first.supplied + more, first.variable_debt, 0, True, first.is_borrowed)
    before = Holding(first.reserve_id, own, first.price, first.supplied, first.variable_debt, 0, True, first.is_borrowed)
    weaker = account_data(generation, [before, *others], mode).health_factor
    assert account_data(generation, [after, *others], mode).health_factor >= weaker


@given(GENERATIONS, st.lists(any_holding(), max_size=6), MODES)
def test_what_may_still_be_borrowed_keeps_within_the_loan_to_value(
    generation: Generation, holdings: list[Holding], mode: EfficiencyMode | None
) -> None:
    data = account_data(generation, holdings, mode)
    assert data.available_borrows >= 0
    if data.available_borrows:
        assert (data.available_borrows + data.debt) * BPS <= data.collateral * data.loan_to_value + BPS // 2


# -- hostile numbers --------------------------------------------------------------------------------------------------------


@given(st.integers(0, UINT256_MAX))
def test_any_configuration_word_decodes(word: int) -> None:
    own = ReserveConfiguration.decode(word)
    assert own.decimals <= 255
    assert max(own.loan_to_value, own.liquidation_threshold, own.liquidation_bonus) <= 0xFFFF
