"""The three simple alarms that alerts have to be better than: price only, utilisation only, total value only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from aggregator.contagion.indicators import share_lost, utilisation
from aggregator.publish.alerts.instant import DAY, Instant
from aggregator.publish.alerts.market_signals import SLACK
from aggregator.publish.alerts.observations import MarketObserved, Observed, PriceObserved, ProtocolObserved
from aggregator.publish.alerts.picture import WEEK, Picture
from aggregator.publish.alerts.rules import MILLION

PRICE_ONLY, UTILISATION_ONLY, TVL_ONLY = "price-only", "utilisation-only", "tvl-only"
PRICE_FALL = 0.03
"""below the week's high"""
UTILISATION_LINE = 0.95
TVL_FALL = 0.3
"""in a day"""
REARMED_AFTER = DAY
"""an alarm that has been quiet for so long counts as a new one"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something warned at `t`, naming `names`."""

    t: Instant
    names: frozenset[str]


class _Armed:
    """Counts an alarm once while it keeps ringing."""

    def __init__(self) -> None:
        self._rang: dict[object, Instant] = {}

    def new(self, what: object, now: Instant) -> bool:
        last = self._rang.get(what)
        self._rang[what] = now
        return last is None or now - last > REARMED_AFTER


def baseline_alarms(history: Sequence[Observed]) -> dict[str, list[Alarm]]:
    """Alarms of each baseline over a history; a baseline whose figures the history has not is left out."""
    picture, armed = Picture(), _Armed()
    found: dict[str, list[Alarm]] = {}
    for moment, rows in groupby(history, key=lambda one: one.t):
        together = list(rows)
        for one in together:
            picture.add(one)
        for asset in sorted({one.asset for one in together if isinstance(one, PriceObserved)}):
            picture.price_again(asset, moment)
            found.setdefault(PRICE_ONLY, [])
            fallen = share_lost(picture.fair_price(asset, moment), picture.high(asset, moment, WEEK))
            if fallen is not None and fallen >= PRICE_FALL and armed.new((PRICE_ONLY, asset), moment):
                found[PRICE_ONLY].append(Alarm(moment, frozenset((asset,))))
        for name, what, names in (*_full(together), *_emptied(picture, together, moment)):
            if names and armed.new((name, what), moment):
                found.setdefault(name, []).append(Alarm(moment, names))
            else:
                found.setdefault(name, [])
    return found


def _full(together: Iterable[Observed]) -> Iterator[tuple[str, object, frozenset[str]]]:
    for one in together:
        if isinstance(one, MarketObserved):
            used = utilisation(one.supply_usd, one.borrow_usd)
            rings = used is not None and used >= UTILISATION_LINE and (one.supply_usd or 0.0) >= MILLION
            yield UTILISATION_ONLY, (one.protocol, one.chain, one.market), _names(one) if rings else frozenset()


def _emptied(picture: Picture, together: Iterable[Observed], now: Instant) -> Iterator[tuple[str, object, frozenset[str]]]:
    """Total value of a protocol: as it was given, else what its markets hold together."""
    given = {one.protocol: one for one in together if isinstance(one, ProtocolObserved)}
    named = sorted({one.protocol for one in together if isinstance(one, MarketObserved)} | set(given))
    for protocol in named:
        keys = [key for key in sorted(picture.markets) if key[0] == protocol]
        names = frozenset().union(*(_names(picture.markets[key].latest) for key in keys)) | {protocol}
        if protocol in given:
            series = picture.protocols[(protocol, given[protocol].chain)]
            before = series.at(now - DAY + SLACK)
            now_usd, before_usd = given[protocol].tvl_usd, before.tvl_usd if before is not None else None
        else:
            earlier = [picture.markets[key].at(now - DAY + SLACK) for key in keys]
            now_usd = sum(picture.markets[key].latest.supply_usd or 0.0 for key in keys)
            before_usd = sum(one.supply_usd or 0.0 for one in earlier if one is not None)
        lost = share_lost(now_usd, before_usd)
        rings = lost is not None and lost >= TVL_FALL and (before_usd or 0.0) >= MILLION
        yield TVL_ONLY, protocol, names if rings else frozenset()


def _names(market: MarketObserved) -> frozenset[str]:
    return frozenset(name for name in (market.collateral, market.market) if name)
