"""The OpenAPI 3.1 document, made of the operations and the pydantic models; the committed copy is docs/openapi.json."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aggregator.api.operation import JSON, Operation
from aggregator.api.problem import CONTENT_TYPE, ProblemDocument

VERSION = "1"
_TEMPLATE = "#/components/schemas/{model}"
_REASONS = {
    400: "What was asked for is wrong; the detail says how",
    401: "A key or a session is missing, or is not good",
    403: "The key or wallet may not do this",
    404: "There is no such thing",
    413: "The body is too large",
    415: "The body is not JSON",
    421: "The service does not know the name that it is called by",
    426: "Expected a WebSocket",
    429: "Too many requests; Retry-After says when to come back",
    503: "A database, a chain or too much of the data is away",
}
Schema = dict[str, Any]
"""JSON as the specification defines it; only this module makes and reads it"""
References = dict[tuple[object, str], Schema]
"""schemas by model and mode"""


def openapi_document(operations: tuple[Operation, ...]) -> Schema:
    """The document of these operations."""
    answers = {model for one in operations if (model := one.answer) is not None} | {ProblemDocument}
    asked = {model for one in operations for model in (one.query, one.body) if model is not None}
    modes = [(model, "serialization") for model in sorted(answers, key=_name)] + [
        (model, "validation") for model in sorted(asked, key=_name)
    ]
    references, definitions = models_json_schema(modes, ref_template=_TEMPLATE)  # type: ignore[arg-type]  # literal types of its own
    schemas = definitions.get("$defs", {})
    named: References = {(model, mode): reference for (model, mode), reference in references.items()}
    paths: Schema = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, named, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Crossmargin",
            "version": VERSION,
            "summary": "One portfolio, one margin health, one verifiable score",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or the session of a wallet that signed in"}
            },
        },
    }


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _operation(one: Operation, named: References, schemas: Schema) -> Schema:
    made: Schema = {"operationId": one.identifier, "summary": one.summary, "responses": _responses(one, named)}
    parameters = [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string", "pattern": pattern}}
        for name, text, pattern in one.parameters
    ]
    if one.query is not None:
        query = schemas[named[one.query, "validation"]["$ref"].rpartition("/")[2]]
        required = query.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in query.get("properties", {}).items()
        ]
    if one.tagged:
        parameters.append({"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}})
    if parameters:
        made["parameters"] = parameters
    if one.body is not None:
        made["requestBody"] = {"required": True, "content": {JSON: {"schema": named[one.body, "validation"]}}}
    if one.writes:
        made["security"] = [{"bearer": []}]
    return made


def _responses(one: Operation, named: References) -> Schema:
    schema: Schema = named[one.answer, "serialization"] if one.answer is not None else {"type": "string"}
    if one.answer is None and one.media == JSON:
        schema = {"type": "object"}
    good: Schema = {"description": "Done" if one.status == 200 else "Switching to WebSocket"}
    if one.status == 200:
        good["content"] = {one.media: {"schema": schema}}
        good["headers"] = {name: {"schema": {"type": "string"}} for name in ("RateLimit", "RateLimit-Policy")}
    if one.tagged:
        good["headers"]["ETag"] = {"description": "The snapshot", "schema": {"type": "string"}}
    made: Schema = {str(one.status): good}
    if one.tagged:
        made["304"] = {"description": "Nothing has changed"}
    statuses = {400, 429, *one.problems, *((401, 403) if one.writes else ()), *((413, 415) if one.body is not None else ())}
    problem = {CONTENT_TYPE: {"schema": named[ProblemDocument, "serialization"]}}
    for status in sorted(statuses):
        content = {JSON: {"schema": schema}} if status == 503 and one.identifier == "readyz" else problem
        made[str(status)] = {"description": _REASONS[status], "content": content}
    return made


@lru_cache(maxsize=1)
def openapi_json() -> bytes:
    """As served and as committed: sorted and indented, with a line's end."""
    from aggregator.api.routes import all_routes

    return orjson.dumps(openapi_document(all_routes()), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(openapi_json())
