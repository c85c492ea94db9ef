"""Which rounds of a feed its price history is made of: a function of the feed and the block alone. Pure.

Whoever reads a block first and whoever has watched the chain for months must find the same history. So the rounds are not chosen by date,
which a reader could only approach by what it has seen before, but by number: those that are multiples of a power of two, back to where the
last 92 days began. How dense a feed's rounds are is judged by the latest one and three probes at fixed distances before it, which are
asked for with the latest one, every time.

A new round then moves the choice by at most that round. What is remembered of old rounds only saves asking for them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from aggregator.prices.answers import Round, Sample

DAY = 86_400
WINDOW = 92 * DAY
LEAST_POINTS = WINDOW // DAY
"""one a day; at most twice as many, as strides are powers of two"""
PROBES = (32, 1_024, 16_384)
"""rounds back"""
FINER = 4
"""the last two strides are looked at so many times closer"""
MARGIN = 16
"""strides that the beginning moves by at a time, so that it seldom moves back"""
PHASE_BITS = 64


@dataclass(frozen=True, slots=True)
class RoundChoice:
    """Rounds before the latest that make a history."""

    rounds: tuple[int, ...]
    """ids within the latest one's phase, ascending; with its first one where the window reaches that far"""
    earlier: tuple[int, ...]
    """of the phase before: distances from its last round"""
    stride: int
    per_second: float
    """rounds, over the whole window"""

    @property
    def fine_stride(self) -> int:
        return max(1, self.stride // FINER)


def choose(latest: Round, probes: Sequence[Sample], heartbeat: int, now: int) -> RoundChoice:
    """The rounds of a feed's history at a block of time `now`.

    Rounds over the window are counted in proportion between probes; beyond the last one its density holds, and without any a round a
    heartbeat is assumed. A phase that is too young is followed into the one before it.
    """
    phase, number = split(latest.round_id)
    back = max(_rounds_since(now - WINDOW, latest, probes, heartbeat), 1)
    stride = 1 << max(back // LEAST_POINTS, 1).bit_length() - 1
    first = (number - back) // (stride * MARGIN) * stride * MARGIN
    fine = max(1, stride // FINER)
    wanted = {*range(max(first, stride), number, stride), *range(_above(number - 2 * stride, fine), number, fine)}
    wanted |= {1} if first <= 0 and number > 1 else set()
    return RoundChoice(
        tuple(phase << PHASE_BITS | one for one in sorted(wanted)),
        tuple(range(0, -first, stride)) if phase > 1 else (),
        stride,
        back / WINDOW,
    )


def foreseen(choice: RoundChoice, latest: Round, now: int) -> tuple[int, ...]:
    """Ids that a choice made at `now` may contain beside those of `choice`, which was made when `latest` was the latest round.

    Rounds that are not there yet answer nothing.
    """
    phase, number = split(latest.round_id)
    expected = 2 * int(choice.per_second * max(now - latest.updated_at, 0)) + max(2, choice.stride // 2)
    fine = choice.fine_stride
    step = fine if expected <= 4 * LEAST_POINTS * fine else choice.stride
    last = min(number + expected, (1 << PHASE_BITS) - 1)
    return tuple(phase << PHASE_BITS | one for one in range(_above(number, step), last + 1, step))


def split(round_id: int) -> tuple[int, int]:
    """Phase and number of a proxy's round id."""
    return round_id >> PHASE_BITS, round_id & (1 << PHASE_BITS) - 1


def _above(number: int, stride: int) -> int:
    """The lowest multiple above zero that is not below `number`."""
    return max(stride, -(-number // stride) * stride)


def _rounds_since(target: int, latest: Round, probes: Sequence[Sample], heartbeat: int) -> int:
    """Rounds between the time `target` and the latest one."""
    anchors = [(latest.updated_at, 0), *((probe.timestamp, probe.rounds_back) for probe in probes)]
    for (late, few), (early, many) in pairwise(anchors):
        if early <= target:
            return few + (late - target) * (many - few) // (late - early)
    last_time, last_back = anchors[-1]
    if len(anchors) > 1:
        # the density over the whole known past is steadier than between the last two
        return last_back + (last_time - target) * last_back // (anchors[0][0] - last_time)
    return (last_time - target) // heartbeat
