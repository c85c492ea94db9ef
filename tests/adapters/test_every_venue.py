"""The suite that every venue adapter inherits: silence is a gap, nobody is nothing, and hostile answers break no law."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.manifest import Capability
from aggregator.reading.venue import VenueAdapter, VenueRequest
from aggregator.reading.venue_kit import ScriptedVenue, VenueScript, broken_venue_laws, read_venue, silent
from aggregator.reading.venue_manifest import venues
from tests.adapters import test_derive, test_dydx_v4, test_hyperliquid
from tests.adapters.hyperliquid_venue import SUB, USER, Account, balance, hyperliquid

every_venue = pytest.mark.parametrize("adapter", venues(), ids=lambda adapter: adapter.slug)

UNIFIED = Account(
    {"": test_hyperliquid.MAIN, "flx": test_hyperliquid.FLX},
    {"balances": test_hyperliquid.POOLED, "tokenToAvailableAfterMaintenance": [[0, "9310.0"]], "portfolioMarginRatio": "0.5"},
    "unifiedAccount",
    vaults=[{"vaultAddress": SUB, "equity": "5.0", "lockedUntilTimestamp": 1}],
    subs=[
        {
            "name": "x",
            "subAccountUser": SUB,
            "master": USER,
            "dexToClearinghouseState": [["", test_hyperliquid.MAIN]],
            "spotState": {"balances": [balance("USDC", 0, "9.0")]},
        }
    ],
)
NAMES = {"hyperliquid": USER, "derive": test_derive.WALLET, "dydx-v4": test_dydx_v4.OWNER}
SCRIPTS: dict[str, Callable[[], VenueScript]] = {
    "hyperliquid": lambda: hyperliquid(UNIFIED),
    "derive": lambda: test_derive.script(test_derive.STANDARD, test_derive.PORTFOLIO),
    "dydx-v4": lambda: test_dydx_v4.script(test_dydx_v4.CROSS, test_dydx_v4.CHILD),
}


@every_venue
def test_the_manifest_keeps_its_promises(adapter: VenueAdapter) -> None:
    manifest = adapter.manifest
    assert manifest.documentation.startswith("https://") and Capability.POSITIONS in manifest.capabilities
    assert manifest.slug in NAMES and adapter.names(NAMES[manifest.slug]) is not None
    assert adapter.names("") is None and adapter.names("example.eth") is None


@every_venue
async def test_a_silent_venue_is_named_and_shows_nothing(adapter: VenueAdapter) -> None:
    holdings = await read_venue(adapter, silent, NAMES[adapter.slug])
    assert holdings.venue_accounts == () and holdings.gaps
    assert {(gap.chain, gap.protocol) for gap in holdings.gaps} == {(adapter.manifest.chain, adapter.slug)}


FAILURES: tuple[Outcome[bytes], ...] = (
    Unknown(Reason.ENDPOINT, "no answer"),
    Absent(Reason.NOT_FOUND),
    Value(b"<html>"),
    Value(b"{}"),
    Value(b"[]"),
    Value(b"null"),
)


@every_venue
async def test_each_answer_in_turn_may_fail(adapter: VenueAdapter) -> None:
    """Never an exception; and an account that is lost to silence or nonsense is named."""
    script, name = SCRIPTS[adapter.slug](), NAMES[adapter.slug]
    whole = {one.account for one in (await read_venue(adapter, script, name)).venue_accounts}
    reads = ScriptedVenue(script)
    await read_venue(adapter, reads, name)
    for spoilt in reads.requests:
        for failure in FAILURES:
            holdings = await read_venue(adapter, but_for(script, spoilt, failure), name)
            assert broken_venue_laws(holdings) == []
            lost = whole - {one.account for one in holdings.venue_accounts}
            assert not lost or holdings.gaps or failure in (Absent(Reason.NOT_FOUND), Value(b"[]"), Value(b"null"))


def but_for(script: VenueScript, spoilt: VenueRequest, failure: Outcome[bytes]) -> VenueScript:
    """The script with another answer to one request."""
    return lambda request: failure if request.key == spoilt.key else script(request)


@every_venue
@pytest.mark.parametrize("seed", range(25))
async def test_hostile_answers_break_no_law(adapter: VenueAdapter, seed: int) -> None:
    dice, script = random.Random(seed), SCRIPTS[adapter.slug]()

    def hostile(request: VenueRequest) -> Outcome[bytes]:
        outcome = script(request)
        if not isinstance(outcome, Value):
            return outcome
        return Value(orjson.dumps(spoiled(orjson.loads(outcome.value), dice, rate=dice.choice((0.01, 0.05, 0.3)))))

    assert broken_venue_laws(await read_venue(adapter, hostile, NAMES[adapter.slug])) == []


ODD: tuple[Any, ...] = (
    None,
    True,
    "",
    "NaN",
    "-0.0",
    "1e99",
    "1e-55",
    "9" * 119,
    "0x" + "00" * 20,
    "\u202egnp",
    -1,
    0,
    1 << 62,
    0.1,
    [],
    {},
    [[]],
    "-123456789.123456789",
)


def spoiled(value: Any, dice: random.Random, rate: float) -> Any:
    """The same JSON with some of its parts replaced, dropped or doubled."""
    if dice.random() < rate:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {key: spoiled(one, dice, rate) for key, one in value.items() if dice.random() >= rate / 3}
    if isinstance(value, list):
        kept = [spoiled(one, dice, rate) for one in value if dice.random() >= rate / 3]
        return kept + kept[:1] if dice.random() < rate else kept
    return value
