"""Contract wallets sign in: through their contracts, on every chain that has one, and nobody else in their name."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from aggregator.api.context import APP
from aggregator.api.siwe import message_digest
from aggregator.cli.serve import service
from aggregator.engine.settings import load_settings
from aggregator.localnet.compiling import Artifact
from aggregator.localnet.node import LocalChain
from aggregator.localnet.packages import PackageStore, cache_directory
from aggregator.model.identifiers import ChainId, checksum, parse_address
from tests.api.accounts import Safes, compiled, nested_signature, signed_message_slot, wrapped
from tests.api.serving import Served, chain_settings
from tests.api.wallets import ALICE, MALLORY, Wallet
from tests.faults import Status
from tests.faulty_endpoint import FaultyEndpoint

pytestmark = pytest.mark.localnet

HOME, AWAY = 1, 10
WRITES = 6
"""the hostile account's manner that changes its state: only the lens calls statically, and a plain eth_call changes nothing either"""
HOME_CHAIN = ChainId("eip155:1")
BOB = Wallet(b"\x33" * 32)
Owners = tuple[tuple[Wallet, ...], int]


@dataclass(frozen=True, slots=True)
class Scene:
    served: Served
    chains: Mapping[int, LocalChain]
    endpoints: Mapping[int, FaultyEndpoint]
    safes: Mapping[int, Safes]
    contracts: Mapping[str, Artifact]

    async def nonce(self) -> tuple[str, str]:
        _, given = await self.served.send("POST", "/v1/sign-in/nonce")
        return given["domain"], given["nonce"]

    def message(self, account: str, chain_id: int, domain: str, nonce: str) -> str:
        text = ALICE.message(domain, nonce, time.time()).replace(ALICE.address, checksum(parse_address(account.lower())))
        return text.replace("Chain ID: 1\n", f"Chain ID: {chain_id}\n")

    async def sign_in(self, body: object, **options: Any) -> tuple[int, Any]:
        return await self.served.send("POST", "/v1/sign-in", body, **options)

    async def by_safe(self, safe: str, keys: Mapping[int, tuple[Wallet, ...]]) -> tuple[int, Any]:
        """Sign in with a message for each of these chains."""
        domain, nonce = await self.nonce()
        made = []
        for chain_id, signers in keys.items():
            message = self.message(safe, chain_id, domain, nonce)
            made.append({"message": message, "signature": await self.safes[chain_id].signature(safe, message_digest(message), signers)})
        first, *others = made
        return await self.sign_in({**first, "others": others})

    async def safe(self, home: Owners, away: Owners | None = None) -> str:
        """One address with a Safe at home and perhaps another away, each with its own keys and how many of them must sign."""
        made = await self.safes[HOME].create(*home)
        if away is None:
            await self.skip(AWAY)
        else:
            assert await self.safes[AWAY].create(*away) == made
        return made

    async def account(self, name: str, kind: str, argument: object) -> str:
        """One of our own contracts, at home."""
        made = await self.chains[HOME].deploy(self.contracts[name].code, [kind], [argument])
        await self.skip(AWAY)
        return made

    async def skip(self, chain_id: int) -> None:
        """So that the next contract has the same address on both chains."""
        await self.chains[chain_id].deploy(b"")


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    contracts = await compiled()
    async with AsyncExitStack() as stack:
        chains: dict[int, LocalChain] = {}
        endpoints: dict[int, FaultyEndpoint] = {}
        for number in (HOME, AWAY):
            chains[number] = await LocalChain.start(await PackageStore(cache_directory()).anvil(), number)
            stack.push_async_callback(chains[number].stop)
            endpoints[number] = await stack.enter_async_context(FaultyEndpoint(upstream=chains[number].url))
        safes = {number: await Safes.on(chain) for number, chain in chains.items()}
        urls = {number: endpoint.url for number, endpoint in endpoints.items()}
        database = tmp_path_factory.mktemp("wallets") / "service.db"
        settings = load_settings(
            **chain_settings(urls),
            database_url=f"sqlite:///{database}",
            websocket=False,
            poll_seconds=3_600.0,
            workers=0,
            reads_per_minute=3_000,
        )
        runner = await stack.enter_async_context(service(settings))
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.app is not None
        client = await stack.enter_async_context(aiohttp.ClientSession())
        served = Served(runner.app[APP], f"http://127.0.0.1:{runner.addresses[0][1]}", client)
        yield Scene(served, chains, endpoints, safes, contracts)


async def test_a_safe_signs_in_and_writes_for_itself_only(scene: Scene) -> None:
    safe = await scene.safe(home=((ALICE, MALLORY), 2))
    status, session = await scene.by_safe(safe, {HOME: (ALICE, MALLORY)})
    assert (status, session["address"]) == (200, safe.lower())
    header = {"Authorization": f"Bearer {session['token']}"}
    assert (await scene.served.send("POST", "/v1/watch", {"owners": [safe]}, headers=header))[0] == 200
    assert (await scene.served.send("POST", "/v1/watch", {"owners": [ALICE.address]}, headers=header))[0] == 403


@pytest.mark.parametrize("keys", [(ALICE,), (ALICE, BOB), (BOB,)])
async def test_too_few_keys_or_strangers_are_refused(scene: Scene, keys: tuple[Wallet, ...]) -> None:
    safe = await scene.safe(home=((ALICE, MALLORY), 2))
    status, problem = await scene.by_safe(safe, {HOME: keys})
    assert status == 401 and "does not accept the signature: reverted" in problem["detail"]


async def test_what_was_signed_on_chain_needs_no_signature(scene: Scene) -> None:
    safe = await scene.safe(home=((ALICE,), 1))
    domain, nonce = await scene.nonce()
    message = scene.message(safe, HOME, domain, nonce)
    assert (await scene.sign_in({"message": message, "signature": "0x"}))[0] == 401
    slot = signed_message_slot(await scene.safes[HOME].inner(safe, message_digest(message)))
    await scene.chains[HOME].rpc("anvil_setStorageAt", safe, slot, "0x" + "00" * 31 + "01")
    await scene.chains[HOME].mine()
    assert (await scene.sign_in({"message": message, "signature": "0x"}))[0] == 200


async def test_on_two_chains_both_contracts_must_accept(scene: Scene) -> None:
    safe = await scene.safe(home=((ALICE,), 1), away=((ALICE,), 1))
    status, problem = await scene.by_safe(safe, {HOME: (ALICE,)})
    assert status == 401 and "on eip155:10 too" in problem["detail"] and "`others`" in problem["detail"]
    assert (await scene.by_safe(safe, {HOME: (ALICE,), AWAY: (ALICE,)}))[0] == 200
    assert (await scene.by_safe(safe, {AWAY: (ALICE,), HOME: (ALICE,)}))[0] == 200
    assert (await scene.by_safe(safe, {HOME: (ALICE,), AWAY: (MALLORY,)}))[0] == 401


async def test_whoever_holds_the_address_on_another_chain_is_not_it(scene: Scene) -> None:
    safe = await scene.safe(home=((ALICE,), 1), away=((MALLORY,), 1))
    for keys in ({AWAY: (MALLORY,)}, {AWAY: (MALLORY,), HOME: (MALLORY,)}, {HOME: (MALLORY,)}, {HOME: (MALLORY,), AWAY: (MALLORY,)}):
        status, problem = await scene.by_safe(safe, keys)
        assert status == 401 and "does not accept" in problem["detail"], keys


async def test_an_account_of_openzeppelins_library_signs_in(scene: Scene) -> None:
    account = await scene.account("KeyAccount", "address", ALICE.address)
    domain, nonce = await scene.nonce()
    message = scene.message(account, HOME, domain, nonce)
    signature = nested_signature(HOME, account, message_digest(message), ALICE)
    assert (await scene.sign_in({"message": message, "signature": ALICE.sign(message)}))[0] == 401, "the key is not the account"
    for bad, words in (("0x" + "6492" * 16, "and is none"), ("0x" + "ff" * 96 + "6492" * 16, "and is none"), (signature[:-2], "accept")):
        status, problem = await scene.sign_in({"message": message, "signature": bad})
        assert status == 401 and words in problem["detail"]
    status, session = await scene.sign_in({"message": message, "signature": wrapped(signature)})
    assert (status, session["address"]) == (200, account.lower()), "deployed by now, whatever its wallet believes"


@pytest.mark.parametrize(
    ("manner", "overrides"), [*((one, True) for one in range(10)), *((one, False) for one in range(10) if one != WRITES)]
)
async def test_a_hostile_contract_is_refused_in_one_line(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, manner: int, overrides: bool
) -> None:
    """On endpoints with state overrides, where reads go through the lens, and on those without."""
    abilities = scene.served.app.live.engine.memory.of(HOME_CHAIN).abilities
    monkeypatch.setattr(abilities, "lens", overrides)
    monkeypatch.setattr(abilities, "multicall", False)
    account = await scene.account("HostileAccount", "uint256", manner)
    domain, nonce = await scene.nonce()
    started = time.perf_counter()
    status, problem = await scene.sign_in({"message": scene.message(account, HOME, domain, nonce), "signature": "0x" + "ab" * 8_192})
    assert status == 401 and "does not accept the signature" in problem["detail"] and len(problem["detail"]) < 200
    assert time.perf_counter() - started < 5
    assert (abilities.lens, abilities.multicall) == (overrides, False)


async def test_an_account_that_takes_anything_takes_anything(scene: Scene) -> None:
    """The hostile contract's last manner is to be well-behaved: without it the refusals above would prove nothing."""
    account = await scene.account("HostileAccount", "uint256", 10)
    domain, nonce = await scene.nonce()
    assert (await scene.sign_in({"message": scene.message(account, HOME, domain, nonce), "signature": "0x" + "ab" * 8_192}))[0] == 200


async def test_delegated_code_does_not_speak_for_the_key(scene: Scene) -> None:
    anything = await scene.chains[AWAY].deploy(scene.contracts["HostileAccount"].code, ["uint256"], [10])
    await scene.skip(HOME)
    await scene.chains[AWAY].rpc("anvil_setCode", BOB.address, "0xef0100" + anything[2:])
    await scene.chains[AWAY].mine()
    for chain_id, words in ((AWAY, "EIP-7702"), (HOME, "has no contract on eip155:1")):
        domain, nonce = await scene.nonce()
        message = scene.message(BOB.address, chain_id, domain, nonce)
        status, problem = await scene.sign_in({"message": message, "signature": MALLORY.sign(message)})
        assert status == 401 and words in problem["detail"]
        assert (await scene.sign_in({"message": message, "signature": BOB.sign(message)}))[0] == 200


async def test_what_is_no_contract_wallet_is_told_so(scene: Scene) -> None:
    nobody = "0x" + "ab" * 20
    domain, nonce = await scene.nonce()
    message = scene.message(nobody, HOME, domain, nonce)
    status, problem = await scene.sign_in({"message": message, "signature": wrapped("0x" + "11" * 65)})
    assert status == 401 and "no contract on eip155:1" in problem["detail"] and "ERC-6492" in problem["detail"]
    foreign = scene.message(nobody, 137, domain, nonce)
    status, problem = await scene.sign_in({"message": foreign, "signature": "0x11"})
    assert status == 401 and "eip155:137, which this service does not read; it reads eip155:1, eip155:10" in problem["detail"]
    twice = {"message": message, "signature": "0x11", "others": [{"message": message, "signature": "0x11"}]}
    assert "the same chain" in (await scene.sign_in(twice))[1]["detail"]
    another = {"message": scene.message(ALICE.address, AWAY, domain, nonce), "signature": "0x11"}
    assert "different addresses" in (await scene.sign_in({"message": message, "signature": "0x11", "others": [another]}))[1]["detail"]
    for bad in ("0x1", "11", "0x" + "11" * 8_193):
        assert (await scene.sign_in({"message": message, "signature": bad}))[0] == 400


async def test_chains_are_read_for_nobody_without_a_good_nonce_and_cost_more(scene: Scene) -> None:
    domain, nonce = await scene.nonce()
    message = scene.message("0x" + "ab" * 20, HOME, domain, nonce)
    left = []
    for text in (message.replace(nonce, "0" * 32), message):
        before = [endpoint.requests for endpoint in scene.endpoints.values()]
        async with scene.served.client.post(scene.served.url + "/v1/sign-in", json={"message": text, "signature": "0x11"}) as response:
            assert response.status == 401
            left.append(int(response.headers["RateLimit"].split("r=")[1].split(";")[0]))
        after = [endpoint.requests for endpoint in scene.endpoints.values()]
        asked = [new - old for new, old in zip(after, before, strict=True)]
        assert asked == ([0, 0] if text != message else [2, 0]), "only the chain that it names, where there is nothing"
    assert left[0] - left[1] >= 5, "ten units, and some came back meanwhile"


async def test_a_chain_that_is_away_is_no_refusal(scene: Scene) -> None:
    safe = await scene.safe(home=((ALICE,), 1))
    scene.endpoints[AWAY].inject(Status(503))
    try:
        status, problem = await scene.by_safe(safe, {HOME: (ALICE,)})
        assert (status, problem["type"].rsplit("/", 1)[1]) == (503, "unavailable"), "it may have a contract of another's there"
        status, _ = await scene.by_safe(safe, {HOME: (MALLORY,)})
        assert status == 401, "whatever the other chain says"
    finally:
        scene.endpoints[AWAY].heal()


async def test_messages_are_for_a_name_that_somebody_set(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("evil.example", "203.0.113.7:80", "[2001:db8::1]:80", "localhost.evil.example", "a b", "[::1"):
        for path in ("/v1/sign-in/nonce", "/v1/sign-in"):
            body = {"message": ALICE.message(host, "0" * 32, time.time()), "signature": "0x"}
            status, problem = await scene.served.send("POST", path, body, headers={"Host": host})
            assert status in (400, 421), problem
    status, given = await scene.served.send("POST", "/v1/sign-in/nonce", headers={"Host": "localhost:8080"})
    assert (status, given["domain"]) == (200, "localhost:8080")
    for behind, named, answer in ((1, "", 421), (1, "margin.example", 200), (0, "margin.example", 200)):
        changed = scene.served.app.settings.model_copy(update={"trusted_proxies": behind, "public_host": named})
        monkeypatch.setattr(scene.served.app, "settings", changed)
        status, given = await scene.served.send("POST", "/v1/sign-in/nonce")
        assert status == answer and given.get("domain", "") == (named if answer == 200 else "")
