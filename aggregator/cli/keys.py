"""`crossmargin keys (create | list | revoke)`: API keys for writing; see docs/http-api.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aggregator.cli.common import add_json_option, console, run_async
from aggregator.model.errors import InputError

if TYPE_CHECKING:
    from aggregator.store.access import ApiKey


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Each action takes --json. The database is the service's: see CROSSMARGIN_DATABASE_URL in docs/settings.md."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key; its secret is shown once", allow_abbrev=False)
    create.add_argument("name", metavar="NAME", help="what it is for")
    create.add_argument("--scope", metavar="SCOPE", action="append", required=True, help="watch, alerts or labels (repeatable)")
    listing = actions.add_parser("list", help="every key, without its secret", allow_abbrev=False)
    revoke = actions.add_parser("revoke", help="end a key at once", allow_abbrev=False)
    revoke.add_argument("id", metavar="ID", help="as the list shows it")
    for one in (create, listing, revoke):
        add_json_option(one)


def run(arguments: argparse.Namespace) -> int:
    """0 when done; InputError (2) for an unknown scope or key."""
    return run_async(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from aggregator.engine.settings import load_settings
    from aggregator.store import access
    from aggregator.store.database import Database

    settings = load_settings()
    now = time.time_ns() // 1_000
    async with Database.at(settings.database_url.get_secret_value()) as database:
        if arguments.action == "create":
            key, secret = await database.write(
                lambda connection: access.create_key(connection, arguments.name, frozenset(arguments.scope), now)
            )
            if arguments.json:
                _print({"schema": "crossmargin/key/1", **_row(key), "secret": secret})
            else:
                sys.stdout.write(f"{secret}\n")
                sys.stderr.write("This secret is shown once and cannot be shown again.\n")
        elif arguments.action == "revoke":
            if not await database.write(lambda connection: access.revoke_key(connection, arguments.id, now)):
                raise InputError(f"there is no key {arguments.id[:40]!r} in force")
            if arguments.json:
                _print({"schema": "crossmargin/key-revoked/1", "id": arguments.id})
        else:
            async with database.reading() as connection:
                _list(await access.list_keys(connection), arguments.json)
    return 0


def _list(keys: tuple[ApiKey, ...], as_json: bool) -> None:
    if as_json:
        _print({"schema": "crossmargin/keys/1", "keys": [_row(key) for key in keys]})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "name", "scopes", "created", "revoked"):
        table.add_column(heading)
    for key in keys:
        row = _row(key)
        table.add_row(key.id, key.name, " ".join(sorted(key.scopes)), str(row["created_at"]), str(row["revoked_at"] or ""))
    console().print(table)


def _row(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": _time(key.created_at),
        "revoked_at": _time(key.revoked_at) if key.revoked_at is not None else None,
    }


def _time(moment: int) -> str:
    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
