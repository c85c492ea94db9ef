"""Delivery against real servers: signed, at least once, in order, through failures, slow receivers and a killed deliverer."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from aggregator.model.errors import InputError
from aggregator.publish.alerts.addresses import AddressRefused, GuardedResolver, is_public, refuse_inside
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.courier import PEOPLE, WEBHOOK, Courier, Destination, messages
from aggregator.publish.alerts.escaping import link_free, plain
from aggregator.publish.alerts.instant import DAY, SECOND
from aggregator.publish.alerts.people import PeopleSender, check_person, wording
from aggregator.publish.alerts.rules import Severity
from aggregator.publish.alerts.signature import sign, verify
from aggregator.publish.alerts.webhook import Outcome, WebhookSender, check_webhook
from aggregator.store import outbox
from aggregator.store.database import Database
from aggregator.store.outbox import Message
from tests.publish.alerts import courier_process
from tests.publish.alerts.histories import flat, market, told, wallet
from tests.publish.alerts.receiver import endless, mail_server, receiver, slow, status

SECRET = courier_process.SECRET


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.at(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


def courier(database: Database, senders: tuple[WebhookSender, PeopleSender], *known: Destination, lease: float = 60.0) -> Courier:
    async def destinations() -> Mapping[str, Destination]:
        return {one.id: one for one in known}

    return Courier(database, destinations, *senders, first_pause=0.02, lease=lease)


async def post(database: Database, *keys: str, destination: str = "one") -> None:
    async with database.writing() as connection:
        await outbox.post(connection, [Message(key, destination, json.dumps({"key": key})) for key in keys], time.time_ns() // 1_000)


async def standing(database: Database, destination: str = "one") -> outbox.Standing:
    async with database.reading() as connection:
        return await outbox.standing(connection, destination)


async def settled(database: Database, made: Courier, destination: str = "one") -> outbox.Standing:
    """Deliver until nothing waits."""
    async with asyncio.timeout(20):
        while (found := await standing(database, destination)).waiting:
            if not await made.deliver():
                await asyncio.sleep(0.01)
    return found


async def test_a_webhook_is_signed_and_named(database: Database) -> None:
    async with receiver() as there, WebhookSender(allow_private=True) as webhooks:
        await post(database, "k1")
        found = await settled(database, courier(database, (webhooks, PeopleSender()), Destination("one", WEBHOOK, there.url, SECRET)))
    assert (found.delivered, found.abandoned, found.last_error) == (1, 0, None)
    (got,) = there.got
    assert got.key == "k1"
    now = int(time.time())
    assert verify(SECRET, got.signature, got.body, now)
    assert not verify(SECRET, got.signature, got.body + b" ", now)
    assert not verify(b"another secret of nobody", got.signature, got.body, now)
    assert not verify(SECRET, got.signature, got.body, now + 301)


async def test_failures_are_tried_again_in_order_until_they_arrive(database: Database) -> None:
    answers = (status(500), status(503, Retry_After="0"), status(404), status(302, Location="http://127.0.0.1:9/"), status(200))
    async with receiver(*answers) as there, WebhookSender(allow_private=True) as webhooks:
        await post(database, "k1", "k2")
        found = await settled(database, courier(database, (webhooks, PeopleSender()), Destination("one", WEBHOOK, there.url, SECRET)))
    assert there.keys == ["k1"] * 5 + ["k2"]
    assert (found.delivered, found.abandoned) == (2, 0)


async def test_a_receiver_that_says_gone_is_believed(database: Database) -> None:
    async with receiver(status(410), status(200)) as there, WebhookSender(allow_private=True) as webhooks:
        await post(database, "k1", "k2")
        found = await settled(database, courier(database, (webhooks, PeopleSender()), Destination("one", WEBHOOK, there.url, SECRET)))
    assert (there.keys, found.delivered, found.abandoned) == (["k1", "k2"], 1, 1)


async def test_what_cannot_be_delivered_for_days_is_given_up_and_named(database: Database) -> None:
    late = [time.time_ns() // 1_000]

    async def destinations() -> Mapping[str, Destination]:
        return {"one": Destination("one", WEBHOOK, "http://127.0.0.1:9/", SECRET)}

    async with WebhookSender(allow_private=True) as webhooks:
        made = Courier(database, destinations, webhooks, PeopleSender(), clock=lambda: late[0])
        await post(database, "k1")
        for _ in range(200):
            await made.deliver()
            if not (found := await standing(database)).waiting:
                break
            late[0] += 3_600 * SECOND
        assert (found.abandoned, found.last_error) == (1, "127.0.0.1: cannot be reached")
        assert 3 * DAY < late[0] - time.time_ns() // 1_000 < 4 * DAY


async def test_a_slow_receiver_holds_up_nobody_else(database: Database) -> None:
    async with receiver(slow(30)) as lazy, receiver() as quick, WebhookSender(allow_private=True, timeout=0.5) as webhooks:
        known = [Destination("lazy", WEBHOOK, lazy.url, SECRET), Destination("quick", WEBHOOK, quick.url, SECRET)]
        await post(database, "slow", destination="lazy")
        await post(database, "q1", "q2", "q3", destination="quick")
        running = asyncio.create_task(courier(database, (webhooks, PeopleSender()), *known).run())
        await quick.until(3)
        running.cancel()
        found = await standing(database, "lazy")
    assert found.waiting == 1
    assert quick.keys == ["q1", "q2", "q3"]


async def test_an_endless_answer_is_cut_off(database: Database) -> None:
    chunks: list[int] = []
    async with receiver(endless(chunks)) as there, WebhookSender(allow_private=True, timeout=5) as webhooks:
        assert await webhooks.send(there.url, SECRET, "k", "{}") == Outcome()
        await asyncio.sleep(0.3)
        taken = len(chunks)
        await asyncio.sleep(0.2)
        assert len(chunks) == taken
    # what the kernel's buffers hold on this machine is some megabytes
    assert sum(chunks) < 50_000_000


async def test_the_same_alert_is_sent_once(database: Database) -> None:
    async with receiver() as there, WebhookSender(allow_private=True) as webhooks:
        made = courier(database, (webhooks, PeopleSender()), Destination("one", WEBHOOK, there.url, SECRET))
        await post(database, "k1", "k1")
        await settled(database, made)
        await post(database, "k1")
        await settled(database, made)
    assert there.keys == ["k1"]


async def test_nothing_is_lost_when_the_deliverer_is_killed(database: Database) -> None:
    """Killed while the receiver is thinking: started again, the message comes again with the same id, and then the others."""
    async with receiver(slow(60), status(200)) as there:
        await post(database, "k1", "k2", "k3")
        words = [sys.executable, "-m", courier_process.__name__, f"sqlite:///{database.url.database}", there.url]
        root = Path(__file__).parents[3]
        for wanted in (1, 4):
            process = await asyncio.create_subprocess_exec(*words, cwd=root)
            try:
                await there.until(wanted)
            finally:
                # the last one is noted as delivered a moment after the receiver has it
                for _ in range(500 if wanted == 4 else 0):
                    if not (await standing(database)).waiting:
                        break
                    await asyncio.sleep(0.02)
                process.kill()
                await process.wait()
    assert there.keys == ["k1", "k1", "k2", "k3"]
    assert (await standing(database)).delivered == 3


async def test_what_a_killed_deliverer_had_under_way_does_not_wait_for_its_lease(database: Database) -> None:
    async with receiver() as there, WebhookSender(allow_private=True) as webhooks:
        known = Destination("one", WEBHOOK, there.url, SECRET)
        await post(database, "k1")
        async with database.writing() as connection:
            await outbox.take(connection, time.time_ns() // 1_000, 60 * SECOND)
        made = courier(database, (webhooks, PeopleSender()), known)
        assert await made.deliver() == 0
        await made.resume()
        assert await made.deliver() == 1
    assert there.keys == ["k1"]


async def test_what_was_settled_long_ago_is_forgotten_and_what_waits_is_not(database: Database) -> None:
    now = time.time_ns() // 1_000
    async with database.writing() as connection:
        await outbox.post(connection, [Message(key, "one", "{}") for key in ("old", "fresh", "waiting")], now - 40 * DAY)
        await outbox.settle(connection, 1, outbox.DELIVERED, now - 31 * DAY)
        await outbox.settle(connection, 2, outbox.ABANDONED, now - 29 * DAY)
    async with WebhookSender() as webhooks:
        running = asyncio.create_task(courier(database, (webhooks, PeopleSender()), Destination("one", "pigeon", "")).run())
        for _ in range(200):
            found = await standing(database)
            if not found.delivered and not found.waiting:
                break
            await asyncio.sleep(0.01)
        running.cancel()
    assert (found.waiting, found.delivered, found.abandoned) == (0, 0, 2)
    assert found.last_error == "there is no channel pigeon"


async def test_two_deliverers_do_not_send_the_same(database: Database) -> None:
    async with receiver(slow(0.2)) as there, WebhookSender(allow_private=True) as webhooks:
        known = Destination("one", WEBHOOK, there.url, SECRET)
        await post(database, "k1")
        both = [courier(database, (webhooks, PeopleSender()), known) for _ in range(2)]
        assert sorted(await asyncio.gather(*(one.deliver() for one in both))) == [0, 1]
    assert there.keys == ["k1"]


async def test_a_subscription_that_ended_ends_its_messages(database: Database) -> None:
    async with WebhookSender() as webhooks:
        await post(database, "k1")
        found = await settled(database, courier(database, (webhooks, PeopleSender())))
    assert (found.abandoned, found.last_error) == (1, "the subscription is no more")


INSIDE = """127.0.0.1 10.1.2.3 192.168.0.1 172.16.9.9 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 240.0.0.1 198.18.0.1
::1 :: fe80::1%eth0 fd00:ec2::254 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::127.0.0.1 nonsense"""


@pytest.mark.parametrize("address", INSIDE.split())
def test_inside_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_outside_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:7f00:1]"])
async def test_no_connection_is_made_inside(host: str) -> None:
    async with receiver() as there, WebhookSender() as webhooks:
        outcome = await webhooks.send(f"https://{host}:{there.port}/hook/x", SECRET, "k", "{}")
    assert there.got == []
    assert outcome.error is not None
    assert "not a public one" in outcome.error or outcome.final


async def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    """The address that was judged is the one that is connected to: the name is asked once."""
    asked: list[str] = []

    class Rebinding(GuardedResolver):
        async def resolve(self, host: str, *rest: object, **more: object) -> list[object]:  # type: ignore[override]
            asked.append(host)
            return [
                {"hostname": host, "host": "1.1.1.1" if len(asked) == 1 else "127.0.0.1", "port": 443, "family": 2, "proto": 0, "flags": 0}
            ]

    guarded = GuardedResolver(Rebinding())
    assert (await guarded.resolve("rebind.example", 443))[0]["host"] == "1.1.1.1"
    with pytest.raises(AddressRefused):
        await guarded.resolve("rebind.example", 443)


async def test_mail_servers_inside_are_refused() -> None:
    with pytest.raises(AddressRefused):
        await refuse_inside("localhost")
    async with mail_server() as there:
        url = f"mailto://user:hunter2@127.0.0.1:{there.port}/?from=a@example.com&to=b@example.com&mode=insecure"
        outcome = await PeopleSender().send(url, alert().line())
        assert there.mails == []
    assert outcome.error == "mailto: the address is not a public one"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/hook", "begins with https"),
        ("ftp://example.com/hook", "begins with https"),
        ("https:///hook", "is none"),
        ("https://10.0.0.1/hook", "not a public one"),
        ("https://example.com/ho ok", "is none"),
        ("https://example.com:port/", "is none"),
        ("https://example.com/" + "x" * 3000, "is none"),
    ],
)
def test_webhooks_that_are_refused_when_they_are_made(url: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        check_webhook(url, SECRET)
    assert "hook" not in str(caught.value).replace("webhook", "")
    with pytest.raises(InputError, match="shorter than 16"):
        check_webhook("https://example.com/hook", b"short")
    check_webhook("https://example.com/hook", SECRET)


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1/",
        "file:///etc/passwd",
        "tgram://",
        "mailto://u:p@example.com?pgp=yes",
        "mailto://u:p@example.com?attach=/etc/passwd",
    ],
)
def test_people_that_are_refused_when_they_are_made(url: str) -> None:
    with pytest.raises(InputError):
        check_person(url)


@pytest.mark.parametrize(
    "url",
    [
        "mailtos://user:secret@example.com?to=b@example.com",
        "tgram://123456789:abcdefg_hijklmnop/12345",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    ],
)
def test_people_that_can_be_told(url: str) -> None:
    check_person(url)


def alert() -> Alert:
    name = "@everyone <b>xUSD</b> [win](https://evil.example)\x1b[2J‮"
    return told([*flat(30, collateral=name), market(30, 5e6, 4e6, collateral=name)])[0]


def test_what_people_read_holds_nothing_that_acts() -> None:
    title, text = wording(alert())
    assert title.startswith("WARNING: ＠everyone ‹b›xUSD‹/b›")
    shown = title + text
    assert not set("@<>[]()*`\x1b‮") & set(shown)
    assert "https://" not in shown
    assert "clears when: supply is down by less than 10 % in 24 h, for 24 h" in text
    assert plain("a\nb\x00\u202ec" + "d" * 300, 10) == "a b??cddd…"
    assert link_free("plain text 1.5 %") == "plain text 1.5 %"


async def test_a_mail_arrives(database: Database) -> None:
    async with mail_server() as there, WebhookSender() as webhooks:
        url = f"mailto://user:hunter2@127.0.0.1:{there.port}/?from=a@example.com&to=b@example.com&mode=insecure"
        known = Destination("one", PEOPLE, url)
        async with database.writing() as connection:
            await outbox.post(connection, messages([alert()], [known]), time.time_ns() // 1_000)
        found = await settled(database, courier(database, (webhooks, PeopleSender(allow_private=True)), known))
    assert (found.delivered, len(there.mails)) == (1, 1)
    assert b"hunter2" not in there.mails[0]


async def test_no_secret_in_errors_or_representations(database: Database) -> None:
    async with receiver(status(500)) as there, WebhookSender(allow_private=True) as webhooks:
        outcome = await webhooks.send(there.url, SECRET, "k", "{}")
        gone = await webhooks.send("http://user:hunter2@127.0.0.1:9/token-in-the-path?key=token", SECRET, "k", "{}")
    mail = await PeopleSender(allow_private=True).send(
        "mailto://user:hunter2@127.0.0.1:9/?from=a@example.com&to=b@example.com&mode=insecure", alert().line()
    )
    known = Destination("one", WEBHOOK, there.url, SECRET)
    for text in (repr(outcome), repr(gone), repr(mail), repr(known)):
        assert "token" not in text and "hunter2" not in text and "secret" not in text
    assert (outcome.error, gone.error, mail.error) == ("127.0.0.1: status 500", "127.0.0.1: cannot be reached", "mailto: not accepted")


def test_who_is_told_what() -> None:
    public = alert()
    private = told([wallet(1, 1.05, owner="eip155:1:0xAbC")])[0]
    everybody = Destination("all", WEBHOOK, "https://example.com")
    grave = Destination("grave", WEBHOOK, "https://example.com", severity=Severity.CRITICAL)
    owner = Destination("mine", WEBHOOK, "https://example.com", owner="0xabc")
    other = Destination("other", WEBHOOK, "https://example.com", owner="0xabd")
    sent = [(one.destination, json.loads(one.body)["rule"]) for one in messages([public, private], [everybody, grave, owner, other])]
    assert sent == [("all", "market-outflow"), ("mine", "wallet-health")]


def test_signatures_of_two_secrets_and_nonsense() -> None:
    header = sign(SECRET, b"body", 1_000)
    old = sign(b"the secret before this one", b"body", 1_000).partition(",")[2]
    assert verify(SECRET, f"{header},{old}", b"body", 1_000)
    assert verify(b"the secret before this one", f"{header},{old}", b"body", 1_000)
    for nonsense in ("", "t=,v1=", "t=1000", "v1=abc", f"t=1000,{header}", "t=٣,v1=a", "t=1000,v1=é"):
        assert not verify(SECRET, nonsense, b"body", 1_000)
