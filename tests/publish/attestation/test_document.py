"""The document and its check without a chain: everything the contract refuses is refused here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.publish.attestation.document import ScoreAttestation, attest, attestation, domain_of, statement_of, verify
from aggregator.publish.attestation.epoch import seal
from aggregator.publish.attestation.gateway import Request, decode_request, encode_request
from aggregator.publish.attestation.statement import Domain, MarginScore, StatementError
from tests.publish.attestation.examples import NOW, OWNER, SCORE, SIGNER, STRANGER, VERIFIER, addresses, domains, scores

DOMAIN = Domain(1, VERIFIER)
TRUSTED = (SIGNER.address,)


async def _included() -> ScoreAttestation:
    _, signature = await attest(SIGNER, DOMAIN, SCORE)
    others = [replace(SCORE, owner=Address(f"0x{number:040x}"), score=number) for number in range(5)]
    epoch = seal(7, [*others, SCORE])
    return attestation(SIGNER.address, DOMAIN, SCORE, signature, await epoch.inclusion(SIGNER, DOMAIN, OWNER))


def _failed(document: ScoreAttestation, now: int = NOW, **changes: object) -> list[str]:
    given = {"trusted": TRUSTED, **changes}
    return [one.what for one in verify(document, now, **given) if not one.holds]  # type: ignore[arg-type]


def _with(document: ScoreAttestation, part: str, **changes: object) -> ScoreAttestation:
    changed = getattr(document, part).model_copy(update=changes)
    return document.model_copy(update={part: changed})


@given(domains, scores)
def test_a_statement_survives_its_document(domain: Domain, score: MarginScore) -> None:
    document = attestation(SIGNER.address, domain, score, bytes(65))
    again = ScoreAttestation.model_validate_json(document.model_dump_json(by_alias=True))
    assert statement_of(again.statement) == score
    assert domain_of(again.domain) == domain


async def test_a_good_document_holds_in_everything() -> None:
    document = await _included()
    assert _failed(document) == []
    assert _failed(document, expected=DOMAIN) == []
    assert len(verify(document, NOW, TRUSTED)) == 10


@pytest.mark.parametrize("field", ["score", "coverage", "asOf", "validUntil"])
async def test_a_changed_figure_breaks_signature_and_inclusion(field: str) -> None:
    document = await _included()
    value = getattr(document.statement, field)
    changed = _with(document, "statement", **{field: value - 1})
    assert {"signature", "inclusion"} <= set(_failed(changed))


async def test_what_the_contract_refuses_is_refused() -> None:
    document = await _included()
    assert _failed(document, now=SCORE.valid_until + 1) == ["statement not expired", "epoch not expired"]
    assert _failed(document, now=SCORE.as_of - 901) == ["statement not from the future", "epoch not from the future"]
    assert _failed(document, trusted=(STRANGER.address,)) == ["signature", "epoch signature"]
    assert _failed(_with(document, "domain", chainId=10)) == ["signature", "epoch signature"]
    assert _failed(document, expected=Domain(10, VERIFIER)) == ["domain"]
    lasting, _ = await attest(SIGNER, DOMAIN, replace(SCORE, valid_until=SCORE.as_of + 86_401))
    assert _failed(lasting) == ["statement not good for too long"]
    forged, _ = await attest(STRANGER, DOMAIN, SCORE)
    assert _failed(forged) == ["signature"]
    partial, _ = await attest(SIGNER, DOMAIN, replace(SCORE, coverage=9_999))
    assert _failed(partial) == ["coverage"]
    assert _failed(partial, minimum_coverage=9_000) == []


async def test_a_signer_that_only_the_document_names_is_not_believed() -> None:
    document, _ = await attest(SIGNER, DOMAIN, SCORE)
    assert _failed(document.model_copy(update={"signer": STRANGER.address})) == ["signature"]


async def test_figures_that_fit_no_type_are_an_error() -> None:
    document, _ = await attest(SIGNER, DOMAIN, SCORE)
    with pytest.raises(StatementError, match="probability_day"):
        verify(_with(document, "statement", probabilityDay="-1"), NOW, TRUSTED)


def test_an_epoch_needs_scores_of_different_owners() -> None:
    with pytest.raises(StatementError, match="twice"):
        seal(1, [SCORE, replace(SCORE, score=1)])
    with pytest.raises(StatementError, match="at least one"):
        seal(1, [])


def test_an_epoch_is_as_old_as_its_oldest_score() -> None:
    older = replace(SCORE, owner=Address("0x" + "01" * 20), as_of=NOW - 500, valid_until=NOW + 100)
    assert (seal(1, [SCORE, older]).statement.as_of, seal(1, [SCORE, older]).statement.valid_until) == (NOW - 500, NOW + 100)


@given(addresses, domains)
def test_a_request_is_read_as_it_was_written(owner: Address, domain: Domain) -> None:
    assert decode_request(encode_request(Request(owner, domain))) == Request(owner, domain)


@pytest.mark.parametrize(
    "data",
    ["", "0x", "zz", "0x12345678" + "00" * 96, encode_request(Request(OWNER, DOMAIN)) + "00", encode_request(Request(OWNER, DOMAIN))[:-2]],
)
def test_another_request_is_refused(data: str) -> None:
    with pytest.raises(InputError):
        decode_request(data)


def test_a_request_with_dirty_addresses_or_an_absurd_chain_is_refused() -> None:
    good = encode_request(Request(OWNER, DOMAIN))
    with pytest.raises(InputError, match="20 bytes"):
        decode_request(good[:10] + "f" + good[11:])
    with pytest.raises(InputError, match="no chain"):
        decode_request(good[:74] + "f" + good[75:])
