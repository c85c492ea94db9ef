"""Statements packed for keeping: everything comes back, and nothing else is taken for it."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.identifiers import Address
from aggregator.publish.attestation.packed import VERSION, PackedError, pack, unpack
from aggregator.publish.attestation.statement import MarginScore
from tests.publish.attestation.examples import SCORE, addresses, scores


@given(st.lists(scores, max_size=6))
def test_what_is_packed_comes_back(given: list[MarginScore]) -> None:
    assert unpack(pack(given)) == tuple(given)


@given(st.lists(addresses, min_size=20, max_size=20, unique=True))
def test_what_is_shared_is_written_once(owners: list[Address]) -> None:
    one, many = pack([SCORE]), pack([replace(SCORE, owner=owner) for owner in owners])
    assert len(many) < len(one) + 20 * 40


@given(st.binary(max_size=400).filter(lambda raw: raw != bytes(12)))  # those say that there are none
def test_other_bytes_are_refused(raw: bytes) -> None:
    for bad in (raw, bytes([VERSION]) + raw, bytes([VERSION]) + zlib.compress(raw), bytes([VERSION + 1]) + pack([SCORE])[1:]):
        with pytest.raises(PackedError):
            unpack(bad)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_what_was_cut_or_grew_is_refused(cut: int) -> None:
    raw = zlib.decompress(pack([SCORE, SCORE])[1:])
    for bad in (raw[:-cut], raw + bytes(cut)):
        with pytest.raises(PackedError):
            unpack(bytes([VERSION]) + zlib.compress(bad))
