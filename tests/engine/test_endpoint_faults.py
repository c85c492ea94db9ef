"""One chain's only endpoint fails: the other chains stay whole, what is missing is one line, and nothing looks better for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from aggregator.engine.chain import ChainMemory, ChainRequest, read_chain
from aggregator.localnet.world import World
from aggregator.model.identifiers import Address, evm_chain
from aggregator.reading.catalogue import adapters
from tests.engine.node_faults import AnotherBlock, NoOverrides
from tests.engine.support import (
    QUICK,
    Proxies,
    Sight,
    assert_not_calmer,
    assert_same_elsewhere,
    assert_whole,
    engine_on,
    look_once,
    urls_of,
)
from tests.faults import CutOff, Delay, Endless, Fault, Refuse, Reset, Status, Stuck, Truncate, block_hash, chain_id, html
from tests.faulty_endpoint import FaultyEndpoint

pytestmark = pytest.mark.localnet

FAULTY = 8453
CHAIN = evm_chain(FAULTY)
IMPATIENT = replace(QUICK, read_timeout_seconds=0.4, request_timeout_seconds=0.4, deadline_seconds=1.5)
"""for faults of time, which are to be waited out: a request through a proxy takes a few hundredths of a second"""


@pytest.fixture
async def head(deployed: World) -> int:
    return await deployed.chains[FAULTY].head()


def one_gap(sight: Sight) -> str:
    """The reason of the only gap, which is of the whole faulty chain."""
    ((chain, protocol, what, why),) = sight.missing
    assert (chain, protocol, what) == (CHAIN, "*", "everything on this chain")
    assert "\n" not in why and len(why) < 300
    (snapshot,) = [one for one in sight.document.snapshots if one.chain == CHAIN]
    assert (snapshot.status, snapshot.block, snapshot.detail) == ("unreachable", None, why)
    return why


ALWAYS: dict[str, tuple[Callable[[], Fault], str]] = {
    "rate limited for long": (lambda: Status(429, headers={"Retry-After": "120"}), "HTTP 429 Too Many Requests"),
    "server errors": (lambda: Status(500, "oops"), "HTTP 500 Internal Server Error"),
    "bad gateway with a web page": (lambda: html(502), "HTTP 502 Bad Gateway"),
    "a web page": (lambda: html(), "the answer is a web page, not JSON-RPC"),
    "no key": (lambda: Status(401, '{"error":"invalid api key"}'), "HTTP 401 Unauthorized"),
    "truncated": (lambda: Truncate(), "the answer is broken or truncated JSON"),
    "cut off": (lambda: CutOff(), "the answer was cut off"),
    "dropped connections": (lambda: Reset(), "the connection was closed before an answer came"),
    "another chain": (lambda: chain_id(5), "serves eip155:5 and not eip155:8453"),
    "a block that is none": (lambda: block_hash("0x" + "ab" * 32), "could not be read: "),
    "a block that was reorganised away": (lambda: Refuse(-32000, "header not found", "eth_call"), "could not be read: header not found"),
    "a block that is not canonical": (lambda: Refuse(-32000, "hash is not currently canonical", "eth_call"), "not currently canonical"),
    "everything refused": (lambda: Refuse(-32603, "internal error"), "internal error"),
}


SAID_WITH_THE_HEAD = ("another chain", "a block that is none", "no key", "bad gateway with a web page", "truncated", "a web page")
"""faults that are not shown again when only what follows the head is spoilt: the same, or nothing that is asked then"""


@pytest.mark.parametrize("name", ALWAYS)
async def test_an_endpoint_that_always_fails_is_one_gap(name: str, proxies: Proxies, witness: str, whole: Sight, now: float) -> None:
    fault, words = ALWAYS[name]
    proxies[FAULTY].inject(fault())
    sight = await look_once(urls_of(proxies), [witness], now=now)
    assert words in one_gap(sight)
    assert_same_elsewhere(sight, whole, FAULTY)
    assert_not_calmer(sight, whole)
    assert proxies[FAULTY].requests <= 16


@pytest.mark.parametrize("name", [name for name in ALWAYS if name not in SAID_WITH_THE_HEAD])
async def test_an_endpoint_that_fails_when_state_is_asked_for(name: str, proxies: Proxies, witness: str, whole: Sight, now: float) -> None:
    """The head is told, and nothing else."""
    fault, _ = ALWAYS[name]
    proxies[FAULTY].inject(fault(), after=1)
    sight = await look_once(urls_of(proxies), [witness], now=now)
    one_gap(sight)
    assert_same_elsewhere(sight, whole, FAULTY)
    assert_not_calmer(sight, whole)


@pytest.mark.parametrize("name", ["server errors", "truncated", "dropped connections", "a block that was reorganised away"])
async def test_an_endpoint_that_fails_in_the_second_round(name: str, proxies: Proxies, witness: str, whole: Sight, now: float) -> None:
    """What the first round told stays, where the block is still there; everything else is named."""
    fault, _ = ALWAYS[name]
    proxies[FAULTY].inject(fault(), after=2)
    sight = await look_once(urls_of(proxies), [witness], now=now)
    assert {chain for chain, *_ in sight.missing} == {CHAIN}
    assert_same_elsewhere(sight, whole, FAULTY)
    assert_not_calmer(sight, whole)
    accounts, positions = sight.held([FAULTY])
    assert all(account in whole.held([FAULTY])[0] for account in accounts)
    assert all(position in whole.held([FAULTY])[1] for position in positions)
    if name == "a block that was reorganised away":
        one_gap(sight)
    else:
        assert accounts or positions
        assert {protocol for _, protocol, _, _ in sight.missing} >= {"*", "morpho-blue", "uniswap-v4"}


async def test_a_history_that_nobody_tells_is_a_gap(proxies: Proxies, deployed: World) -> None:
    """Where nothing else is left to be read in the second round."""
    wallets = tuple(adapter for adapter in adapters() if adapter.slug == "wallet")
    who = (Address(deployed.owner("wallet-bridged").address.lower()),)
    async with engine_on(urls_of(proxies)) as engine:
        client = engine.network.client(CHAIN)
        proxies[FAULTY].inject(Status(500), after=2)
        lost = await read_chain(client, ChainRequest(who, wallets), ChainMemory(), lambda *_: None)
        proxies[FAULTY].heal()
        told = await read_chain(client, ChainRequest(who, wallets), ChainMemory(), lambda *_: None)
    assert lost.found == told.found and lost.feeds == told.feeds
    assert not lost.history and told.history and told.gaps == ()
    ((chain, protocol, what, why),) = [(gap.chain, gap.protocol, gap.what, gap.why) for gap in lost.gaps]
    assert (chain, protocol) == (CHAIN, "*")
    assert what == f"price history of {', '.join(sorted(series.factor for series in told.history))}"
    assert "HTTP 500" in why


async def test_a_refused_connection(proxies: Proxies, witness: str, whole: Sight, now: float) -> None:
    await proxies[FAULTY].refuse()
    sight = await look_once(urls_of(proxies), [witness], now=now)
    assert "the connection was refused" in one_gap(sight)
    assert_same_elsewhere(sight, whole, FAULTY)
    assert_not_calmer(sight, whole)


@pytest.mark.parametrize(
    ("fault", "words"), [(Delay(60), "no complete answer within 0.4 s"), (Endless(64, 0.01), "no complete answer within 0.4 s")]
)
async def test_silence_and_endless_talk_end_in_time(
    fault: Fault, words: str, deployed: World, proxies: Proxies, witness: str, whole: Sight, now: float
) -> None:
    proxies[FAULTY].inject(fault)

    sight = await look_once({FAULTY: (proxies[FAULTY].url,)}, [witness], now=now, policy=IMPATIENT)
    assert words in one_gap(sight)


async def test_answers_for_another_block_are_not_believed(proxies: Proxies, witness: str, whole: Sight, now: float, head: int) -> None:
    proxies[FAULTY].inject(AnotherBlock(head - 1))
    sight = await look_once(urls_of(proxies), [witness], now=now)
    assert f"answered for block {head - 1} of chain 8453 instead of block {head}" in one_gap(sight)
    assert_same_elsewhere(sight, whole, FAULTY)
    assert_not_calmer(sight, whole)


async def test_answers_for_another_block_are_not_believed_without_overrides(
    proxies: Proxies, witness: str, whole: Sight, now: float, head: int
) -> None:
    """Neither those that carry their block, nor single ones beside which a witness is asked."""
    proxies[FAULTY].inject(NoOverrides())
    proxies[FAULTY].inject(AnotherBlock(head - 1))
    sight = await look_once(urls_of(proxies), [witness], now=now)
    assert f"answered for another block than {head}" in one_gap(sight)
    assert_same_elsewhere(sight, whole, FAULTY)
    assert_not_calmer(sight, whole)


async def test_an_old_block_is_read_and_called_stale(proxies: Proxies, witness: str, whole: Sight, now: float, head: int) -> None:
    """It is what the chain was: the figures stand with their time, and say that they are old."""
    proxies[FAULTY].inject(Stuck(head - 20))
    late = now + 3_600
    sight = await look_once(urls_of(proxies), [witness], now=late)
    (snapshot,) = [one for one in sight.document.snapshots if one.chain == CHAIN]
    assert (snapshot.block, snapshot.status) == (head - 20, "stale")
    assert snapshot.detail is not None and "seconds old" in snapshot.detail
    assert ("head-stale", f"{CHAIN}: {snapshot.detail}") in sight.warnings


PASSING: dict[str, tuple[Callable[[], Fault], int]] = {
    "rate limited for a moment": (lambda: Status(429, headers={"Retry-After": "0.05"}), 2),
    "server errors": (lambda: Status(503), 2),
    "a web page": (lambda: html(), 1),
    "truncated": (lambda: Truncate(), 2),
    "dropped connections": (lambda: Reset(), 2),
    "rate limited inside an answer": (lambda: Refuse(-32005, "rate limit exceeded"), 1),
}


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_costs_nothing_but_requests(
    name: str, after: int, proxies: Proxies, witness: str, whole: Sight, now: float
) -> None:
    fault, times = PASSING[name]
    proxies[FAULTY].inject(fault(), times=times, after=after)
    assert_whole(await look_once(urls_of(proxies), [witness], now=now), whole)
    assert proxies[FAULTY].rules[0].struck == times


async def test_no_chain_answers(proxies: Proxies, witness: str) -> None:
    for proxy in proxies.values():
        proxy.inject(Status(503))
    sight = await look_once(urls_of(proxies), [witness])
    assert [(chain, protocol) for chain, protocol, _, _ in sight.missing] == [(evm_chain(n), "*") for n in sorted(proxies, key=str)]
    health = sight.document.health
    assert (health.equity_usd, health.debt_usd, health.margin_ratio, health.score) == (None, None, None, None)


LIES: dict[str, Callable[[int], Fault]] = {
    "a block that is none": lambda _: block_hash("0x" + "ab" * 32),
    "an old block": lambda head: Stuck(head - 20),
    "another block": lambda head: AnotherBlock(head - 1),
    "another chain": lambda _: chain_id(5),
    "a web page": lambda _: html(),
    "truncated": lambda _: Truncate(),
    "no logs": lambda _: Refuse(-32005, "query returned more than 10000 results", "eth_getLogs"),
    "nothing after the head": lambda _: Refuse(-32000, "header not found", "eth_call"),
    "server errors": lambda _: Status(500),
}


@pytest.mark.parametrize("name", LIES)
async def test_the_second_endpoint_makes_good_what_the_first_says(
    name: str, deployed: World, proxies: Proxies, witness: str, whole: Sight, now: float, head: int
) -> None:
    late = now + 3_600 if name == "an old block" else now
    honest = {FAULTY: deployed.chains[FAULTY].url}
    async with FaultyEndpoint(upstream=honest[FAULTY], chain=FAULTY) as second:
        proxies[FAULTY].inject(LIES[name](head))
        urls = urls_of(proxies) | {FAULTY: (proxies[FAULTY].url, second.url)}
        sight = await look_once(urls, [witness], now=late)
        assert sight.held() == whole.held()
        assert sight.missing == whole.missing
        assert sight.document.health == whole.document.health
        assert proxies[FAULTY].requests >= 1 and second.requests >= 1
