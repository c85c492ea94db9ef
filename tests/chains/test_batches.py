"""Batches: one HTTP request where the endpoint allows it, split where it does not, and every answer at the place of its call."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.chains.client import RequestTooLarge, RpcCall
from aggregator.chains.configuration import ChainsConfiguration
from aggregator.chains.endpoint import Endpoint
from aggregator.chains.network import Network
from aggregator.model.errors import EndpointError, EndpointInvalid, EndpointRefused
from tests.chains.support import CHAIN, HASTY, calls, client_of, one_chain
from tests.faults import BatchLimit, BodyLimit, Change, Fault, Refuse, Reset, Status, chain_id, shuffled
from tests.faulty_endpoint import FaultyEndpoint, RpcFailure


def the_endpoint(configuration: ChainsConfiguration, network: Network) -> Endpoint:
    (entry,) = configuration[CHAIN].endpoints
    return Endpoint(CHAIN, entry, lambda: network.session, HASTY)


async def test_the_first_batch_carries_the_question_for_the_chain_and_no_other_does() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        assert await client.batch(calls(3)) == [0, 1, 2]
        assert await client.batch(calls(1)) == [0]
        assert [entry.methods for entry in endpoint.record] == [("eth_chainId", *["test_echo"] * 3), ("test_echo",)]
        statistics = client.statistics
        assert (statistics.requests, statistics.calls, statistics.retries) == (2, 5, 0) == (client.requests, 5, 0)
        assert statistics.bytes_sent == sum(entry.request_bytes for entry in endpoint.record)
        assert statistics.bytes_received == sum(entry.response_bytes for entry in endpoint.record)
        assert statistics.largest_request_bytes == endpoint.largest_request_bytes
        assert dict(client.endpoint_statistics) == {endpoint.url: statistics}


async def test_an_endpoint_of_another_chain_is_out_for_good() -> None:
    async with FaultyEndpoint(chain=137) as endpoint, client_of(one_chain(endpoint.url)) as client:
        for _ in range(2):
            with pytest.raises(EndpointInvalid, match=r"serves eip155:137 and not eip155:1$"):
                await client.batch(calls(2))
        assert endpoint.requests == 1


async def test_answers_of_an_endpoint_that_lies_later_about_its_chain_are_not_asked_again() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        await client.batch(calls(1))
        endpoint.inject(chain_id(137))
        assert await client.batch([RpcCall("eth_chainId")]) == ["0x89"], "asked by the caller, answered as it came"


REFUSALS = [
    BatchLimit(3),
    BatchLimit(3, array=True),
    BatchLimit(3, status=400),
    BatchLimit(3, status=500, message="Batch of more than 3 requests are not allowed on free tier"),
    BatchLimit(3, message="too many calls"),
    BatchLimit(1, message="batch requests are not supported"),
    BatchLimit(1, status=400, message="expected an object"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda fault: f"{fault.status}-{fault.message}-{fault.array}")
async def test_a_refused_batch_is_split_and_the_limit_remembered(refusal: BatchLimit) -> None:
    async with FaultyEndpoint() as endpoint, Network(one_chain(endpoint.url), environment={}) as network:
        endpoint.inject(refusal)
        own = the_endpoint(one_chain(endpoint.url), network)
        assert await own.batch(calls(40)) == list(range(40))
        assert own.maximum_batch <= refusal.most
        refused_before = sum(1 for entry in endpoint.record if len(entry.methods) > refusal.most)
        assert refused_before <= 6, "each refusal at least halves what is tried"
        endpoint.record.clear()
        assert await own.batch(calls(10)) == list(range(10))
        assert all(len(entry.methods) <= refusal.most for entry in endpoint.record)
        await own.close()


async def test_a_gateway_that_refuses_arrays_without_json_is_asked_one_by_one() -> None:
    class NoArrays(Status):
        async def before(self, exchange):  # type: ignore[no-untyped-def]
            return await super().before(exchange) if exchange.batched else None

    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(NoArrays(400, "Bad Request"))
        assert await client.batch(calls(5)) == list(range(5))


async def test_a_refusal_of_every_answer_for_the_size_of_the_batch_splits_it() -> None:
    class EachOne(Refuse):
        def answers(self, exchange, answers):  # type: ignore[no-untyped-def]
            return super().answers(exchange, answers) if len(answers) > 2 else answers

    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(EachOne(31, "Batch of more than 2 requests are not allowed"))
        assert await client.batch(calls(9)) == list(range(9))


async def test_answers_that_found_no_room_are_asked_for_again() -> None:
    def no_room(answers: list[dict[str, object]]) -> list[dict[str, object]]:
        error = {"code": -32003, "message": "response too large"}
        return [*answers[:4], *({"jsonrpc": "2.0", "id": answer["id"], "error": error} for answer in answers[4:])]

    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Change(no_room))
        assert await client.batch(calls(12)) == list(range(12))
        assert endpoint.requests == 4


@pytest.mark.parametrize("fault", [BodyLimit(20_000), BodyLimit(400_000, status=200)], ids=["413", "anvil"])
async def test_a_body_that_is_too_large_is_split_by_bytes(fault: BodyLimit) -> None:
    size = fault.most // 8
    asked = [RpcCall("test_echo", (str(number), "x" * size)) for number in range(20)]
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url, maximum_request_bytes=10_000_000)) as client:
        endpoint.inject(fault)
        assert await client.batch(asked) == [str(number) for number in range(20)]
        assert sum(1 for entry in endpoint.record if entry.request_bytes > fault.most) <= 3
        endpoint.record.clear()
        await client.batch(asked)
        assert endpoint.largest_request_bytes <= fault.most
        assert await client.batch(calls(100)) == list(range(100))
        assert len(endpoint.record[-1].methods) == 100, "bytes are limited, not calls"


@pytest.mark.parametrize("status", [413, 200])
async def test_one_call_that_is_too_large_alone_is_refused_in_its_place(status: int) -> None:
    asked = [*calls(2), RpcCall("test_echo", ("x" * 500_000,)), *calls(2)]
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(BodyLimit(300_000, status=status))
        answers = await client.batch(asked)
        assert [answers[n] for n in (0, 1, 3, 4)] == [0, 1, 0, 1]
        assert isinstance(answers[2], RequestTooLarge)
        assert endpoint.requests <= 6


async def test_a_connection_that_breaks_under_a_large_body_is_taken_for_its_size() -> None:
    class Breaks(Reset):
        async def before(self, exchange):  # type: ignore[no-untyped-def]
            return await super().before(exchange) if len(exchange.body) > 400_000 else None

    asked = [RpcCall("test_echo", (str(number), "x" * 100_000)) for number in range(8)]
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url)) as client:
        endpoint.inject(Breaks())
        assert await client.batch(asked) == [str(number) for number in range(8)]


async def test_configured_limits_hold_from_the_start() -> None:
    async with FaultyEndpoint() as endpoint:
        async with client_of(one_chain(endpoint.url, maximum_batch=7)) as client:
            assert await client.batch(calls(50)) == list(range(50))
        assert max(len(entry.methods) for entry in endpoint.record) == 7
        assert endpoint.requests == 8  # 51 calls with the question for the chain
        endpoint.record.clear()
        async with client_of(one_chain(endpoint.url, maximum_request_bytes=10_000)) as client:
            asked = [RpcCall("test_echo", (str(number), "x" * 3_000)) for number in range(9)]
            assert await client.batch(asked) == [str(number) for number in range(9)]
        assert endpoint.largest_request_bytes <= 10_000


async def test_when_one_chunk_fails_the_others_are_not_left_running() -> None:
    async with FaultyEndpoint() as endpoint, client_of(one_chain(endpoint.url, maximum_batch=2), rounds=1) as client:
        endpoint.inject(Status(500), every=2)
        with pytest.raises(EndpointError):
            await client.batch(calls(9))
        endpoint.heal()
        assert await client.batch(calls(9)) == list(range(9))


def test_output_i_belongs_to_input_i_for_every_size_and_limit() -> None:
    def handler(method: str, params: list[object]) -> object:
        if isinstance(params[0], int) and params[0] % 7 == 3:
            raise RpcFailure(3, f"execution reverted: {params[0]}")
        return params[0]

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        endpoint = FaultyEndpoint(handler=handler)
        runner.run(endpoint.listen())

        @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(
            count=st.integers(0, 40),
            taken=st.integers(1, 45),
            configured=st.integers(1, 45),
            body=st.integers(200, 4_000),
            array=st.booleans(),
            message=st.sampled_from(["batch too large", "too much", "batching is not supported"]),
            passing=st.sampled_from([None, Status(500), Reset(), Refuse(429, "too many requests"), Status(502)]),
            times=st.integers(1, 3),
        )
        def holds(count: int, taken: int, configured: int, body: int, array: bool, message: str, passing: Fault | None, times: int) -> None:
            endpoint.heal()
            endpoint.inject(shuffled(count))
            endpoint.inject(BatchLimit(taken, array=array, message=message))
            endpoint.inject(BodyLimit(body))
            if passing is not None:
                endpoint.inject(passing, times=times, every=2)

            async def ask() -> list[object]:
                async with client_of(one_chain(endpoint.url, maximum_batch=configured), rounds=12) as client:
                    return await client.batch(calls(count))

            answers = runner.run(ask())
            assert len(answers) == count
            for number, answer in enumerate(answers):
                if number % 7 == 3:
                    assert isinstance(answer, EndpointRefused) and answer.reason.endswith(f": {number}")
                else:
                    assert answer == number

        try:
            holds()
        finally:
            runner.run(endpoint.refuse())
