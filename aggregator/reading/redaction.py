"""URLs of endpoints often carry keys, in the user part, the path or the query: only scheme and host are ever shown."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit

HIDDEN = "…"
_SHORTEST_PATH_KEY = 12
"""keys in paths are longer than this, words such as `rpc` or `mainnet` are shorter"""


def redact(url: str) -> str:
    """`scheme://host[:port]` of a URL and nothing else of it; `…` where it is not a URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return HIDDEN
    if not parts.scheme or not host:
        return HIDDEN
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def secrets_of(url: str) -> tuple[str, ...]:
    """The parts of a URL that may be keys, longest first: as written, percent-decoded, and as a header field carries the user part."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return (url,)
    found = {parts.username, parts.password, parts.fragment}
    found.update(segment for segment in parts.path.split("/") if len(segment) >= _SHORTEST_PATH_KEY)
    found.update(item.partition("=")[2] or item for item in parts.query.split("&"))
    found.update(unquote(secret) for secret in tuple(found) if secret)
    if parts.username or parts.password:
        found.add(b64encode(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()).decode())
    return tuple(sorted((secret for secret in found if secret), key=len, reverse=True))


def scrub(text: str, url: str) -> str:
    """`text`, which an endpoint or a library gave, without the keys of the URL it came from."""
    text = text.replace(url, redact(url))
    for secret in secrets_of(url):
        text = text.replace(secret, HIDDEN)
    return text
