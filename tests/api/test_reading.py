"""What everybody may ask: documents, tags, pages, limits on input, and problems in one form."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregator.chains.arguments import rpc_overrides
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.engine.judgement import judge
from aggregator.engine.schema import HealthDocument
from aggregator.engine.snapshot import Engine, SnapshotRequest
from aggregator.localnet.world import World
from tests.api.serving import Served, serving

pytestmark = pytest.mark.localnet


async def test_health_is_the_document_that_the_command_gives(deployed: World, witness: str, tmp_path: Path) -> None:
    # a service of its own: the shared one may stand on blocks of tests that have put the chains back
    async with serving(deployed, tmp_path, (witness,)) as served:
        status, document = await served.get(f"/v1/owners/{witness}/health")
    assert status == 200
    HealthDocument.model_validate_json(json.dumps(document))
    configuration = load_chains()
    overrides = rpc_overrides([f"{number}={chain.url}" for number, chain in deployed.chains.items()], configuration)
    async with Network(configuration, rpc_overrides=overrides) as network:
        request = SnapshotRequest((witness,), only_chains=tuple(str(number) for number in deployed.chains))
        _, commanded = judge(await Engine(network).take(request))
    expected = json.loads(commanded.model_dump_json(by_alias=True))
    # how old a head looks depends on the second at which it is looked at
    for one in (document, expected):
        for snapshot in one["snapshots"]:
            snapshot.pop("detail")
        one["warnings"] = [warning for warning in one["warnings"] if warning["code"] != "head-stale"]
    assert document == expected


async def test_an_unchanged_document_is_not_sent_again(served: Served, witness: str) -> None:
    path = f"{served.url}/v1/owners/{witness}/health"
    async with served.client.get(path) as first:
        tag = first.headers["ETag"]
        assert tag.startswith('"') and len(tag) == 66
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        async with served.client.get(path, headers={"If-None-Match": given}) as again:
            assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
    async with served.client.get(path, headers={"If-None-Match": '"other"'}) as changed:
        assert changed.status == 200


async def test_documents_are_compressed_for_those_who_take_it(served: Served, witness: str) -> None:
    path = f"{served.url}/v1/owners/{witness}/health"
    async with served.client.get(path, headers={"Accept-Encoding": "identity"}) as plain:
        whole = await plain.read()
        assert "Content-Encoding" not in plain.headers and plain.headers["Vary"] == "Accept-Encoding"
    async with served.client.get(path, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await packed.read()) == whole


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/owners/0x12/health", "is not an address"),
        ("/v1/owners/0xAbc0000000000000000000000000000000000000/health", "checksum"),
        ("/v1/owners/btc:0x0000000000000000000000000000000000000000/health", "unknown chain"),
        ("/v1/owners/eip155:10:0x0000000000000000000000000000000000000000/health", "not read by this service"),
        ("/v1/owners/%1b[2J/health", "is not an owner"),
        ("/v1/owners/{owner}/health?colour=red", "colour"),
        ("/v1/owners/{owner}/history?limit=0", "limit"),
        ("/v1/owners/{owner}/history?limit=5&limit=6", "more than once"),
        ("/v1/owners/{owner}/history?before=!!!", "cursor"),
        ("/v1/owners/{owner}/margin?methods=nonsense", "nonsense"),
        ("/v1/systemic/curves?asset=NOTHING", "NOTHING"),
        ("/v1/stream?kind=gossip", "gossip"),
    ],
)
async def test_what_is_wrong_is_said_in_one_form(served: Served, witness: str, path: str, words: str) -> None:
    async with served.client.get(served.url + path.replace("{owner}", witness)) as response:
        assert (response.status, response.content_type) == (400, "application/problem+json")
        problem = json.loads(await response.read())
    assert problem["status"] == 400 and words in problem["detail"] and problem["detail"].isprintable()


async def test_addresses_and_methods_that_do_not_exist(served: Served, witness: str) -> None:
    assert (await served.get("/v2"))[0] == 404
    async with served.client.delete(f"{served.url}/v1/owners/{witness}/health") as response:
        assert response.status == 405 and "GET" in response.headers["Allow"]
    assert (await served.get("/v1/coverage?" + "x" * 5_000))[0] == 414


async def test_margin_and_what_if_stand_on_the_same_picture(served: Served, witness: str) -> None:
    status, margin = await served.get(f"/v1/owners/{witness}/margin?methods=isolated,span")
    assert status == 200 and [one["method"] for one in margin["methods"]] == ["isolated", "span"]
    _, health = await served.get(f"/v1/owners/{witness}/health")
    status, answer = await served.send("POST", f"/v1/owners/{witness}/what-if", {"shocks": ["ETH=-30%"]})
    assert status == 200 and answer["before"]["equity_usd"] == health["health"]["equity_usd"]
    assert Decimal(answer["after"]["equity_usd"]) < Decimal(answer["before"]["equity_usd"])


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"shocks": ["ETH"]}', "application/json", 400),
        (b'{"shocks": ["ETH=-30%"], "more": 1}', "application/json", 400),
        (b'{"shocks": 5}', "application/json", 400),
        (b'{"restore": "1e9"}', "application/json", 400),
        (b"shocks=ETH", "application/x-www-form-urlencoded", 415),
        (b'{"shocks": ["' + b"x" * 70_000 + b'"]}', "application/json", 413),
        (json.dumps({"shocks": ["ETH=-1%"] * 21}).encode(), "application/json", 400),
    ],
)
async def test_bodies_are_limited_and_checked(served: Served, witness: str, body: bytes, kind: str, status: int) -> None:
    url = f"{served.url}/v1/owners/{witness}/what-if"
    async with served.client.post(url, data=body, headers={"Content-Type": kind}) as response:
        assert (response.status, response.content_type) == (status, "application/problem+json")


async def test_scores_one_and_many(served: Served, deployed: World, witness: str) -> None:
    status, one = await served.get(f"/v1/scores/{witness}")
    _, health = await served.get(f"/v1/owners/{witness}/health")
    assert status == 200 and one["score"] == health["health"]["score"]
    assert {block["chain"] for block in one["blocks"]} == {snapshot["chain"] for snapshot in health["snapshots"]}
    others = [owner.address for owner in deployed.owners if owner.address != witness][:3]
    status, many = await served.send("POST", "/v1/scores", {"owners": [witness, *others, "0x12"]})
    assert status == 200 and many["scores"][0]["score"] == one["score"]
    assert [score["error"] is None for score in many["scores"]] == [True, True, True, True, False]
    assert (await served.send("POST", "/v1/scores", {"owners": [witness] * 101}))[0] == 400


async def test_history_in_pages(served: Served, witness: str) -> None:
    status, document = await served.get(f"/v1/owners/{witness}/history?limit=1")
    assert status == 200 and len(document["points"]) == 1 and document["points"][0]["withdrawn"] is None
    _, health = await served.get(f"/v1/owners/{witness}/health")
    assert document["points"][0]["equity_usd"] == health["health"]["equity_usd"]


async def test_systemic_figures_say_what_they_stand_on(served: Served) -> None:
    documents: dict[str, Any] = {}
    for name in ("curves", "rank", "graph", "alerts"):
        status, documents[name] = await served.get(f"/v1/systemic/{name}")
        assert status == 200 and {"complete", "missing"} == set(documents[name]["coverage"])
    curve = documents["curves"]["curves"][0]
    assert len(curve["moves"]) == len(curve["bad_debt_usd"]) and Decimal(curve["liquidatable_debt_usd"][-1]) > 0
    assert [row["rank"] for row in documents["rank"]["rows"]] == list(range(1, len(documents["rank"]["rows"]) + 1))
    nodes = {node["id"] for node in documents["graph"]["nodes"]}
    assert documents["graph"]["edges"] and all({edge["source"], edge["target"]} <= nodes for edge in documents["graph"]["edges"])
    status, one = await served.get("/v1/systemic/curves?asset=WETH")
    assert status == 200 and [series["asset"] for series in one["curves"]] == ["WETH"]


async def test_coverage_and_adapters(served: Served, witness: str) -> None:
    _, coverage = await served.get("/v1/coverage")
    assert [chain["status"] for chain in coverage["chains"]] == ["ok"] * 3 and coverage["watched"] >= 1
    _, adapters = await served.get("/v1/adapters")
    assert {"aave-v3", "wallet"} <= {one["slug"] for one in adapters["adapters"]}


async def test_probes_and_metrics_name_no_address(served: Served, witness: str) -> None:
    assert await served.get("/healthz") == (200, {"alive": True})
    status, ready = await served.get("/readyz")
    assert (status, ready["ready"]) == (200, True)
    assert (await served.get(f"/v1/owners/{witness}/health"))[0] == 200
    async with served.client.get(f"{served.url}/metrics") as response:
        text = await response.text()
    for name in (
        "http_request_duration_seconds_bucket",
        "publish_lag_seconds",
        "coverage_ratio",
        "chain_staleness_seconds",
        "rpc_requests_total",
        "ready 1.0",
        "database_up 1.0",
        "alerts_waiting",
    ):
        assert f"crossmargin_{name}" in text
    assert witness.lower()[2:] not in text.lower() and 'endpoint="health"' in text


async def test_browsers_of_other_sites_may_read(served: Served, witness: str) -> None:
    path = f"{served.url}/v1/owners/{witness}/health"
    async with served.client.get(path, headers={"Origin": "https://elsewhere.example"}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*" and "ETag" in response.headers["Access-Control-Expose-Headers"]
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    async with served.client.options(f"{served.url}/v1/scores", headers=asked) as response:
        assert response.status == 204 and "POST" in response.headers["Access-Control-Allow-Methods"]


async def test_every_answer_tells_the_limit(served: Served, witness: str) -> None:
    for path in (f"/v1/owners/{witness}/health", "/nothing", "/v1/systemic/rank"):
        async with served.client.get(served.url + path) as response:
            assert response.headers["RateLimit-Policy"] == '"reads";q=1000000;w=60' and '"reads";r=' in response.headers["RateLimit"]
