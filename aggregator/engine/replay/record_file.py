"""Writing a history: rows in the format that `replay_file` reads, a whole moment at a time, so that a file may be cut off at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from aggregator.engine.replay.file import read_history
from aggregator.model.errors import InputError
from aggregator.publish.alerts.instant import Instant, show_instant
from aggregator.publish.alerts.observations import KINDS, Observed, WalletObserved

_ACCOUNT_FIGURES = ("health_factor", "shadow_health_factor", "collateral_usd", "debt_usd")


def row_line(observed: Observed) -> str:
    """One row, without its line end. What is not known stands as null, names that are empty are left out."""
    row: dict[str, object] = {"t": show_instant(observed.t), "kind": KINDS[type(observed)]}
    if isinstance(observed, WalletObserved):
        account: dict[str, object] = {"chain": observed.chain, "protocol": observed.protocol, "market": observed.market}
        account |= {name: _text(getattr(observed, name)) for name in _ACCOUNT_FIGURES}
        if observed.trapped_usd is not None:
            account["trapped_collateral_usd"] = _text(observed.trapped_usd)
        if observed.distance is not None:
            account["liquidation"] = {"prices": [{"move": f"-{_text(observed.distance)}"}]}
        row |= {"owner": observed.owner, "margin_account": account}
    else:
        content = {one.name: getattr(observed, one.name) for one in fields(observed) if one.name not in ("t", "block")}
        row |= {name: value for name, value in content.items() if value != ""}
    if observed.block is not None:
        row["block"] = observed.block
    return json.dumps(row, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def _text(figure: float | None) -> str | None:
    """A decimal as the health document writes it."""
    return None if figure is None else repr(figure)


class HistoryFile:
    """An open history at its end (`-`: standard output). An existing file is continued: it must be a history, and a row that was cut
    off is removed."""

    def __init__(self, path: Path, history: Sequence[Observed] | None = None) -> None:
        """`history`: what is in the file, where it was read already."""
        self.path = path
        self._history = history
        self.last: Instant | None = None
        """the newest moment that is in it"""
        self.rows = 0
        self._file: BinaryIO | None = None

    @property
    def to_stdout(self) -> bool:
        return str(self.path) == "-"

    def __enter__(self) -> Self:
        if self.to_stdout:
            self._file = sys.stdout.buffer
            return self
        try:
            history = existing_history(self.path) if self._history is None else self._history
            self.last, self._history = history[-1].t if history else None, None
            self._file = self.path.open("ab")
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or 'cannot be written'}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None and not self.to_stdout:
            self._file.close()

    def write(self, observed: Iterable[Observed]) -> int:
        """Append one moment's rows; how many. They are on the disk when this returns. InputError where they cannot be written."""
        lines = [row_line(one) for one in observed]
        assert self._file is not None
        before = 0 if self.to_stdout else self._file.tell()
        try:
            self._file.write("".join(f"{line}\n" for line in lines).encode())
            self._file.flush()
            if not self.to_stdout:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._undo(before)
            raise InputError(f"{self.path}: {error.strerror or 'cannot be written'}") from None
        self.rows += len(lines)
        return len(lines)

    def _undo(self, before: int) -> None:
        """Nothing of a moment that could not be written whole stays: the next one would continue its last line."""
        if self.to_stdout or self._file is None:
            return
        with contextlib.suppress(OSError):
            # which tries to write what is still in the buffer
            self._file.close()
        os.truncate(self.path, before)
        self._file = self.path.open("ab")


def existing_history(path: Path) -> list[Observed]:
    """What is in a file that is to be continued, a row that was cut off removed; nothing where there is none. OSError."""
    if path.exists() and path.stat().st_size:
        _cut_off(path)
    return read_history(path) if path.exists() and path.stat().st_size else []


def _cut_off(path: Path) -> None:
    """Remove a last line without its end: what was being written when the power went."""
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def compact(path: Path, history: list[Observed], wanted: Callable[[Observed], bool]) -> list[Observed]:
    """Leave out of a file's history rows that are not wanted, where they are at least half of it; what it holds then. The file is replaced
    whole."""
    kept = [one for one in history if wanted(one)]
    if not kept or 2 * len(kept) > len(history):
        return history
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with HistoryFile(fresh) as file:
        file.write(kept)
    fresh.replace(path)
    return kept
