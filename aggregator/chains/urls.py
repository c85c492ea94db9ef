"""URLs of endpoints: kept apart from plain strings, so that a key in one cannot slip into a log line, a repr or an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from aggregator.reading.redaction import redact, scrub

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXPECTED = "expected an http:// or https:// URL, with ${NAME} where an environment variable stands"


class UnsetVariable(Exception):
    """A URL names an environment variable that is not set."""

    def __init__(self, name: str) -> None:
        super().__init__(f"environment variable {name} is not set")
        self.name = name


class EndpointUrl:
    """A URL that shows nothing but scheme and host. It may hold `${NAME}` until `expanded`."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        """ValueError for anything but an http or https URL; the message shows nothing of it."""
        bare = _VARIABLE.sub("", url)
        if "${" in bare or any(character.isspace() or not character.isprintable() for character in url):
            raise ValueError(_EXPECTED)
        if not _VARIABLE.match(url):
            try:
                parts = urlsplit(url)
                host, _ = _VARIABLE.sub("x", parts.netloc), parts.port
            except ValueError:
                raise ValueError(_EXPECTED) from None
            if parts.scheme not in ("http", "https") or not host or not (parts.hostname or ""):
                raise ValueError(_EXPECTED)
        self._url = url

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def _validate(cls, value: Any) -> EndpointUrl:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(_EXPECTED)
        return cls(value)

    def expanded(self, environment: Mapping[str, str]) -> EndpointUrl:
        """With every `${NAME}` replaced; UnsetVariable where one is missing or empty, ValueError where no URL comes out."""

        def value(match: re.Match[str]) -> str:
            found = environment.get(match[1], "").strip()
            if not found:
                raise UnsetVariable(match[1])
            return found

        if not _VARIABLE.search(self._url):
            return self
        url = _VARIABLE.sub(value, self._url)
        if _VARIABLE.search(url):
            raise ValueError(_EXPECTED)
        return EndpointUrl(url)

    @property
    def is_local(self) -> bool:
        """True for an endpoint on this machine."""
        host = urlsplit(self._url).hostname if not _VARIABLE.search(self._url) else None
        return host is not None and (host in ("localhost", "::1") or host.startswith("127."))

    def reveal(self) -> str:
        """The URL itself, for the connection and nothing else."""
        return self._url

    def scrub(self, text: str) -> str:
        """`text` without this URL's keys."""
        return scrub(text, self._url)

    def __str__(self) -> str:
        variable = _VARIABLE.match(self._url)
        return variable[0] if variable else redact(self._url)

    def __repr__(self) -> str:
        return f"EndpointUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EndpointUrl) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)
