"""Many conditions, one story: what hangs together on the causal graph is one incident, told once, with everything it reached as its path.

An incident is told when it opens, when it becomes graver, when a figure has doubled, when it reaches a further token, bridge or
protocol or its cause is found upstream, when another rule warns of it a day after it was last told of, and when all of it is over.
What opens below it is held under it and not told by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from hashlib import sha256

from aggregator.publish.alerts.alert import Alert, inputs_hash, rounded
from aggregator.publish.alerts.condition import Change, Signal
from aggregator.publish.alerts.instant import DAY, Instant, show_instant
from aggregator.publish.alerts.nodes import UPSTREAM_FIRST, CausalGraph, Node, NodeKind
from aggregator.publish.alerts.observations import blocks_of, chain_of
from aggregator.publish.alerts.rules import AGAIN, DATA_QUALITY, MARKET_RULES, RULES, VAULT_OUTFLOW, Severity

SYSTEMIC = frozenset((NodeKind.TOKEN, NodeKind.BRIDGE, NodeKind.PROTOCOL))
"""kinds whose being reached is news by itself"""
OLD_NEWS = DAY
TOGETHER = 5
"""observations that fail to come from one chain at once: from here on the chain is what is wrong"""
_ORDER = {rule.name: place for place, rule in enumerate(RULES)}

Key = tuple[str, Node]
"""rule and place: one condition"""


@dataclass(frozen=True, slots=True)
class Event:
    """A condition that changed, or whose figure is there anew while it is open."""

    signal: Signal
    change: Change
    severity: Severity
    """of the condition, after the change"""

    @property
    def key(self) -> Key:
        return (self.signal.rule.name, self.signal.place)

    def order(self) -> tuple[object, ...]:
        """Upstream first, the graver first, then by name: never by when a row happened to come."""
        signal = self.signal
        return (UPSTREAM_FIRST[signal.root.kind], -self.severity.rank, _ORDER[signal.rule.name], signal.root, signal.place)


def _anew(events: Sequence[Event], left: Sequence[Event]) -> list[Event]:
    """The events of a moment, with those that are `left` of a withdrawn incident as if they began now."""
    latest = {event.key: event for event in events}
    begun = {one.key: replace(latest.get(one.key, one), change=Change.OPENED) for one in left if _open(latest.get(one.key))}
    return [*(event for event in events if event.key not in {one.key for one in left}), *begun.values()]


def _open(event: Event | None) -> bool:
    return event is None or event.change is not Change.RESOLVED


@dataclass(slots=True, eq=False)
class Incident:
    """One connected cascade."""

    root: Node
    rule: str
    """that opened it"""
    opened: Instant
    open: dict[Key, Event] = field(default_factory=dict)
    """conditions, each with its latest figure"""
    reached: dict[Node, None] = field(default_factory=dict)
    """all places that ever belonged to it, in the order of their coming"""
    causes: dict[Node, None] = field(default_factory=dict)
    """what was seen to have caused it, upstream of the root"""
    told: Severity | None = None
    told_figures: dict[Key, float] = field(default_factory=dict)
    told_nodes: set[Node] = field(default_factory=set)
    told_at: Instant = 0
    last: Event | None = None
    news: list[Event] = field(default_factory=list)
    """what has to be told at the end of this moment"""
    episode: str = ""

    def __post_init__(self) -> None:
        # chosen once: the root may move upstream later, the story stays the same
        self.episode = sha256(f"{self.rule}|{self.root}|{show_instant(self.opened)}".encode()).hexdigest()[:24]

    @property
    def severity(self) -> Severity | None:
        return max((event.severity for event in self.open.values()), key=lambda one: one.rank, default=None)


def _unread_chain(event: Event) -> str:
    """The chain that something expected has not come from; empty for every other sign."""
    signal = event.signal
    return chain_of(signal.inputs[0]) if signal.rule is DATA_QUALITY and signal.inputs else ""


def _silent_chains(events: Iterable[Event]) -> Set[str]:
    """Chains of which so much fails to come in the same moment that it is one story: nobody wants a message a feed."""
    counted = Counter(_unread_chain(event) for event in events if event.change is Change.OPENED)
    return {chain for chain, count in counted.items() if chain and count >= TOGETHER}


def _alone_key(rule: str, root: Node) -> tuple[str, Node]:
    """All rules about one wallet are one story, and so are all about one feed."""
    return rule.partition("-")[0], root


class Incidents:
    """All open incidents over one graph."""

    def __init__(self, graph: CausalGraph, dependants: Callable[[Node], Iterable[tuple[Node, ...]]] = lambda _: ()) -> None:
        """`dependants`: the ways from where a sign is seen to those who lose by it."""
        self._graph, self._dependants = graph, dependants
        self._connected: list[Incident] = []
        """signs of the market, which hang together along the graph"""
        self._alone: dict[tuple[str, Node], Incident] = {}
        """signs of data, wallets and vaults, which hang together only where they are about the same thing"""
        self._of: dict[Key, Incident] = {}

    @property
    def open(self) -> list[Incident]:
        """All that is open, the oldest first."""
        return sorted((*self._connected, *self._alone.values()), key=lambda one: (one.opened, one.rule, one.root))

    def take(self, events: Iterable[Event], now: Instant) -> list[Alert]:
        """What has to be told after all the events of one moment."""
        given = list(events)
        withdrawn, left = self._withdraw([event for event in given if event.change is Change.WITHDRAWN], now)
        ordered = sorted(_anew([event for event in given if event.change is not Change.WITHDRAWN], left), key=Event.order)
        touched: dict[int, Incident] = {}
        silent = _silent_chains(ordered)
        for event in ordered:
            if event.change is Change.OPENED:
                self._of[event.key] = self._host(event, now, silent)
            incident = self._of[event.key]
            touched.setdefault(id(incident), incident)
            self._note(incident, event, now)
        alerts = [alert for incident in touched.values() if (alert := self._tell(incident, now)) is not None]
        for incident in touched.values():
            if not incident.open:
                self._close(incident)
        return [*withdrawn, *alerts]

    def _withdraw(self, events: Sequence[Event], now: Instant) -> tuple[list[Alert], list[Event]]:
        """Conditions that were seen on blocks which are no more. An incident of which nothing as grave is left is over, and says why; what
        is left begins a new one. What has to be told, and what is left."""
        alerts: list[Alert] = []
        left: list[Event] = []
        hit: dict[int, tuple[Incident, Event]] = {}
        for event in sorted(events, key=lambda one: (-one.severity.rank, one.order())):
            incident = self._of.pop(event.key)
            del incident.open[event.key]
            incident.told_figures.pop(event.key, None)
            hit.setdefault(id(incident), (incident, event))
        for incident, event in hit.values():
            if incident.severity is not None and incident.severity.rank >= event.severity.rank:
                continue
            remaining = list(incident.open.values())
            for one in remaining:
                del self._of[one.key]
            incident.open.clear()
            self._close(incident)
            left += remaining
            if incident.told is not None:
                alerts.append(self._alert(incident, event, incident.told, "resolved", now))
        return alerts, left

    def _host(self, event: Event, now: Instant, silent: Set[str]) -> Incident:
        """The incident that a condition belongs to: one above it, else one whose cause it is, else its own."""
        signal, name = event.signal, event.signal.rule.name
        if name in MARKET_RULES or name == VAULT_OUTFLOW.name:
            found = self._along_the_graph(event)
            if found is not None:
                return found
        if name in MARKET_RULES:
            incident = Incident(signal.root, name, now)
            self._connected.append(incident)
            return incident
        root = Node(NodeKind.CHAIN, chain) if (chain := _unread_chain(event)) in silent else signal.root
        return self._alone.setdefault(_alone_key(name, root), Incident(root, name, now))

    def _along_the_graph(self, event: Event) -> Incident | None:
        signal = event.signal
        below: list[tuple[int, int, Incident]] = []
        above: list[tuple[int, int, Incident]] = []
        for place, incident in enumerate(self._connected):
            if incident.told is Severity.INFO and event.severity is not Severity.INFO:
                # what was only informed about does not swallow a warning
                continue
            if (steps := self._nearest((incident.root,), signal)) is not None:
                below.append((steps, place, incident))
            elif (steps := self._steps(signal.root, incident.root)) is not None:
                above.append((steps, place, incident))
            elif (steps := self._nearest(incident.causes, signal)) is not None:
                below.append((steps, place, incident))
        if below:
            return min(below)[2]
        if above:
            incident = min(above)[2]
            incident.root = signal.root
            incident.news.append(event)
            return incident
        return None

    def _close(self, incident: Incident) -> None:
        if incident.rule in MARKET_RULES:
            self._connected.remove(incident)
        else:
            del self._alone[_alone_key(incident.rule, incident.root)]

    def _nearest(self, causes: Iterable[Node], signal: Signal) -> int | None:
        """Steps from the nearest of some nodes to what a signal is about, or to where it was seen."""
        ways = [self._steps(cause, node) for cause in causes for node in (signal.root, signal.place)]
        return min((steps for steps in ways if steps is not None), default=None)

    def _steps(self, cause: Node, effect: Node) -> int | None:
        path = self._graph.path(cause, effect)
        return len(path) - 1 if path is not None else None

    def _note(self, incident: Incident, event: Event, now: Instant) -> None:
        """Take an event into its incident and decide whether it is news."""
        incident.last = event
        other_rule = all(rule != event.signal.rule.name for rule, _ in incident.open)
        if event.change is Change.RESOLVED:
            del incident.open[event.key], self._of[event.key]
            incident.told_figures.pop(event.key, None)
            return
        incident.open[event.key] = event
        incident.causes.update(dict.fromkeys(event.signal.upstream))
        for node in (*event.signal.upstream, event.signal.root, event.signal.place):
            incident.reached.setdefault(node)
        severity, told = incident.severity, incident.told
        graver = told is None or (severity is not None and severity.rank > told.rank)
        told_figure, figure = incident.told_figures.get(event.key), event.signal.figure
        doubled = told_figure is not None and figure is not None and figure >= AGAIN * told_figure
        further = any(node.kind in SYSTEMIC and node not in incident.told_nodes for node in incident.reached)
        # a story that has been open for long does not hide that something new happens in it
        again = event.change is Change.OPENED and event.severity is not Severity.INFO and other_rule and now - incident.told_at >= OLD_NEWS
        # a wallet or a feed is told of once an episode, unless it becomes graver
        if graver or (event.signal.rule.name in MARKET_RULES and (doubled or further or again)):
            incident.news.append(event)

    def _tell(self, incident: Incident, now: Instant) -> Alert | None:
        """The line that an incident has earned in this moment, if any."""
        news, incident.news = incident.news, []
        severity = incident.severity
        if severity is None:
            if incident.told is None or incident.last is None:
                return None
            return self._alert(incident, incident.last, incident.told, "resolved", now)
        if not news:
            return None
        state = "opened" if incident.told is None else "escalated"
        subject = min(news, key=lambda event: (-event.severity.rank, event.order()))
        incident.told = max((severity, incident.told or severity), key=lambda one: one.rank)
        incident.told_at = now
        incident.told_figures = {key: event.signal.figure for key, event in incident.open.items() if event.signal.figure is not None}
        incident.told_nodes |= {node for node in incident.reached if node.kind in SYSTEMIC}
        return self._alert(incident, subject, incident.told, state, now)

    def _alert(self, incident: Incident, event: Event, severity: Severity, state: str, now: Instant) -> Alert:
        events = sorted(incident.open.values(), key=Event.order) or [event]
        inputs = [one for each in (event, *events) for one in each.signal.inputs]
        conditions = dict.fromkeys(one.signal.rule.clears_when for one in events)
        evidence = event.signal.evidence | ({"late": len(events)} if incident.root.kind is NodeKind.CHAIN else {})
        return Alert(
            t=show_instant(now),
            severity=severity,
            rule=event.signal.rule.name,
            subject=incident.root.name,
            path=tuple(str(node) for node in self._way(incident, events)),
            evidence=rounded(evidence),
            clears_when="; and ".join(conditions),
            episode=incident.episode,
            state=state,
            root=str(incident.root),
            rules=tuple(f"{one.signal.rule.name} at {one.signal.place}" for one in events),
            inputs=inputs_hash(inputs),
            blocks=blocks_of(inputs),
        )

    def _way(self, incident: Incident, events: Iterable[Event]) -> list[Node]:
        """What led to the root, the root, the ways from there to everything it reached, and on to those who lose by it."""
        root = incident.root
        before: dict[Node, None] = {}
        after: dict[Node, None] = {root: None}
        for node in incident.reached:
            if (way := self._graph.path(root, node)) is None and (up := self._graph.path(node, root)) is not None:
                before.update(dict.fromkeys(up[:-1]))
                continue
            ways = (way, *(self._graph.path(cause, node) for cause in incident.causes))
            after.update(dict.fromkeys(next((one for one in ways if one is not None), (node,))))
        for event in events:
            if event.signal.rule.name in MARKET_RULES:
                after.update(dict.fromkeys(node for way in self._dependants(event.signal.place) for node in way))
        return list(before | after)
