"""`GET /v1/haircuts`: every listed asset, the same figures as the command's at the same blocks, at any size, page by page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from aggregator.api.schema import HaircutsDocument
from aggregator.localnet.world import World
from aggregator.reading.registry import registry
from tests.api.serving import Served
from tests.cli import live

pytestmark = pytest.mark.localnet


async def everything(served: Served, words: str = "") -> dict[str, Any]:
    """All pages as one document."""
    whole: dict[str, Any] = {}
    after = ""
    while True:
        status, page = await served.get(f"/v1/haircuts?limit=50{words}{after}")
        assert status == 200 and len(page["haircuts"]) <= 50
        HaircutsDocument.model_validate_json(orjson.dumps(page), strict=True)
        if not whole:
            whole = page
        else:
            whole["haircuts"] += page["haircuts"]
            known = {one["chain"] for one in whole["snapshots"]}
            whole["snapshots"] += [one for one in page["snapshots"] if one["chain"] not in known]
            whole["coverage"]["missing"] += [gap for gap in page["coverage"]["missing"] if gap not in whole["coverage"]["missing"]]
        if page["after"] is None:
            return whole
        after = f"&after={quote(page['after'], safe='')}"


async def commanded(world: World, made: dict[str, Any], *words: str) -> dict[str, Any]:
    """What the command says at the blocks of an answer."""
    pins = [word for one in made["snapshots"] for word in ("--block", f"{one['chain']}={one['block']}")]
    return await live.document(world, "haircuts", *words, *pins)


async def test_all_listed_assets_are_what_the_command_says_at_the_same_blocks(served: Served, deployed: World) -> None:
    made = await everything(served)
    listed = [token for number in deployed.chains for token in registry().tokens(f"eip155:{number}").values()]  # type: ignore[arg-type]
    assert len(made["haircuts"]) == len(listed) + len(deployed.chains)
    told = await commanded(deployed, made)
    assert told["haircuts"] == made["haircuts"]
    assert [one["block_hash"] for one in told["snapshots"]] == [one["block_hash"] for one in made["snapshots"]]
    assert made["size_usd"] == told["size_usd"] == "10000"
    assert sum(one["depth"] is not None for one in made["haircuts"]) > 10
    assert {one["price_quality"] for one in made["haircuts"]} >= {"fresh", "missing"}


async def test_a_size_of_its_own_costs_more_the_first_time(served: Served, deployed: World) -> None:
    path = "/v1/haircuts?asset=weth&size_usd=2500000.5"
    async with served.client.get(served.url + path) as first, served.client.get(served.url + path) as second:
        left = [int(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0]) for answer in (first, second)]
        made = await second.json()
        assert first.headers["ETag"] == second.headers["ETag"]
    assert left[0] <= 10**6 - 4 and left[1] >= 10**6 - 2, left
    assert {one["symbol"] for one in made["haircuts"]} == {"WETH"} and len(made["haircuts"]) == 3
    assert made["size_usd"] == "2500000.5"
    told = await commanded(deployed, made, "WETH", "--size", "2500000.5")
    assert told["haircuts"] == made["haircuts"]
    usual = (await served.get("/v1/haircuts?asset=WETH"))[1]["haircuts"]
    for large, small in zip(made["haircuts"], usual, strict=True):
        assert Decimal(large["haircut"]) > Decimal(small["haircut"]) and large["depth"] == small["depth"]


async def test_assets_and_chains_can_be_chosen(served: Served) -> None:
    weth = "eip155:1/erc20:0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    _, one = await served.get(f"/v1/haircuts?asset={weth}")
    assert [(item["asset"], item["chain"]) for item in one["haircuts"]] == [(weth.lower(), "eip155:1")]
    assert [snapshot["chain"] for snapshot in one["snapshots"]] == ["eip155:1"] and one["after"] is None
    _, base = await served.get("/v1/haircuts?chain=base&limit=500")
    assert {item["chain"] for item in base["haircuts"]} == {"eip155:8453"} and len(base["haircuts"]) > 20
    _, both = await served.get("/v1/haircuts?chain=8453&asset=USDC")
    assert [item["symbol"] for item in both["haircuts"]] == ["USDC"]


async def test_an_unchanged_answer_is_304(served: Served) -> None:
    url = served.url + "/v1/haircuts?asset=USDC"
    async with served.client.get(url) as first:
        tag = first.headers["ETag"]
    async with served.client.get(url, headers={"If-None-Match": tag}) as second:
        assert second.status == 304 and await second.read() == b""


@pytest.mark.parametrize(
    ("words", "status", "kind"),
    [
        ("asset=NOSUCH", 404, "unknown-asset"),
        ("asset=eip155:1/erc20:0x00000000000000000000000000000000000000aa", 404, "unknown-asset"),
        ("asset=eip155:1/erc721:0x00", 400, "bad-asset"),
        ("chain=base&asset=wstUSR", 404, "unknown-asset"),
        ("chain=atlantis", 400, "bad-chain"),
        ("chain=polygon", 400, "bad-chain"),
        ("size_usd=0", 400, "bad-size"),
        ("size_usd=9999999999999", 400, "bad-size"),
        ("size_usd=-5", 400, "bad-query"),
        ("size_usd=1e3", 400, "bad-query"),
        ("after=eip155:1", 400, "bad-cursor"),
        ("limit=0", 400, "bad-query"),
    ],
)
async def test_bad_questions_are_told_what_is_wrong(served: Served, words: str, status: int, kind: str) -> None:
    found, problem = await served.get(f"/v1/haircuts?{words}")
    assert (found, problem["type"].rpartition("/")[2]) == (status, kind)
