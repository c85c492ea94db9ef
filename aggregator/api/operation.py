"""An endpoint as data: what it takes, what it gives, who may ask. Routes and the OpenAPI document are both made of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from aggregator.api.problem import Problem

M = TypeVar("M", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JSON = "application/json"


class Query(BaseModel):
    """Base of query strings: every parameter named, nothing unexpected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Body(BaseModel):
    """Base of request bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `path` in aiohttp's form; `identifier` is OpenAPI's operationId and the metrics' endpoint."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    identifier: str
    summary: str
    handler: Handler
    answer: type[BaseModel] | None = None
    """of status 200; None where it is no JSON"""
    query: type[Query] | None = None
    body: type[Body] | None = None
    media: str = JSON
    """type of the answer"""
    status: int = 200
    writes: bool = False
    """needs a key or a wallet, and counts as a write"""
    tagged: bool = False
    """the answer carries an ETag, so that 304 is possible"""
    problems: tuple[int, ...] = ()
    """statuses beyond 400, 429 and those that the other fields imply"""
    parameters: tuple[tuple[str, str, str], ...] = ()
    """path parameters: name, description, pattern"""


OWNER_PARAMETER = ("owner", "0x and 40 hex digits, `eth:0x…`, `eip155:1:0x…`, or a name such as example.eth", r"^.{1,255}$")
LARGEST_BODY = 64 * 1024


def query_of(request: web.Request, kind: type[M]) -> M:
    """The query string as a model. Problem 400 names the parameter; a repeated one is refused."""
    given = request.rel_url.query
    for name in given:
        if len(given.getall(name)) > 1:
            raise Problem(400, "bad-query", f"{name} is given more than once")
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        raise _invalid("bad-query", error) from None


async def body_of(request: web.Request, kind: type[M]) -> M:
    """The JSON body as a model. Problem 400 where it is none, 413 where it is too large, 415 where it is something else."""
    if request.content_type != JSON:
        raise Problem(415, "not-json", "expected a body of type application/json")
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError as error:
        raise _invalid("bad-body", error) from None


def _invalid(kind: str, error: ValidationError) -> Problem:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    return Problem(400, kind, f"{place}: {first['msg']}")


def json_response(document: BaseModel, status: int = 200) -> web.Response:
    """A document as JSON, compressed where the client takes that."""
    response = web.Response(body=document.model_dump_json(by_alias=True).encode(), status=status, content_type=JSON)
    response.enable_compression()
    return response
