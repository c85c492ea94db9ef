"""Every way in which an endpoint can fail, each against a real server on the loopback interface."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest
from aiohttp import web

from aggregator.chains.client import AccessDenied, BlockUnavailable, EndpointTimedOut, RateLimited, RpcCall
from aggregator.chains.transport import ConnectionLost
from aggregator.model.errors import (
    EndpointError,
    EndpointInvalid,
    EndpointOverloaded,
    EndpointRefused,
    EndpointUnreachable,
)
from tests.chains.support import CHAIN, HASTY, calls, client_of, one_chain
from tests.faults import (
    Change,
    CutOff,
    Delay,
    Endless,
    Exchange,
    Fault,
    Raw,
    Refuse,
    Reset,
    Rewrite,
    Status,
    Truncate,
    chain_id,
    html,
    shuffled,
)
from tests.faulty_endpoint import FaultyEndpoint, RpcFailure


async def failure(fault: Fault, count: int = 3, **policy: float) -> EndpointError:
    """The error of a batch to an endpoint that always has `fault`; only two rounds, as each would end alike."""
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url), rounds=2, **policy) as client:
        endpoint.inject(fault)
        with pytest.raises(EndpointError) as caught:
            await client.batch(calls(count))
        assert endpoint.url in str(caught.value)
        assert "\n" not in str(caught.value)
        return caught.value


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Reset(), ConnectionLost, "closed before an answer"),
        (CutOff(), EndpointInvalid, "cut off"),
        (html(), EndpointInvalid, "web page"),
        (html(503), EndpointOverloaded, "503 Service Unavailable"),
        (Status(500, "boom"), EndpointOverloaded, "500 Internal Server Error"),
        (Status(429), EndpointOverloaded, "429 Too Many Requests"),
        (Status(302, headers={"Location": "http://127.0.0.1:1/"}), EndpointInvalid, "redirects"),
        (Status(408), EndpointTimedOut, "408"),
        (Status(401), AccessDenied, "401 Unauthorized"),
        (html(403), AccessDenied, "403 Forbidden"),
        (Status(404), AccessDenied, "404 Not Found"),
        (Status(499), AccessDenied, "499"),
        (Truncate(), EndpointInvalid, "truncated JSON"),
        (Raw(b""), EndpointInvalid, "empty"),
        (Raw(b"ok"), EndpointInvalid, "not JSON"),
        (Raw(b'"ok"'), EndpointInvalid, "not JSON-RPC"),
        (Raw(b"[1, 2, 3, 4]"), EndpointInvalid, "not JSON-RPC"),
        (Raw(b"[" * 100_000), EndpointInvalid, "JSON"),
        (Raw(b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}'), EndpointInvalid, "one answer to 4 calls"),
        (Change(lambda answers: answers[:-1]), EndpointInvalid, "1 of 4 answers are missing"),
        (Change(lambda answers: []), EndpointInvalid, "4 of 4 answers are missing"),
        (Change(lambda answers: [*answers, answers[0]]), EndpointInvalid, "two answers with id"),
        (Change(lambda answers: [*answers[:-1], answers[0]]), EndpointInvalid, "two answers with id"),
        (Change(lambda answers: [answers[0] | {"id": 999_999}, *answers[1:]]), EndpointInvalid, "not asked for"),
        (Change(lambda answers: [answers[0] | {"id": str(answers[0]["id"])}, *answers[1:]]), EndpointInvalid, "not asked for"),
        (
            Change(lambda answers: [{"jsonrpc": "2.0", "id": a["id"]} for a in answers]),
            EndpointInvalid,
            "neither result nor error",
        ),
        (Refuse(-32601, "the method eth_chainId does not exist", method="eth_chainId"), EndpointInvalid, "which chain"),
        (Rewrite("eth_chainId", lambda _: "one"), EndpointInvalid, "which chain"),
        (Rewrite("eth_chainId", lambda _: None), EndpointInvalid, "which chain"),
        (chain_id(137), EndpointInvalid, "serves eip155:137 and not eip155:1"),
        (Refuse(-32000, "Unauthorized: invalid API key"), AccessDenied, "invalid API key"),
        (Refuse(-32005, "daily request count exceeded, request rate limited"), EndpointOverloaded, "rate limited"),
        (Raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":429,"message":"slow down"}}'), EndpointOverloaded, "slow down"),
        (Raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}'), AccessDenied, "no"),
        (Raw(b'{"jsonrpc":"2.0","id":null,"error":"invalid project id"}'), AccessDenied, "invalid project id"),
    ],
    ids=lambda value: None if isinstance(value, type | str) else type(value).__name__,
)
async def test_each_fault_has_its_class_and_says_what_it_is(fault: Fault, kind: type[EndpointError], words: str) -> None:
    error = await failure(fault)
    assert type(error) is kind, repr(error)
    assert words in str(error)


async def test_a_closed_port_is_unreachable() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url), rounds=2) as client:
        await endpoint.refuse()
        with pytest.raises(EndpointUnreachable, match="refused"):
            await client.batch(calls(1))
        await endpoint.listen()
        assert await client.batch(calls(2)) == [0, 1]


async def test_an_unknown_host_is_unreachable() -> None:
    async with client_of(one_chain("http://no-such-host.invalid/"), rounds=1) as client:
        with pytest.raises(EndpointUnreachable, match="no-such-host"):
            await client.batch(calls(1))


async def test_a_silent_endpoint_times_out_and_is_not_asked_a_third_time() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url), read_timeout_seconds=0.03) as client:
        endpoint.inject(Delay(5))
        with pytest.raises(EndpointTimedOut, match=r"silent for 0\.03 s"):
            await client.batch(calls(1))
        assert endpoint.requests == 2


async def test_an_answer_that_drips_for_ever_is_cut_by_the_total_time() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url), request_timeout_seconds=0.05) as client:
        endpoint.inject(Endless(piece_bytes=10, pause_seconds=0.01))
        with pytest.raises(EndpointTimedOut, match="no complete answer within"):
            await client.batch(calls(1))


@pytest.mark.parametrize("count", [1, 2, 50])
async def test_an_endless_answer_is_cut_by_its_size(count: int) -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Endless())
        with pytest.raises(EndpointInvalid):
            await client.batch(calls(count))
        # a few halvings to tell a poisonous answer from a poisonous endpoint, and no second round
        assert endpoint.requests <= 8
        assert client.statistics.bytes_received <= endpoint.requests * (HASTY.maximum_answer_bytes + 300_000)


async def test_an_announced_giant_is_not_read_at_all() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Raw(b" " * 5_000_000))
        with pytest.raises(EndpointInvalid):
            await client.batch(calls(1))
        assert client.statistics.bytes_received == 0


async def test_a_small_body_that_unpacks_to_a_giant_is_cut() -> None:
    class Bomb(Fault):
        async def before(self, exchange: Exchange) -> web.StreamResponse:
            body = gzip.compress(b" " * 40_000_000, 1)
            return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Bomb())
        with pytest.raises(EndpointInvalid):
            await client.batch(calls(1))
        assert client.statistics.bytes_received < 10_000_000


async def test_one_answer_that_is_too_large_does_not_cost_the_others() -> None:
    def handler(method: str, params: list[object]) -> object:
        return "x" * 3_000_000 if params == [13] else params[0]

    async with FaultyEndpoint(handler=handler) as endpoint, client_of(one_chain(endpoint.url)) as client:
        answers = await client.batch(calls(40))
        assert [answer for answer in answers if not isinstance(answer, EndpointRefused)] == [n for n in range(40) if n != 13]
        assert isinstance(answers[13], EndpointRefused)


async def test_shuffled_answers_are_put_in_order() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(shuffled())
        assert await client.batch(calls(50)) == list(range(50))
        assert endpoint.requests == 1


async def test_a_json_rpc_error_stands_in_place_of_its_answer() -> None:
    def handler(method: str, params: list[object]) -> object:
        if params == [1]:
            raise RpcFailure(3, "execution reverted: rate limit, header not found, unauthorized, batch too large", "0x08c379a0")
        return params[0]

    async with FaultyEndpoint(handler=handler) as endpoint, client_of(one_chain(endpoint.url)) as client:
        first, refused, last = await client.batch(calls(3))
        assert (first, last) == (0, 2)
        assert type(refused) is EndpointRefused
        assert (refused.code, refused.data) == (3, "0x08c379a0")
        assert endpoint.requests == 1, "what a contract says in a revert must not look like the endpoint's trouble"


async def test_a_null_result_is_a_result() -> None:
    async with FaultyEndpoint(handler=lambda method, params: None) as endpoint, client_of(one_chain(endpoint.url)) as client:
        assert await client.batch(calls(1)) == [None]


async def test_json_rpc_errors_with_http_400_are_understood() -> None:
    class BadRequest(Fault):
        async def before(self, exchange: Exchange) -> web.StreamResponse:
            error = {"code": -32602, "message": "invalid argument 0"}
            answers = [{"jsonrpc": "2.0", "id": call["id"], "error": error} for call in exchange.calls]
            return web.json_response(answers if exchange.batched else answers[0], status=400)

    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        assert await client.batch(calls(1)) == [0]
        endpoint.inject(BadRequest())
        (answer,) = await client.batch(calls(1))
        assert isinstance(answer, EndpointRefused) and answer.code == -32602


@pytest.mark.parametrize("fault", [Status(500), Status(429), Reset(), html(), Truncate(), shuffled()], ids=lambda f: type(f).__name__)
async def test_a_passing_fault_costs_nothing_but_a_retry(fault: Fault) -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(fault, times=2)
        assert await client.batch(calls(3)) == [0, 1, 2]
        assert client.statistics.requests == endpoint.requests <= 3


async def test_a_closed_idle_connection_is_replaced_at_once() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url), rounds=1) as client:
        await client.batch(calls(1))
        endpoint.inject(Reset(), times=1)
        assert await client.batch(calls(1)) == [0]
        assert client.statistics.retries == 1


@pytest.mark.parametrize("status", [401, 403, 404, 402])
async def test_denied_access_is_not_tried_again(status: int) -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Status(status))
        with pytest.raises(EndpointRefused):
            await client.batch(calls(5))
        assert endpoint.requests == 1


async def test_retry_after_is_waited_for() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Status(429, headers={"Retry-After": "0.05"}), times=1)
        started = time.monotonic()
        assert await client.batch(calls(1)) == [0]
        assert time.monotonic() - started >= 0.05
        assert endpoint.requests == 2


async def test_a_retry_after_beyond_all_patience_is_said_at_once() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Status(429, headers={"Retry-After": "3600"}))
        started = time.monotonic()
        with pytest.raises(EndpointOverloaded) as caught:
            await client.batch(calls(1))
        assert caught.value.retry_after_seconds == 3600
        with pytest.raises(EndpointOverloaded, match="left alone"):
            await client.batch(calls(1))
        assert endpoint.requests == 1 and time.monotonic() - started < 1


async def test_calls_that_were_rate_limited_alone_are_asked_again_alone() -> None:
    limited: set[object] = {1, 2}

    def handler(method: str, params: list[object]) -> object:
        if params[0] in limited:
            limited.discard(params[0])
            raise RpcFailure(-32005, "rate limit exceeded")
        return params[0]

    async with FaultyEndpoint(handler=handler) as endpoint, client_of(one_chain(endpoint.url)) as client:
        assert await client.batch(calls(4)) == [0, 1, 2, 3]
        assert [len(entry.methods) for entry in endpoint.record] == [5, 2]


async def test_calls_that_stay_rate_limited_do_not_cost_the_others() -> None:
    def handler(method: str, params: list[object]) -> object:
        if params == [1]:
            raise RpcFailure(429, "too many requests")
        return params[0]

    async with FaultyEndpoint(handler=handler) as endpoint, client_of(one_chain(endpoint.url)) as client:
        first, limited = await client.batch(calls(2))
        assert first == 0 and isinstance(limited, RateLimited)
        assert endpoint.requests == HASTY.rounds


async def test_a_block_that_is_not_there_yet_is_asked_for_once_more() -> None:
    missing = [True]

    def handler(method: str, params: list[object]) -> object:
        if missing and missing.pop():
            raise RpcFailure(-32000, "header not found")
        return params[0]

    async with FaultyEndpoint(handler=handler) as endpoint, client_of(one_chain(endpoint.url)) as client:
        assert await client.batch(calls(1)) == [0]
        endpoint.inject(Refuse(-32001, "Resource not found"))
        (gone,) = await client.batch(calls(1))
        assert isinstance(gone, BlockUnavailable)
        assert endpoint.requests == 2 + 2


async def test_the_deadline_ends_everything() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url), backoff_base_seconds=0.01, rounds=100) as client:
        endpoint.inject(Status(503))
        started = asyncio.get_running_loop().time()
        with pytest.raises(EndpointError, match="503"):
            await client.batch(calls(1), deadline=started + 0.05)
        endpoint.heal()
        endpoint.inject(Delay(1))
        with pytest.raises(EndpointTimedOut, match="deadline"):
            await client.batch(calls(1), deadline=asyncio.get_running_loop().time() + 0.02)
        assert asyncio.get_running_loop().time() - started < 0.5


async def test_no_key_is_shown() -> None:
    key = "0123456789abcdef0123456789abcdef"
    message = f"project {key} is over its quota"

    def handler(method: str, params: list[object]) -> object:
        raise RpcFailure(-32011, f"no such project {key}", {"project": key})

    async with FaultyEndpoint(handler=handler) as endpoint:
        url = endpoint.url.replace("http://", "http://user:s3cret@") + f"/v3/{key}?apikey={key}"
        async with client_of(one_chain(url), rounds=1) as client:
            (refused,) = await client.batch(calls(1))
            assert isinstance(refused, EndpointRefused)
            shown = [str(refused), repr(refused.data), repr(client.configuration), str(client.endpoint_statistics)]
            for fault in (Status(403, f'{{"error": "{message}", "id": null}}'), Refuse(429, message), Reset(), html()):
                endpoint.heal()
                endpoint.inject(fault)
                with pytest.raises(EndpointError) as caught:
                    await client.batch(calls(1))
                shown += [str(caught.value), repr(caught.value)]
            for text in shown:
                assert key not in text and "s3cret" not in text and "user" not in text, text
            assert endpoint.url in str(caught.value)


async def test_parameters_that_are_no_json_are_a_mistake_of_the_caller() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        with pytest.raises(TypeError):
            await client.batch([RpcCall("test_echo", (object(),))])
        assert await client.batch([]) == []
        assert endpoint.requests == 0
        assert client.chain == CHAIN
