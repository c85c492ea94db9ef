"""The service's log: one JSON object a line on stderr, in which no secret is ever written."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aggregator.reading.redaction import HIDDEN, redact

_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,30}://[^\s'\"<>)\]}]+", re.IGNORECASE)
_TOKEN = re.compile(r"\bc[ms]_[0-9a-f_]{16,}", re.IGNORECASE)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\"]+")
SHORTEST_SECRET = 6
_SECRET_NAMES = ("KEY", "PASSWORD", "SECRET", "TOKEN")
_VERSION = 1


class Redaction:
    """Takes out what must not be written: keys in URLs, tokens, and the values of secret settings."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len, reverse=True)

    @classmethod
    def of_environment(cls, *more: str) -> Redaction:
        """Of every `CROSSMARGIN_*` whose name says that it is a secret, and of `more`."""
        named = (
            value
            for name, value in os.environ.items()
            if name.startswith("CROSSMARGIN_") and any(word in name for word in _SECRET_NAMES) and not name.endswith("_FILE")
        )
        return cls([*named, *more])

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _URL.sub(_without_key, text)
        return _BEARER.sub(lambda match: f"{match[1]} {HIDDEN}", _TOKEN.sub(HIDDEN, text))


def _without_key(match: re.Match[str]) -> str:
    """The colon or the point after a URL is the sentence's: it would be taken for a port that is none."""
    url = match[0].rstrip(".,:;")
    return redact(url) + match[0][len(url) :]


class JsonLines(logging.Formatter):
    """`{"v": 1, "time": …, "level": …, "logger": …, "message": …, "error": …}`."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "v": _VERSION,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redaction(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = self._redaction(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True)


def begin(level: str, redaction: Redaction) -> None:
    """From now on; libraries speak up only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(redaction))
    wanted = level.upper()
    logging.basicConfig(handlers=[handler], level=wanted if wanted in logging.getLevelNamesMapping() else "INFO", force=True)
    for library in ("alembic", "aiohttp", "asyncio", "sqlalchemy", "aiosqlite", "apprise"):
        logging.getLogger(library).setLevel(logging.WARNING)
