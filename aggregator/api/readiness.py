"""Whether enough is known to serve: what `/readyz` says, and `/metrics` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.api.context import App


@dataclass(frozen=True, slots=True)
class Readiness:
    """`share`: of what is to be served, what is there (see `Live.coverage`). `why`: what is wrong; None where nothing is."""

    share: float
    database: bool
    why: str | None


async def readiness(app: App) -> Readiness:
    """At this moment; asks the database."""
    share, database = app.live.coverage(), await app.database.answers()
    why = None
    if not database:
        why = "the database does not answer"
    elif share < app.settings.minimum_coverage:
        why = f"coverage is {share:.4f}, below {app.settings.minimum_coverage:g}: see /v1/coverage"
    return Readiness(share, database, why)
