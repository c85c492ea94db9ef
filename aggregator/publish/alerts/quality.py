"""How good alerts were, as numbers: lead time before a price breaks, recall, and false alarms, against three baselines.

This looks back with hindsight and tells nothing to the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.baselines import Alarm, baseline_alarms
from aggregator.publish.alerts.instant import DAY, HOUR, Instant, parse_instant, show_instant
from aggregator.publish.alerts.observations import MarketObserved, Observed, PriceObserved
from aggregator.publish.alerts.picture import Picture
from aggregator.publish.alerts.rules import MARKET_RULES, Severity
from aggregator.publish.alerts.token_signals import MONTH, stands_still

BREAK = 0.05
"""fall below a month's high of a price that stands still"""
HORIZON = 14 * DAY
"""a warning belongs to a break that follows within this time, and is false when none does"""
ENGINE = "crossmargin"
PER_DAYS = 30


@dataclass(frozen=True, slots=True)
class Break:
    """A price that broke: the first moment at which it was 5 % below its height."""

    token: str
    t: Instant
    price_usd: float | None = None
    high_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What one way of warning achieved. `leads`: hours by token, None for a break that it missed. `undecided`: warnings so late in the
    history that a break could still follow."""

    name: str
    leads: dict[str, float | None]
    alarms: int
    false_alarms: int
    undecided: int
    market_days: int

    @property
    def recall(self) -> float | None:
        return sum(lead is not None for lead in self.leads.values()) / len(self.leads) if self.leads else None

    @property
    def false_per_30_market_days(self) -> float | None:
        return PER_DAYS * self.false_alarms / self.market_days if self.market_days else None


@dataclass(frozen=True, slots=True)
class QualityReport:
    breaks: tuple[Break, ...]
    records: tuple[Record, ...]
    """ours first, then the baselines that the history allows"""

    def document(self) -> dict[str, object]:
        """As plain JSON values."""
        return {
            "breaks": [
                {"token": one.token, "t": show_instant(one.t), "price_usd": one.price_usd, "high_usd": one.high_usd} for one in self.breaks
            ],
            "records": [
                {
                    "name": one.name,
                    "lead_hours": one.leads,
                    "recall": one.recall,
                    "alarms": one.alarms,
                    "false_alarms": one.false_alarms,
                    "undecided": one.undecided,
                    "market_days": one.market_days,
                    "false_alarms_per_30_market_days": one.false_per_30_market_days,
                }
                for one in self.records
            ],
        }


def breaks(history: Sequence[Observed]) -> tuple[Break, ...]:
    """The first break of every token whose price stood still before, by the median over its venues."""
    picture = Picture()
    found: dict[str, Break] = {}
    for moment, rows in groupby(history, key=lambda one: one.t):
        prices = [one for one in rows if isinstance(one, PriceObserved)]
        for one in prices:
            picture.add(one)
        for asset in sorted({one.asset for one in prices} - set(found)):
            picture.price_again(asset, moment)
            price, high = picture.fair_price(asset, moment), picture.high(asset, moment, MONTH)
            if price is not None and high and price <= (1 - BREAK) * high and stands_still(picture, asset, moment):
                found[asset] = Break(asset, moment, price, high)
    return tuple(sorted(found.values(), key=lambda one: (one.t, one.token)))


def alarms_of(alerts: Iterable[Alert]) -> list[Alarm]:
    """Warnings about markets, tokens, bridges and protocols as alarms, each by what it names."""
    return [
        Alarm(parse_instant(one.t), frozenset((one.subject, *(node.partition(":")[2].partition("@")[0] for node in one.path))))
        for one in alerts
        if one.state != "resolved" and one.rule in MARKET_RULES and Severity(one.severity).rank >= Severity.WARNING.rank
    ]


def judge(
    history: Sequence[Observed],
    alerts: Sequence[Alert],
    events: Sequence[Break] = (),
    control: tuple[Instant, Instant] | None = None,
) -> QualityReport:
    """The record of alerts and of the baselines. `events` stand beside the breaks found (and instead, for their tokens); with
    `control` only alarms and market-days within it count for false alarms."""
    given = {one.token for one in events}
    broken = tuple(sorted((*(one for one in breaks(history) if one.token not in given), *events), key=lambda one: (one.t, one.token)))
    days = _market_days(history, control)
    end = history[-1].t if history else 0
    opened = {one.episode for one in alerts if one.state == "opened"}
    first = [one for one in alerts if one.state == "opened" or one.episode not in opened]
    ours = _record(ENGINE, alarms_of(alerts), alarms_of(first), broken, days, end, control)
    others = [_record(name, alarms, alarms, broken, days, end, control) for name, alarms in sorted(baseline_alarms(history).items())]
    return QualityReport(broken, (ours, *others))


def _record(
    name: str,
    alarms: Sequence[Alarm],
    counted: Sequence[Alarm],
    broken: Sequence[Break],
    days: int,
    end: Instant,
    control: tuple[Instant, Instant] | None,
) -> Record:
    leads: dict[str, float | None] = {}
    for one in broken:
        before = [alarm.t for alarm in alarms if one.token in alarm.names and one.t - HORIZON <= alarm.t < one.t]
        leads[one.token] = (one.t - min(before)) / HOUR if before else None
    false = undecided = considered = 0
    for alarm in counted:
        if control is not None and not control[0] <= alarm.t <= control[1]:
            continue
        considered += 1
        # what rings after a break rings for a reason
        if any(one.token in alarm.names and alarm.t >= one.t - HORIZON for one in broken):
            continue
        if control is None and alarm.t > end - HORIZON:
            undecided += 1
        else:
            false += 1
    return Record(name, leads, considered, false, undecided, days)


def _market_days(history: Iterable[Observed], control: tuple[Instant, Instant] | None) -> int:
    return len(
        {
            (one.protocol, one.chain, one.market, one.t // DAY)
            for one in history
            if isinstance(one, MarketObserved) and (control is None or control[0] <= one.t <= control[1])
        }
    )
