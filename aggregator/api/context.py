"""What every endpoint can reach: one typed object on the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from aggregator.api.limits import RateLimiter
from aggregator.api.metrics import Metrics
from aggregator.engine.live.live import Live
from aggregator.engine.live.stream import StreamHub
from aggregator.engine.settings import Settings
from aggregator.store.database import Database

if TYPE_CHECKING:
    from aggregator.engine.live.attesting import Attester
    from aggregator.engine.live.haircuts import ListedHaircuts
    from aggregator.engine.live.systemic import Systemic


@dataclass(slots=True)
class App:
    """The service as endpoints see it. `now`: microseconds since the epoch."""

    live: Live
    database: Database
    hub: StreamHub
    systemic: Systemic
    haircuts: ListedHaircuts
    settings: Settings
    metrics: Metrics
    reads: RateLimiter
    writes: RateLimiter
    now: Callable[[], int]
    attester: Attester | None = None
    """None where no signing key is set"""
    streams: dict[str, int] = field(default_factory=dict)
    """open streams by address"""


APP: web.AppKey[App] = web.AppKey("crossmargin", App)


def app_of(request: web.Request) -> App:
    """The service behind a request."""
    return request.app[APP]
