"""The error tree. Whatever a user can meet is one of these, and says in one line what was wrong and what to do.

CrossmarginError
├── InputError             bad input: exit code 2
│   └── ConfigurationError   a file: names file, line, field and what was expected
├── IncompleteError        too little could be read to answer: exit code 3
└── EndpointError          an endpoint failed; inside a snapshot it becomes a named gap in the coverage
    ├── EndpointUnreachable   refused, reset, timed out
    ├── EndpointOverloaded    429 or 5xx; carries `retry_after_seconds` where the endpoint said so
    ├── EndpointInvalid       HTML, truncated JSON, wrong ids, another chain, another block
    └── EndpointRefused       a JSON-RPC error: the endpoint understood and said no
"""

from __future__ import annotations

from pathlib import Path


class CrossmarginError(Exception):
    """Root of every error that is meant for a person."""

    exit_code = 1


class InputError(CrossmarginError):
    """The user's input is wrong; the message says what and how to mend it."""

    exit_code = 2


class ConfigurationError(InputError):
    """A configuration file is wrong: one line with file, line, field and what was expected."""

    def __init__(self, path: Path | str, line: int | None, field: str, expected: str) -> None:
        self.path, self.line, self.field, self.expected = str(path), line, field, expected
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {field}: {expected}" if field else f"{where}: {expected}")


class IncompleteError(CrossmarginError):
    """Too little could be read to give an answer at all."""

    exit_code = 3


class EndpointError(CrossmarginError):
    """An endpoint did not give a usable answer."""

    exit_code = 3


class EndpointUnreachable(EndpointError):
    """Refused, reset, or silent until the timeout."""


class EndpointOverloaded(EndpointError):
    """HTTP 429 or 5xx; `retry_after_seconds` is the endpoint's own wish, None where it named none."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class EndpointInvalid(EndpointError):
    """The answer is not what was asked for: HTML, truncated JSON, wrong ids, another chain, another block."""


class EndpointRefused(EndpointError):
    """A JSON-RPC error object: `code`, `message` and the error's `data` as the endpoint sent them."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(f"{message} (code {code})")
        self.code, self.reason, self.data = code, message, data
