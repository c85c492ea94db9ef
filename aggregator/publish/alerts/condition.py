"""A rule at one place: entered, escalated and left, with hysteresis and minimum duration. Time passes only by what is observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from aggregator.publish.alerts.instant import Instant
from aggregator.publish.alerts.nodes import Node
from aggregator.publish.alerts.observations import Observed, ReplacedObserved, blocks_of
from aggregator.publish.alerts.rules import Level, Rule, Severity

EvidenceValue = str | float | int | bool | None | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule's figure at one place and moment. `figure` None: not known, which neither enters nor clears anything.

    `root`: what it is about, upstream of `place`. `may_enter` False: too small to matter, though what is open may clear.
    `cap`: the gravest severity that the place deserves. `upstream`: what is seen to have caused it.
    """

    rule: Rule
    place: Node
    root: Node
    figure: float | None
    evidence: dict[str, EvidenceValue]
    inputs: tuple[Observed, ...]
    may_enter: bool = True
    cap: Severity = Severity.CRITICAL
    upstream: tuple[Node, ...] = ()


class Change(StrEnum):
    OPENED = "opened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    GROWN = "grown"
    """the figure is larger than when it was last told; what follows from that is for the incident to decide"""
    WITHDRAWN = "withdrawn"
    """what it was entered by stood on blocks that were replaced, and the new ones do not show it"""


@dataclass(slots=True)
class Condition:
    """State of one rule at one place."""

    rule: Rule
    severity: Severity | None = None
    """None while closed"""
    since: dict[Severity, Instant] = field(default_factory=dict)
    """by level: since when every observation has been at it"""
    seen: dict[Severity, int] = field(default_factory=dict)
    calm_since: Instant | None = None
    entered: dict[str, int] = field(default_factory=dict)
    """by chain: the block that its severity was entered at"""
    doubt: str = ""
    """which blocks were replaced that it was entered at; empty while it stands"""

    def question(self, replaced: ReplacedObserved) -> None:
        """Blocks were replaced: where this was entered at one of them, the next figure has to confirm it."""
        if self.severity is not None and self.entered.get(replaced.chain, -1) >= replaced.first:
            self.doubt = f"{replaced.chain} from block {replaced.first}"

    def confirmed(self, signal: Signal) -> bool:
        """Whether a figure shows again what was entered; not asked for how long, for it had been seen for long enough before."""
        return self.severity is not None and self._grave(signal) >= self.severity.rank

    def stands(self, signal: Signal) -> None:
        """No doubt is left."""
        self.doubt, self.entered = "", blocks_of(signal.inputs)

    def _grave(self, signal: Signal) -> int:
        """Rank of the gravest level that a figure is at, whatever the time; -1 for none."""
        levels = self.rule.levels if signal.figure is not None else ()
        ranks = [level.severity.rank for level in levels if level.reached(signal.figure or 0.0)]
        return min(max(ranks), signal.cap.rank) if ranks else -1

    def step(self, signal: Signal, now: Instant) -> Change | None:
        """Take one figure in."""
        figure = signal.figure
        if figure is None:
            # not known is not calm, and does not undo what was seen before
            self.calm_since = None
            return None
        reached = self._reached(figure, now) if signal.may_enter or self.severity is not None else None
        if self.severity is not None and self._cleared(figure, now):
            self.severity, self.calm_since, self.doubt = None, None, ""
            self.since.clear()
            self.seen.clear()
            return Change.RESOLVED
        severity = min(reached.severity, signal.cap, key=lambda one: one.rank) if reached is not None else None
        if severity is None:
            return None
        if self.severity is not None and severity.rank <= self.severity.rank:
            return Change.GROWN
        change = Change.OPENED if self.severity is None else Change.ESCALATED
        self.severity, self.entered = severity, blocks_of(signal.inputs)
        return change

    def changes(self, signal: Signal) -> bool:
        """Whether taking a figure in could change anything but the figure itself."""
        figure = signal.figure
        if figure is None:
            return self.calm_since is not None
        if self.severity is None:
            return bool(self.since) or (signal.may_enter and self.rule.levels[0].reached(figure))
        return self.rule.timed or bool(self.doubt) or self.rule.calm(figure) or self._grave(signal) > self.severity.rank

    def _reached(self, figure: float, now: Instant) -> Level | None:
        """The gravest level that has held for its time."""
        found = None
        for level in self.rule.levels:
            if not level.reached(figure):
                self.since.pop(level.severity, None)
                self.seen.pop(level.severity, None)
                continue
            started = self.since.setdefault(level.severity, now)
            self.seen[level.severity] = self.seen.get(level.severity, 0) + 1
            if now - started >= level.held and self.seen[level.severity] >= level.seen:
                found = level
        return found

    def _cleared(self, figure: float, now: Instant) -> bool:
        if not self.rule.calm(figure):
            self.calm_since = None
            return False
        if self.calm_since is None:
            self.calm_since = now
        return now - self.calm_since >= self.rule.cleared_after

    @property
    def idle(self) -> bool:
        """Nothing open and nothing under way: need not be kept."""
        return self.severity is None and not self.since
