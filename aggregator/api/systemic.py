"""What systemic answers stand on, said in each of them: the source, its blocks, and what is missing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.api.schema import missing
from aggregator.engine.live.systemic import Systemic
from aggregator.engine.schema import CoverageDocument, GapDocument, SnapshotDocument

if TYPE_CHECKING:
    from aggregator.contagion.evidence import Evidence


def basis(
    systemic: Systemic, what: str, evidence: Evidence | None, lacking: str = ""
) -> tuple[str | None, tuple[SnapshotDocument, ...], CoverageDocument]:
    """(source, snapshots, coverage). Without a population everything is missing, and that is what is said."""
    population = systemic.population
    if population is None or evidence is None:
        why = lacking or systemic.trouble or "nothing of it is known"
        return None if population is None else population.name, (), missing((GapDocument(chain="*", protocol="*", what=what, why=why),))
    from aggregator.engine.document import snapshot_document

    gaps = [GapDocument(chain=gap.chain, protocol=gap.protocol, what=gap.what, why=gap.why) for gap in population.gaps]
    gaps += [GapDocument(chain="*", protocol="*", what=what, why=reason) for reason in evidence.missing]
    return population.name, tuple(snapshot_document(one) for one in population.snapshots), missing(tuple(gaps))
