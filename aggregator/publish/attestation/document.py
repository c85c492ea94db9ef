"""The signed score as JSON, `crossmargin/score/1`, and the check of it without any chain.

The statement stands in the field names and integers of EIP-712; integers above 2^53 are decimal strings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aggregator.model.identifiers import Address, checksum, parse_address
from aggregator.publish.attestation.merkle import implied_root, leaf
from aggregator.publish.attestation.signer import Signer, recover
from aggregator.publish.attestation.statement import (
    COMPLETE,
    LONGEST_VALIDITY_SECONDS,
    UNBOUNDED,
    UNKNOWN,
    ChainBlock,
    Domain,
    MarginScore,
    ScoreEpoch,
)
from aggregator.publish.attestation.typed_data import digest, hash_epoch, hash_score

CLOCK_TOLERANCE_SECONDS = 900
"""as in the contract: how far the verifier's clock may be behind the chains'"""
MOST_BLOCKS, MOST_SIBLINGS = 256, 64

Word = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$")]
Place = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
Signature = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{130}$")]
Integer = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,78}$")]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DomainDocument(Part):
    name: Literal["Crossmargin"] = "Crossmargin"
    version: Literal["1"] = "1"
    chainId: int = Field(ge=0)  # noqa: N815  EIP-712 writes it so
    verifyingContract: Place  # noqa: N815


class BlockDocument(Part):
    chainId: int = Field(ge=0)  # noqa: N815
    number: int = Field(ge=0)
    hash: Word


class StatementDocument(Part):
    """`MarginScore` of the contract: score in hundredths, probabilities and ratios with 18 decimals, coverage in basis points."""

    owner: Place
    score: int
    probabilityHour: Integer  # noqa: N815
    probabilityDay: Integer  # noqa: N815
    probabilityWeek: Integer  # noqa: N815
    marginRatio: Integer  # noqa: N815
    lowestHealthFactor: Integer  # noqa: N815
    coverage: int
    blocks: tuple[BlockDocument, ...] = Field(max_length=MOST_BLOCKS)
    model: str = Field(max_length=256)
    parameters: Word
    snapshot: Word
    asOf: int  # noqa: N815
    validUntil: int  # noqa: N815


class EpochDocument(Part):
    epoch: int = Field(ge=0)
    root: Word
    count: int = Field(ge=0)
    asOf: int  # noqa: N815
    validUntil: int  # noqa: N815


class InclusionDocument(Part):
    """That the statement is part of a signed epoch; the domain is the attestation's."""

    epoch: EpochDocument
    signature: Signature
    proof: tuple[Word, ...] = Field(max_length=MOST_SIBLINGS)


class ScoreAttestation(Part):
    schema_: Literal["crossmargin/score/1"] = Field(alias="schema", default="crossmargin/score/1")
    domain: DomainDocument
    statement: StatementDocument
    signature: Signature
    signer: Place
    inclusion: InclusionDocument | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: whether it holds, and what was found."""

    what: str
    holds: bool
    detail: str


async def attest(signer: Signer, domain: Domain, score: MarginScore) -> tuple[ScoreAttestation, bytes]:
    """The signed document and its 65-byte signature."""
    signature = await signer.sign(domain, score)
    return attestation(signer.address, domain, score, signature), signature


def attestation(
    signer: Address, domain: Domain, score: MarginScore, signature: bytes, inclusion: InclusionDocument | None = None
) -> ScoreAttestation:
    """The document of a statement that is signed already."""
    return ScoreAttestation(
        domain=DomainDocument(chainId=domain.chain_id, verifyingContract=checksum(domain.verifier)),
        statement=StatementDocument(
            owner=checksum(score.owner),
            score=score.score,
            probabilityHour=str(score.probability_hour),
            probabilityDay=str(score.probability_day),
            probabilityWeek=str(score.probability_week),
            marginRatio=str(score.margin_ratio),
            lowestHealthFactor=str(score.lowest_health_factor),
            coverage=score.coverage,
            blocks=tuple(BlockDocument(chainId=one.chain_id, number=one.number, hash=_hex(one.hash)) for one in score.blocks),
            model=score.model,
            parameters=_hex(score.parameters),
            snapshot=_hex(score.snapshot),
            asOf=score.as_of,
            validUntil=score.valid_until,
        ),
        signature=_hex(signature),
        signer=checksum(signer),
        inclusion=inclusion,
    )


def inclusion(epoch: ScoreEpoch, signature: bytes, proof: tuple[bytes, ...]) -> InclusionDocument:
    """The document of a proof within a signed epoch."""
    return InclusionDocument(
        epoch=EpochDocument(epoch=epoch.epoch, root=_hex(epoch.root), count=epoch.count, asOf=epoch.as_of, validUntil=epoch.valid_until),
        signature=_hex(signature),
        proof=tuple(_hex(one) for one in proof),
    )


def statement_of(document: StatementDocument) -> MarginScore:
    """Raises StatementError for a figure out of range."""
    return MarginScore(
        owner=parse_address(document.owner),
        score=document.score,
        probability_hour=int(document.probabilityHour),
        probability_day=int(document.probabilityDay),
        probability_week=int(document.probabilityWeek),
        margin_ratio=int(document.marginRatio),
        lowest_health_factor=int(document.lowestHealthFactor),
        coverage=document.coverage,
        blocks=tuple(ChainBlock(one.chainId, one.number, _bytes(one.hash)) for one in document.blocks),
        model=document.model,
        parameters=_bytes(document.parameters),
        snapshot=_bytes(document.snapshot),
        as_of=document.asOf,
        valid_until=document.validUntil,
    )


def epoch_of(document: EpochDocument) -> ScoreEpoch:
    """Raises StatementError for a figure out of range."""
    return ScoreEpoch(document.epoch, _bytes(document.root), document.count, document.asOf, document.validUntil)


def domain_of(document: DomainDocument) -> Domain:
    return Domain(document.chainId, parse_address(document.verifyingContract))


def verify(
    document: ScoreAttestation,
    now_seconds: int,
    trusted: Collection[Address],
    minimum_coverage: int = COMPLETE,
    expected: Domain | None = None,
) -> tuple[Finding, ...]:
    """Everything that the contract checks, without a chain, in its order; a document is good when every finding holds.

    `trusted`: the signers that are believed; `expected`: the domain that it must be for. Raises StatementError for figures that no
    contract could decode.
    """
    score, domain = statement_of(document.statement), domain_of(document.domain)
    claimed = parse_address(document.signer)
    found = [_signed("signature", recover(digest(domain, hash_score(score)), _bytes(document.signature)), trusted, claimed)]
    if expected is not None:
        detail = f"for {checksum(domain.verifier)} on chain {domain.chain_id}"
        found.append(Finding("domain", domain == expected, detail))
    found += _current("statement", score.as_of, score.valid_until, now_seconds)
    found.append(
        Finding("coverage", score.coverage >= minimum_coverage, f"{_percent(score.coverage)}, needed {_percent(minimum_coverage)}")
    )
    if document.inclusion is not None:
        epoch, siblings = epoch_of(document.inclusion.epoch), [_bytes(one) for one in document.inclusion.proof]
        who = recover(digest(domain, hash_epoch(epoch)), _bytes(document.inclusion.signature))
        found.append(_signed("epoch signature", who, trusted, None))
        found += _current("epoch", epoch.as_of, epoch.valid_until, now_seconds)
        leads = implied_root(leaf(score.owner, hash_score(score)), siblings)
        found.append(Finding("inclusion", leads == epoch.root, f"in epoch {epoch.epoch} of {epoch.count} scores, root {_hex(epoch.root)}"))
    return tuple(found)


def shown(value: int, write: Callable[[int], str]) -> str:
    """A ratio for people, with words where there is no figure."""
    return "not known" if value == UNKNOWN else "unbounded" if value == UNBOUNDED else write(value)


def _signed(what: str, signer: Address | None, trusted: Collection[Address], claimed: Address | None) -> Finding:
    if signer is None:
        return Finding(what, False, "not a signature of anybody over this statement")
    if signer not in trusted:
        return Finding(what, False, f"of {checksum(signer)}, who is not trusted")
    if claimed is not None and signer != claimed:
        return Finding(what, False, f"of {checksum(signer)}, not of the signer that the document names")
    return Finding(what, True, f"of {checksum(signer)}")


def _current(what: str, as_of: int, valid_until: int, now: int) -> list[Finding]:
    late = now - valid_until
    early = as_of - now
    long = valid_until - as_of
    return [
        Finding(f"{what} not good for too long", long <= LONGEST_VALIDITY_SECONDS, f"{long} s of {LONGEST_VALIDITY_SECONDS} s at the most"),
        Finding(f"{what} not expired", late <= 0, f"{-late} s left" if late <= 0 else f"expired {late} s ago"),
        Finding(f"{what} not from the future", early <= CLOCK_TOLERANCE_SECONDS, f"{-early} s old" if early <= 0 else f"{early} s ahead"),
    ]


def _percent(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
