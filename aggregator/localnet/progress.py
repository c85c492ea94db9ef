"""How long-running steps tell what they are doing, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Called with a stage (``"packages"``, ``"compile"``, ``"aave-v3"`` …) and one line of detail."""

    def __call__(self, stage: str, detail: str) -> None: ...


def silent(stage: str, detail: str) -> None:
    """Tells nobody."""


@dataclass(slots=True)
class Timings:
    """Wall-clock seconds by stage, in the order the stages ended; beginning and end are also told to ``progress``."""

    progress: Progress = silent
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.progress(name, "…")
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            self.progress(name, f"{took:.2f} s")
