"""`/v1/owners/{owner}/alerts`: an owner's own alerts, and that nobody else gets them."""

from __future__ import annotations

import json

import pytest

from aggregator.model.identifiers import Address
from aggregator.store.watch import StoredAlert
from tests.api.conftest import bearer
from tests.api.serving import Served
from tests.api.test_writing import signed_in
from tests.api.wallets import ALICE, MALLORY

pytestmark = pytest.mark.localnet


def alert(number: int, severity: str, owner: str | None) -> StoredAlert:
    """About an owner, as the desk hands it over; `number` tells it apart."""
    body = {
        "t": "2026-01-29T10:00:00Z",
        "severity": severity,
        "rule": "liquidation-near",
        "subject": owner or "USDC",
        "path": [f"owner:{owner}"],
        "clears_when": "the health factor is above 1.1",
        "state": "opened",
    }
    return StoredAlert(
        f"{number:024x}", f"{number:024x}", "opened", severity, "liquidation-near", Address(owner) if owner else None, 1, json.dumps(body)
    )


async def test_an_owners_alerts_are_for_that_wallet_alone(served: Served) -> None:
    mine, other = ALICE.address.lower(), MALLORY.address.lower()
    await served.app.live.tell_alerts(
        [alert(1, "info", mine), alert(2, "critical", mine), alert(3, "critical", other), alert(4, "info", None)]
    )
    path = f"/v1/owners/{mine}/alerts"
    session = await signed_in(served, ALICE)
    status, found = await served.get(path, headers=session)
    assert status == 200 and [one["id"] for one in found["alerts"]] == [f"{number:024x}" for number in (2, 1)]
    assert found["alerts"][0]["subject"] == mine and found["before"] is None
    _, graver = await served.get(f"{path}?severity=critical&limit=1", headers=session)
    assert [one["severity"] for one in graver["alerts"]] == ["critical"]
    _, newest = await served.get(f"{path}?limit=1", headers=session)
    _, older = await served.get(f"{path}?limit=1&before={newest['before']}", headers=session)
    assert [one["severity"] for one in older["alerts"]] == ["info"]
    assert (await served.get(path))[0] == 401
    assert (await served.get(path, headers=await signed_in(served, MALLORY)))[0] == 403
    assert (await served.get(path, headers=await bearer(served, "alerts", "watch")))[0] == 403


async def test_an_owner_whom_nobody_watches_is_told_so(served: Served) -> None:
    session = await signed_in(served, MALLORY)
    _, found = await served.get(f"/v1/owners/{MALLORY.address}/alerts", headers=session)
    assert not found["coverage"]["complete"] and "watch list" in found["coverage"]["missing"][0]["why"]
    await served.send("POST", "/v1/watch", {"owners": [MALLORY.address]}, headers=session)
    _, found = await served.get(f"/v1/owners/{MALLORY.address}/alerts", headers=session)
    assert found["coverage"]["complete"]
    await served.send("DELETE", f"/v1/watch/{MALLORY.address}", headers=session)


async def test_a_nonce_tells_how_the_message_writes_the_address(served: Served) -> None:
    _, given = await served.send("POST", f"/v1/sign-in/nonce?address={ALICE.address.lower()}")
    assert given["address"] == ALICE.address
    assert (await served.send("POST", "/v1/sign-in/nonce?address=0x12"))[0] == 400
