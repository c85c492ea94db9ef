"""Recorded venue responses, which are not part of the project: tests that need them skip where they are absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

VENUES = Path(__file__).parents[3] / "shared/DATA/venues"


def recorded(path: str) -> Any:
    """A recorded file below the venue data, parsed; skips the test where it is absent."""
    file = VENUES / path
    if not file.is_file():
        pytest.skip(f"recorded venue data is not here ({path})")
    return json.loads(file.read_text())
