"""Errors as RFC 9457 problem details: `application/problem+json`, with a type that is stable and a detail for people."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel, ConfigDict

CONTENT_TYPE = "application/problem+json"
_TYPE = "https://crossmargin.invalid/problems/"
"""a name, not a place: see docs/http-api.md"""
LONGEST_DETAIL = 500


class ProblemDocument(BaseModel):
    """RFC 9457. `type` tells problems apart, `detail` is for people."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: str
    title: str
    status: int
    detail: str


class Problem(Exception):
    """Answered as it stands. `kind` is kebab-case and stable."""

    def __init__(self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, printable(detail), dict(headers or {})

    def response(self) -> web.Response:
        title = HTTPStatus(self.status).phrase
        body = ProblemDocument(type=f"{_TYPE}{self.kind}", title=title, status=self.status, detail=self.detail)
        return web.Response(body=body.model_dump_json().encode(), status=self.status, content_type=CONTENT_TYPE, headers={**self.headers})


def printable(text: str) -> str:
    """One line without control and direction characters, cut where it is long: details repeat what strangers wrote."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= LONGEST_DETAIL else line[: LONGEST_DETAIL - 1] + "…"
