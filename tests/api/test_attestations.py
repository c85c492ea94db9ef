"""Signed scores through the service: a contract that asks, an epoch's proof, and the check without a chain."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aggregator.cli.main import main
from aggregator.localnet.node import DEPLOYER, LocalChain
from aggregator.localnet.packages import node_command
from aggregator.localnet.world import World
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.contract import verifying_contract
from aggregator.publish.attestation.gateway import Request, encode_request
from aggregator.publish.attestation.statement import Domain
from benchmarks.reading import viem_directory
from tests.api.conftest import WITNESS
from tests.api.serving import Served, serving
from tests.publish.attestation.examples import SIGNER

pytestmark = pytest.mark.localnet

SECRET = "00" * 31 + "07"
READ = Path(__file__).parents[1] / "publish" / "attestation" / "read_score.mjs"


@pytest.fixture(scope="module")
async def signing(
    deployed: World, bare_chain: LocalChain, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Served, Address]]:
    """A service with a key, and the verifying contract on a chain of its own, so that nothing is mined under other tests' services."""
    folder = tmp_path_factory.mktemp("signing")
    heads = [await chain.now() for chain in deployed.chains.values()]
    await bare_chain.set_time(max(*heads, await bare_chain.now() + 1))
    async with serving(deployed, folder, (deployed.owner(WITNESS).address,), signing_key=SECRET) as served:
        gateway = f"{served.url}/v1/ccip/{{sender}}/{{data}}"
        created = await bare_chain.deploy(verifying_contract().deployment(Address(DEPLOYER.lower()), SIGNER.address, (gateway,)))
        await served.until(lambda: all(one.assessed is not None for one in served.app.live.followed.values()))
        yield served, Address(created.lower())


async def test_a_contract_that_is_asked_by_viem_gives_the_services_score(
    signing: tuple[Served, Address], deployed: World, bare_chain: LocalChain, tmp_path: Path, witness: str
) -> None:
    served, verifier = signing
    abi = tmp_path / "abi.json"
    abi.write_text(json.dumps(list(verifying_contract().abi)))
    given = (str(await viem_directory()), bare_chain.url, "1", str(abi), verifier, "marginScore", json.dumps([witness]))
    process = await asyncio.create_subprocess_exec(*node_command(), str(READ), *given, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    result = json.loads(said)["result"]
    _, score = await served.get(f"/v1/scores/{witness}")
    assert 0 <= result["score"] - round(float(score["score"]) * 100) < 10, "one digit there, two here, both rounded down"
    assert result["owner"].lower() == witness.lower()
    assert {int(one["chainId"]) for one in result["blocks"]} == set(deployed.chains)
    assert result["snapshot"] == "0x" + score["snapshot"]


async def test_an_attestation_is_good_without_a_chain(
    signing: tuple[Served, Address], tmp_path: Path, witness: str, capsys: pytest.CaptureFixture[str]
) -> None:
    served, verifier = signing
    async with asyncio.timeout(60):
        while (await served.get("/v1/epochs/newest"))[0] != 200:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.05)
    for epoch in ("", "&epoch=newest"):
        status, document = await served.get(f"/v1/scores/{witness}/attestation?chain_id=1&verifier={verifier}{epoch}")
        assert status == 200 and (document["inclusion"] is not None) == bool(epoch)
        file = tmp_path / "score.json"
        file.write_text(json.dumps(document))
        at = str(document["statement"]["asOf"] + 60)
        assert main(["verify", str(file), "--signer", SIGNER.address, "--verifier", f"1:{verifier}", "--at", at]) == 0
        assert main(["verify", str(file), "--signer", SIGNER.address, "--verifier", f"10:{verifier}", "--at", at]) == 2
    capsys.readouterr()
    status, newest = await served.get("/v1/epochs/newest")
    assert (status, newest["count"], newest["signer"].lower()) == (200, 1, SIGNER.address)


async def test_the_gateway_answers_by_address_and_by_post(signing: tuple[Served, Address], witness: str) -> None:
    served, verifier = signing
    data = encode_request(Request(Address(witness.lower()), Domain(1, verifier)))
    by_address = await served.get(f"/v1/ccip/{verifier}/{data}")
    with_suffix = await served.get(f"/v1/ccip/{verifier}/{data}.json")
    by_post = await served.send("POST", "/v1/ccip", {"data": data, "sender": verifier})
    assert by_address == with_suffix == by_post
    assert by_address[0] == 200 and by_address[1]["data"].startswith("0x")


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/ccip/{verifier}/0x1234", 400, "bad-input"),
        ("/v1/scores/{owner}/attestation", 400, "bad-query"),
        ("/v1/scores/{owner}/attestation?chain_id=1&verifier=0x12", 400, "bad-query"),
        ("/v1/scores/eip155:1:{owner}/attestation?chain_id=1&verifier={verifier}", 400, "bad-input"),
        ("/v1/scores/eip155:1:{owner}/attestation?chain_id=1&verifier={verifier}&epoch=newest", 400, "bad-input"),
        ("/v1/scores/{owner}/attestation?chain_id=1&verifier={verifier}&epoch=3", 404, "not-in-epoch"),
    ],
)
async def test_what_cannot_be_answered_says_so(signing: tuple[Served, Address], witness: str, path: str, status: int, kind: str) -> None:
    served, verifier = signing
    got, problem = await served.get(path.format(owner=witness, verifier=verifier))
    assert (got, problem["type"].rsplit("/", 1)[1]) == (status, kind)


async def test_a_signer_that_fails_is_not_the_askers_fault(deployed: World, tmp_path: Path, witness: str) -> None:
    script, began = tmp_path / "sign.py", tmp_path / "began"
    script.write_text(
        "import json, pathlib, sys\nfrom eth_account import Account\n"
        f"began = pathlib.Path({str(began)!r})\n"
        "if began.exists():\n    sys.exit('a secret of the signer')\nbegan.touch()\n"
        f"print(Account.sign_typed_data('0x{SECRET}', full_message=json.load(sys.stdin)).signature.hex())\n"
    )
    async with serving(deployed, tmp_path, (witness,), signer_command=f"{sys.executable} {script}") as served:
        status, problem = await served.get(f"/v1/scores/{witness}/attestation?chain_id=1&verifier={witness}")
        data = encode_request(Request(Address(witness.lower()), Domain(1, SIGNER.address)))
        assert (status, problem["type"].rsplit("/", 1)[1]) == (503, "no-signature")
        assert "secret" not in str(problem)
        assert (await served.get(f"/v1/ccip/{witness}/{data}"))[0] == 503, "so that a client asks the next gateway"


async def test_a_service_without_a_key_signs_nothing(served: Served, witness: str) -> None:
    status, problem = await served.get(f"/v1/scores/{witness}/attestation?chain_id=1&verifier={witness}")
    assert status == 404 and "no signing key" in problem["detail"]
