"""The web page: files that this process serves, under a policy that lets the browser run nothing else.

No build step: ES modules as they are written, below an address that names what they contain, so that a browser keeps them for good and a
change is seen at once. The one library, ECharts, is fetched from npm at set-up and handed in as a directory; without it the page shows
tables and words.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from aggregator.api.page.facts import NAME, facts_module
from aggregator.chains.configuration import ChainsConfiguration

STATIC = Path(__file__).parent / "static"
ECHARTS, LIBRARY = "dist/echarts.esm.min.js", "echarts.js"
"""within the npm package, and as the page asks for it"""
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
PAGES = ("/", "/systemic", "/owner/{owner}")
ALWAYS_ASK, FOR_GOOD = "no-cache", "public, max-age=31536000, immutable"
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PLACE = b"/assets/"
"""what the shell calls the folder of all other files"""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file in memory, packed once, with its tag."""

    body: bytes
    packed: bytes
    kind: str
    tag: str
    keep: str

    @staticmethod
    def of(body: bytes, kind: str, keep: str) -> Asset:
        return Asset(body, gzip.compress(body, 9, mtime=0), kind, hashlib.sha256(body).hexdigest()[:32], keep)


def page_routes(
    echarts: Path | None, configuration: ChainsConfiguration | None = None, examples: Mapping[str, str] | None = None
) -> list[web.RouteDef]:
    """Routes of the page and its assets, read once. `echarts`: the npm package's directory, None where it is not there; the others:
    see `facts_module`."""
    bodies = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in _KINDS}
    shell = bodies.pop("index.html")
    bodies[NAME] = facts_module(configuration, examples)
    modules = sorted(name for name in bodies if name.endswith(".js"))
    if echarts is not None and (echarts / ECHARTS).is_file():
        bodies[LIBRARY] = (echarts / ECHARTS).read_bytes()
    version = hashlib.sha256(b"".join(name.encode() + body for name, body in sorted(bodies.items()))).hexdigest()[:16]
    place = _PLACE + version.encode() + b"/"
    ahead = b"".join(b'  <link rel="modulepreload" href="%s%s">\n' % (place, name.encode()) for name in modules)
    page = Asset.of(shell.replace(_PLACE, place).replace(b"</head>", ahead + b"</head>"), _KINDS[".html"], ALWAYS_ASK)
    return [
        *(web.get(path, _serve(page)) for path in PAGES),
        *(web.get(f"{place.decode()}{name}", _serve(Asset.of(body, _KINDS[Path(name).suffix], FOR_GOOD))) for name, body in bodies.items()),
    ]


def _serve(asset: Asset) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        headers = {**HEADERS, "Cache-Control": asset.keep, "ETag": f'"{asset.tag}"', "Vary": "Accept-Encoding"}
        if any(one.value in (asset.tag, "*") for one in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        packed = "gzip" in request.headers.get("Accept-Encoding", "").lower()
        if packed:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=asset.packed if packed else asset.body, content_type=asset.kind, charset="utf-8", headers=headers)

    return serve
