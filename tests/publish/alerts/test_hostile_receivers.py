"""Receivers that are slow, broken or hostile, and chats with limits: each costs a bounded time, and nobody else's messages."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from aggregator.publish.alerts import people
from aggregator.publish.alerts.courier import WEBHOOK, Courier, Destination
from aggregator.publish.alerts.instant import HOUR, SECOND
from aggregator.publish.alerts.people import LONGEST_TEXT, LONGEST_TITLE, PeopleSender, wording
from aggregator.publish.alerts.webhook import WebhookSender
from aggregator.store import outbox
from aggregator.store.database import Database
from aggregator.store.outbox import Message
from tests.publish.alerts.histories import flat, market, told
from tests.publish.alerts.receiver import receiver, slow, status

SECRET = b"a secret of more than sixteen bytes"
CHATS = {
    "telegram": "tgram://123456789:abcdefg_hijklmnop/12345",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
    "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.at(f"sqlite:///{tmp_path / 'outbox.db'}") as opened:
        yield opened


async def post(database: Database, destination: str, *keys: str, at: int | None = None) -> None:
    moment = time.time_ns() // 1_000 if at is None else at
    async with database.writing() as connection:
        await outbox.post(connection, [Message(key, destination, "{}") for key in keys], moment)


def alert_about(name: str) -> str:
    return told([*flat(30, collateral=name), market(30, 5e6, 4e6, collateral=name)])[0].line()


async def test_receivers_that_take_their_time_hold_up_nobody(database: Database) -> None:
    """Many slow ones at once, each far slower than the quick one's whole queue."""
    async with receiver(slow(8)) as lazy, receiver() as quick, WebhookSender(allow_private=True) as webhooks:
        known = {f"lazy{n}": Destination(f"lazy{n}", WEBHOOK, lazy.url, SECRET) for n in range(20)}
        known["quick"] = Destination("quick", WEBHOOK, quick.url, SECRET)

        async def destinations() -> Mapping[str, Destination]:
            return known

        for name in known:
            await post(database, name, *(f"{name}-{n}" for n in range(10 if name == "quick" else 1)))
        running = asyncio.create_task(Courier(database, destinations, webhooks, PeopleSender()).run())
        try:
            await quick.until(10, 6.0)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert quick.keys == [f"quick-{n}" for n in range(10)]
    assert len(lazy.got) == 20


async def test_a_receiver_that_is_broken_for_an_hour_is_asked_seldom_and_then_gets_everything(database: Database) -> None:
    now = [time.time_ns() // 1_000]
    began, asked = now[0], list[float]()
    async with receiver(status(500)) as there, WebhookSender(allow_private=True) as webhooks:

        async def destinations() -> Mapping[str, Destination]:
            return {"one": Destination("one", WEBHOOK, there.url, SECRET)}

        made = Courier(database, destinations, webhooks, PeopleSender(), clock=lambda: now[0])
        await post(database, "one", "k1", "k2", at=began)
        while now[0] - began < HOUR:
            if await made.deliver():
                asked.append((now[0] - began) / SECOND)
            now[0] += 20 * SECOND
        there.answers[:] = [status(200)]
        for _ in range(3):
            await made.deliver()
            now[0] += HOUR
        async with database.reading() as connection:
            found = await outbox.standing(connection, "one")
    assert 6 <= len(asked) <= 12 and set(there.keys[: len(asked)]) == {"k1"}
    assert all(later - earlier >= 0.75 * (earlier - before) for before, earlier, later in zip(asked, asked[1:], asked[2:], strict=False))
    assert there.keys[len(asked) :] == ["k1", "k2"] and found.delivered == 2


async def test_a_redirect_is_not_followed_and_a_long_answer_not_read() -> None:
    async with receiver() as inside, WebhookSender(allow_private=True) as webhooks:
        async with receiver(status(307, Location=inside.url)) as there:
            outcome = await webhooks.send(there.url, SECRET, "k", "{}")
        assert outcome.error == "127.0.0.1: status 307; redirects are not followed" and not outcome.final
        assert inside.got == []


@asynccontextmanager
async def dripping() -> AsyncIterator[int]:
    """A mail server that says one letter now and then, for ever; its port."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.1)
        except (ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_mail_servers_that_never_come_to_an_end_cost_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "AT_ONCE", 3)
    monkeypatch.setattr(people, "PATIENCE_SECONDS", 0.2)
    body = alert_about("aUSD")
    async with dripping() as port:
        sender = PeopleSender(allow_private=True, timeout=0.5)
        url = f"mailto://user:hunter2@127.0.0.1:{port}/?from=a@example.com&to=b@example.com&mode=insecure"
        began = time.monotonic()
        outcomes = await asyncio.gather(*(sender.send(url, body) for _ in range(6)))
        # what the rest of the service does in threads goes on
        assert await asyncio.to_thread(lambda: "free") == "free"
        assert time.monotonic() - began < 5
    errors = sorted(str(one.error) for one in outcomes)
    assert errors == ["mailto: as many messages are on their way as may be"] * 3 + ["mailto: no answer within 0.5 s"] * 3
    assert not any(one.final for one in outcomes)


@pytest.mark.parametrize("chat", CHATS)
async def test_what_a_chat_is_sent_acts_in_no_way_and_fits(chat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def request(_: requests.Session, method: str, url: str, **named: Any) -> requests.Response:
        assert method.upper() == "POST" and named["allow_redirects"] is False and url.startswith("https://")
        sent.append(json.loads(named["data"]))
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"ok"
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    name = (
        "@everyone <!channel> <b>x</b> &lt;i&gt; evil&#46;com [win](https://evil.com) evil.com claim。com _a_ *b* `c` ||d||\n# big\u202e"
        + "w" * 500
    )
    outcome = await PeopleSender().send(CHATS[chat], alert_about(name))
    assert outcome.error is None, outcome
    (message,) = sent
    shown = json.dumps(message, ensure_ascii=False).replace("<b>WARNING", "", 1).replace(": market outflow</b>", "", 1)
    marks = ("<!", "<b>", "&", "](", "_a_", "*b*", "`", "||", "\\n# big", "\u202e")
    for acting in (*marks, "@everyone", "evil.com", "claim。com", "github"):
        assert acting not in shown, acting
    text = str(message.get("text") or message.get("content") or message["attachments"][0]["text"])
    assert len(text) < 2_000 and "clears when" in text
    if chat == "telegram":
        assert message["parse_mode"] == "HTML"
    if chat == "slack":
        assert message["mrkdwn"] is False


def test_a_text_is_never_longer_than_the_shortest_limit() -> None:
    from aggregator.publish.alerts.alert import Alert

    one = Alert.model_validate_json(alert_about("n" * 300), strict=False)
    long = one.model_copy(
        update={
            "evidence": {f"figure_{number}": "x" * 400 for number in range(40)},
            "path": tuple(f"token:{'y' * 300}" for _ in range(40)),
            "clears_when": "z" * 3_000,
        }
    )
    title, text = wording(long)
    assert len(title) <= LONGEST_TITLE and len(text) <= LONGEST_TEXT
    assert "and 34 more" in text and "\n…\n" in text and one.episode in text
