"""Data files: every mistake gets one line with file, line, field and what was expected."""

from __future__ import annotations

import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from aggregator.model.errors import ConfigurationError
from aggregator.reading.manifest import Caip2, Data, QuotedAddress, load_data


class Colour(StrEnum):
    RED = "red"


class Part(Data):
    name: str
    colour: Colour = Colour.RED
    size: Annotated[int, Field(ge=1)] = 1


class Whole(Data):
    address: QuotedAddress
    parts: tuple[Part, ...] = ()
    by_chain: dict[Caip2, Part] = Field(default_factory=dict)
    share: Decimal | None = None
    ratio: float | None = None
    since: str | None = None
    url: str | None = None


ADDRESS = 'address: "0xcA11bde05977b3631167028862bE2a173976CA11"\n'


def load(tmp_path: Path, text: str | bytes) -> Whole:
    path = tmp_path / "whole.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_data(path, Whole)


def test_lists_fill_tuples_and_strings_fill_enums_and_decimals(tmp_path: Path) -> None:
    whole = load(
        tmp_path,
        ADDRESS + "parts:\n  - {name: a, colour: red}\n  - {name: b}\nby_chain:\n  eip155:1: {name: c}\nshare: '0.125'\nratio: 2\n",
    )
    assert whole.parts == (Part(name="a", colour=Colour.RED), Part(name="b"))
    assert whole.by_chain == {"eip155:1": Part(name="c")}
    assert whole.share == Decimal("0.125") and whole.ratio == 2.0
    assert whole.address == "0xca11bde05977b3631167028862be2a173976ca11"


def test_an_unquoted_date_is_kept_as_it_was_written(tmp_path: Path) -> None:
    assert load(tmp_path, ADDRESS + "since: 2026-01-02\n").since == str(datetime.date(2026, 1, 2))


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("address: 0xcA11bde05977b3631167028862bE2a173976CA11\n", 1, "address", "in quotes"),
        ('address: "0xcA11bde05977b3631167028862bE2a173976Ca11"\n', 1, "address", "checksum"),
        ("parts: []\n", 1, "address", "required"),
        (ADDRESS + "parts:\n  - name: a\n  - name: b\n    sise: 2\n", 5, "parts.1.sise", "expected one of colour, name, size"),
        (ADDRESS + "parts:\n  - name: a\n    size: 0\n", 4, "parts.0.size", "greater than or equal to 1"),
        (ADDRESS + "parts:\n  - name: a\n    size: '2'\n", 4, "parts.0.size", "integer"),
        (ADDRESS + "parts:\n  - name: a\n    colour: blue\n", 4, "parts.0.colour", "'red'"),
        (ADDRESS + "parts:\n  - colour: red\n", 3, "parts.0.name", "required"),
        (ADDRESS + "parts: {name: a}\n", 2, "parts", "array"),
        (ADDRESS + "by_chain:\n  ethereum!: {name: c}\n", 3, "by_chain.ethereum!", "CAIP-2"),
        (ADDRESS + "by_chain:\n  eip155:1: {name: c, size: x}\n", 3, "by_chain.eip155:1.size", "integer"),
        (ADDRESS + "ratio: .nan\n", 2, "ratio", "finite"),
        (ADDRESS + "ratio: .inf\n", 2, "ratio", "finite"),
        (ADDRESS + "share: null\nratio: 1\nshare: 1\n", 4, "share", "first in line 2"),
        (ADDRESS + "parts: [{name: a, size: 1, size: 2}]\n", 2, "size", "stands twice"),
        (ADDRESS + "parts: [\n", 3, "", "not valid YAML"),
        (ADDRESS + "since: 2026-13-45\n", None, "", "not valid YAML"),
        (ADDRESS + "? [a, b]\n: 1\n", 2, "", "plain word"),
        (ADDRESS + "since: !!python/object:os.system x\n", 2, "", "not valid YAML"),
        (ADDRESS + "since: \x01\n", None, "", "not valid YAML"),
        (ADDRESS + "by_chain: &a\n  eip155:1: *a\n", None, "", "contains itself"),
        ("", None, "", "empty"),
        ("- 1\n", 1, "", "object"),
        (b"\xff\xfe\x00", None, "", "UTF-8"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str | bytes, line: int | None, field: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    error = caught.value
    assert (error.line, error.field) == (line, field), str(error)
    assert words in error.expected
    assert "\n" not in str(error)
    assert error.path.endswith("whole.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read"):
        load_data(tmp_path / "nowhere.yaml", Whole)


@pytest.mark.parametrize(
    "wrong", ["url: 12\nparts: https://user:word@host.example/a-secret-key\n", "url: [https://h.example/a-secret-key]\n"]
)
def test_no_message_shows_more_of_a_url_than_its_host(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, ADDRESS + wrong)
    assert "secret" not in str(caught.value) and "word" not in str(caught.value)
