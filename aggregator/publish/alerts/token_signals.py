"""Signs in tokens and bridges: price against former price, against what backs it, against what oracles say; and both sides of a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from aggregator.contagion.indicators import bridge_shortfall, price_gap, share_lost, soundness
from aggregator.publish.alerts.condition import EvidenceValue, Signal
from aggregator.publish.alerts.instant import DAY, Instant
from aggregator.publish.alerts.observations import Observed, PriceObserved
from aggregator.publish.alerts.picture import WEEK, Picture, bridge_node, token_node
from aggregator.publish.alerts.rules import BRIDGE_GAP, MILLION, ORACLE_GAP, PRICE_BREAK, SHADOW_GAP, Severity

MONTH = 30 * DAY
STANDS_STILL = 0.0025
"""median of the daily moves up to which a token is a peg or accrues: stablecoins and vault shares are at 0.15 %, ETH at 1.5 %"""
LEAST_DAYS = 5


def token_signals(picture: Picture, tokens: list[str], now: Instant) -> Iterator[Signal]:
    """Signs of the tokens named, of which a price or a backing, or those of what they stand on, has just been observed."""
    worst = soundness_of(picture, now, unshown=True)
    shown = soundness_of(picture, now, unshown=False)
    for token in tokens:
        yield from _price_break(picture, token, now)
        if token in worst:
            yield _shadow_gap(picture, token, worst[token], shown[token], now)
        yield from _oracle_gap(picture, token, worst.get(token, 1.0), now)


def stands_still(picture: Picture, token: str, now: Instant) -> bool:
    """Whether a token is one that does not move but for what it earns, judged by its days before the last one."""
    series = picture.fair.get(token)
    if series is None:
        return False
    days = [series.at(now - day * DAY) for day in range(1, 31)]
    prices = [one.usd for one in days if one is not None]
    moves = [abs(later / earlier - 1) for later, earlier in pairwise(prices) if earlier > 0]
    return len(moves) >= LEAST_DAYS and median(moves) <= STANDS_STILL


def sound_price(picture: Picture, token: str, now: Instant) -> float | None:
    """What a token was worth when sound: a month's high of one that stands still, a week's high of any other."""
    high = picture.high(token, now, WEEK)
    if high is not None and stands_still(picture, token, now):
        return picture.high(token, now, MONTH)
    return high


def soundness_of(picture: Picture, now: Instant, *, unshown: bool) -> dict[str, float]:
    """Look-through value over market price of every token whose backing is known."""
    if not picture.backings:
        return {}
    backing = {token: one.shares for token, one in picture.backings.items()}
    named = sorted({*backing, *(part for shares in backing.values() for part in shares)})
    worth = {token: known for token in named if (known := _worth(picture, token, now)) is not None}
    return soundness(backing, worth, unshown)


def backed_by(picture: Picture, tokens: set[str]) -> list[str]:
    """The tokens and all that stand on them, in order."""
    found = set(tokens)
    while True:
        more = {token for token, one in picture.backings.items() if token not in found and not found.isdisjoint(one.shares)}
        if not more:
            return sorted(found)
        found |= more


def _prices(picture: Picture, tokens: list[str], now: Instant) -> tuple[Observed, ...]:
    """The price observations that the tokens' present prices come from."""
    found: list[Observed] = []
    for token in tokens:
        series = picture.fair.get(token)
        one = series.at(now) if series is not None else None
        found += one.parts if one is not None else ()
    return tuple(found)


def _price_break(picture: Picture, token: str, now: Instant) -> Iterator[Signal]:
    price, high = picture.fair_price(token, now), picture.high(token, now, MONTH)
    fallen = share_lost(price, high)
    if fallen is None:
        return
    may_enter = fallen >= PRICE_BREAK.levels[0].figure and stands_still(picture, token, now)
    evidence: dict[str, EvidenceValue] = {"price_usd": price, "high_usd": high, "change": -fallen}
    node = token_node(token)
    yield Signal(PRICE_BREAK, node, node, fallen, evidence, _prices(picture, [token], now), may_enter)


def _shadow_gap(picture: Picture, token: str, best: float, shown: float, now: Instant) -> Signal:
    one = picture.backings[token]
    parts = sorted(one.shares)
    gap, gap_shown = 1 - best, 1 - shown
    # what is not shown of a backing is not known to be gone: it is told of, and is no warning
    figure = max(gap, min(gap_shown, SHADOW_GAP.levels[-1].figure))
    cap = Severity.CRITICAL if SHADOW_GAP.levels[0].reached(gap) else Severity.INFO
    fallen = [part for part in parts if (worth := _worth(picture, part, now)) is not None and worth < 1 - SHADOW_GAP.clear]
    unpriced = tuple(part for part in parts if picture.fair_price(part, now) is None)
    evidence: dict[str, EvidenceValue] = {
        "gap": gap,
        "gap_of_what_is_shown": gap_shown,
        "shown_share": sum(one.shares.values()),
        "price_usd": picture.fair_price(token, now),
        "backing": tuple(f"{part}: {one.shares[part]:g}" for part in parts),
        "not_priced": unpriced,
        "fallen": tuple(fallen),
    }
    node = token_node(token)
    inputs = (one, *_prices(picture, [token, *parts], now))
    return Signal(SHADOW_GAP, node, node, figure, evidence, inputs, cap=cap, upstream=tuple(token_node(part) for part in fallen))


def _worth(picture: Picture, token: str, now: Instant) -> float | None:
    price, sound = picture.fair_price(token, now), sound_price(picture, token, now)
    return price / sound if price is not None and sound else None


def _oracle_gap(picture: Picture, token: str, sound: float, now: Instant) -> Iterator[Signal]:
    market = picture.fair_price(token, now)
    oracles = list(picture.oracle_prices(token, now))
    gaps = [(gap, one) for one in oracles if (gap := price_gap(one.usd, None if market is None else market * min(1.0, sound))) is not None]
    if not gaps:
        return
    # the widest gap of those that much is borrowed at; where there is none, the widest
    much = [(gap, one) for gap, one in gaps if (picture.borrowed_at(one) or 0.0) > MILLION]
    gap, oracle = max(much or gaps, key=lambda pair: (pair[0], _name(pair[1])))
    borrowed = picture.borrowed_at(oracle)
    node = token_node(token)
    evidence: dict[str, EvidenceValue] = {
        "oracle": _name(oracle),
        "oracle_price_usd": oracle.usd,
        "market_price_usd": market,
        "look_through_price_usd": None if market is None else market * min(1.0, sound),
        "gap": gap,
        "borrowed_usd": borrowed,
    }
    yield Signal(
        ORACLE_GAP,
        node,
        node,
        gap,
        evidence,
        (oracle, *_prices(picture, [token], now)),
        may_enter=borrowed is None or borrowed > MILLION,
        cap=Severity.INFO if borrowed is None else Severity.CRITICAL,
    )


def _name(oracle: PriceObserved) -> str:
    return f"{oracle.source} {oracle.venue}".strip()


def bridge_signals(picture: Picture, key: tuple[str, str]) -> Iterator[Signal]:
    """Both sides of a bridge's ledger, from one observation. What a chain that cannot be read has minted makes it the least gap."""
    series = picture.bridges[key]
    latest = series.latest
    gap = bridge_shortfall(latest.locked, latest.minted.values(), latest.in_flight)
    chains = {chain for one in series.since(latest.t - WEEK) for chain in one.minted}
    unread = tuple(chain for chain in sorted(chains) if latest.minted.get(chain) is None)
    if unread and not gap:
        # nothing missing so far proves nothing while a side is not read
        gap = None
    minted = [amount for amount in latest.minted.values() if amount is not None]
    evidence: dict[str, EvidenceValue] = {
        "bridge": latest.bridge,
        "locked": latest.locked,
        "minted": sum(minted),
        "in_flight": latest.in_flight,
        "gap": gap,
        "not_read": unread,
    }
    yield Signal(BRIDGE_GAP, bridge_node(latest), token_node(latest.token), gap, evidence, (latest,))
