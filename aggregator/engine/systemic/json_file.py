"""A JSON file that somebody wrote, as a model, or one line that says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from aggregator.model.errors import InputError

M = TypeVar("M", bound=BaseModel)


def read_json(path: Path, kind: type[M]) -> M:
    """InputError names the file, and the field where it is one."""
    try:
        return kind.model_validate(json.loads(path.read_text("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg']}") from None
