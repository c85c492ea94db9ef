"""How long a liquidation takes: routes, calendars, and that nothing unknown is quick."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.identifiers import evm_chain
from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.haircut_time import CHAINS, PARTICIPATION, UNKNOWN_CHAIN, Route, bridge_premium, liquidation_time, timing

ETHEREUM, ARBITRUM = evm_chain(1), evm_chain(42161)


def test_the_parts_add_up_and_a_small_sale_takes_no_time() -> None:
    found = liquidation_time(FactorClass.ETH, ETHEREUM, 10_000, 1.0, 0.5)
    assert found.total == found.reaction + found.oracle + found.inclusion + found.way_out
    assert (found.reaction, found.oracle, found.route) == (1.0, 0.5, Route.HERE)
    assert found.way_out == pytest.approx(10_000 / (PARTICIPATION * FACTORS[FactorClass.ETH].daily_volume_usd))


def test_a_large_sale_on_a_rollup_takes_the_bridge_once_that_is_faster() -> None:
    small, large = (liquidation_time(FactorClass.VOLATILE, ARBITRUM, size, 1.0, 0.0) for size in (1e5, 1e7))
    assert small.route is Route.HERE and small.way_out == pytest.approx(1e5 / (0.1 * 5e7 * 0.1))
    assert large.route is Route.ELSEWHERE and large.way_out == pytest.approx(7 + 1e7 / (0.1 * 5e7))


def test_what_is_redeemed_follows_its_calendar_whatever_the_size() -> None:
    for size in (1.0, 1e9):
        assert liquidation_time(FactorClass.RWA_TREASURY, ETHEREUM, size, 1.0, 0.0).way_out == 4.0
    found = liquidation_time(FactorClass.RWA_CREDIT, ETHEREUM, 1e3, 1.0, 0.0)
    assert (found.way_out, found.route) == (30.0, Route.REDEEMED)


def test_an_unknown_chain_is_the_worst_of_all() -> None:
    assert timing(evm_chain(999_999)) is UNKNOWN_CHAIN
    for known in CHAINS.values():
        assert known.inclusion <= UNKNOWN_CHAIN.inclusion and known.bridge <= UNKNOWN_CHAIN.bridge
        assert known.volume_share >= UNKNOWN_CHAIN.volume_share and known.structure <= UNKNOWN_CHAIN.structure
    assert bridge_premium(evm_chain(43114), "AVAX") == 0.0 < bridge_premium(evm_chain(43114), "LINK")


@given(
    st.sampled_from(FactorClass), st.sampled_from([*CHAINS, evm_chain(999_999)]), st.floats(0, 1e11), st.floats(0, 1e11), st.floats(0, 40)
)
def test_more_never_takes_less_time(kind: FactorClass, chain: object, one: float, other: float, age: float) -> None:
    small, large = sorted((one, other))
    first, second = (liquidation_time(kind, chain, size, 1.0, age) for size in (small, large))  # type: ignore[arg-type]
    assert 1.0 + age <= first.total <= second.total + 1e-9
