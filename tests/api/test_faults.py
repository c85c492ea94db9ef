"""A fault of the service's own: its client learns nothing of it, the log everything; and none is made of the service's end."""

from __future__ import annotations

import logging

import pytest

from tests.api.serving import Served

pytestmark = pytest.mark.localnet


async def test_a_fault_is_told_to_the_log_alone(
    served: Served, witness: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(owner: object) -> None:
        raise RuntimeError("something inside")

    monkeypatch.setattr(served.app.live, "current", broken)
    with caplog.at_level(logging.ERROR, "aggregator.api"):
        status, body = await served.get(f"/v1/owners/{witness}/health")
    assert status == 500 and "something inside" not in str(body)
    assert any(record.exc_info is not None and "something inside" in str(record.exc_info[1]) for record in caplog.records)
    caplog.clear()
    monkeypatch.setattr(served.app.hub, "closed", True)
    with caplog.at_level(logging.ERROR, "aggregator.api"):
        status, body = await served.get(f"/v1/owners/{witness}/health")
    assert status == 503 and body["detail"] == "the service ends"
    assert not [record for record in caplog.records if record.exc_info is not None]
