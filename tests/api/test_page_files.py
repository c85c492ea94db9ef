"""The page's files: what the server sends with them, and that they contain nothing that the policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from aggregator.api.page import ECHARTS, POLICY, STATIC, page_routes

SCRIPTS = sorted(STATIC.glob("*.js"))


def _client(echarts: Path | None = None) -> TestClient[web.Request, web.Application]:
    application = web.Application()
    application.add_routes(page_routes(echarts))
    return TestClient(TestServer(application))


@pytest.mark.parametrize("path", ["/", "/systemic", "/owner/0xabc", "/owner/name.eth"])
async def test_every_page_is_the_shell_under_the_policy(path: str) -> None:
    async with _client() as client:
        response = await client.get(path)
        assert response.status == 200 and response.content_type == "text/html"
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "unsafe" not in POLICY and "http" not in POLICY


async def test_an_asset_that_did_not_change_is_not_sent_again() -> None:
    async with _client() as client:
        first = await client.get("/assets/page.css")
        tag = first.headers["ETag"]
        again = await client.get("/assets/page.css", headers={"If-None-Match": tag})
        assert (again.status, await again.read()) == (304, b"")
        assert again.headers["ETag"] == tag
        other = await client.get("/assets/page.css", headers={"If-None-Match": '"other"'})
        assert other.status == 200


async def test_only_the_named_files_are_served(tmp_path: Path) -> None:
    (tmp_path / ECHARTS).parent.mkdir()
    (tmp_path / ECHARTS).write_text("export const init = 1")
    async with _client(tmp_path) as client:
        assert (await client.get("/assets/echarts.js")).status == 200
        for path in ("/assets/", "/assets/__init__.py", "/assets/index.html"):
            assert (await client.get(path)).status == 404
        answer = await client.session.get(URL(f"{client.make_url('/')}assets/..%2f__init__.py", encoded=True))
        assert answer.status == 404
    async with _client() as client:
        assert (await client.get("/assets/echarts.js")).status == 404


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
    for imported in re.findall(r"(?:from|import\()\s*'([^']+)'", source):
        assert imported == "/assets/echarts.js" or (STATIC / imported.removeprefix("./")).is_file()
