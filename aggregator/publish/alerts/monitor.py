"""The alert engine: observations in, alerts out. It has no clock and reads nothing; what it says about a moment stands only on what
was observed until then, so a replay of what was recorded says the same as the live run said.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import replace

from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.condition import Change, Condition, EvidenceValue, Signal
from aggregator.publish.alerts.incidents import Event, Incidents, Key
from aggregator.publish.alerts.instant import Instant, show_instant, show_span
from aggregator.publish.alerts.market_signals import curator_signals, curve_signals, market_signals, protocol_signals, vault_signals
from aggregator.publish.alerts.nodes import Node, NodeKind
from aggregator.publish.alerts.observations import (
    AllocationObserved,
    BackingObserved,
    BridgeObserved,
    CurveObserved,
    MarketObserved,
    Observed,
    PriceObserved,
    ProtocolObserved,
    ReplacedObserved,
    WalletObserved,
)
from aggregator.publish.alerts.picture import WEEK, MarketKey, Picture
from aggregator.publish.alerts.rules import DATA_QUALITY, MILLION, Severity
from aggregator.publish.alerts.series import LATE, Series
from aggregator.publish.alerts.token_signals import backed_by, bridge_signals, token_signals
from aggregator.publish.alerts.wallet_signals import curve_of, wallet_signals

Tracked = tuple[Node, str]
"""what a series is about, and what of it is observed"""


class Monitor:
    """State of all rules. Feed it moments in order; a moment's observations may come in any order."""

    def __init__(self, curves: bool = True) -> None:
        """`curves`: whether the wallets that are observed are a market's whole population, so that they say something of it together."""
        self._curves = curves
        self.picture = Picture()
        self.incidents = Incidents(self.picture.graph, self.picture.dependants)
        self.judged = 0
        """figures that could be judged so far; 0 means that nothing that was observed supports any rule"""
        self.unknown: dict[Key, Signal] = {}
        """conditions whose latest figure is not known"""
        self._conditions: dict[Key, Condition] = {}
        self._series: dict[Tracked, list[Series[Observed]]] = {}
        self._deadlines: list[tuple[Instant, Tracked]] = []
        self._scheduled: set[Tracked] = set()
        self._wallets: dict[MarketKey, dict[str, WalletObserved]] = {}
        self._now: Instant | None = None

    def advance(self, now: Instant, observed: Iterable[Observed]) -> list[Alert]:
        """Everything that was observed at a moment; what has to be told then. ValueError where time goes backwards."""
        if self._now is not None and now < self._now:
            raise ValueError(f"{show_instant(now)} is before {show_instant(self._now)}")
        self._now = now
        # a fixed order, and each content once: how a file is sorted within a moment decides nothing
        taken = [one for _, one in sorted({one.canonical(): one for one in observed}.items())]
        for one in taken:
            if isinstance(one, ReplacedObserved):
                self._replaced(one)
        taken = [one for one in taken if not isinstance(one, ReplacedObserved)]
        tracked = dict.fromkeys(key for one in taken if (key := self._add(one)) is not None)
        doubtful = [key for key in tracked if not self._beyond_doubt(key, now)]
        signals = [*self._signals(taken, now), *(self._quality(key, now) for key in doubtful)]
        return self.incidents.take(self._events(signals, now), now)

    def deadline(self) -> Instant | None:
        """When something is overdue if nothing comes before: `late` has to be called then."""
        return self._deadlines[0][0] if self._deadlines else None

    def late(self, now: Instant) -> list[Alert]:
        """Time has passed and nothing came: what has to be told about that."""
        due: list[Tracked] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            tracked = heapq.heappop(self._deadlines)[1]
            if any(one.overdue(now) for one in self._series[tracked]):
                due.append(tracked)
            self._schedule(tracked, now)
        self._now = now if self._now is None else max(now, self._now)
        return self.incidents.take(self._events([self._quality(key, now) for key in due], now), now)

    def _schedule(self, tracked: Tracked, now: Instant) -> None:
        """Look again when the next of its series is late, or gravely late."""
        moments = [
            one.latest.t + int(after * usual)
            for one in self._series[tracked]
            if (usual := one.usual_gap) is not None
            for after in (LATE, DATA_QUALITY.levels[-1].figure)
        ]
        coming = min((moment for moment in moments if moment > now), default=None)
        if coming is None:
            self._scheduled.discard(tracked)
        else:
            self._scheduled.add(tracked)
            heapq.heappush(self._deadlines, (coming, tracked))

    def _beyond_doubt(self, tracked: Tracked, now: Instant) -> bool:
        """Everything of it comes on time, and nothing was wrong before."""
        return (DATA_QUALITY.name, tracked[0]) not in self._conditions and all(one.fresh(now) for one in self._series[tracked])

    def concerns(self, wallet: WalletObserved) -> bool:
        """Whether a wallet's figures could change anything: they enter a level, a graver one, or clear what is open."""
        return any(
            (self._conditions.get((signal.rule.name, signal.place)) or Condition(signal.rule)).changes(signal)
            for signal in wallet_signals(wallet)
        )

    def resting(self, chain: str, first: int) -> frozenset[str]:
        """Owners of whom something was entered at a block of a chain, from `first` on."""
        return frozenset(
            place.name
            for (_, place), condition in self._conditions.items()
            if place.kind is NodeKind.OWNER and condition.entered.get(chain, -1) >= first
        )

    def _replaced(self, one: ReplacedObserved) -> None:
        """What was seen on blocks that are no more is not known, and what was entered there has to be seen again."""
        self.picture.add(one)
        for (rule, place), condition in self._conditions.items():
            mine = place.kind is NodeKind.OWNER and place.name == one.owner
            if (mine or not one.owner) and rule != DATA_QUALITY.name:
                condition.question(one)

    def _add(self, observed: Observed) -> Tracked | None:
        series = self.picture.add(observed)
        if isinstance(observed, WalletObserved) and self._curves:
            key = (observed.protocol, observed.chain, observed.market)
            self._wallets.setdefault(key, {})[observed.owner] = observed
        if series is None or isinstance(observed, CurveObserved):
            return None
        tracked = (self.picture.subject(observed), type(observed).__name__)
        known = self._series.setdefault(tracked, [])
        if not any(one is series for one in known):
            known.append(series)
        if tracked not in self._scheduled:
            self._schedule(tracked, observed.t)
        return tracked

    def _signals(self, taken: list[Observed], now: Instant) -> Iterator[Signal]:
        """Figures of everything that the observations touch, each place once."""
        moved: set[str] = set()
        exposures: dict[tuple[str, str], None] = {}
        vaults: dict[str, None] = {}
        curves: dict[MarketKey, None] = {}
        for one in taken:
            match one:
                case PriceObserved():
                    moved.add(one.asset)
                case BackingObserved():
                    moved.add(one.token)
                case AllocationObserved():
                    exposures.setdefault((one.chain, one.market))
                    vaults.setdefault(one.vault)
                case CurveObserved():
                    curves.setdefault((one.protocol, one.chain, one.market))
                case WalletObserved() if self._curves:
                    curves.setdefault((one.protocol, one.chain, one.market))
        for asset in sorted(moved):
            self.picture.price_again(asset, now)
        yield from token_signals(self.picture, backed_by(self.picture, moved), now)
        for one in taken:
            match one:
                case MarketObserved():
                    yield from market_signals(self.picture, (one.protocol, one.chain, one.market), now)
                case BridgeObserved():
                    yield from bridge_signals(self.picture, (one.token, one.bridge))
                case ProtocolObserved():
                    yield from protocol_signals(self.picture, (one.protocol, one.chain), now)
                case WalletObserved():
                    yield from wallet_signals(one)
        for vault in vaults:
            yield from vault_signals(self.picture, vault, now)
        for chain, market in exposures:
            yield from curator_signals(self.picture, chain, market, now)
        for key in curves:
            if key in self._wallets:
                self.picture.add(curve_of(key, self._wallets[key].values(), now))
            yield from curve_signals(self.picture, key, now)

    def _events(self, signals: Iterable[Signal], now: Instant) -> Iterator[Event]:
        latest = {(signal.rule.name, signal.place): signal for signal in signals}
        for key, signal in latest.items():
            if signal.figure is None:
                self.unknown[key] = signal
            else:
                self.judged += signal.rule is not DATA_QUALITY
                self.unknown.pop(key, None)
            condition = self._conditions.get(key)
            if condition is None:
                condition = Condition(signal.rule)
            before = condition.severity
            if condition.doubt and before is not None and signal.figure is not None:
                if condition.confirmed(signal):
                    condition.stands(signal)
                else:
                    said = replace(signal, evidence=signal.evidence | {"replaced": condition.doubt})
                    yield Event(said, Change.WITHDRAWN, before)
                    condition, before = Condition(signal.rule), None
            change = condition.step(signal, now)
            if condition.idle:
                self._conditions.pop(key, None)
            else:
                self._conditions[key] = condition
            if change is not None:
                severity = condition.severity or before
                assert severity is not None
                yield Event(signal, change, severity)

    def _quality(self, key: Tracked, now: Instant) -> Signal:
        """How many of the expected observations of one thing have not come, over the worst of its series that matter."""
        node, what = key
        worst = max(self._series[key], key=lambda one: (one.missing(now), one.latest.canonical()))
        fresh = all(one.fresh(now) for one in self._series[key])
        missing = worst.missing(now)
        usual = worst.usual_gap
        evidence: dict[str, EvidenceValue] = {
            "verdict": "unknown",
            "observed": what.removesuffix("Observed").lower(),
            "known_share": worst.known_share(now),
            "missing": missing,
            "last_seen": show_instant(worst.latest.t),
            "expected_every": show_span(usual) if usual is not None else None,
        }
        figure = 0.0 if fresh else float(missing)
        matters = self._matters(worst.latest, now)
        # a vault that leaves a market is often no longer told of: that is worth a word and no more
        cap = Severity.INFO if isinstance(worst.latest, AllocationObserved) else Severity.WARNING
        return Signal(DATA_QUALITY, node, node, figure, evidence, (worst.latest,), matters, cap)

    def _matters(self, observed: Observed, now: Instant) -> bool:
        """Whether anybody would miss it: markets and allocations of a million and more, and everything that has no size."""
        match observed:
            case MarketObserved():
                return self.picture.size((observed.protocol, observed.chain, observed.market), now) >= MILLION
            case AllocationObserved():
                series = self.picture.allocations[(observed.vault, observed.chain, observed.market)]
                return any((one.usd or 0.0) >= MILLION for one in series.since(now - WEEK))
            case _:
                return True
