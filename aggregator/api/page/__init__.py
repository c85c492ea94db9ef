"""The web page: files that this process serves, under a policy that lets the browser run nothing else.

No build step: ES modules as they are written. The one library, ECharts, is fetched from npm at set-up and handed in as a directory;
without it the page shows tables and words.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

STATIC = Path(__file__).parent / "static"
ECHARTS = "dist/echarts.esm.min.js"
"""within the npm package"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file in memory with its tag."""

    body: bytes
    kind: str
    tag: str

    @staticmethod
    def of(path: Path) -> Asset:
        body = path.read_bytes()
        return Asset(body, _KINDS[path.suffix], hashlib.sha256(body).hexdigest()[:32])


def page_routes(echarts: Path | None) -> list[web.RouteDef]:
    """Routes of the page and its assets, read once. `echarts`: the npm package's directory, None where it is not there."""
    files = {path.name: Asset.of(path) for path in sorted(STATIC.iterdir()) if path.suffix in _KINDS}
    shell = files.pop("index.html")
    if echarts is not None and (echarts / ECHARTS).is_file():
        files["echarts.js"] = Asset.of(echarts / ECHARTS)
    pages = [web.get(path, _serve(shell)) for path in ("/", "/systemic", "/owner/{owner}")]
    return [*pages, *(web.get(f"/assets/{name}", _serve(asset)) for name, asset in files.items())]


def _serve(asset: Asset) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": f'"{asset.tag}"'}
        if any(one.value in (asset.tag, "*") for one in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        response = web.Response(body=asset.body, content_type=asset.kind, charset="utf-8", headers=headers)
        response.enable_compression()
        return response

    return serve
