"""What a feed answered, and what may be made of it: fresh, stale, at its bounds, or nothing.

Rules (in this order; `now` is the pinned block's timestamp):

* not deployed, unreadable, no decimals, answer ≤ 0: no value, with the reason.
* answer ≤ the aggregator's `minAnswer` or ≥ its `maxAnswer`: BOUNDED. Such a feed may be held there while the market moves on.
* `updatedAt` 0 or in the future, `answeredInRound` before the round, sequencer down or in its grace period: STALE.
* older than heartbeat + buffer (never less than 70 minutes), in business time for net asset values: STALE.
* else FRESH.

The interval around a value is the deviation that a feed allows itself, and past the heartbeat it widens with the square root of the
excess age: deviation + 2.33 · yearly volatility · √(excess / year), 2.33 being the one-sided 99 % quantile.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from aggregator.model.identifiers import ChainId
from aggregator.model.outcome import Absent, Outcome, Value
from aggregator.model.price import PriceQuality
from aggregator.model.snapshot import Block, Gap
from aggregator.prices.business_time import business_seconds
from aggregator.prices.estimate import Estimate, exact
from aggregator.prices.feeds import Cadence, Feed, FeedKind, SequencerFeed
from aggregator.reading.reads import why

YEAR = 365 * 86_400
QUANTILE = Decimal("2.33")
UNKNOWN_AGE_EXCESS = 7 * 86_400
"""excess age that the interval of a stale answer without a usable time is widened by"""
SMALLEST_BUFFER = 600
"""seconds past the heartbeat that congestion explains; the buffer is this or a tenth of the heartbeat"""
SHORTEST_LIMIT = 4_200
"""seconds below which no age is called stale: what is late against a heartbeat of minutes only widens the interval until then"""
WIDEST = Decimal("0.99")
"""of the value, on either side"""
ABOVE_MAXIMUM = 2
"""how far above its maximum a bounded answer's truth is taken to be, as a multiple"""

CONFIDENCE = {Cadence.DIRECTORY: 0.95, Cadence.BAND: 0.95, Cadence.DEFAULT: 0.9}
NAV_CONFIDENCE = 0.9
UNDATED_CONFIDENCE = 0.6
STALE_CONFIDENCE = 0.5
BOUNDED_CONFIDENCE = 0.1
SEQUENCER_UNKNOWN_CONFIDENCE = 0.8


@dataclass(frozen=True, slots=True)
class Round:
    """One answer of an aggregator, as `latestRoundData()` gives it."""

    round_id: int
    answer: int
    started_at: int
    updated_at: int
    answered_in_round: int


@dataclass(frozen=True, slots=True)
class Sequencer:
    """State of a rollup's sequencer at the block. `trouble` says why its prices are not to be trusted; `unknown` why nobody knows."""

    trouble: str | None = None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A past round of a feed, from the probes that tell how dense its rounds are."""

    rounds_back: int
    timestamp: int
    answer: int


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """One feed at one block. `estimate` is in units of the feed's quote, None with a `reason` where there is no value."""

    feed: Feed
    estimate: Estimate | None
    reason: str = ""
    deployed: bool = True
    decimals: int = 0
    round: Round | None = None
    probes: tuple[Sample, ...] | None = None
    """older rounds at fixed distances; None where they were not asked for, or not told"""


@dataclass(frozen=True, slots=True)
class FeedAnswers:
    """All feeds of one chain at one block."""

    chain: ChainId
    block: Block
    feeds: tuple[FeedAnswer, ...]
    sequencer: Sequencer = Sequencer()
    gaps: tuple[Gap, ...] = ()


def staleness_limit(heartbeat_seconds: int) -> int:
    """Age in seconds beyond which an answer counts as stale: the heartbeat and a buffer."""
    return max(SHORTEST_LIMIT, heartbeat_seconds + max(SMALLEST_BUFFER, heartbeat_seconds // 10))


def sequencer_state(feed: SequencerFeed, outcome: Outcome[tuple[int, int, int, int, int]], now: int) -> Sequencer:
    """Verdict on the uptime feed's latest round: answer 0 is up, and `startedAt` when it came up."""
    match outcome:
        case Value((_, answer, started_at, _, _)):
            if answer != 0:
                return Sequencer(trouble="the sequencer is down")
            if started_at == 0 or started_at > now:
                return Sequencer(trouble="the sequencer's uptime feed has no valid round")
            if now - started_at < feed.grace_seconds:
                return Sequencer(trouble=f"the sequencer came back {now - started_at} s ago, within its grace of {feed.grace_seconds} s")
            return Sequencer()
        case Absent():
            return Sequencer()
        case _:
            return Sequencer(unknown=f"the sequencer's state is unknown ({why(outcome)})")


@exact
def judge_round(
    feed: Feed,
    round_: Round,
    decimals: int,
    bounds: tuple[int, int] | None,
    block: Block,
    sequencer: Sequencer,
    chain: ChainId,
) -> Estimate | str:
    """Estimate of an aggregator's answer, or the reason why there is none. `bounds` are `minAnswer`, `maxAnswer` where it has them."""
    if round_.answer <= 0:
        return f"the answer {round_.answer} is not a price"
    value = Decimal(round_.answer).scaleb(-decimals)
    now = block.timestamp
    trouble: list[str] = []
    age: int | None = now - round_.updated_at
    if round_.updated_at == 0:
        age = None
        trouble.append("its round is not complete")
    elif round_.updated_at > now:
        age = None
        trouble.append(f"it is dated {round_.updated_at - now} s after the block")
    if round_.answered_in_round < round_.round_id:
        trouble.append("its answer is carried over from an earlier round")
    return _estimate(feed, value, age, round_.updated_at, trouble, _at_bound(round_.answer, bounds), block, sequencer, chain)


@exact
def judge_stated(feed: Feed, value: int, timestamp: int | None, block: Block, sequencer: Sequencer, chain: ChainId) -> Estimate | str:
    """The same for an issuer's own price, 1e18, with the time it states or none."""
    if value <= 0:
        return f"the answer {value} is not a price"
    trouble = []
    age = None if timestamp is None else block.timestamp - timestamp
    if timestamp == 0:
        age = None
        trouble.append("it states no time")
    elif timestamp is not None and timestamp > block.timestamp:
        age = None
        trouble.append(f"it is dated {timestamp - block.timestamp} s after the block")
    return _estimate(feed, Decimal(value).scaleb(-18), age, timestamp or 0, trouble, 0, block, sequencer, chain)


def _at_bound(answer: int, bounds: tuple[int, int] | None) -> int:
    """−1 at the minimum, 1 at the maximum, else 0; bounds that leave no room between them say nothing."""
    if bounds is None or bounds[0] >= bounds[1]:
        return 0
    return -1 if answer <= bounds[0] else 1 if answer >= bounds[1] else 0


def _estimate(
    feed: Feed,
    value: Decimal,
    age: int | None,
    updated_at: int,
    trouble: list[str],
    at_bound: int,
    block: Block,
    sequencer: Sequencer,
    chain: ChainId,
) -> Estimate:
    effective = age
    if age is not None and feed.kind is FeedKind.NAV:
        effective = business_seconds(updated_at, block.timestamp)
    allowed = staleness_limit(feed.heartbeat_seconds)
    if sequencer.trouble is not None:
        trouble.append(sequencer.trouble)
    if effective is not None and effective > allowed:
        counted = "" if feed.kind is not FeedKind.NAV else " of business time"
        trouble.append(f"it is {effective} s old{counted}, its heartbeat is {feed.heartbeat_seconds} s")
    confidence = NAV_CONFIDENCE if feed.kind is FeedKind.NAV else CONFIDENCE[feed.cadence]
    notes = [f"{feed.label} on {chain} is stale: {'; '.join(trouble)}"] if trouble else []
    if sequencer.unknown is not None:
        confidence *= SEQUENCER_UNKNOWN_CONFIDENCE
        notes.append(f"{chain}: {sequencer.unknown}")
    if effective is None and not trouble:
        confidence = min(confidence, UNDATED_CONFIDENCE)
        notes.append(f"{feed.label} on {chain} states no time")
    excess = max(0, effective - feed.heartbeat_seconds) if effective is not None else (UNKNOWN_AGE_EXCESS if trouble else 0)
    width = min(WIDEST, feed.deviation + QUANTILE * feed.volatility * (Decimal(excess) / YEAR).sqrt())
    low, high = value * (1 - width), value * (1 + width)
    quality = PriceQuality.FRESH
    if trouble:
        quality = PriceQuality.STALE
        confidence *= STALE_CONFIDENCE * (min(1.0, allowed / effective) if effective else 1.0)
    if at_bound:
        quality, confidence = PriceQuality.BOUNDED, BOUNDED_CONFIDENCE
        low, high = (Decimal(0), high) if at_bound < 0 else (low, value * ABOVE_MAXIMUM)
        notes.append(f"{feed.label} on {chain} stands at the aggregator's {'minimum' if at_bound < 0 else 'maximum'}")
    dated = f", {age} s old" if age is not None else ""
    source = f"{feed.label} on {chain}, block {block.number}{dated}"
    return Estimate(value, low, high, age, quality, confidence, (source,), tuple(notes))
