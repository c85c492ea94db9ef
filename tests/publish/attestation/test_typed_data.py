"""Our packed hashes and encoding against eth-account's and eth-abi's general ones."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.identifiers import Address
from aggregator.publish.attestation.signer import struct_hash
from aggregator.publish.attestation.statement import Domain, MarginScore, ScoreEpoch, StatementError, covered
from aggregator.publish.attestation.typed_data import digest, encode_answer, hash_epoch, hash_score, typed_data, typed_data_json
from tests.publish.attestation.examples import SCORE, at, domains, epochs, scores

_SCORE = "(address,uint16,uint64,uint64,uint64,int256,int256,uint16,(uint64,uint64,bytes32)[],string,bytes32,bytes32,uint64,uint64)"


@given(domains, scores)
def test_digest_of_a_score_is_what_eth_account_hashes(domain: Domain, score: MarginScore) -> None:
    assert digest(domain, hash_score(score)) == _hash_eip191_message(encode_typed_data(full_message=typed_data(domain, score)))


@given(domains, epochs)
def test_digest_of_an_epoch_is_what_eth_account_hashes(domain: Domain, epoch: ScoreEpoch) -> None:
    assert digest(domain, hash_epoch(epoch)) == _hash_eip191_message(encode_typed_data(full_message=typed_data(domain, epoch)))


@given(domains, st.one_of(scores, epochs))
def test_a_wallet_that_reads_the_json_hashes_the_same(domain: Domain, statement: MarginScore | ScoreEpoch) -> None:
    read = json.loads(typed_data_json(domain, statement))
    assert _hash_eip191_message(encode_typed_data(full_message=read)) == digest(domain, struct_hash(statement))
    assert all(isinstance(leaf, str) for leaf in _leaves(read["message"])), "a number that a wallet could round"


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
    else:
        yield value


@given(scores)
def test_answer_is_what_eth_abi_encodes(score: MarginScore) -> None:
    fields = (
        *(score.owner, score.score, score.probability_hour, score.probability_day, score.probability_week),
        *(score.margin_ratio, score.lowest_health_factor, score.coverage),
        [(one.chain_id, one.number, one.hash) for one in score.blocks],
        *(score.model, score.parameters, score.snapshot, score.as_of, score.valid_until),
    )
    signature = bytes(range(65))
    assert encode_answer(score, signature) == encode([_SCORE, "bytes"], [fields, signature])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"score": 10_001}, "score"),
        ({"coverage": -1}, "coverage"),
        ({"probability_day": 10**18 + 1}, "probability_day"),
        ({"margin_ratio": 2**255}, "margin_ratio"),
        ({"snapshot": b"short"}, "snapshot"),
        ({"valid_until": 2**64}, "valid_until"),
        ({"owner": Address("0x12")}, "not an address"),
    ],
)
def test_a_figure_out_of_range_is_refused_by_name(changes: dict[str, object], what: str) -> None:
    with pytest.raises(StatementError, match=what):
        at(SCORE.as_of, **changes)


def test_only_nothing_missing_is_complete() -> None:
    assert covered(10**9, 0) == 10_000
    assert covered(10**9, 1) == 9_999
    assert covered(3, 1) == 7_500
    assert covered(0, 2) == 0
