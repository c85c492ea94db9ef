"""Symbols of hostile tokens: whatever bytes come, what is shown is short, printable and harmless."""

from __future__ import annotations

import unicodedata

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from aggregator.reading.text import MAXIMUM_LENGTH, clean_text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (encode(["string"], ["USDC"]), "USDC"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (b"USDT", "USDT"),
        ("wstETH", "wstETH"),
        ("USD₮0", "USD₮0"),
        ("ＵＳＤＣ", "USDC"),
        ("a\x1b[31mred\x07", "a[31mred"),
        ("evil\u202etxt.exe", "eviltxt.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("  two\n\tlines\u2028here ", "two lines here"),
        ("A" * 1_000, "A" * MAXIMUM_LENGTH),
        (encode(["string"], ["B" * 5_000]), "B" * MAXIMUM_LENGTH),
        (b"\xff\xfe\xfd", ""),
        (b"", ""),
        (encode(["string"], [""]), ""),
        ("\ud800", ""),
        ("A\u20dd\u20e0", "A"),
    ],
)
def test_known_shapes(raw: bytes | str, shown: str) -> None:
    assert clean_text(raw) == shown


def test_a_string_that_lies_about_its_length_gives_what_is_there() -> None:
    assert clean_text((32).to_bytes(32, "big") + (2**255).to_bytes(32, "big") + b"LIE".ljust(32, b"\0")) == "LIE"


@given(st.binary(max_size=300) | st.text(max_size=300), st.integers(1, 64))
def test_any_input_becomes_short_printable_text(raw: bytes | str, limit: int) -> None:
    text = clean_text(raw, limit)
    assert len(text) <= limit
    assert text == text.strip() and text.isprintable()
    assert not any(unicodedata.category(character).startswith("C") for character in text)
