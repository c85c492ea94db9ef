"""`crossmargin keys`: made once, shown once, listed without the secret, ended at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aggregator.cli.main import main
from aggregator.store import access
from aggregator.store.database import Database


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    monkeypatch.setenv("CROSSMARGIN_DATABASE_URL", url)
    return url


def test_a_key_lives_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "desk", "--scope", "watch", "--scope", "labels", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["scopes"] == ["labels", "watch"] and made["secret"].startswith(f"cm_{made['id']}_")
    assert main(["keys", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert made["secret"].rpartition("_")[2] not in listed and json.loads(listed)["keys"][0]["revoked_at"] is None
    assert main(["keys", "revoke", made["id"]]) == 0
    assert main(["keys", "revoke", made["id"]]) == 2
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    assert made["id"] in capsys.readouterr().out


def test_people_get_the_secret_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "desk", "--scope", "alerts"]) == 0
    out, err = capsys.readouterr()
    assert out.strip().startswith("cm_") and len(out.splitlines()) == 1 and "shown once" in err


@pytest.mark.parametrize(
    "words",
    [
        ("create", "desk"),
        ("create", "desk", "--scope", "everything"),
        ("create", "", "--scope", "watch"),
        ("revoke", "nothing"),
        ("burn",),
        (),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


async def test_what_the_command_made_the_service_accepts(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    assert await asyncio.to_thread(main, ["keys", "create", "desk", "--scope", "watch"]) == 0
    secret = capsys.readouterr().out.strip()
    async with Database.at(database) as opened, opened.reading() as connection:
        key = await access.check_key(connection, secret)
    assert key is not None and key.scopes == {"watch"}
