"""Who may write what: keys by scope, wallets for themselves, nobody for others' private alerts."""

from __future__ import annotations

import time

import pytest

from aggregator.model.identifiers import Address
from aggregator.store import access, watch
from tests.api.conftest import bearer
from tests.api.serving import Served
from tests.api.wallets import ALICE, MALLORY, Wallet

pytestmark = pytest.mark.localnet
BOB = "0x" + "b0" * 20


async def signed_in(served: Served, wallet: Wallet) -> dict[str, str]:
    _, given = await served.send("POST", "/v1/sign-in/nonce")
    message = wallet.message(given["domain"], given["nonce"], time.time())
    status, session = await served.send("POST", "/v1/sign-in", {"message": message, "signature": wallet.sign(message)})
    assert status == 200 and session["address"] == wallet.address.lower()
    return {"Authorization": f"Bearer {session['token']}"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/watch", None),
        ("POST", "/v1/watch", {"owners": [BOB]}),
        ("DELETE", f"/v1/watch/{BOB}", None),
        ("GET", f"/v1/owners/{BOB}/labels", None),
        ("PUT", f"/v1/owners/{BOB}/labels", {"labels": ["x"]}),
        ("GET", "/v1/subscriptions", None),
        ("POST", "/v1/subscriptions", {"channel": "webhook", "target": "https://example.com/"}),
    ],
)
async def test_nobody_writes_without_a_key_or_with_another_ones(served: Served, method: str, path: str, body: object) -> None:
    status, problem = await served.send(method, path, body)
    assert status == 401 and problem["type"].endswith("/unauthorised")
    for header in ("Bearer x", "Basic Zm9v", "Bearer cm_" + "0" * 16 + "_" + "0" * 64, "Bearer cs_" + "0" * 64, "Bearer " + "x" * 1_000):
        assert (await served.send(method, path, body, headers={"Authorization": header}))[0] == 401
    wrong = "labels" if "watch" in path else "watch"
    status, problem = await served.send(method, path, body, headers=await bearer(served, wrong))
    assert status == 403 and "scope" in problem["detail"]


async def test_a_watched_owner_is_followed_and_can_be_let_go(served: Served) -> None:
    key = await bearer(served, "watch")
    assert await served.send("POST", "/v1/watch", {"owners": [BOB]}, headers=key) == (200, {"owners": [BOB], "added": 1})
    assert (await served.send("POST", "/v1/watch", {"owners": [BOB]}, headers=key))[1]["added"] == 0
    await served.until(lambda: served.app.live.followed[BOB].assessed is not None)
    assert BOB in (await served.send("GET", "/v1/watch", headers=key))[1]["owners"]
    assert await served.send("DELETE", f"/v1/watch/{BOB}", headers=key) == (200, {"removed": True})
    assert await served.send("DELETE", f"/v1/watch/{BOB}", headers=key) == (200, {"removed": False})
    assert (await served.send("POST", "/v1/watch", {"owners": ["example.eth"]}, headers=key))[0] == 400


async def test_a_revoked_key_is_out_at_once(served: Served) -> None:
    key = await bearer(served, "watch")
    assert (await served.send("GET", "/v1/watch", headers=key))[0] == 200
    async with served.app.database.writing() as connection:
        await access.revoke_key(connection, key["Authorization"].split("_")[1], 1)
    assert (await served.send("GET", "/v1/watch", headers=key))[0] == 401


async def test_a_wallet_writes_for_itself_only(served: Served) -> None:
    session = await signed_in(served, ALICE)
    assert (await served.send("POST", "/v1/watch", {"owners": [ALICE.address]}, headers=session))[0] == 200
    assert (await served.send("POST", "/v1/watch", {"owners": [BOB]}, headers=session))[0] == 403
    assert (await served.send("GET", "/v1/watch", headers=session))[1]["owners"] == [ALICE.address.lower()]
    target = {"channel": "webhook", "target": "https://example.com/hook?key=secret-in-it"}
    status, made = await served.send("POST", "/v1/subscriptions", {**target, "owner": ALICE.address}, headers=session)
    assert status == 200 and len(made["secret"]) == 64
    status, problem = await served.send("POST", "/v1/subscriptions", {**target, "owner": MALLORY.address}, headers=session)
    assert status == 403 and "that wallet" in problem["detail"]
    key = await bearer(served, "alerts")
    assert (await served.send("POST", "/v1/subscriptions", {**target, "owner": ALICE.address}, headers=key))[0] == 403
    _, listed = await served.send("GET", "/v1/subscriptions", headers=session)
    assert [one["id"] for one in listed["subscriptions"]] == [made["id"]]
    assert "secret-in-it" not in str(listed) and listed["subscriptions"][0]["secret"] is None
    assert (await served.send("DELETE", f"/v1/subscriptions/{made['id']}", headers=key))[1] == {"removed": False}
    assert (await served.send("DELETE", f"/v1/subscriptions/{made['id']}", headers=session))[1] == {"removed": True}


async def test_whoever_may_change_the_watch_list_silences_no_owners_alerts(served: Served) -> None:
    session, key = await signed_in(served, ALICE), await bearer(served, "watch")
    address, path = ALICE.address.lower(), f"/v1/watch/{ALICE.address}"
    wanted = {"channel": "webhook", "target": "https://example.com/hook", "owner": ALICE.address}
    _, made = await served.send("POST", "/v1/subscriptions", wanted, headers=session)
    assert (await served.send("DELETE", path, headers=key))[1] == {"removed": True}
    assert served.app.live.followed[address].watched
    async with served.app.database.reading() as connection:
        assert address in await watch.watched(connection), "also after a restart"
    await served.send("DELETE", f"/v1/subscriptions/{made['id']}", headers=session)
    assert (await served.send("DELETE", path, headers=key))[1] == {"removed": False}
    assert not served.app.live.followed[address].watched
    async with served.app.database.reading() as connection:
        assert address not in await watch.watched(connection)


@pytest.mark.parametrize(
    "target",
    ["http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/", "file:///etc"],
)
async def test_no_webhook_leads_inside(served: Served, target: str) -> None:
    key = await bearer(served, "alerts")
    assert (await served.send("POST", "/v1/subscriptions", {"channel": "webhook", "target": target}, headers=key))[0] == 400


async def test_a_sign_in_is_good_once_and_here(served: Served) -> None:
    _, given = await served.send("POST", "/v1/sign-in/nonce")
    message = ALICE.message(given["domain"], given["nonce"], time.time())
    forged = {"message": message, "signature": MALLORY.sign(message)}
    assert (await served.send("POST", "/v1/sign-in", forged))[0] == 401
    good = {"message": message, "signature": ALICE.sign(message)}
    assert (await served.send("POST", "/v1/sign-in", good))[0] == 200
    status, problem = await served.send("POST", "/v1/sign-in", good)
    assert status == 401 and "used before" in problem["detail"]
    elsewhere = ALICE.message("evil.example", given["nonce"], time.time())
    assert (await served.send("POST", "/v1/sign-in", {"message": elsewhere, "signature": ALICE.sign(elsewhere)}))[0] == 401


async def test_labels_are_seen_by_their_author_only(served: Served) -> None:
    mine, other = await bearer(served, "labels"), await bearer(served, "labels")
    path = f"/v1/owners/{BOB}/labels"
    assert (await served.send("PUT", path, {"labels": ["treasury", "desk"]}, headers=mine))[1]["labels"] == ["desk", "treasury"]
    assert (await served.send("GET", path, headers=other))[1]["labels"] == []
    for bad in (["\x1b[31m"], [" x"], ["\u202egnp"], ["x" * 65], [""], [str(n) for n in range(17)]):
        assert (await served.send("PUT", path, {"labels": bad}, headers=mine))[0] == 400
    assert (await served.send("PUT", path, {"labels": []}, headers=mine))[1]["labels"] == []


async def test_private_alerts_are_not_in_the_public_stream(served: Served) -> None:
    from aggregator.engine.live.stream import Filter
    from aggregator.store.chronicle import Event

    private = Event("alert", 1, "{}", Address(ALICE.address.lower()), None, "critical", 1)
    assert not Filter().passes(private) and not Filter(owners=frozenset([ALICE.address.lower()])).passes(private)
    assert Filter(private=frozenset([Address(ALICE.address.lower())])).passes(private)
