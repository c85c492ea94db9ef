"""Alerts the whole way, as their readers live it: from a price on a chain to a signed message, through the service as a process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from aggregator.localnet.controls import move_price, reorganise
from aggregator.localnet.deploy import lending, morpho
from aggregator.localnet.deploy.shared import LIQUIDITY_PROVIDER
from aggregator.localnet.owners.lending_parts import LendingAccount, steer
from aggregator.localnet.world import World
from aggregator.publish.alerts.signature import verify
from tests.api.process import Process, call, key_for, running, signed_in, until
from tests.api.test_stream import sse
from tests.api.wallets import ALICE, MALLORY, Wallet
from tests.publish.alerts.receiver import Delivery, Receiver, receiver

pytestmark = pytest.mark.localnet
SAFE, WARNED, GRAVE = Decimal("1.25"), Decimal("1.08"), Decimal("1.02")
PATIENCE = 90.0
LIVE = {"CROSSMARGIN_POPULATION": "live", "CROSSMARGIN_POPULATION_SECONDS": "1"}
MARKET_STATE = "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)"
PRIVATE = {"CROSSMARGIN_ALLOW_PRIVATE_WEBHOOKS": "true"}


@dataclass(slots=True)
class Stream:
    """A WebSocket and the events that came over it."""

    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def alerts(self, owner: str | None = None) -> list[dict[str, Any]]:
        """Alerts in the order of their coming, all or those about an owner."""
        found = [one["data"] for one in self.events if one.get("event") == "alert"]
        return [one for one in found if owner is None or one["subject"] == owner.lower()]

    def healths(self, owner: str) -> list[Decimal]:
        """Health factors of an owner to the cent."""
        found = [one["data"] for one in self.events if one.get("event") == "health" and one["data"]["owner"] == owner.lower()]
        return [round(Decimal(one["health_factor"]), 2) for one in found]

    async def until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def listening(client: aiohttp.ClientSession, url: str, **chosen: Any) -> AsyncIterator[Stream]:
    """`chosen`: what a client sends to choose what it hears."""
    heard = Stream()
    async with client.ws_connect(f"{url.replace('http', 'ws', 1)}/v1/ws") as socket:

        async def keep() -> None:
            async for message in socket:
                heard.events.append(json.loads(message.data))
                heard.news.set()

        await socket.send_str(json.dumps(chosen))
        task = asyncio.create_task(keep())
        try:
            await heard.until(lambda: any("subscribed" in one for one in heard.events))
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def borrower(world: World, wallet: Wallet, health: Decimal = SAFE) -> None:
    """A wallet of which nobody has heard opens a position in Aave: USDC against WETH."""
    await LendingAccount(supplied={"WETH": 50_000}, borrowed={"USDC": 1}, health=health).open(world, wallet.address)
    await steer(world, lending.aave(world, 1), wallet.address, health, ("WETH",), ("USDC",))


async def subscribed(client: aiohttp.ClientSession, service: Process, wallet: Wallet, there: Receiver) -> tuple[dict[str, str], bytes]:
    """The wallet's session, and the secret that its webhooks are signed with."""
    session = await signed_in(client, service.url, wallet)
    body = {"owner": wallet.address, "channel": "webhook", "target": there.url}
    status, made = await call(client, "POST", f"{service.url}/v1/subscriptions", body, session)
    assert status == 200, made
    return session, bytes.fromhex(made["secret"])


async def known(client: aiohttp.ClientSession, service: Process, wallet: Wallet, health: Decimal = SAFE) -> None:
    """Wait until the wallet's account is read, and stands as it should."""

    def there(document: Any) -> bool:
        return [round(Decimal(one["health_factor"]), 2) for one in document["margin_accounts"]] == [health]

    await until(client, f"{service.url}/v1/owners/{wallet.address}/health", there)


def body(delivery: Delivery) -> dict[str, Any]:
    content = json.loads(delivery.body)
    assert isinstance(content, dict)
    return content


async def test_a_price_that_falls_is_told_to_the_owner_and_to_nobody_else(lived: World, tmp_path: Path) -> None:
    await borrower(lived, ALICE)
    database = f"sqlite:///{tmp_path / 'service.db'}"
    async with receiver() as there, running(lived, database, **PRIVATE) as service, aiohttp.ClientSession() as client:
        session, secret = await subscribed(client, service, ALICE, there)
        stranger = await signed_in(client, service.url, MALLORY)
        theirs = {"owner": ALICE.address, "channel": "webhook", "target": there.url}
        assert (await call(client, "POST", f"{service.url}/v1/subscriptions", theirs, stranger))[0] == 403
        await known(client, service, ALICE)
        async with (
            listening(client, service.url, token=session["Authorization"].split()[1], kinds=["alert"]) as mine,
            listening(client, service.url, token=stranger["Authorization"].split()[1]) as hers,
            listening(client, service.url, owners=[ALICE.address]) as nobodys,
        ):
            await move_price(lived, "ETH", WARNED / SAFE)
            await there.until(1, PATIENCE)
            await move_price(lived, "ETH", GRAVE / WARNED)
            await there.until(2, PATIENCE)
            await move_price(lived, "ETH", SAFE / GRAVE)
            await there.until(3, PATIENCE)
            await mine.until(lambda: len(mine.alerts(ALICE.address)) == 3)
            # the health is public; whoever has heard of it would have heard of the alerts
            await hers.until(lambda: hers.healths(ALICE.address)[-1:] == [SAFE])
            await nobodys.until(lambda: nobodys.healths(ALICE.address)[-1:] == [SAFE])
        opened, escalated, resolved = map(body, there.got)
        assert [(one["state"], one["severity"]) for one in (opened, escalated, resolved)] == [
            ("opened", "warning"),
            ("escalated", "critical"),
            ("resolved", "critical"),
        ]
        for one in (opened, escalated, resolved):
            assert (one["subject"], one["root"]) == (ALICE.address.lower(), f"owner:{ALICE.address.lower()}")
            assert one["rule"] in ("wallet-health", "wallet-distance") and one["episode"] == opened["episode"]
            assert list(one["blocks"]) == ["eip155:1"]
        assert {rule.partition(" ")[0] for rule in opened["rules"]} == {"wallet-health", "wallet-distance"}
        assert opened["evidence"]["health_factor"] == pytest.approx(float(WARNED), abs=0.01)
        for delivery in there.got:
            assert verify(secret, delivery.signature, delivery.body, int(time.time()))
            assert not verify(secret, delivery.signature, delivery.body + b" ", int(time.time()))
        assert len(set(there.keys)) == 3 == len(there.keys), "once, when nothing goes wrong"
        # the same over the stream, and private there: not to a stranger who has signed in, nor to somebody who just asks for this owner
        assert mine.alerts(ALICE.address) == [opened, escalated, resolved]
        assert hers.alerts(ALICE.address) == nobodys.alerts(ALICE.address) == []
        _, listed = await call(client, "GET", f"{service.url}/v1/systemic/alerts")
        assert [one for one in listed["alerts"] if one["subject"] == ALICE.address.lower()] == []
        code, log = await service.end()
        assert code == 0, log
        assert there.url not in log and "token-in-the-path" not in log


@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
async def test_an_alert_that_rests_on_a_replaced_block_is_taken_back(lived: World, tmp_path: Path, down: bool) -> None:
    """The account was never below its line on the chain that stays; at 1.12 a rule that had rightly warned would go on warning."""
    near = Decimal("1.12")
    await borrower(lived, ALICE, near)
    database = f"sqlite:///{tmp_path / 'service.db'}"
    async with receiver() as there, aiohttp.ClientSession() as client:
        async with running(lived, database, **PRIVATE) as service:
            await subscribed(client, service, ALICE, there)
            await known(client, service, ALICE, near)
            await move_price(lived, "ETH", WARNED / near)
            await there.until(1, PATIENCE)
            await known(client, service, ALICE, WARNED)
            if down:
                await service.kill()
            await reorganise(lived, 1, 1)
            if not down:
                await there.until(2, PATIENCE)
        if down:
            async with running(lived, database, **PRIVATE):
                await there.until_told(2, PATIENCE)
        opened, withdrawn = map(body, there.told)
    block = opened["blocks"]["eip155:1"]
    assert (opened["state"], opened["severity"]) == ("opened", "warning")
    assert (withdrawn["state"], withdrawn["episode"]) == ("resolved", opened["episode"])
    assert withdrawn["evidence"]["replaced"] == f"eip155:1 from block {block}"
    assert withdrawn["evidence"]["health_factor"] == pytest.approx(float(near), abs=0.01)


async def hours_pass(world: World, hours: int) -> None:
    """Time passes on every chain, and feeds stay fresh."""
    for chain_id, chain in world.chains.items():
        await chain.set_time(await chain.now() + hours * 3_600)
        await world.refresh_feeds(chain_id)


async def population_is_read(client: aiohttp.ClientSession, service: Process, world: World) -> None:
    """Wait until the population stands on the newest blocks of all chains."""
    heads = {f"eip155:{chain_id}": await chain.head() for chain_id, chain in world.chains.items()}

    def there(document: Any) -> bool:
        return {one["chain"]: one["block"] for one in document["snapshots"]} == heads

    await until(client, f"{service.url}/v1/systemic/graph?limit=1", there, PATIENCE)


async def test_a_run_on_a_market_is_told_to_everybody_with_its_causal_path(lived: World, tmp_path: Path) -> None:
    """Lenders take out all that is not lent; six hours later it is still so."""
    database = f"sqlite:///{tmp_path / 'service.db'}"
    chosen = morpho.market(lived, 1, "WETH/USDC")
    key = await key_for(database)
    async with receiver() as there, running(lived, database, **PRIVATE, **LIVE) as service, aiohttp.ClientSession() as client:
        body_of_key = {"channel": "webhook", "target": there.url, "severity": "warning"}
        status, made = await call(client, "POST", f"{service.url}/v1/subscriptions", body_of_key, key)
        assert status == 200, made
        await population_is_read(client, service, lived)
        supplied, _, owed, *_ = cast(list[int], await lived.chains[1].call(morpho.BLUE[1], MARKET_STATE, chosen.id_bytes))

        def about(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [one for one in alerts if chosen.id in str(one["path"]) and one["rule"] != "data-quality"]

        async with (
            listening(client, service.url, kinds=["alert"], severity="warning") as heard,
            client.get(f"{service.url}/v1/stream?kind=alert&severity=warning") as stream,
        ):
            await morpho.withdraw(lived, chosen, LIQUIDITY_PROVIDER, supplied - owed)
            await population_is_read(client, service, lived)
            for _ in range(2):
                await hours_pass(lived, 3)
                await population_is_read(client, service, lived)
            await heard.until(lambda: len(about(heard.alerts())) == 2)
            everything = heard.alerts()
            told = sse(stream)
            streamed = [(await asyncio.wait_for(anext(told), PATIENCE))[2] for _ in everything]
        await there.until_told(len(everything), PATIENCE)
        opened, graver = about(everything)
        market = f"market:morpho-blue/{chosen.id}@eip155:1"
        assert [(one["rule"], one["severity"], one["state"]) for one in (opened, graver)] == [
            ("market-outflow", "warning", "opened"),
            ("utilisation", "critical", "escalated"),
        ]
        for one in (opened, graver):
            assert one["path"] == ["token:WETH", market, "protocol:morpho-blue@eip155:1"]
            assert one["subject"] == "WETH" and one["evidence"]["market"] == chosen.id and one["episode"] == opened["episode"]
        assert opened["evidence"]["change_24h"] == pytest.approx(-(supplied - owed) / supplied, rel=0.01)
        assert graver["evidence"]["utilisation"] == pytest.approx(1.0)
        assert streamed == everything == [body(delivery) for delivery in there.told]
        for delivery in there.got:
            assert verify(bytes.fromhex(made["secret"]), delivery.signature, delivery.body, int(time.time()))
        # what the analyst's page shows
        _, listed = await call(client, "GET", f"{service.url}/v1/systemic/alerts?severity=warning")
        items = [one for one in listed["alerts"] if one["episode"] == opened["episode"]]
        assert [(one["rule"], one["path"]) for one in items] == [(one["rule"], one["path"]) for one in (graver, opened)]
        # hours without a reading are said of each chain, not of each of its feeds
        doubts = [one["root"] for one in everything if one["rule"] == "data-quality"]
        assert {f"chain:eip155:{chain_id}" for chain_id in lived.chains} <= set(doubts) and len(doubts) < 10


async def test_an_oracle_that_lies_is_told_with_those_who_lend_by_it(lived: World, tmp_path: Path) -> None:
    """Aave is pointed to another token's feed for LINK. For an hour it may be a mistake of ours; after that everybody is told."""
    database = f"sqlite:///{tmp_path / 'service.db'}"
    market, chain = lending.aave(lived, 1), lived.chains[1]
    async with running(lived, database, **PRIVATE, **LIVE) as service, aiohttp.ClientSession() as client:
        await population_is_read(client, service, lived)
        async with listening(client, service.url, kinds=["alert"], severity="warning") as heard:
            sources = [market.reserves["LINK"].asset], [lived.feed(1, "AAVE / USD").aggregator]
            await chain.send(market.admin, market.oracle, "setAssetSources(address[],address[])", *sources)
            await population_is_read(client, service, lived)
            assert [one for one in heard.alerts() if one["rule"] == "oracle-gap"] == []
            await hours_pass(lived, 1)
            await population_is_read(client, service, lived)

            def gaps() -> list[dict[str, Any]]:
                return [one for one in heard.alerts() if "LINK" in one["path"][0] and one["rule"] == "oracle-gap"]

            await heard.until(lambda: bool(gaps()))
        (told,) = gaps()
    assert (told["severity"], told["state"], told["subject"]) == ("critical", "opened", "LINK")
    assert told["evidence"]["oracle"] == f"oracle:aave-v3 eip155:1/{market.pool.lower()}" and told["evidence"]["gap"] > 0.2
    assert told["path"][0] == "token:LINK"
    pool = f"market:aave-v3/{market.pool.lower()}"
    at = told["path"].index(f"{pool}/LINK@eip155:1")
    assert told["path"][at + 1].startswith(f"{pool}/") and told["path"][at + 2] == "protocol:aave-v3@eip155:1"


async def test_a_run_on_replaced_blocks_is_taken_back_for_everybody(lived: World, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'service.db'}"
    chosen = morpho.market(lived, 1, "WETH/USDC")
    async with running(lived, database, **PRIVATE, **LIVE) as service, aiohttp.ClientSession() as client:
        await population_is_read(client, service, lived)
        supplied, _, owed, *_ = cast(list[int], await lived.chains[1].call(morpho.BLUE[1], MARKET_STATE, chosen.id_bytes))
        async with listening(client, service.url, kinds=["alert"], severity="warning") as heard:
            await morpho.withdraw(lived, chosen, LIQUIDITY_PROVIDER, supplied - owed)
            block = await lived.chains[1].head()
            await heard.until(lambda: len(heard.alerts()) == 1)
            await reorganise(lived, 1, 1)
            await heard.until(lambda: len(heard.alerts()) == 2)
        _, listed = await call(client, "GET", f"{service.url}/v1/systemic/alerts?severity=warning")
        # readings of blocks that were judged already leave nothing
        journal, reading = tmp_path / "service.db.journals" / "markets.jsonl", f"{service.url}/v1/stream?kind=systemic"
        async with client.get(reading) as stream:
            told = sse(stream)
            sizes = [len(journal.read_bytes()) for _ in range(3) if await asyncio.wait_for(anext(told), PATIENCE)]
        assert len(set(sizes)) == 1
    opened, withdrawn = heard.alerts()
    assert (opened["rule"], opened["state"], opened["blocks"]) == ("market-outflow", "opened", {"eip155:1": block})
    assert (withdrawn["state"], withdrawn["episode"]) == ("resolved", opened["episode"])
    assert withdrawn["evidence"]["replaced"] == f"eip155:1 from block {block}" and withdrawn["path"] == opened["path"]
    assert [one["state"] for one in listed["alerts"]] == ["resolved", "opened"]
