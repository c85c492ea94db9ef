"""All scores of one moment under one signed root, with a proof for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aggregator.model.identifiers import Address
from aggregator.publish.attestation.document import InclusionDocument, inclusion
from aggregator.publish.attestation.merkle import Tree, leaf, tree
from aggregator.publish.attestation.signer import Signer
from aggregator.publish.attestation.statement import Domain, MarginScore, ScoreEpoch, StatementError, oldest
from aggregator.publish.attestation.typed_data import hash_score


@dataclass(frozen=True, slots=True)
class Epoch:
    """The tree over (owner, hash of the statement) of every owner, and where each owner's leaf was put."""

    statement: ScoreEpoch
    tree: Tree
    numbers: Mapping[Address, int]

    def proof(self, owner: Address) -> tuple[bytes, ...]:
        """Raises KeyError for an owner who is not in the epoch."""
        return self.tree.proof(self.numbers[owner])

    async def inclusion(self, signer: Signer, domain: Domain, owner: Address) -> InclusionDocument:
        """The signed root with the proof of one owner."""
        return inclusion(self.statement, await signer.sign(domain, self.statement), self.proof(owner))


def seal(number: int, scores: Sequence[MarginScore]) -> Epoch:
    """One epoch over these statements: as old as the oldest, good as long as the shortest.

    Raises StatementError without a statement, and for two of one owner.
    """
    if not scores:
        raise StatementError("an epoch needs at least one score")
    numbers = {score.owner: position for position, score in enumerate(scores)}
    if len(numbers) < len(scores):
        raise StatementError("an epoch has one score an owner; an owner stands twice")
    grown = tree([leaf(score.owner, hash_score(score)) for score in scores])
    valid_until = min(score.valid_until for score in scores)
    return Epoch(ScoreEpoch(number, grown.root, len(scores), oldest(score.as_of for score in scores), valid_until), grown, numbers)
