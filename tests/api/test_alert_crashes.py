"""Killed with -9 again and again between a price, the journal, the outbox and the receiver: every alert arrives, none is made up."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from random import Random

import aiohttp
import pytest
from aiohttp import web

from aggregator.localnet.controls import move_price
from aggregator.localnet.world import World
from tests.api.process import begin, call, running, signed_in
from tests.api.test_alert_delivery import PATIENCE, PRIVATE, SAFE, WARNED, body, borrower, subscribed
from tests.api.wallets import ALICE
from tests.publish.alerts.receiver import Answer, receiver, status

pytestmark = pytest.mark.localnet
ROUNDS = 6
LONGEST, WINDOW = 2.5, 0.1
"""seconds up to which the process is killed after a move of the price, and after it has written it down"""
UNSEEN = 15.0


def moody(chance: Random) -> Answer:
    """A receiver that refuses, falls silent in the middle, or takes what it is given."""

    async def answer(request: web.Request) -> web.StreamResponse:
        mood = chance.random()
        if mood < 0.25:
            return web.Response(status=503, headers={"Retry-After": "1"})
        if mood < 0.4 and request.transport is not None:
            request.transport.abort()
        return web.Response()

    return answer


def published(database: Path, owner: str) -> Iterator[str]:
    """What the health factors that were told of an owner mean: each change from safe to warned of and back."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT body FROM events WHERE kind = 'health' AND owner = ? ORDER BY id", (owner.lower(),)).fetchall()
    factors = [Decimal(json.loads(text)["health_factor"]) for (text,) in rows]
    states = ["opened" if factor <= Decimal("1.1") else "resolved" for factor in factors]
    changes = [state for state, _ in groupby(["resolved", *states])]
    return iter(changes[1:])


async def test_killed_at_any_moment_every_alert_arrives_and_none_is_false(lived: World, tmp_path: Path) -> None:
    chance = Random(7)
    file, journal = tmp_path / "service.db", tmp_path / "service.db.journals" / "wallets.jsonl"
    database = f"sqlite:///{file}"
    await borrower(lived, ALICE)
    acknowledged: list[str] = []
    warned_since: list[tuple[int, bool]] = [(0, False)]
    """from which block on the account is below its line, and from which it is not"""

    async def move(down: bool) -> None:
        await move_price(lived, "ETH", WARNED / SAFE if down else SAFE / WARNED)
        warned_since.append((await lived.chains[1].head(), down))

    async with receiver(moody(chance)) as there, receiver() as other, aiohttp.ClientSession() as client:
        async with running(lived, database, **PRIVATE) as service:
            _, secret = await subscribed(client, service, ALICE, there)
        for number in range(ROUNDS):
            size = length(journal)
            down = number % 2 == 0
            away = chance.random() < 0.3
            if away:
                await move(down)
            async with running(lived, database, **PRIVATE) as service:
                session = await signed_in(client, service.url, ALICE)
                wanted = {"owner": ALICE.address, "channel": "webhook", "target": other.url, "severity": "critical"}
                code, made = await call(client, "POST", f"{service.url}/v1/subscriptions", wanted, session)
                assert code == 200
                acknowledged.append(made["id"])
                if not away:
                    await move(down)
                if number % 3 == 2:
                    await asyncio.sleep(chance.uniform(0.0, LONGEST))
                else:
                    # in the moments between the journal, the figures, the outbox, the stream and the receiver
                    await grown(journal, size)
                    await asyncio.sleep(chance.uniform(0.0, WINDOW))
        there.answers[:] = [status(200)]
        await move(True)
        last = await begin(lived, database, **PRIVATE)
        try:
            session = await signed_in(client, last.url, ALICE)
            _, listed = await call(client, "GET", f"{last.url}/v1/subscriptions", None, session)
            kept = {one["id"] for one in listed["subscriptions"]}
            assert set(acknowledged) <= kept and len(kept) == ROUNDS + 1
            async with asyncio.timeout(PATIENCE):
                while not there.told or body(there.told[-1])["state"] != "opened" or waiting(file):  # noqa: ASYNC110  another process
                    await asyncio.sleep(0.1)
            code, log = await last.end()
            assert code == 0, log
        finally:
            if last.process.returncode is None:
                await last.kill()
        assert other.got == [], "nothing was critical"
    told = [body(one) for one in there.told]
    states = [one["state"] for one in told]
    # one after the other, never twice the same, whatever was repeated on the wire
    assert states == ["opened" if place % 2 == 0 else "resolved" for place in range(len(states))]
    assert len(states) >= 3
    expected = list(published(file, ALICE.address))
    assert len(states) >= len(expected) and states[-1] == expected[-1], (states, expected)
    for opened, resolved in zip(told[::2], [*told[1::2], None], strict=True):
        assert resolved is None or resolved["episode"] == opened["episode"]
    for one in told:
        (block,) = one["blocks"].values()
        truth = [down for since, down in warned_since if since <= block][-1]
        assert (one["state"] == "opened") is truth, "it was so on the chain, at the block that it names"
    with sqlite3.connect(file) as connection:
        known = {identifier for (identifier,) in connection.execute("SELECT identifier FROM alerts WHERE owner IS NOT NULL")}
        assert connection.execute("SELECT count(*) FROM outbox WHERE state != 'delivered'").fetchone() == (0,)
    assert {key.partition("-")[0] for key in there.keys} == known
    assert len(secret) == 32 and len(there.told) == len(known)


async def grown(journal: Path, size: int) -> None:
    """Until something was written down, or nothing was for a while: a move back that nobody saw changes nothing."""
    loop = asyncio.get_running_loop()
    until = loop.time() + UNSEEN
    while length(journal) == size and loop.time() < until:  # noqa: ASYNC110  another process writes
        await asyncio.sleep(0.002)


def length(journal: Path) -> int:
    return journal.stat().st_size


def waiting(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM outbox WHERE state = 'waiting'").fetchone()[0])
