"""Turns at an endpoint: first come, first served, within rate and concurrency, and nobody polls but the dispatcher."""

from __future__ import annotations

import asyncio
import time

import pytest

from aggregator.chains.dispatcher import Dispatcher


async def test_turns_are_given_in_the_order_of_arrival() -> None:
    dispatcher = Dispatcher(requests_per_second=10_000, concurrency=3)
    order: list[int] = []

    async def one(number: int) -> None:
        async with dispatcher.turn():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(one(number) for number in range(200)))
    assert order == list(range(200))
    await dispatcher.close()


async def test_no_more_are_under_way_than_allowed() -> None:
    dispatcher = Dispatcher(requests_per_second=10_000, concurrency=4)
    under_way = most = 0

    async def one() -> None:
        nonlocal under_way, most
        async with dispatcher.turn():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1

    await asyncio.gather(*(one() for _ in range(40)))
    assert most == 4
    await dispatcher.close()


@pytest.mark.parametrize(("rate", "starts", "least_seconds"), [(20.0, 20, 0.0), (20.0, 21, 1.0), (40.0, 41, 1.0)])
async def test_the_rate_holds(rate: float, starts: int, least_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1_000.0]

    async def sleep(seconds: float) -> None:
        moment[0] += seconds

    dispatcher = Dispatcher(rate, concurrency=100)
    # The throttler's own clock and sleep, so that the test takes no time.
    monkeypatch.setattr("asyncio_throttle.throttler.time.monotonic", lambda: moment[0])
    monkeypatch.setattr("asyncio_throttle.throttler.asyncio.sleep", sleep)
    for _ in range(starts):
        async with dispatcher.turn():
            pass
    assert least_seconds <= moment[0] - 1_000.0 <= least_seconds + 0.05
    monkeypatch.undo()
    await dispatcher.close()


def test_a_rate_below_one_is_one_start_in_several_seconds() -> None:
    throttler = Dispatcher(0.25, 1)._throttler
    assert (throttler.rate_limit, throttler.period) == (1, 4.0)
    throttler = Dispatcher(2.5, 1)._throttler
    assert throttler.rate_limit / throttler.period == 2.5


async def test_who_leaves_the_queue_costs_nobody_a_turn() -> None:
    dispatcher = Dispatcher(requests_per_second=10_000, concurrency=1)
    served: list[int] = []

    async def one(number: int) -> None:
        async with dispatcher.turn():
            served.append(number)
            await asyncio.sleep(0.001)

    tasks = [asyncio.ensure_future(one(number)) for number in range(30)]
    await asyncio.sleep(0)
    for number in range(0, 30, 2):
        tasks[number].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert served == [number for number in range(30) if number % 2]
    async with dispatcher.turn():
        served.append(99)
    assert served[-1] == 99
    await dispatcher.close()


async def test_a_turn_given_to_someone_who_just_left_is_handed_on() -> None:
    dispatcher = Dispatcher(requests_per_second=10_000, concurrency=1)

    async def hold() -> None:
        async with dispatcher.turn():
            await asyncio.sleep(30)

    for turns in range(12):
        task = asyncio.ensure_future(hold())
        # Cancelled after ever more turns of the loop: before the ticket is answered, in that very turn, and after it.
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(1), dispatcher.turn():
        pass
    assert not dispatcher._free.locked()
    await dispatcher.close()


async def test_thousands_of_waiters_cost_next_to_nothing() -> None:
    dispatcher = Dispatcher(requests_per_second=1, concurrency=1)
    tasks = [asyncio.ensure_future(_wait(dispatcher)) for _ in range(5_000)]
    await asyncio.sleep(0.05)
    before = time.process_time()
    await asyncio.sleep(0.3)
    spent = time.process_time() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await dispatcher.close()
    # 5,000 waiters that poll every 10 ms take about three quarters of the time
    assert spent < 0.1


async def _wait(dispatcher: Dispatcher) -> None:
    async with dispatcher.turn():
        await asyncio.sleep(30)


async def test_closing_ends_the_task_and_the_waiting() -> None:
    dispatcher = Dispatcher(requests_per_second=1, concurrency=1)
    tasks = [asyncio.ensure_future(_wait(dispatcher)) for _ in range(3)]
    await asyncio.sleep(0.01)
    await dispatcher.close()
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    await Dispatcher(1, 1).close()
