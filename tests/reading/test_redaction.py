"""Keys in URLs are never shown."""

from __future__ import annotations

import pytest

from aggregator.reading.redaction import redact, scrub


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://rpc.example/v3/0123456789abcdef", "https://rpc.example"),
        ("https://user:word@rpc.example:8545/?key=abc", "https://rpc.example:8545"),
        ("http://[::1]:8545/x", "http://[::1]:8545"),
        ("http://127.0.0.1:99999/x", "…"),
        ("0123456789abcdef", "…"),
        ("http://[bad/0123456789abcdef", "…"),
    ],
)
def test_only_scheme_and_host_are_shown(url: str, shown: str) -> None:
    assert redact(url) == shown


# the last is what the Authorization field says of user and word
@pytest.mark.parametrize("key", ["0123456789abcdef", "word", "abc", "a%2Fb", "a/b", "user", "dXNlcjp3b3Jk"])
def test_what_an_endpoint_echoes_is_scrubbed(key: str) -> None:
    url = "https://user:word@rpc.example/v3/0123456789abcdef?key=abc&other=a%2Fb"
    assert key not in scrub(f"denied: <{key}> at {url}", url)


def test_ordinary_words_stay() -> None:
    assert scrub("rate limit of mainnet reached", "https://rpc.example/mainnet/rpc") == "rate limit of mainnet reached"
