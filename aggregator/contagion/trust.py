"""Whom a token trusts: issuers, bridges, oracles, curators and custodians on the paths from it down to real assets."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from aggregator.contagion.lookthrough import LookThrough, share_through
from aggregator.model.book import Floats

EVERY = 1.0 - 1e-9
"""share of the backing from which a domain stands on every path"""
PATHS = 1_000


@dataclass(frozen=True, slots=True)
class TrustPath:
    """One way down: `tokens` from the token to where real assets are, the share of its backing on this way, and whom it passes."""

    tokens: tuple[str, ...]
    share: float
    domains: tuple[str, ...]

    @property
    def wraps(self) -> int:
        """Claims on claims along the way; 0 for a token's own real assets."""
        return len(self.tokens) - 1


@dataclass(frozen=True, slots=True)
class Trust:
    """`shares` (domains × tokens): share of a token's backing that is lost to it if the domain fails whole."""

    found: LookThrough
    domains: tuple[str, ...]
    shares: Floats

    def of(self, token: str) -> dict[str, float]:
        """Domains beneath a token and the share of its backing on each, the largest first."""
        column = self.shares[:, self.found.composition.code(token)]
        order = sorted(np.flatnonzero(column > 0.0).tolist(), key=lambda place: (-column[place], self.domains[place]))
        return {self.domains[place]: float(column[place]) for place in order}

    def on_every_path(self, token: str) -> tuple[str, ...]:
        """Domains that no part of a token's backing goes around."""
        return tuple(domain for domain, share in self.of(token).items() if share >= EVERY)

    def exposure(self, domain: str) -> float:
        """USD of all tokens' values that stand on a domain; what is wrapped counts as often as it is held."""
        return float(self.shares[self.domains.index(domain)] @ self.found.value) if domain in self.domains else 0.0

    def paths(self, token: str, limit: int = PATHS) -> tuple[TrustPath, ...]:
        """The ways down that carry most, the largest first; a way that comes back to a token it has passed ends before that."""
        given = self.found.composition
        rest = 1.0 - np.asarray(self.found.weights.sum(axis=1)).ravel()
        start = given.code(token)
        waiting: list[tuple[float, tuple[int, ...], bool]] = [(-1.0, (start,), False)]
        result: list[TrustPath] = []
        while waiting and len(result) < limit:
            negative, way, whole = heapq.heappop(waiting)
            if whole:
                passed = dict.fromkeys(domain for code in way for domain in given.domains[code])
                result.append(TrustPath(tuple(given.names[code] for code in way), -negative, tuple(passed)))
                continue
            last, weights = way[-1], self.found.weights
            if rest[last] > 1e-12:
                heapq.heappush(waiting, (negative * float(rest[last]), way, True))
            for place in range(weights.indptr[last], weights.indptr[last + 1]):
                code, share = int(weights.indices[place]), float(weights.data[place])
                if code not in way and share > 0.0:
                    heapq.heappush(waiting, (negative * share, (*way, code), False))
        return tuple(result)


def trust(found: LookThrough) -> Trust:
    """Shares of every token's backing on every domain."""
    given = found.composition
    names = tuple(sorted({domain for domains in given.domains for domain in domains}))
    rows = [share_through(found.weights, np.array([name in domains for domains in given.domains])) for name in names]
    return Trust(found, names, np.array(rows).reshape(len(names), len(given)))


def ultimate(found: LookThrough) -> Floats:
    """(n × n) share of each token's backing that is real assets of each token in the end: rows add up to 1 where anything stands behind."""
    own = 1.0 - np.asarray(found.weights.sum(axis=1)).ravel()
    own[(found.real <= 0.0)] = 0.0
    inverse = np.linalg.inv(np.eye(len(own)) - found.weights.toarray())
    result: Floats = inverse * own
    return result
