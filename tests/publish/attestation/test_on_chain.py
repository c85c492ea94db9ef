"""The verifying contract on a real chain: what it accepts, what it refuses, and strangers who ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web
from eth_hash.auto import keccak
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import ContractCustomError
from web3.utils import ccip_url_validation

from aggregator.localnet.compiling import Artifact
from aggregator.localnet.node import DEPLOYER, LocalChain, LocalChainError
from aggregator.localnet.packages import node_command
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.contract import SHIPPED, verifying_contract
from aggregator.publish.attestation.epoch import seal
from aggregator.publish.attestation.gateway import Request, answer, encode_request
from aggregator.publish.attestation.signer import KeySigner
from aggregator.publish.attestation.statement import Domain, MarginScore, ScoreEpoch
from aggregator.publish.attestation.typed_data import encode_answer, hash_epoch, hash_score
from benchmarks.reading import viem_directory
from tests.publish.attestation.compiled import compiled, shipped
from tests.publish.attestation.examples import OWNER, SIGNER, STRANGER, at

pytestmark = pytest.mark.localnet

SCORE_TYPE = "(address,uint16,uint64,uint64,uint64,int256,int256,uint16,(uint64,uint64,bytes32)[],string,bytes32,bytes32,uint64,uint64)"
EPOCH_TYPE = "(uint64,bytes32,uint32,uint64,uint64)"
CHECK = f"check(address,bytes,uint16,uint64)({SCORE_TYPE})"
SCORE_DIGIT = 2 + 4 * 64 - 1
"""of an answer: the last hex digit of the fourth word"""
ANOTHER = Address("0x" + "b2" * 20)


@dataclass(slots=True)
class Gateway:
    """A gateway of the test's own, with what it will say."""

    signer: KeySigner = SIGNER
    scores: dict[Address, MarginScore] = field(default_factory=dict)
    tamper: bool = False

    async def get(self, request: web.Request) -> web.Response:
        said = await answer(request.match_info["data"], self._score, self.signer)
        if self.tamper:
            said = said[:SCORE_DIGIT] + f"{int(said[SCORE_DIGIT], 16) ^ 1:x}" + said[SCORE_DIGIT + 1 :]
        return web.json_response({"data": said})

    async def _score(self, owner: Address) -> MarginScore:
        return self.scores[owner]


@dataclass(frozen=True, slots=True)
class Deployed:
    chain: LocalChain
    gateway: Gateway
    scores: Address
    desk: Address
    contracts: dict[str, Artifact]

    @property
    def domain(self) -> Domain:
        return Domain(self.chain.chain_id, self.scores)

    async def answer(self, score: MarginScore, signer: KeySigner = SIGNER, domain: Domain | None = None) -> bytes:
        return encode_answer(score, await signer.sign(domain or self.domain, score))

    async def check(self, response: bytes, minimum: int = 10_000, oldest: int = 3_600, owner: Address = OWNER) -> MarginScore:
        answered = await self.chain.call(self.scores, CHECK, owner, response, minimum, oldest)
        return _score(answered[0])


def _score(fields: object) -> MarginScore:
    assert isinstance(fields, tuple)
    owner, *middle = fields
    return replace(
        at(0),
        owner=Address(str(owner).lower()),
        score=middle[0],
        probability_day=middle[2],
        margin_ratio=middle[4],
        as_of=middle[11],
        valid_until=middle[12],
    )


@asynccontextmanager
async def _serving(gateway: Gateway) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/{sender}/{data}", gateway.get)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{{sender}}/{{data}}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def deployed(bare_chain: LocalChain) -> AsyncIterator[Deployed]:
    contracts = await compiled()
    gateway = Gateway()
    async with _serving(gateway) as url:
        admin = Address(DEPLOYER.lower())
        scores = Address((await bare_chain.deploy(verifying_contract().deployment(admin, SIGNER.address, (url,)))).lower())
        desk = Address((await bare_chain.deploy(contracts["CreditDesk"].code, ["address"], [scores])).lower())
        entries = [entry for entry in verifying_contract().abi if entry["type"] == "error"]
        for entry in entries:
            inputs = entry["inputs"]
            assert isinstance(inputs, list)
            signature = f"{entry['name']}({','.join(one['type'] for one in inputs)})"
            bare_chain.errors[keccak(signature.encode())[:4]] = signature
        yield Deployed(bare_chain, gateway, scores, desk, contracts)


async def test_the_shipped_contract_is_what_its_source_compiles_to(deployed: Deployed) -> None:
    assert SHIPPED.read_bytes() == shipped(deployed.contracts["MarginScores"])


async def test_hashes_and_request_are_the_contracts_own(deployed: Deployed) -> None:
    score = at(await deployed.chain.now())
    epoch = seal(3, [score]).statement
    assert (await deployed.chain.call(deployed.scores, f"hashScore({SCORE_TYPE})(bytes32)", _fields(score)))[0] == hash_score(score)
    assert (await deployed.chain.call(deployed.scores, f"hashEpoch({EPOCH_TYPE})(bytes32)", _epoch(epoch)))[0] == hash_epoch(epoch)
    said = (await deployed.chain.call(deployed.scores, "request(address)(bytes)", OWNER))[0]
    assert isinstance(said, bytes) and "0x" + said.hex() == encode_request(Request(OWNER, deployed.domain))


async def test_a_good_answer_is_given_back(deployed: Deployed) -> None:
    score = at(await deployed.chain.now())
    given = await deployed.check(await deployed.answer(score))
    assert (given.owner, given.score, given.margin_ratio, given.valid_until) == (OWNER, score.score, score.margin_ratio, score.valid_until)


async def test_what_is_not_good_is_refused_with_the_reason(deployed: Deployed) -> None:
    chain, now = deployed.chain, await deployed.chain.now()
    good = at(now)
    bad: list[tuple[str, bytes, int, Address]] = [
        ("Expired", await deployed.answer(at(now - 2_000)), 10_000, OWNER),
        ("FromTheFuture", await deployed.answer(at(now + 2_000)), 10_000, OWNER),
        ("TooOld", await deployed.answer(replace(at(now - 4_000), valid_until=now + 900)), 10_000, OWNER),
        ("GoodForTooLong", await deployed.answer(replace(good, valid_until=now + 86_401)), 10_000, OWNER),
        ("LowCoverage", await deployed.answer(at(now, coverage=9_999)), 10_000, OWNER),
        ("WrongOwner", await deployed.answer(good), 10_000, ANOTHER),
        ("WrongSigner", await deployed.answer(good, STRANGER), 10_000, OWNER),
        ("WrongSigner", await deployed.answer(good, domain=Domain(10, deployed.scores)), 10_000, OWNER),
        ("WrongSigner", await deployed.answer(good, domain=Domain(chain.chain_id, deployed.desk)), 10_000, OWNER),
        ("WrongSigner", encode_answer(replace(good, score=10_000), await SIGNER.sign(deployed.domain, good)), 10_000, OWNER),
    ]
    for reason, response, minimum, owner in bad:
        with pytest.raises(LocalChainError, match=reason):
            await deployed.check(response, minimum, owner=owner)
    assert (await deployed.check(await deployed.answer(at(now, coverage=9_999)), 9_999)).score == good.score


async def test_a_signature_is_not_good_on_another_chain(deployed: Deployed) -> None:
    """The same contract at the same address elsewhere, for example after a fork."""
    response = await deployed.answer(at(await deployed.chain.now()), domain=Domain(8453, deployed.scores))
    with pytest.raises(LocalChainError, match="WrongSigner"):
        await deployed.check(response)


async def test_every_score_of_an_epoch_is_included_and_no_other(deployed: Deployed) -> None:
    chain, now = deployed.chain, await deployed.chain.now()
    scores = [replace(at(now), owner=Address(f"0x{number + 1:040x}"), score=number) for number in range(7)]
    epoch = seal(11, scores)
    signature = await SIGNER.sign(deployed.domain, epoch.statement)
    call = f"verifyIncluded({SCORE_TYPE},{EPOCH_TYPE},bytes,bytes32[])()"
    for score in scores:
        await chain.call(deployed.scores, call, _fields(score), _epoch(epoch.statement), signature, list(epoch.proof(score.owner)))
    liar = replace(scores[2], score=9_000)
    with pytest.raises(LocalChainError, match="NotIncluded"):
        await chain.call(deployed.scores, call, _fields(liar), _epoch(epoch.statement), signature, list(epoch.proof(liar.owner)))
    with pytest.raises(LocalChainError, match="WrongSigner"):
        forged = await STRANGER.sign(deployed.domain, epoch.statement)
        await chain.call(deployed.scores, call, _fields(scores[0]), _epoch(epoch.statement), forged, list(epoch.proof(scores[0].owner)))


async def test_a_published_epoch_stays_and_expires(deployed: Deployed) -> None:
    chain, now = deployed.chain, await deployed.chain.now()
    score = at(now)
    epoch = seal(12, [score, replace(score, owner=ANOTHER)])
    signature = await SIGNER.sign(deployed.domain, epoch.statement)
    verify = f"verifyPublished({SCORE_TYPE},uint64,bytes32[])()"
    with pytest.raises(LocalChainError, match="UnknownEpoch"):
        await chain.call(deployed.scores, verify, _fields(score), 12, list(epoch.proof(OWNER)))
    publish = f"publishEpoch({EPOCH_TYPE},bytes)"
    await chain.send(STRANGER.address, deployed.scores, publish, _epoch(epoch.statement), signature)
    await chain.call(deployed.scores, verify, _fields(score), 12, list(epoch.proof(OWNER)))
    with pytest.raises(LocalChainError, match="EpochExists"):
        await chain.send(STRANGER.address, deployed.scores, publish, _epoch(epoch.statement), signature)
    await chain.set_time(score.valid_until + 1)
    with pytest.raises(LocalChainError, match="Expired"):
        await chain.call(deployed.scores, verify, _fields(score), 12, list(epoch.proof(OWNER)))


async def test_what_a_lost_key_published_ends_with_it(deployed: Deployed) -> None:
    """Also under numbers that were still to come, which are free again then."""
    chain, now = deployed.chain, await deployed.chain.now()
    snapshot = await chain.snapshot()
    publish, set_signer = f"publishEpoch({EPOCH_TYPE},bytes)", "setSigner(address,bool)"
    verify = f"verifyPublished({SCORE_TYPE},uint64,bytes32[])()"
    await chain.send(DEPLOYER, deployed.scores, set_signer, STRANGER.address, True)
    lasting, lie, truth = at(now, valid_until=now + 86_401), at(now, score=10_000), at(now)
    signature = await STRANGER.sign(deployed.domain, seal(20, [lasting]).statement)
    with pytest.raises(LocalChainError, match="GoodForTooLong"):
        await chain.send(ANOTHER, deployed.scores, publish, _epoch(seal(20, [lasting]).statement), signature)
    forged, honest = seal(20, [lie]), seal(20, [truth])
    signature = await STRANGER.sign(deployed.domain, forged.statement)
    await chain.send(ANOTHER, deployed.scores, publish, _epoch(forged.statement), signature)
    await chain.call(deployed.scores, verify, _fields(lie), 20, list(forged.proof(OWNER)))
    mine = await SIGNER.sign(deployed.domain, honest.statement)
    with pytest.raises(LocalChainError, match="EpochExists"):
        await chain.send(ANOTHER, deployed.scores, publish, _epoch(honest.statement), mine)
    await chain.send(DEPLOYER, deployed.scores, set_signer, STRANGER.address, False)
    with pytest.raises(LocalChainError, match="WrongSigner"):
        await chain.call(deployed.scores, verify, _fields(lie), 20, list(forged.proof(OWNER)))
    with pytest.raises(LocalChainError, match="WrongSigner"):
        await chain.send(ANOTHER, deployed.scores, publish, _epoch(forged.statement), signature)
    await chain.send(ANOTHER, deployed.scores, publish, _epoch(honest.statement), mine)
    await chain.call(deployed.scores, verify, _fields(truth), 20, list(honest.proof(OWNER)))
    with pytest.raises(LocalChainError, match="NotIncluded"):
        await chain.call(deployed.scores, verify, _fields(lie), 20, list(forged.proof(OWNER)))
    await chain.revert(snapshot)


async def test_only_the_admin_changes_signers_and_urls(deployed: Deployed) -> None:
    chain = deployed.chain
    with pytest.raises(LocalChainError, match="OwnableUnauthorizedAccount"):
        await chain.send(STRANGER.address, deployed.scores, "setSigner(address,bool)", STRANGER.address, True)
    snapshot = await chain.snapshot()
    await chain.send(DEPLOYER, deployed.scores, "setSigner(address,bool)", SIGNER.address, False)
    with pytest.raises(LocalChainError, match="WrongSigner"):
        await deployed.check(await deployed.answer(at(await chain.now())))
    await chain.revert(snapshot)


@pytest.mark.parametrize("contract", ["scores", "desk"])
async def test_viems_ordinary_read_follows_the_lookup(deployed: Deployed, tmp_path: Path, contract: str) -> None:
    deployed.gateway.scores = {OWNER: at(await deployed.chain.now())}
    if contract == "scores":
        said = await _viem(deployed, tmp_path, deployed.scores, "MarginScores", "marginScore", [OWNER])
        assert said["result"]["score"] == 8123 and said["result"]["owner"].lower() == OWNER  # type: ignore[index]
    else:
        assert (await _viem(deployed, tmp_path, deployed.desk, "CreditDesk", "creditOf", [OWNER]))["result"] == "81230"


async def test_viem_is_told_why_an_answer_is_refused(deployed: Deployed, tmp_path: Path) -> None:
    deployed.gateway.scores = {OWNER: at(await deployed.chain.now(), coverage=5_000)}
    assert (await _viem(deployed, tmp_path, deployed.scores, "MarginScores", "marginScore", [OWNER]))["error"] == "LowCoverage"
    within = await _viem(deployed, tmp_path, deployed.scores, "MarginScores", "marginScoreWithin", [OWNER, 5_000, "3600"])
    assert within["result"]["coverage"] == 5_000  # type: ignore[index]


async def test_web3_follows_the_lookup_when_it_is_let(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """web3.py asks no gateway on a private address; the test's own stands on one, so that one list is emptied here."""
    monkeypatch.setattr(ccip_url_validation, "BLOCKED_IP_NETWORKS", [])
    deployed.gateway.scores = {OWNER: at(await deployed.chain.now())}
    provider = AsyncHTTPProvider(deployed.chain.url)
    provider.ccip_read_allow_http = True
    web3 = AsyncWeb3(provider)
    try:
        contract = web3.eth.contract(address=web3.to_checksum_address(deployed.scores), abi=list(verifying_contract().abi))
        said = await contract.functions.marginScore(web3.to_checksum_address(OWNER)).call(ccip_read_enabled=True)
        assert said[1] == 8123
        deployed.gateway.tamper = True
        with pytest.raises(ContractCustomError, match=keccak(b"WrongSigner(address)")[:4].hex()):
            await contract.functions.marginScore(web3.to_checksum_address(OWNER)).call(ccip_read_enabled=True)
    finally:
        deployed.gateway.tamper = False
        await provider.disconnect()


async def _viem(
    deployed: Deployed, scratch: Path, address: Address, name: str, function: str, arguments: list[object]
) -> dict[str, object]:
    abi = scratch / "abi.json"
    abi.write_text(json.dumps(list(deployed.contracts[name].abi)))
    script = Path(__file__).with_name("read_score.mjs")
    given = (str(await viem_directory()), deployed.chain.url, str(deployed.chain.chain_id), str(abi), address, function)
    process = await asyncio.create_subprocess_exec(
        *node_command(), str(script), *given, json.dumps(arguments), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    read: dict[str, object] = json.loads(said)
    return read


def _fields(score: MarginScore) -> tuple[object, ...]:
    return (
        *(score.owner, score.score, score.probability_hour, score.probability_day, score.probability_week),
        *(score.margin_ratio, score.lowest_health_factor, score.coverage),
        [(one.chain_id, one.number, one.hash) for one in score.blocks],
        *(score.model, score.parameters, score.snapshot, score.as_of, score.valid_until),
    )


def _epoch(epoch: ScoreEpoch) -> tuple[object, ...]:
    return (epoch.epoch, epoch.root, epoch.count, epoch.as_of, epoch.valid_until)
