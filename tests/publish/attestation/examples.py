"""Statements for the attestation tests."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from aggregator.model.identifiers import Address
from aggregator.publish.attestation.signer import KeySigner
from aggregator.publish.attestation.statement import COMPLETE, UNBOUNDED, UNKNOWN, WAD, ChainBlock, Domain, MarginScore, ScoreEpoch

OWNER = Address("0x" + "a1" * 20)
SIGNER = KeySigner.of(bytes(31) + b"\x07")
STRANGER = KeySigner.of(bytes(31) + b"\x08")
VERIFIER = Address("0x" + "5c" * 20)
NOW = 1_750_000_000

SCORE = MarginScore(
    owner=OWNER,
    score=8123,
    probability_hour=12 * 10**12,
    probability_day=9 * 10**14,
    probability_week=8 * 10**15,
    margin_ratio=2_345_678_900_000_000_000,
    lowest_health_factor=1_100_000_000_000_000_001,
    coverage=COMPLETE,
    blocks=(ChainBlock(1, 21_000_000, b"\x11" * 32), ChainBlock(8453, 30_000_000, b"\x22" * 32)),
    model="unified/1 score/1",
    parameters=b"\x33" * 32,
    snapshot=b"\x44" * 32,
    as_of=NOW - 30,
    valid_until=NOW + 870,
)

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: Address("0x" + raw.hex()))
_words = st.binary(min_size=32, max_size=32)
_longs = st.integers(0, 2**64 - 1)
_probabilities = st.integers(0, WAD)
_ratios = st.one_of(st.just(UNKNOWN), st.just(UNBOUNDED), st.integers(UNKNOWN, UNBOUNDED))
scores = st.builds(
    MarginScore,
    owner=addresses,
    score=st.integers(0, 10_000),
    probability_hour=_probabilities,
    probability_day=_probabilities,
    probability_week=_probabilities,
    margin_ratio=_ratios,
    lowest_health_factor=_ratios,
    coverage=st.integers(0, COMPLETE),
    blocks=st.lists(st.builds(ChainBlock, _longs, _longs, _words), max_size=4).map(tuple),
    model=st.text(max_size=80),
    parameters=_words,
    snapshot=_words,
    as_of=_longs,
    valid_until=_longs,
)
epochs = st.builds(ScoreEpoch, _longs, _words, st.integers(0, 2**32 - 1), _longs, _longs)
domains = st.builds(Domain, st.integers(0, 2**63 - 1), addresses)


def at(timestamp: int, **changes: object) -> MarginScore:
    """The example as of this moment, good for a quarter of an hour."""
    return replace(SCORE, **{"as_of": timestamp, "valid_until": timestamp + 900, **changes})  # type: ignore[arg-type]
