"""Every setting is documented, and nothing is documented that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from aggregator.engine.settings import PREFIX, Settings, load_settings
from aggregator.model.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"CROSSMARGIN_[A-Z][A-Z_]*[A-Z]")
TESTS_OWN = {"CROSSMARGIN_PICTURES"}


def in_code() -> set[str]:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    sources = (path.read_text(encoding="utf-8") for folder in ("aggregator", "adapters") for path in (ROOT / folder).rglob("*.py"))
    return settings | {name for source in sources for name in _NAME.findall(source)}


def documented() -> set[str]:
    return set(_NAME.findall((ROOT / "docs" / "settings.md").read_text(encoding="utf-8")))


def test_every_setting_is_documented_and_exists() -> None:
    assert in_code() - documented() - TESTS_OWN == set()
    assert documented() - in_code() == set()


def test_the_environment_comes_before_the_file_and_arguments_before_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("port: 1\nsweep_seconds: 7\nchains: [eth]\nlog: DEBUG\n")
    monkeypatch.setenv("CROSSMARGIN_SETTINGS", str(file))
    monkeypatch.setenv("CROSSMARGIN_PORT", "2")
    monkeypatch.setenv("CROSSMARGIN_CHAINS", "arb1, base")
    found = load_settings(log="ERROR")
    assert (found.port, found.sweep_seconds, found.chains, found.log) == (2, 7.0, ("arb1", "base"), "ERROR")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CROSSMARGIN_PORT", "99999", "CROSSMARGIN_PORT"),
        ("CROSSMARGIN_WORKERS", "many-secrets", "CROSSMARGIN_WORKERS"),
        ("CROSSMARGIN_SETTINGS", "/nowhere/at/all", "expected a settings file"),
    ],
)
def test_a_bad_setting_is_named_and_its_value_not_shown(name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=words) as refusal:
        load_settings()
    assert "many-secrets" not in str(refusal.value) and "\n" not in str(refusal.value)


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    monkeypatch.setenv("CROSSMARGIN_SETTINGS", str(file))
    for text in ("colour: red\n", "- a\n", "{\n"):
        file.write_text(text)
        with pytest.raises(InputError):
            load_settings()


def test_secrets_show_nothing_of_themselves() -> None:
    found = load_settings(database_url="postgresql://a:hunter2hunter2@b/c", rpc=("eth=https://x.example/keykeykey",))
    assert isinstance(found.database_url, SecretStr)
    assert "hunter2" not in repr(found) and "keykeykey" not in repr(found)
