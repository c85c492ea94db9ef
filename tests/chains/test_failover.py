"""Several endpoints: the best one is asked, a bad one avoided and tried again later, and nothing stays behind when it ends."""

from __future__ import annotations

import asyncio
import gc
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from aggregator.chains.client import AccessDenied, AnswerTooLarge, BlockUnavailable, ChainClient, RpcCall
from aggregator.chains.network import Network
from aggregator.chains.policy import Policy, retry_after_seconds
from aggregator.chains.standing import Standing
from aggregator.model.errors import EndpointError, EndpointOverloaded, EndpointUnreachable
from tests.chains.support import CHAIN, HASTY, calls, client_of, one_chain
from tests.faults import Delay, Raw, Refuse, Status, Stuck, block_hash, chain_id, html, shuffled
from tests.faulty_endpoint import FaultyEndpoint


async def test_the_first_endpoint_is_used_as_long_as_it_is_well() -> None:
    async with FaultyEndpoint() as first, FaultyEndpoint() as second, client_of(one_chain(first.url, second.url)) as client:
        for _ in range(5):
            assert await client.batch(calls(2)) == [0, 1]
        assert (first.requests, second.requests) == (5, 0)


@pytest.mark.parametrize("fault", [Status(500), Status(401), html(), chain_id(5), Raw(b"["), Delay(2)], ids=lambda f: type(f).__name__)
async def test_the_next_endpoint_answers_for_one_that_fails(fault: Status) -> None:
    async with (
        FaultyEndpoint() as bad,
        FaultyEndpoint() as good,
        client_of(one_chain(bad.url, good.url), read_timeout_seconds=0.05) as client,
    ):
        bad.inject(fault)
        for _ in range(5):
            assert await client.batch(calls(2)) == [0, 1]
        assert bad.requests == 1, "once bad, it is avoided while another one answers"
        assert good.requests == 5


async def test_a_bad_endpoint_is_tried_again_when_the_good_one_goes_bad() -> None:
    async with FaultyEndpoint() as first, FaultyEndpoint() as second, client_of(one_chain(first.url, second.url)) as client:
        first.inject(Status(500), times=1)
        await client.batch(calls(1))
        await second.refuse()
        assert await client.batch(calls(1)) == [0]
        assert first.requests == 2


async def test_an_endpoint_that_asked_for_patience_is_left_alone_for_as_long() -> None:
    async with FaultyEndpoint() as first, FaultyEndpoint() as second, client_of(one_chain(first.url, second.url)) as client:
        first.inject(Status(429, headers={"Retry-After": "60"}))
        await client.batch(calls(1))
        await second.refuse()
        with pytest.raises(EndpointError):
            await client.batch(calls(1))
        assert first.requests == 1


async def test_all_failures_are_told_in_one_line() -> None:
    async with FaultyEndpoint() as first, FaultyEndpoint() as second, client_of(one_chain(first.url, second.url), rounds=1) as client:
        first.inject(html())
        second.inject(Status(503))
        with pytest.raises(EndpointError, match="no endpoint answered") as caught:
            await client.batch(calls(1))
        assert type(caught.value) is EndpointError
        assert f"{first.url}: the answer is a web page" in str(caught.value) and f"{second.url}: HTTP 503" in str(caught.value)
        first.heal()
        first.inject(Status(500))
        with pytest.raises(EndpointOverloaded):
            await client.batch(calls(1))


async def test_when_all_deny_access_the_class_says_so() -> None:
    async with FaultyEndpoint() as first, FaultyEndpoint() as second, client_of(one_chain(first.url, second.url)) as client:
        first.inject(Status(401))
        second.inject(Status(403))
        with pytest.raises(AccessDenied):
            await client.batch(calls(1))
        first.heal()
        assert await client.batch(calls(1)) == [0], "with nobody else to ask, one that denied access is asked again"


async def test_a_block_that_one_endpoint_lacks_is_found_at_another() -> None:
    async with FaultyEndpoint() as behind, FaultyEndpoint() as ahead, client_of(one_chain(behind.url, ahead.url)) as client:
        behind.inject(Refuse(-32000, "missing trie node 0123 (path )", method="test_echo"))
        assert await client.batch(calls(3)) == [0, 1, 2]
        ahead.inject(Refuse(-39001, "Unknown block"))
        answers = await client.batch(calls(1))
        assert isinstance(answers[0], BlockUnavailable)


async def test_an_answer_too_large_at_one_endpoint_is_got_from_another() -> None:
    async with FaultyEndpoint() as small, FaultyEndpoint() as large, client_of(one_chain(small.url, large.url)) as client:
        small.inject(Refuse(-32008, "response is too big", method="test_echo"))
        assert await client.batch(calls(1)) == [0]
        large.inject(Refuse(-32008, "Response size exceeded", method="test_echo"))
        (answer,) = await client.batch(calls(1))
        assert isinstance(answer, AnswerTooLarge)


async def test_a_much_faster_endpoint_is_preferred_in_the_end() -> None:
    async with FaultyEndpoint() as slow, FaultyEndpoint() as fast, client_of(one_chain(slow.url, fast.url)) as client:
        slow.inject(Delay(0.2), times=3)
        slow.inject(Status(500), times=1, after=1)
        for _ in range(4):
            await client.batch(calls(1))
        assert fast.requests == 3


def test_old_failures_fade() -> None:
    standing, fresh = Standing(), Standing()
    for _ in range(5):
        standing.failed(100.0)
    bad = standing.score(100.0)
    assert bad > fresh.score(100.0) + 10
    assert standing.score(130.0) == pytest.approx((bad + fresh.score(0.0)) / 2)
    assert standing.score(1_000.0) == pytest.approx(fresh.score(0.0))
    standing.succeeded(0.1, 1_000.0)
    assert standing.score(1_000.0) == pytest.approx(0.1)
    standing.succeeded(0.2, 1_001.0)
    assert standing.latency_seconds == pytest.approx(0.13)


def test_backoff_is_exponential_with_full_jitter() -> None:
    import random

    policy, chance = Policy(backoff_base_seconds=1.0, backoff_cap_seconds=5.0), random.Random(7)
    for number, highest in ((1, 2.0), (2, 4.0), (3, 5.0), (60, 5.0)):
        drawn = [policy.backoff(number, chance) for _ in range(400)]
        assert 0 <= min(drawn) < 0.1 * highest and 0.9 * highest < max(drawn) <= highest


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert retry_after_seconds("17") == 17
    assert retry_after_seconds(" 0.5 ") == 0.5
    assert retry_after_seconds("-3") == 0
    assert retry_after_seconds((now + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), now) == 90
    assert retry_after_seconds("Thu, 01 Jan 2026 00:00:00 GMT", now) == 0
    for nonsense in (None, "", "soon", "nan", "inf", "1, 2", "Fri, 99 Foo 2026 00:00:00 GMT"):
        assert retry_after_seconds(nonsense, now) is None


async def test_cancellation_leaves_nothing_behind() -> None:
    async with FaultyEndpoint() as endpoint:
        endpoint.inject(Delay(30))
        before = asyncio.all_tasks()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            async with Network(one_chain(endpoint.url, concurrency=2), policy=HASTY, environment={}) as network:
                client = network.client(CHAIN)
                tasks = [asyncio.ensure_future(client.batch(calls(2))) for _ in range(8)]
                await asyncio.sleep(0.02)
                for task in tasks:
                    task.cancel()
                assert all(isinstance(outcome, asyncio.CancelledError) for outcome in await asyncio.gather(*tasks, return_exceptions=True))
                endpoint.heal()
                assert await client.batch(calls(3)) == [0, 1, 2], "turns of those who left were handed on"
            del network, client, tasks
            gc.collect()
        await asyncio.sleep(0)
        left = {task for task in asyncio.all_tasks() - before if "crossmargin" in repr(task) or "dispatcher" in repr(task)}
        assert not left


async def test_leaving_by_an_exception_closes_everything() -> None:
    async with FaultyEndpoint() as endpoint:
        with pytest.raises(KeyError):
            async with Network(one_chain(endpoint.url), policy=HASTY, environment={}) as network:
                await network.client(CHAIN).batch(calls(1))
                session = network.session
                raise KeyError
        assert session.closed
        with pytest.raises(RuntimeError, match="closed"):
            _ = network.session
        await network.close()


async def test_a_network_that_was_never_used_opens_no_session() -> None:
    async with Network(one_chain("http://127.0.0.1:1"), environment={}) as network:
        assert isinstance(network.client(CHAIN), ChainClient)
        assert network.client(CHAIN) is network.client(CHAIN)
        assert network._session is None


async def test_overrides_replace_the_shipped_endpoints() -> None:
    async with FaultyEndpoint() as shipped, FaultyEndpoint() as own:
        overrides = {CHAIN: (own.url,)}
        async with Network(one_chain(shipped.url), rpc_overrides=overrides, policy=HASTY, environment={}) as network:
            client = network.client(CHAIN)
            assert await client.batch(calls(2)) == [0, 1]
            assert [str(endpoint.url) for endpoint in client.configuration.endpoints] == [own.url]
        assert (shipped.requests, own.requests) == (0, 1)
        await own.refuse()
        async with Network(one_chain(shipped.url), rpc_overrides=overrides, policy=HASTY, environment={}) as network:
            with pytest.raises(EndpointUnreachable):
                await network.client(CHAIN).batch(calls(2))
        assert shipped.requests == 0


async def test_a_proxy_passes_on_and_spoils() -> None:
    async with FaultyEndpoint() as node, FaultyEndpoint(upstream=node.url) as proxy, client_of(one_chain(proxy.url)) as client:
        proxy.inject(shuffled())
        assert await client.batch(calls(20)) == list(range(20))
        proxy.inject(Status(502), every=2)
        for _ in range(4):
            assert await client.batch(calls(3)) == [0, 1, 2]
        assert proxy.requests > node.requests == 5


async def test_a_proxy_lies_about_blocks() -> None:
    def handler(method: str, params: list[object]) -> object:
        return {"number": "0x64" if params[0] == "latest" else params[0], "hash": "0x" + "aa" * 32}

    latest = [RpcCall("eth_getBlockByNumber", ("latest", False)), RpcCall("test_echo", (7,))]
    async with (
        FaultyEndpoint(handler=handler) as node,
        FaultyEndpoint(upstream=node.url) as proxy,
        client_of(one_chain(proxy.url)) as client,
    ):
        block, other = await client.batch(latest)
        assert block == {"number": "0x64", "hash": "0x" + "aa" * 32}
        proxy.inject(Stuck(90))
        proxy.inject(block_hash("0x" + "bb" * 32))
        assert await client.batch(latest) == [{"number": "0x5a", "hash": "0x" + "bb" * 32}, other]


async def test_a_host_that_cannot_be_one_is_unreachable() -> None:
    for host in ("a" * 70 + ".example", "-.example", "x..example", "*", "1.2.3.4.5"):
        async with client_of(one_chain(f"http://{host}/"), rounds=1) as client:
            with pytest.raises(EndpointError):
                await client.batch(calls(1))
