"""Signs in lending markets, vaults, curators, protocols and population curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from aggregator.contagion.indicators import share_lost, utilisation
from aggregator.publish.alerts.condition import EvidenceValue, Signal
from aggregator.publish.alerts.instant import DAY, HOUR, Instant, show_instant
from aggregator.publish.alerts.nodes import Node, NodeKind
from aggregator.publish.alerts.observations import AllocationObserved, CurveObserved, MarketObserved, Observed, ProtocolObserved
from aggregator.publish.alerts.picture import WEEK, AllocationKey, MarketKey, Picture, token_node, vault_node
from aggregator.publish.alerts.rules import (
    CURATOR_EXIT,
    CURVE_JUMP,
    DUST,
    MARKET_OUTFLOW,
    MILLION,
    PROTOCOL_OUTFLOW,
    UTILISATION,
    VAULT_OUTFLOW,
    Severity,
)
from aggregator.publish.alerts.series import Series
from aggregator.publish.alerts.token_signals import stands_still

O = TypeVar("O", bound=Observed)  # noqa: E741

SLACK = HOUR
"""how much less than a day may lie between the figures of two days: recordings do not come on the second"""
SAME_PRICE = 0.001
"""moves below it are not worth a look at what they mean"""
CUT = 0.9
"""share of an exposure that is gone when its holder has left"""


def market_signals(picture: Picture, key: MarketKey, now: Instant) -> Iterator[Signal]:
    """Outflow and utilisation of one market that has just been observed."""
    series = picture.markets[key]
    latest = series.latest
    place, root = picture.market_node(key), picture.root(key, now)
    common: dict[str, EvidenceValue] = {
        "market": latest.market,
        "chain": latest.chain,
        "protocol": latest.protocol,
        "collateral": latest.collateral or None,
        "loan": latest.loan or None,
        "supply_usd": latest.supply_usd,
        "borrow_usd": latest.borrow_usd,
        "exposed_vaults": tuple(f"{vault}: {usd:.0f} USD" for vault, usd in picture.exposed_vaults(latest.chain, latest.market)),
    }
    before = day_before(series, now, lambda one: one.supply_usd is not None)
    if before is not None:
        lost = share_lost(latest.supply_usd, _at_todays_price(picture, before, now))
        evidence = common | {
            "change_24h": None if lost is None else -lost,
            "supply_usd_before": before.supply_usd,
            "observed_before": show_instant(before.t),
        }
        enough = (before.supply_usd or 0.0) >= MILLION
        yield Signal(MARKET_OUTFLOW, place, root, lost, evidence, (latest, before), enough)
    used = utilisation(latest.supply_usd, latest.borrow_usd)
    small = picture.size(key, now) < DUST
    yield Signal(
        UTILISATION, place, root, used, common | {"utilisation": used}, (latest,), cap=Severity.INFO if small else Severity.CRITICAL
    )


def day_before(series: Series[O], now: Instant, known: Callable[[O], bool]) -> O | None:
    """What was known a day ago; where a series is younger, its first; where rows are missing, the last before that, so that a fall
    behind a gap is seen and not lost in it."""
    found = series.at(now - DAY, known)
    if found is None or found.t < now - DAY - SLACK:
        # none at that time: one a little later is as good, and better than one of the day before
        found = series.at(now - DAY + SLACK, known)
    if found is None:
        found = next((one for one in series.since(now - DAY) if known(one)), None)
    return found if found is not None and found.t < now else None


def _at_todays_price(picture: Picture, before: MarketObserved, now: Instant) -> float | None:
    """The former supply at the present price of what is lent, where both prices were observed: a fall of ETH is no outflow of ETH. What
    should stand still is left as it was told, for many value a stablecoin at one dollar whatever it trades at."""
    if before.supply_usd is None:
        return None
    then, today = (picture.fair_price(before.loan, moment) for moment in (before.t, now))
    if not then or today is None or abs(today / then - 1) < SAME_PRICE or stands_still(picture, before.loan, now):
        return before.supply_usd
    return before.supply_usd * today / then


def protocol_signals(picture: Picture, key: tuple[str, str], now: Instant) -> Iterator[Signal]:
    """Outflow of a whole protocol."""
    series = picture.protocols[key]
    latest, before = series.latest, day_before(series, now, _has_value)
    if before is None:
        return
    lost = share_lost(latest.tvl_usd, before.tvl_usd)
    if latest.tvl_usd == 0:
        previous = series.at(latest.t - 1)
        if previous is not None and previous.tvl_usd != 0:
            lost = None
    node = Node(NodeKind.PROTOCOL, latest.protocol, latest.chain)
    evidence: dict[str, EvidenceValue] = {
        "tvl_usd": latest.tvl_usd,
        "tvl_usd_before": before.tvl_usd,
        "observed_before": show_instant(before.t),
        "change_24h": None if lost is None else -lost,
    }
    yield Signal(PROTOCOL_OUTFLOW, node, node, lost, evidence, (latest, before), (before.tvl_usd or 0.0) >= MILLION)


def _has_value(one: ProtocolObserved) -> bool:
    return bool(one.tvl_usd)


def vault_signals(picture: Picture, vault: str, now: Instant) -> Iterator[Signal]:
    """Outflow of a vault over all its allocations; only where each of them is known today and a day ago."""
    held, held_before, inputs = 0.0, 0.0, list[Observed]()
    for key in picture.allocations_of(vault):
        series = picture.allocations[key]
        before = day_before(series, now, lambda one: one.usd is not None)
        latest = series.latest
        if latest.usd is None or series.overdue(now):
            return
        held += latest.usd
        inputs.append(latest)
        if before is not None:
            held_before += before.usd or 0.0
            inputs.append(before)
    lost = share_lost(held, held_before)
    evidence: dict[str, EvidenceValue] = {
        "allocated_usd": held,
        "allocated_usd_before": held_before,
        "change_24h": None if lost is None else -lost,
    }
    node = vault_node(vault)
    yield Signal(VAULT_OUTFLOW, node, node, lost, evidence, tuple(inputs), held_before >= MILLION)


def curator_signals(picture: Picture, chain: str, market: str, now: Instant) -> Iterator[Signal]:
    """How many independent curators have left what a market lends against. A vault without a named curator counts as its own."""
    by_curator: dict[str, list[AllocationKey]] = {}
    for key in picture.exposure(chain, market):
        latest = picture.allocations[key].latest
        by_curator.setdefault(latest.curator or latest.vault, []).append(key)
    left: list[str] = []
    inputs: list[Observed] = []
    cut = 0.0
    for curator in sorted(by_curator):
        most, held, seen = _peak_and_present(picture, by_curator[curator], now)
        if most >= MILLION and held is not None and held <= (1 - CUT) * most:
            left.append(f"{curator}: {most:.0f} to {held:.0f} USD")
            inputs += seen
            cut += most - held
    seen_market = picture.market_seen(chain, market)
    place = picture.allocated_market(chain, market)
    root = place
    if seen_market is not None and seen_market.collateral and seen_market.collateral != seen_market.loan:
        root = place = token_node(seen_market.collateral)
    evidence: dict[str, EvidenceValue] = {"curators": len(left), "left": tuple(left), "cut_usd": cut, "within_days": 7}
    yield Signal(CURATOR_EXIT, place, root, float(len(left)), evidence, tuple(inputs))


def _peak_and_present(picture: Picture, keys: list[AllocationKey], now: Instant) -> tuple[float, float | None, list[Observed]]:
    """(most that was held at once within a week, what is held now or None where that is not known, the observations)."""
    tables = [picture.allocations[key] for key in keys]
    moments = sorted({one.t for series in tables for one in series.since(now - WEEK)})
    most, peak_inputs = 0.0, list[Observed]()
    for moment in moments:
        then = [one for series in tables if (one := series.at(moment, _has_amount)) is not None and one.t >= now - WEEK]
        held = sum(one.usd or 0.0 for one in then)
        if held > most:
            most, peak_inputs = held, list[Observed](then)
    latest = [series.latest for series in tables]
    known = all(one.usd is not None for one in latest)
    return most, sum(one.usd or 0.0 for one in latest) if known else None, [*peak_inputs, *latest]


def _has_amount(one: AllocationObserved) -> bool:
    return one.usd is not None


def curve_signals(picture: Picture, key: MarketKey, now: Instant) -> Iterator[Signal]:
    """A jump of what would be liquidatable at −10 %, or a spiral that is suddenly half as far; only against a real day before."""
    series = picture.curves[key]
    latest = series.latest
    before = day_before(series, now, _has_debt)
    if before is None or before.t > now - DAY + SLACK:
        return
    debt, debt_before = latest.liquidatable_debt_usd, before.liquidatable_debt_usd
    figure: float | None = None
    if debt is not None and debt_before is not None:
        # from nothing to something has no rate: it counts as a jump from the smallest sum that matters
        figure = debt / max(debt_before, MILLION) - 1
    halved = _halved(latest.spiral_distance, before.spiral_distance)
    if halved:
        figure = max(figure or 0.0, CURVE_JUMP.levels[0].figure)
    evidence: dict[str, EvidenceValue] = {
        "liquidatable_debt_usd": debt,
        "liquidatable_debt_usd_before": debt_before,
        "spiral_distance": latest.spiral_distance,
        "spiral_distance_before": before.spiral_distance,
    }
    market = key if key[2] else None
    node = picture.subject(latest) if market else Node(NodeKind.PROTOCOL, latest.protocol, latest.chain)
    root = picture.root(key, now) if key in picture.markets else node
    yield Signal(CURVE_JUMP, node, root, figure, evidence, (latest, before), halved or (debt or 0.0) >= MILLION)


def _halved(now: float | None, before: float | None) -> bool:
    return now is not None and before is not None and before > 0 and now <= before / 2


def _has_debt(one: CurveObserved) -> bool:
    return one.liquidatable_debt_usd is not None
