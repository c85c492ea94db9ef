"""Reading a recorded history: every line checked before the first is used, so that a broken file gives an error and no half answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

import orjson
from pydantic import ValidationError

from aggregator.engine.replay.schema import row_of
from aggregator.model.errors import ConfigurationError, InputError
from aggregator.publish.alerts.instant import Instant, parse_instant, show_instant
from aggregator.publish.alerts.observations import Observed

LONGEST_LINE = 4_000_000
"""bytes; no honest row is near it"""


def read_history(path: Path) -> list[Observed]:
    """The observations of a file (`-`: standard input) in its order. ConfigurationError names file, line, field and what was expected."""
    if str(path) == "-":
        return list(_rows(sys.stdin.buffer, "standard input"))
    try:
        with path.open("rb") as file:
            return list(_rows(file, str(path)))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None


def _rows(file: IO[bytes], name: str) -> Iterator[Observed]:
    last: Instant | None = None
    number = 0
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
        if not line.strip():
            continue
        if len(line) > LONGEST_LINE:
            raise ConfigurationError(name, number, "", "a line of more than 4 MB is no row")
        observed = _row(line, name, number)
        if last is not None and observed.t < last:
            expected = f"goes back to {show_instant(observed.t)} after {show_instant(last)}; rows stand in the order of time"
            raise ConfigurationError(name, number, "t", expected)
        last = observed.t
        yield observed
    if last is None:
        raise ConfigurationError(name, number or 1, "", "the history is empty: expected one JSON object a line")


def _row(line: bytes, name: str, number: int) -> Observed:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        _check_nesting(text)
        content = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
        if not isinstance(content, dict):
            raise ValueError("expected a JSON object")
        row = row_of(content)
        try:
            moment = parse_instant(row.t)
        except ValueError as error:
            raise ConfigurationError(name, number, "t", str(error)) from None
        return row.observed(moment)
    except ValidationError as error:
        raise _first(error, name, number) from None
    except json.JSONDecodeError as error:
        raise ConfigurationError(name, number, "", f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(name, number, "", "not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(name, number, "", str(error)) from None


def _check_nesting(text: str) -> None:
    """The standard parser goes as deep as the interpreter allows, which can be deeper than its stack; this one stops at a thousand."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "depth" in str(error):
            raise ValueError("nested too deeply") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number; leave the figure out where it is not known")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a field stands twice")
    return content


def _first(error: ValidationError, name: str, number: int) -> ConfigurationError:
    """The first thing that is wrong, in our words where the library's do not say what to do."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("float", "constrained", "dict[", "nullable")))
    wording = {"extra_forbidden": "unknown field", "missing": "is missing", "finite_number": "is not a finite number"}
    return ConfigurationError(name, number, field or "row", wording.get(first["type"], first["msg"]))
