"""The OpenAPI document: the committed copy is what the code says, and requests made from it meet no fault."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from aggregator.api.application import application
from aggregator.api.openapi import openapi_json
from aggregator.api.operation import Operation
from aggregator.api.routes import MODULES, all_routes
from tests.api.conftest import bearer
from tests.api.serving import ROOT, Served

STREAMS = ("stream", "socket")
EXAMPLES = 12


def test_the_committed_document_is_what_the_code_says() -> None:
    committed = (ROOT / "docs" / "openapi.json").read_bytes()
    assert committed == openapi_json(), "run: python -m aggregator.api.openapi > docs/openapi.json"


def test_every_operation_is_named_once_and_documented() -> None:
    operations = all_routes()
    assert len({one.identifier for one in operations}) == len(operations)
    assert len({(one.method, one.path) for one in operations}) == len(operations)
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert [one.path for one in operations if f"`{one.path}" not in pages] == []
    assert all(module.routes for module in MODULES)


def test_the_application_serves_exactly_these() -> None:
    from aggregator.api.context import App

    made = application(object.__new__(App))
    served = {
        (route.method, route.resource.canonical)
        for route in made.router.routes()
        if route.resource is not None and route.method != "HEAD" and not route.resource.canonical.startswith("/assets")
    }
    pages = {("GET", "/"), ("GET", "/systemic"), ("GET", "/owner/{owner}")}
    assert served - pages == {(one.method, one.path) for one in all_routes()}


@pytest.fixture(scope="session")
def schema(served: Served) -> Any:
    import orjson

    found = schemathesis.openapi.from_dict(orjson.loads(openapi_json()))
    found.config.base_url = served.url
    return found


OPERATIONS = [one for one in all_routes() if one.identifier not in STREAMS]


@pytest.mark.localnet
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.identifier)
async def test_requests_made_from_the_document_meet_no_fault(served: Served, schema: Any, operation: Operation) -> None:
    """Good and bad requests: whatever comes, the answer is one that the document names, and never a fault."""
    key = await bearer(served, "watch", "labels")
    found = schema[operation.path][operation.method]
    cases: list[Any] = []

    def collect() -> None:
        # where nothing can be said, nothing can be said wrongly
        takes = operation.query or operation.body or operation.parameters or operation.tagged
        for mode in GenerationMode if takes else (GenerationMode.POSITIVE,):
            strategy = found.as_strategy(generation_mode=mode)

            @settings(
                max_examples=EXAMPLES,
                database=None,
                derandomize=True,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=strategy)
            def take(case: Any) -> None:
                cases.append(case)

            take()

    await asyncio.to_thread(collect)
    assert cases
    for case in cases:
        response = await asyncio.to_thread(case.call, headers={**key, "If-None-Match": '"x"'} if operation.writes else None, timeout=60)
        assert response.status_code < 500, (case.as_curl_command(), response.status_code, response.text[:300])
        if response.status_code != 404:
            assert str(response.status_code) in case.operation.definition.raw["responses"] or response.status_code in (405, 414), (
                case.as_curl_command(),
                response.status_code,
            )
