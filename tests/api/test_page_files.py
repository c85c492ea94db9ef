"""The page's files: what the server sends with them, and that they contain nothing that the policy forbids."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from aggregator.api.page import ECHARTS, LIBRARY, POLICY, STATIC, page_routes
from aggregator.api.page.facts import NAME, facts_module
from aggregator.reading.catalogue import adapters
from aggregator.risk.score import POINTS

SCRIPTS = sorted(STATIC.glob("*.js"))
FIRST_VIEW_BYTES = 60_000
"""packed: the shell, the style sheets and every module, without the charts' library"""


def _client(echarts: Path | None = None) -> TestClient[web.Request, web.Application]:
    application = web.Application()
    application.add_routes(page_routes(echarts))
    return TestClient(TestServer(application))


async def _place(client: TestClient[web.Request, web.Application]) -> str:
    """Where the shell says that the other files are."""
    found = re.search(r'href="(/assets/[0-9a-f]+/)page\.css"', await (await client.get("/")).text())
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", ["/", "/systemic", "/owner/0xabc", "/owner/name.eth"])
async def test_every_page_is_the_shell_under_the_policy(path: str) -> None:
    async with _client() as client:
        response = await client.get(path)
        assert response.status == 200 and response.content_type == "text/html"
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-cache"
        assert "unsafe" not in POLICY and "http" not in POLICY


async def test_a_file_is_kept_for_good_and_a_changed_one_has_another_address(tmp_path: Path) -> None:
    (tmp_path / ECHARTS).parent.mkdir()
    (tmp_path / ECHARTS).write_text("export const init = 1")
    async with _client() as client, _client(tmp_path) as other:
        place = await _place(client)
        first = await client.get(f"{place}page.css")
        assert "immutable" in first.headers["Cache-Control"]
        again = await client.get(f"{place}page.css", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, await again.read()) == (304, b"")
        assert (await client.get(f"{place}page.css", headers={"If-None-Match": '"other"'})).status == 200
        assert await _place(other) != place


async def test_only_the_named_files_are_served(tmp_path: Path) -> None:
    (tmp_path / ECHARTS).parent.mkdir()
    (tmp_path / ECHARTS).write_text("export const init = 1")
    async with _client(tmp_path) as client:
        place = await _place(client)
        assert (await client.get(f"{place}{LIBRARY}")).status == 200
        for path in (place, f"{place}__init__.py", f"{place}index.html", f"/assets/{LIBRARY}", "/assets/0123456789abcdef/page.css"):
            assert (await client.get(path)).status == 404
        answer = await client.session.get(URL(f"{client.make_url('/')}{place[1:]}..%2f__init__.py", encoded=True))
        assert answer.status == 404
    async with _client() as client:
        assert (await client.get(f"{await _place(client)}{LIBRARY}")).status == 404


async def test_whoever_takes_packed_files_gets_them_and_nobody_else() -> None:
    async with _client() as client:
        place = await _place(client)
        packed = await client.get(f"{place}page.css", headers={"Accept-Encoding": "gzip"})
        plain = await client.get(f"{place}page.css", headers={"Accept-Encoding": "identity"})
        assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
        assert await packed.read() == await plain.read() == (STATIC / "page.css").read_bytes()


async def test_the_first_view_is_light_and_asked_for_at_once() -> None:
    async with _client() as client:
        shell = await (await client.get("/")).text()
        named = re.findall(r'(?:src|href)="(/assets/[^"]+)"', shell)
        assert {Path(one).name for one in named} >= {path.name for path in SCRIPTS} | {NAME}
        bodies = [await (await client.get(one)).read() for one in sorted(set(named))]
        assert sum(len(gzip.compress(body, 9)) for body in (shell.encode(), *bodies)) < FIRST_VIEW_BYTES


def test_the_facts_are_those_of_the_manifests_and_of_the_score() -> None:
    lines = dict(re.findall(r"^export const (\w+) = (.*)$", facts_module(None, {"0xab": "</script>"}).decode(), re.MULTILINE))
    assert orjson.loads(lines["PROTOCOLS"])["aave-v3"] == "Aave v3"
    assert set(orjson.loads(lines["PROTOCOLS"])) >= {one.slug for one in adapters()}
    assert orjson.loads(lines["CHAINS"])["eip155:1"] == "Ethereum"
    assert orjson.loads(lines["SCORE"]) == [list(point) for point in POINTS]
    assert orjson.loads(lines["EXAMPLES"]) == {"0xab": "</script>"}


def test_the_shell_loads_only_its_own_files_and_has_no_inline_code() -> None:
    shell = (STATIC / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([^"]+)"', shell)
    assert named and all(one.startswith(("/", "#")) for one in named)
    assert all((STATIC / one.removeprefix("/assets/")).is_file() for one in named if one.startswith("/assets/"))
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", shell)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_markup_from_text_or_names_another_host(script: Path) -> None:
    source = script.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://", source)
    for imported in re.findall(r"(?:^import .*from |import\()'([^'\n]+)'", source, re.MULTILINE):
        name = imported.removeprefix("./")
        assert name in (LIBRARY, NAME) or (STATIC / name).is_file()


@pytest.mark.parametrize("file", [*SCRIPTS, *STATIC.glob("*.css")], ids=lambda path: path.name)
def test_files_stay_small_enough_to_read(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 350
