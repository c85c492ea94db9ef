"""Ways between places: shipped facts, and what they mean for a portfolio."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.engine.judgement import policy_of
from aggregator.engine.transfers import links, transfer_routes
from aggregator.reading.registry import registry
from aggregator.risk.assessment import assess
from tests.builders import ARBITRUM, BASE, ETHEREUM, USDC, WETH, account, book, borrowed, leg, on, portfolio, supplied, wallet


def test_the_shipped_facts_are_about_listed_chains_and_tokens() -> None:
    known = registry()
    symbols: dict[str, set[str]] = {chain: {token.symbol for token in known.tokens(chain).values()} for chain in known.chains}
    lanes = transfer_routes().lanes
    assert len(lanes.limits) > 10 and "smartcontractkit/documentation@" in lanes.source
    for symbol, limits in lanes.limits.items():
        for lane in limits:
            source, _, target = lane.partition(">")
            assert source != target and symbol in symbols[source] and target in symbols


def test_a_lane_adds_what_its_limiter_lets_pass_of_what_is_there() -> None:
    lanes = transfer_routes().lanes
    bucket, refill = lanes.limits["WETH"][f"{ARBITRUM}>{BASE}"]
    passing = bucket + refill * 23.5
    assert lanes.passing("WETH", ARBITRUM, BASE) == pytest.approx(passing) and lanes.passing("WETH", BASE, "eip155:0") == 0.0
    there, base = on(ARBITRUM, WETH), on(BASE, WETH)
    assumed = transfer_routes().assumed.between_chains

    def capacity(units: float) -> float:
        one = portfolio((), [*wallet(leg(there, units), chain=ARBITRUM), *wallet(leg(base, 1), chain=BASE)])
        return links(one, book())[ARBITRUM, BASE].capacity_usd

    assert capacity(10) == pytest.approx(assumed.capacity_usd + 10 * 2000)
    assert capacity(1e6) == pytest.approx(assumed.capacity_usd + passing * 2000)


def test_every_two_places_are_joined() -> None:
    one = portfolio([account(supplied(WETH, 1))], wallet(leg(on(ARBITRUM, USDC), 1), chain=ARBITRUM))
    assert set(links(one, book())) == {(ETHEREUM, ARBITRUM), (ARBITRUM, ETHEREUM)}
    assert links(portfolio(), book()) == {}


def test_a_capacity_makes_large_needs_harder_to_serve() -> None:
    """The same portfolio a thousand times as large needs more than a thousand times as much: the ways do not grow with it."""

    def required(size: int) -> float:
        short = account(supplied(USDC, 50_000 * size), borrowed(WETH, 10 * size))
        one = portfolio([short], wallet(leg(on(ARBITRUM, WETH), 10 * size), chain=ARBITRUM))
        policy = replace(policy_of(one, book()), draws=128, failure_floor=1.0)
        needed = assess(one, book(), (), policy).requirement
        assert needed is not None
        return needed.transfer_aware / size

    assert required(10) == pytest.approx(required(1))
    assert required(10_000) > 1.1 * required(1)
