"""API keys, sessions and nonces: what is kept of a secret, and what lets nobody in."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.store import access, watch
from aggregator.store.database import Database
from aggregator.store.watch import StoredAlert, Subscription

ALICE, BOB = Address("0x" + "a1" * 20), Address("0x" + "b0" * 20)


async def test_a_key_lets_in_until_it_is_revoked(database: Database) -> None:
    async with database.writing() as connection:
        key, secret = await access.create_key(connection, "desk", frozenset({"watch"}), 1)
        other, _ = await access.create_key(connection, "other", frozenset({"labels"}), 2)
    async with database.reading() as connection:
        assert await access.check_key(connection, secret) == key
        wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")
        strangers = (wrong, secret.replace(key.id, other.id), secret.replace(key.id, "0" * 16), "", "cm_", secret + "0", secret + "\n")
        for presented in strangers:
            assert await access.check_key(connection, presented) is None
        stored = str((await connection.execute(sa.select(access.KEYS))).all())
    assert secret.rpartition("_")[2] not in stored
    async with database.writing() as connection:
        assert await access.revoke_key(connection, key.id, 3)
        assert not await access.revoke_key(connection, key.id, 4)
        assert await access.check_key(connection, secret) is None
        assert [one.revoked_at for one in await access.list_keys(connection)] == [3, None]


@pytest.mark.parametrize(("name", "scopes"), [("a", set()), ("a", {"everything"}), ("", {"watch"}), ("\x1b[2J", {"watch"})])
async def test_keys_need_a_name_and_known_scopes(database: Database, name: str, scopes: set[str]) -> None:
    async with database.writing() as connection:
        with pytest.raises(InputError):
            await access.create_key(connection, name, frozenset(scopes), 1)


async def test_a_nonce_is_good_once_and_for_a_while(database: Database) -> None:
    async with database.writing() as connection:
        nonce = await access.create_nonce(connection, 10, 20)
        late = await access.create_nonce(connection, 10, 20)

    async def use() -> bool:
        async with database.writing() as connection:
            return await access.use_nonce(connection, nonce, 20)

    assert sorted(await asyncio.gather(*(use() for _ in range(5)))) == [False] * 4 + [True]
    async with database.writing() as connection:
        assert not await access.use_nonce(connection, late, 21)
        assert not await access.use_nonce(connection, "made up", 15)


async def test_a_session_is_one_wallets_until_it_ends(database: Database) -> None:
    async with database.writing() as connection:
        token = await access.open_session(connection, ALICE, 10, 20)
    async with database.reading() as connection:
        assert await access.session_address(connection, token, 20) == ALICE
        assert await access.session_address(connection, token, 21) is None
        assert await access.session_address(connection, token[:-1] + "x", 15) is None


async def test_watching_has_a_limit_and_counts_everybody_once(database: Database) -> None:
    async with database.writing() as connection:
        assert await watch.watch(connection, [ALICE, BOB, ALICE], "desk", 1, 2) == 2
        assert await watch.watch(connection, [ALICE], "desk", 1, 2) == 0
        with pytest.raises(InputError, match="2 owners"):
            await watch.watch(connection, [Address("0x" + "c1" * 20)], "desk", 1, 2)
        assert await watch.watched(connection) == (ALICE, BOB)
        assert await watch.unwatch(connection, ALICE) and not await watch.unwatch(connection, ALICE)


async def test_labels_and_subscriptions_are_their_authors(database: Database) -> None:
    async with database.writing() as connection:
        assert await watch.set_labels(connection, ALICE, "desk", ["b", "a", "a"], 1) == ("a", "b")
        assert await watch.labels(connection, ALICE, "other") == ()
        with pytest.raises(InputError):
            await watch.set_labels(connection, ALICE, "desk", [str(n) for n in range(17)], 1)
        wanted = Subscription(ALICE, "webhook", "https://example.com/x", "warning", "desk", 1)
        identifier = await watch.subscribe(connection, wanted)
        assert not await watch.unsubscribe(connection, identifier, "other")
        assert [one.id for one in await watch.subscriptions(connection, "desk")] == [identifier]
        assert await watch.subscriptions(connection, "other") == ()
        assert await watch.unsubscribe(connection, identifier, "desk")


async def test_the_same_alert_is_kept_once_and_private_ones_are_not_shown(database: Database) -> None:
    alerts = [StoredAlert(f"i{n}", "e", "opened", "warning", "r", ALICE if n == 3 else None, n, "{}") for n in range(5)]
    async with database.writing() as connection:
        assert len(await watch.keep_alerts(connection, [*alerts, alerts[0]])) == 5
        assert await watch.keep_alerts(connection, alerts) == ()
        page, before = await watch.alerts_page(connection, 3)
        assert [one.identifier for one in page] == ["i4", "i2", "i1"] and before == page[-1].id
        rest, end = await watch.alerts_page(connection, 3, before)
        assert [one.identifier for one in rest] == ["i0"] and end is None
        assert (await watch.alerts_page(connection, 3, severities=["critical"]))[0] == ()
