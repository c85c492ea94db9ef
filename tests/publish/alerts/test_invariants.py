"""Whatever is observed, in whatever order of events: every story is opened once, grows, and is closed once; nothing breaks."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.publish.alerts.instant import HOUR
from aggregator.publish.alerts.observations import (
    AllocationObserved,
    BackingObserved,
    BridgeObserved,
    CurveObserved,
    MarketObserved,
    Observed,
    PriceObserved,
    ProtocolObserved,
    ReplacedObserved,
    WalletObserved,
)
from aggregator.publish.alerts.rules import Severity
from tests.publish.alerts.histories import CHAIN, START, at, told

moments = st.integers(0, 40).map(lambda step: at(6 * step))
tokens = st.sampled_from(["aUSD", "bUSD", "USDC"])
markets = st.sampled_from(["0xaa", "0xbb", "0xcc"])
vaults = st.sampled_from(["Vault A", "Vault B"])
usd = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 5e5, 1e6, 2e6, 9e6, 1e300]), st.floats(0, 2e7))
prices = st.one_of(st.none(), st.sampled_from([0.0, 1e-300, 0.5, 0.94, 1.0, 1e300]), st.floats(0.9, 1.1))
shares = st.floats(0, 1.2)
healths = st.one_of(st.none(), st.sampled_from([0.0, 1e-9, 1.0, 1.05, 1.2, 1e18]), st.floats(0, 3))
OBSERVED: st.SearchStrategy[Observed] = st.one_of(
    st.builds(
        MarketObserved,
        moments,
        st.sampled_from(["morpho-blue", ""]),
        st.just(CHAIN),
        markets,
        st.one_of(st.just(""), tokens),
        tokens,
        usd,
        usd,
    ),
    st.builds(PriceObserved, moments, tokens, prices, st.sampled_from(["", "oracle", "feeds"]), st.sampled_from(["", "x"])),
    st.builds(AllocationObserved, moments, vaults, st.just(CHAIN), markets, usd, st.sampled_from(["", "Curator"])),
    st.builds(BackingObserved, moments, tokens, st.dictionaries(tokens, shares, max_size=3)),
    st.builds(BridgeObserved, moments, tokens, st.just("b"), usd, st.dictionaries(st.sampled_from(["x", "y"]), usd, max_size=2), usd),
    st.builds(ProtocolObserved, moments, st.just("morpho-blue"), usd, st.sampled_from(["", CHAIN])),
    st.builds(
        WalletObserved,
        moments,
        st.sampled_from(["0x1", "0x2"]),
        st.just(CHAIN),
        st.just("morpho-blue"),
        markets,
        healths,
        healths,
        usd,
        usd,
    ),
    st.builds(CurveObserved, moments, st.just("aave-v3"), st.just(CHAIN), st.just(""), usd, st.one_of(st.none(), st.floats(0, 1))),
    st.builds(ReplacedObserved, moments, st.just(CHAIN), st.sampled_from(["", "0x1"]), block=st.integers(0, 3)),
).map(lambda one: _at_its_block(one))


def _at_its_block(one: Observed) -> Observed:
    """A block a moment; what is replaced is the last few of them."""
    height = (one.t - START) // (6 * HOUR)
    return replace(one, block=max(0, height - (one.block or 0)) if isinstance(one, ReplacedObserved) else height)


@settings(max_examples=150)
@given(st.lists(OBSERVED, max_size=80))
def test_every_story_is_opened_and_closed_once(observed: list[Observed]) -> None:
    alerts = told(observed)
    assert [one.t for one in alerts] == sorted(one.t for one in alerts)
    stories: dict[str, list[tuple[str, int]]] = {}
    for one in alerts:
        stories.setdefault(one.episode, []).append((one.state, Severity(one.severity).rank))
        assert one.path and one.rules and one.clears_when
        assert str(one.root) in one.path
        assert json.loads(one.line())["episode"] == one.episode
    for states in stories.values():
        assert states[0][0] == "opened"
        assert all(state == "escalated" for state, _ in states[1:-1])
        assert [rank for _, rank in states] == sorted(rank for _, rank in states)
        assert "opened" not in [state for state, _ in states[1:]]


@settings(max_examples=60)
@given(st.lists(OBSERVED, max_size=50), st.randoms(use_true_random=False))
def test_order_within_a_moment_decides_nothing(observed: list[Observed], dice: object) -> None:
    shuffled = list(observed)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [one.line() for one in told(shuffled)] == [one.line() for one in told(observed)]
