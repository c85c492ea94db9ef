"""The bridge ledger: both sides or nothing, finality, and who bears a deficit; with the published figures of a forged release."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.contagion.bridges import (
    Allocation,
    BridgeLedger,
    BridgeStatus,
    Minted,
    bridge_state,
    haircuts,
    looped_bad_debt,
    shortfalls,
)
from aggregator.model.errors import InputError
from tests.contagion.analytic import case, needs_vectors, number

EXACT = 1e-12
amounts = st.floats(1e-3, 1e9) | st.just(0.0)


def _ledger(locked: float | None, *supplies: float | None, seconds: float = 0.0) -> BridgeLedger:
    minted = tuple(Minted(f"eip155:{place}", supply, 900.0) for place, supply in enumerate(supplies, start=10))
    return BridgeLedger("rsETH", "LayerZero", seconds, locked, minted, finality_seconds=768.0)


@needs_vectors
def test_a_forged_release() -> None:
    given_values, expected = case("bridge-forged-release")
    forged = given_values["forged_release"]
    before = bridge_state(_ledger(given_values["locked"], given_values["wrapped_supply"]))
    assert before.status is BridgeStatus.HEALTHY and before.backing == 1.0
    robbed = _ledger(given_values["locked"] - forged, given_values["wrapped_supply"], seconds=12.0)
    at_once = bridge_state(robbed, before)
    assert at_once.status is BridgeStatus.PENDING, "it may be a transfer that one side has seen"
    later = bridge_state(replace(robbed, seconds=912.0), at_once)
    assert later.status is BridgeStatus.DEFICIT and later.since == 12.0
    assert later.deficit == forged
    assert later.ledger.locked == expected["backing_after"]
    assert later.backing == pytest.approx(expected["backing_after"] / given_values["wrapped_supply"])
    cut = haircuts(later.ledger, forged, Allocation.BRIDGED)
    assert cut["eip155:10"] == pytest.approx(number(expected["haircut_if_only_wrapped_absorbs"]), rel=EXACT)
    assert cut[""] == 0.0


def test_the_published_haircuts_of_the_forged_release_belong_together() -> None:
    """116,500 rsETH: 15 % for everybody and 73.54 % for those on other chains alone, as published, tell the two supplies."""
    forged, bridged, everywhere = 116_500.0, 158_417.0, 776_667.0
    ledger = _ledger(bridged - forged, bridged * 0.6, bridged * 0.4)
    alone = haircuts(ledger, forged, Allocation.BRIDGED)
    together = haircuts(ledger, forged, Allocation.SOCIALISED, total_supply=everywhere)
    assert alone["eip155:10"] == alone["eip155:11"] == pytest.approx(0.7354, abs=5e-5)
    assert together[""] == together["eip155:10"] == pytest.approx(0.15, abs=5e-5)
    by_chain = haircuts(ledger, forged, Allocation.PER_CHAIN, by_chain={"eip155:10": forged * 0.7, "eip155:11": forged * 0.3})
    assert by_chain["eip155:10"] == pytest.approx(forged * 0.7 / (bridged * 0.6))


def test_published_losses_on_borrowing_at_the_limit() -> None:
    """666,000 rsETH at 95 % loan-to-value and a haircut of 18.5 %: 216 M USD by one account of it, 222 M at the incident's price."""
    loss = looped_bad_debt(666_000, 2_469.0, 0.95, 0.185)
    assert loss == pytest.approx(222e6, rel=0.001)
    assert loss == pytest.approx(216e6, rel=0.03)
    assert looped_bad_debt(666_000, 2_469.0, 0.8, 0.185) == 0.0
    found = shortfalls([("a", 100.0, 90.0), ("a", 100.0, 20.0), ("b", 100.0, 90.0)], {"a": 0.2})
    assert found == pytest.approx({"a": 10.0, "b": 0.0})


def test_a_side_that_cannot_be_read_is_never_healthy() -> None:
    for ledger in (_ledger(None, 1.0), _ledger(1.0, 1.0, None), replace(_ledger(1.0, 1.0), in_flight_out=None)):
        state = bridge_state(ledger)
        assert state.status is BridgeStatus.UNKNOWN and state.deficit is None and state.backing is None
        assert not ledger.evidence.sufficient and len(ledger.evidence.missing) == 1
    short = bridge_state(_ledger(50.0, 100.0, seconds=0.0))
    blind = bridge_state(_ledger(None, 100.0, seconds=500.0), short)
    assert bridge_state(_ledger(50.0, 100.0, seconds=1000.0), blind).status is BridgeStatus.DEFICIT, "the gap was there all along"


def test_what_is_on_its_way_counts() -> None:
    moving = replace(_ledger(90.0, 100.0), in_flight_out=10.0)
    assert moving.gap == 0.0 and bridge_state(moving).status is BridgeStatus.HEALTHY
    returning = replace(_ledger(100.0, 95.0), in_flight_in=10.0)
    assert returning.gap == -5.0
    assert bridge_state(replace(_ledger(100.0, 50.0), frozen=True)).status is BridgeStatus.FROZEN
    assert bridge_state(_ledger(0.0, 0.0)).backing == 1.0


@given(amounts, st.lists(amounts, min_size=1, max_size=4), st.floats(0.0, 1.0), st.floats(1.0, 5.0))
def test_haircuts_take_off_what_is_missing_whoever_bears_it(locked: float, supplies: list[float], part: float, wider: float) -> None:
    wrapped = sum(supplies)
    if wrapped <= 0.0:
        return
    ledger, deficit = _ledger(locked, *supplies), wrapped * part
    alone = haircuts(ledger, deficit, Allocation.BRIDGED)
    assert sum(one.supply * alone[one.chain] for one in ledger.minted if one.supply) == pytest.approx(deficit, rel=1e-9)
    total = wrapped * wider
    together = haircuts(ledger, deficit, Allocation.SOCIALISED, total_supply=total)
    assert total * together[""] == pytest.approx(deficit, rel=1e-9)
    split = {one.chain: (one.supply or 0.0) * part for one in ledger.minted}
    each = haircuts(ledger, sum(split.values()), Allocation.PER_CHAIN, by_chain=split)
    assert all(each[one.chain] == pytest.approx(part) for one in ledger.minted if one.supply)


def test_bad_ledgers_are_refused() -> None:
    with pytest.raises(InputError, match="locked is -1"):
        _ledger(-1.0, 1.0)
    with pytest.raises(InputError, match="minted on eip155:10 is nan"):
        _ledger(1.0, float("nan"))
    with pytest.raises(InputError, match="a chain is given twice"):
        BridgeLedger("t", "b", 0.0, 1.0, (Minted("x", 1.0), Minted("x", 2.0)))
    with pytest.raises(InputError, match="a reading goes back in time"):
        bridge_state(_ledger(1.0, 1.0, seconds=0.0), bridge_state(_ledger(1.0, 1.0, seconds=5.0)))
    with pytest.raises(InputError, match="rsETH on LayerZero does not follow other on LayerZero"):
        bridge_state(_ledger(1.0, 1.0), bridge_state(replace(_ledger(1.0, 1.0), token="other")))


@pytest.mark.parametrize(
    ("ledger", "deficit", "how", "more", "words"),
    [
        (_ledger(1.0, None), 1.0, Allocation.BRIDGED, {}, "supply is not known on every chain"),
        (_ledger(1.0, 2.0), -1.0, Allocation.BRIDGED, {}, "a deficit is 0 or more"),
        (_ledger(1.0, 2.0), 1.0, Allocation.SOCIALISED, {}, "needs the whole supply"),
        (_ledger(1.0, 2.0), 1.0, Allocation.SOCIALISED, {"total_supply": 1.0}, "at least the 2 that are bridged"),
        (_ledger(1.0, 0.0), 1.0, Allocation.BRIDGED, {}, "nothing is bridged"),
        (_ledger(1.0, 2.0), 1.0, Allocation.PER_CHAIN, {"by_chain": {"x": 1.0}}, "is not on x"),
        (_ledger(1.0, 2.0), 1.0, Allocation.PER_CHAIN, {"by_chain": {"eip155:10": 0.5}}, "add up to 0.5, not to 1"),
        (_ledger(1.0, 0.0), 1.0, Allocation.PER_CHAIN, {"by_chain": {"eip155:10": 1.0}}, "nothing is there"),
    ],
)
def test_allocations_that_do_not_fit(ledger: BridgeLedger, deficit: float, how: Allocation, more: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        haircuts(ledger, deficit, how, **more)  # type: ignore[arg-type]
