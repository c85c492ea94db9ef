"""Whether losses beyond a haircut come as often as promised, and whether they come alone. Likelihood-ratio tests on days of 0 and 1.

- Kupiec (1995), unconditional coverage: n days, x violations, promised rate α

      LR = 2·[ x·ln(x/(nα)) + (n−x)·ln((n−x)/(n(1−α))) ]

- Christoffersen (1998), independence: with n_ij days in state j after a day in state i, π_i = n_i1/(n_i0+n_i1), π = (n_01+n_11)/Σn

      LR = 2·[ Σ_i (n_i0·ln(1−π_i) + n_i1·ln π_i) − (n_00+n_10)·ln(1−π) − (n_01+n_11)·ln π ]

Both are χ² with one degree of freedom, whose survival function is erfc(√(LR/2)); 0·ln 0 is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, log, sqrt
from typing import Self

from aggregator.risk.market_risk.panel import Mask


@dataclass(frozen=True, slots=True)
class Transitions:
    """Days by the state of the day before and their own: `calm_hit` is a violation after a day without one."""

    calm_calm: int = 0
    calm_hit: int = 0
    hit_calm: int = 0
    hit_hit: int = 0

    @classmethod
    def of(cls, hits: Mask) -> Transitions:
        """Of one series in the order of its days."""
        before, after = hits[:-1], hits[1:]
        return cls(int((~before & ~after).sum()), int((~before & after).sum()), int((before & ~after).sum()), int((before & after).sum()))

    def __add__(self, other: Self) -> Transitions:
        return Transitions(
            self.calm_calm + other.calm_calm,
            self.calm_hit + other.calm_hit,
            self.hit_calm + other.hit_calm,
            self.hit_hit + other.hit_hit,
        )


def kupiec(days: int, violations: int, rate: float) -> float:
    """p-value of `violations` among `days` at the promised `rate`; 1 without days."""
    quiet = days - violations
    ratio = _weighted_log(violations, violations / (days * rate)) + _weighted_log(quiet, quiet / (days * (1.0 - rate))) if days else 0.0
    return _survival(2.0 * ratio)


def christoffersen(counts: Transitions) -> float:
    """p-value of independence; 1 where there was no violation to come twice."""
    after_calm, after_hit = counts.calm_calm + counts.calm_hit, counts.hit_calm + counts.hit_hit
    total, hits = after_calm + after_hit, counts.calm_hit + counts.hit_hit
    if not after_calm or not after_hit:
        return 1.0
    apart = _weighted_log(counts.calm_calm, counts.calm_calm / after_calm) + _weighted_log(counts.calm_hit, counts.calm_hit / after_calm)
    apart += _weighted_log(counts.hit_calm, counts.hit_calm / after_hit) + _weighted_log(counts.hit_hit, counts.hit_hit / after_hit)
    together = _weighted_log(total - hits, (total - hits) / total) + _weighted_log(hits, hits / total)
    return _survival(2.0 * (apart - together))


def _weighted_log(count: int, argument: float) -> float:
    return count * log(argument) if count else 0.0


def _survival(statistic: float) -> float:
    """Of χ² with one degree of freedom."""
    return erfc(sqrt(max(statistic, 0.0) / 2.0))
