"""An alert as it leaves the house: what is wrong where, how it is known, whom it reaches and what would clear it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from hashlib import sha256

from pydantic import BaseModel, ConfigDict

from aggregator.publish.alerts.condition import EvidenceValue
from aggregator.publish.alerts.nodes import NodeKind
from aggregator.publish.alerts.observations import Observed
from aggregator.publish.alerts.rules import MODEL

DIGITS = 6


class Alert(BaseModel):
    """One line of a replay, one message to a subscriber. Times are RFC 3339 UTC; shares are of 1, money is USD."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    t: str
    severity: str
    """info, warning or critical"""
    rule: str
    subject: str
    """the token, market, vault, bridge, protocol or owner by its name"""
    path: tuple[str, ...]
    """the cause first, then what it reaches, as `kind:name@chain`"""
    evidence: dict[str, EvidenceValue]
    clears_when: str
    episode: str
    """one alert's life: opened, perhaps escalated, resolved"""
    state: str
    """opened, escalated or resolved"""
    root: str
    """the subject as a node, `kind:name@chain`"""
    rules: tuple[str, ...]
    """all rules that are open in this incident, the others with the place that they are held under"""
    inputs: str
    """SHA-256 over the observations that the figure stands on"""
    blocks: dict[str, int]
    """block by chain of those observations, where they told it"""
    model: str = MODEL

    def line(self) -> str:
        """One line of ASCII JSON: no name in it can move a terminal's cursor or turn its text around."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=True, separators=(",", ":"), allow_nan=False)

    @property
    def owner(self) -> str | None:
        """Whose own alert it is, by address in lower case; None where it concerns everybody."""
        kind, _, name = self.root.partition(":")
        return name.partition("@")[0].rpartition(":")[2].lower() if kind == NodeKind.OWNER else None

    @property
    def identifier(self) -> str:
        """The same for the same message however often it is made: what receivers know repetitions by."""
        return sha256(self.line().encode()).hexdigest()[:32]


def rounded(evidence: dict[str, EvidenceValue]) -> dict[str, EvidenceValue]:
    """Floats to six significant digits, so that the last bit of a library's sum changes no byte; what is infinite is not known."""
    return {name: _round(value) for name, value in evidence.items()}


def _round(value: EvidenceValue) -> EvidenceValue:
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    if value == 0:
        return 0.0
    if abs(value) >= 10 ** (DIGITS - 1):
        return round(value, 2)
    return round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))


def inputs_hash(inputs: Iterable[Observed]) -> str:
    """One hash of all observations, whatever their order and however often each is used."""
    return sha256("\n".join(sorted({one.digest() for one in inputs})).encode()).hexdigest()
