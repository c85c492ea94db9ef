"""The rules as data: from where on they warn, for how long it must have held, and what clears them, with the reason for each figure.

A condition is entered at its level and left at another (hysteresis), so that a figure at the line does not ring twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aggregator.publish.alerts.instant import DAY, HOUR, MINUTE

MODEL = "crossmargin-alerts/1"
"""version of rules and start values; stands in every alert"""

MILLION = 1_000_000.0
DUST = 100_000.0
"""USD supplied within a week below which a full market is only informed about"""
AGAIN = 2.0
"""an open alert is sent again when its figure has grown by this factor"""


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Level:
    """Entered when the figure has been at `figure` or above (above, where `over`) for `held`, seen at least `seen` times."""

    severity: Severity
    figure: float
    held: int = 0
    seen: int = 1
    over: bool = False

    def reached(self, figure: float) -> bool:
        # figures are quotients of what was read: the last bit of one decides nothing
        return figure > self.figure + 1e-12 if self.over else figure >= self.figure - 1e-12


@dataclass(frozen=True, slots=True)
class Rule:
    """Levels from mild to grave. Cleared when the figure has been below `clear` for `cleared_after`."""

    name: str
    levels: tuple[Level, ...]
    clear: float
    cleared_after: int
    clears_when: str
    why: str
    floor: float = 0.0
    """figures of at most this clear too, where `clear` is 0"""

    @property
    def timed(self) -> bool:
        """Whether it matters how long or how often a figure is seen."""
        return bool(self.cleared_after) or any(level.held or level.seen > 1 for level in self.levels)

    def calm(self, figure: float) -> bool:
        return figure < self.clear or figure <= self.floor


INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL

MARKET_OUTFLOW = Rule(
    "market-outflow",
    (Level(WARNING, 0.3), Level(CRITICAL, 0.6)),
    0.1,
    DAY,
    "supply is down by less than 10 % in 24 h, for 24 h",
    "suppliers left days before the price on the event measured, and never by this much in quiet weeks",
)
PROTOCOL_OUTFLOW = Rule(
    "protocol-outflow",
    (Level(WARNING, 0.3), Level(CRITICAL, 0.6)),
    0.1,
    DAY,
    "total value is down by less than 10 % in 24 h, for 24 h",
    "the same sign one floor up; a fall to exactly nothing must be seen twice, for it is what a broken feed says",
)
VAULT_OUTFLOW = Rule(
    "vault-outflow",
    (Level(INFO, 0.3),),
    0.1,
    DAY,
    "allocations are down by less than 10 % in 24 h, for 24 h",
    "noisy: 1.3 % of vault-days, so it informs and does not warn",
)
UTILISATION = Rule(
    "utilisation",
    (Level(WARNING, 0.95, 6 * HOUR, 2), Level(CRITICAL, 0.999, 6 * HOUR, 2)),
    0.9,
    6 * HOUR,
    "utilisation is below 90 % for 6 h",
    "withdrawals stop at 100 %; a peak of hours is a payment, not a run",
)
SHADOW_GAP = Rule(
    "shadow-nav-gap",
    (Level(WARNING, 0.1, over=True), Level(CRITICAL, 0.3, over=True)),
    0.05,
    0,
    "the backing covers at least 95 % of the price",
    "what a token is made of breaks before the token trades",
)
ORACLE_GAP = Rule(
    "oracle-gap",
    (Level(WARNING, 0.05, HOUR, 2, over=True), Level(CRITICAL, 0.2, HOUR, 2, over=True)),
    0.02,
    0,
    "the oracle is within 2 % of the market's and the look-through price",
    "an oracle that does not follow lets debt grow that nobody may liquidate (November 2025)",
)
PRICE_BREAK = Rule(
    "price-break",
    (Level(WARNING, 0.05, 0, 2), Level(CRITICAL, 0.2, 0, 2)),
    0.02,
    DAY,
    "the price is within 2 % of its former height, for 24 h",
    "only where a price stands still (pegs, accruing shares): there a fall of 5 % is the event itself; seen twice, one print is none",
)
BRIDGE_GAP = Rule(
    "bridge-gap",
    (Level(WARNING, 0.001, 30 * MINUTE, 2, over=True), Level(CRITICAL, 0.05, over=True)),
    0.0,
    0,
    "all that is minted is locked or in flight",
    "a bridge is a ledger; half an hour is beyond the finality of both sides, and nobody moves 5 % within it",
)
CURATOR_EXIT = Rule(
    "curator-exit",
    (Level(WARNING, 2), Level(CRITICAL, 4)),
    2,
    0,
    "fewer than two curators have left within 7 d",
    "those who look closest leave first; days early on the one event measured, base rate unknown",
)
CURVE_JUMP = Rule(
    "curve-jump",
    (Level(WARNING, 0.5), Level(CRITICAL, 2.0)),
    0.2,
    0,
    "liquidatable debt at −10 % is less than 20 % above the day before, and the distance to the spiral is not halved",
    "a changed configuration or a large newcomer",
)
DATA_QUALITY = Rule(
    "data-quality",
    (Level(INFO, 1), Level(WARNING, 4)),
    1,
    0,
    "two observations in a row come on time and complete",
    "what is not seen is unknown, never low",
)
WALLET_HEALTH = Rule(
    "wallet-health",
    (Level(WARNING, 1 / 1.1), Level(CRITICAL, 1 / 1.03)),
    1 / 1.15,
    0,
    "the health factor is above 1.15",
    "1.10 is a fall of 9 % away; 1.03 is one bad hour",
)
WALLET_DISTANCE = Rule(
    "wallet-distance",
    (Level(WARNING, 0.9), Level(CRITICAL, 0.97)),
    0.88,
    0,
    "the nearest liquidation price is more than 12 % away",
    "what a health factor hides when one of several collaterals decides",
)
WALLET_TRAPPED = Rule(
    "wallet-trapped",
    (Level(INFO, 0.25), Level(WARNING, 0.5)),
    0.2,
    0,
    "less than 20 % of the collateral is trapped",
    "collateral that cannot come to help in time counts as none",
)
WALLET_SHADOW = Rule(
    "wallet-shadow-gap",
    (Level(WARNING, 0.05, over=True), Level(CRITICAL, 0.2, over=True)),
    0.02,
    0,
    "the health at the oracle's price is within 2 % of that at the market's",
    "an account that its oracle calls healthy and the market does not",
)

RULES = (
    MARKET_OUTFLOW,
    PROTOCOL_OUTFLOW,
    VAULT_OUTFLOW,
    UTILISATION,
    SHADOW_GAP,
    ORACLE_GAP,
    PRICE_BREAK,
    BRIDGE_GAP,
    CURATOR_EXIT,
    CURVE_JUMP,
    DATA_QUALITY,
    WALLET_HEALTH,
    WALLET_DISTANCE,
    WALLET_TRAPPED,
    WALLET_SHADOW,
)
MARKET_RULES = frozenset(
    rule.name
    for rule in (
        MARKET_OUTFLOW,
        PROTOCOL_OUTFLOW,
        UTILISATION,
        SHADOW_GAP,
        ORACLE_GAP,
        PRICE_BREAK,
        BRIDGE_GAP,
        CURATOR_EXIT,
        CURVE_JUMP,
    )
)
"""rules that say something about a market, a token, a bridge or a protocol; the others are about vaults, wallets and the data"""
