"""A bridge as a ledger: what is locked on one side, and on the way, must cover what was minted on the others.

    locked + in flight out ≥ Σ minted + in flight in

Both sides are needed to say anything: one that could not be read makes the state unknown, never healthy. A gap counts as a deficit once
it has lasted longer than the slowest chain of the ledger takes to be final: until then it may be a transfer seen on one side only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from aggregator.contagion.evidence import Evidence
from aggregator.model.errors import InputError

TOLERANCE = 0.001
"""share of what was minted that a gap may be: fees and rounding of messages on the way"""


class BridgeStatus(StrEnum):
    HEALTHY = "healthy"
    PENDING = "pending"
    """a gap, but not for longer than finality takes"""
    DEFICIT = "deficit"
    FROZEN = "frozen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Minted:
    """Supply on one chain in whole tokens, None where it could not be read; `finality_seconds`: until that chain's blocks stand."""

    chain: str
    supply: float | None
    finality_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BridgeLedger:
    """Both sides of one token on one bridge at one time (`seconds` on any clock). Whole tokens; None is what could not be read."""

    token: str
    bridge: str
    seconds: float
    locked: float | None
    minted: tuple[Minted, ...]
    in_flight_out: float | None = 0.0
    in_flight_in: float | None = 0.0
    finality_seconds: float = 0.0
    """of the chain where tokens are locked"""
    frozen: bool = False

    def __post_init__(self) -> None:
        named: list[tuple[str, float | None]] = [
            ("locked", self.locked),
            ("in flight out", self.in_flight_out),
            ("in flight in", self.in_flight_in),
        ]
        for what, value in (*named, *((f"minted on {one.chain}", one.supply) for one in self.minted)):
            if value is not None and not 0.0 <= value < float("inf"):
                raise InputError(
                    f"{self.token} on {self.bridge}: {what} is {value:g}; expected 0 or more, and nothing where it is not known"
                )
        if len({one.chain for one in self.minted}) != len(self.minted):
            raise InputError(f"{self.token} on {self.bridge}: a chain is given twice")

    @property
    def wrapped(self) -> float | None:
        """Supply on all other chains; None where one is not known."""
        known = [one.supply for one in self.minted if one.supply is not None]
        return sum(known) if len(known) == len(self.minted) else None

    @property
    def gap(self) -> float | None:
        """locked + in flight out − minted − in flight in; negative for a deficit, None where a side is not known."""
        wrapped = self.wrapped
        if self.locked is None or wrapped is None or self.in_flight_out is None or self.in_flight_in is None:
            return None
        return self.locked + self.in_flight_out - wrapped - self.in_flight_in

    @property
    def evidence(self) -> Evidence:
        """Sides that are known, out of all."""
        sides = {
            f"{self.token} locked in {self.bridge}": self.locked,
            **{f"{self.token} on {one.chain}": one.supply for one in self.minted},
        }
        sides |= {f"{self.token} on its way out": self.in_flight_out, f"{self.token} on its way back": self.in_flight_in}
        missing = tuple(name for name, value in sides.items() if value is None)
        return Evidence(0.0 if missing else 1.0, missing)


@dataclass(frozen=True, slots=True)
class BridgeState:
    """What a reading says. `deficit`: tokens that are missing, 0 or more, None where not known; `since`: when the gap was first seen."""

    ledger: BridgeLedger
    status: BridgeStatus
    deficit: float | None
    since: float | None

    @property
    def backing(self) -> float | None:
        """Share of what was minted that is locked or on the way, at most 1; 1 where nothing was minted."""
        wrapped = self.ledger.wrapped
        if wrapped is None or self.deficit is None:
            return None
        return 1.0 - min(self.deficit / wrapped, 1.0) if wrapped > 0.0 else 1.0


def bridge_state(ledger: BridgeLedger, before: BridgeState | None = None, tolerance: float = TOLERANCE) -> BridgeState:
    """Status at this reading, given the state at the last one (of the same token and bridge; InputError otherwise, or back in time)."""
    if before is not None:
        last = before.ledger
        if (last.token, last.bridge) != (ledger.token, ledger.bridge):
            raise InputError(f"{ledger.token} on {ledger.bridge} does not follow {last.token} on {last.bridge}")
        if ledger.seconds < last.seconds:
            raise InputError(f"{ledger.token} on {ledger.bridge}: a reading goes back in time")
    gap, wrapped = ledger.gap, ledger.wrapped
    if gap is None or wrapped is None:
        return BridgeState(ledger, BridgeStatus.UNKNOWN, None, None if before is None else before.since)
    if gap >= -tolerance * wrapped:
        return BridgeState(ledger, BridgeStatus.FROZEN if ledger.frozen else BridgeStatus.HEALTHY, max(-gap, 0.0), None)
    since = ledger.seconds if before is None or before.since is None else before.since
    final = max((ledger.finality_seconds, *(one.finality_seconds for one in ledger.minted)))
    status = BridgeStatus.DEFICIT if ledger.seconds - since >= final else BridgeStatus.PENDING
    return BridgeState(ledger, BridgeStatus.FROZEN if ledger.frozen else status, -gap, since)


class Allocation(StrEnum):
    """Who bears a deficit."""

    BRIDGED = "bridged"
    """holders on other chains alone: deficit over what was minted"""
    SOCIALISED = "socialised"
    """all holders, those on the home chain too: deficit over the whole supply"""
    PER_CHAIN = "per-chain"
    """each chain bears what is missing for it"""


def haircuts(
    ledger: BridgeLedger,
    deficit: float,
    allocation: Allocation,
    *,
    total_supply: float | None = None,
    by_chain: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Share that a holder loses, by chain; the home chain under ``""``.

    `total_supply`: all tokens on all chains, for a socialised deficit; `by_chain`: tokens missing for each chain, adding up to the
    deficit. InputError where what an allocation needs is missing or does not fit, or where nobody is there to bear it.
    """
    if not 0.0 <= deficit < float("inf"):
        raise InputError(f"a deficit is 0 or more, not {deficit:g}")
    wrapped, chains = ledger.wrapped, [one.chain for one in ledger.minted]
    if wrapped is None:
        raise InputError(f"{ledger.token} on {ledger.bridge}: supply is not known on every chain, so no deficit can be shared out")
    if allocation is Allocation.SOCIALISED:
        if total_supply is None or not total_supply >= wrapped or total_supply == 0.0:
            raise InputError(f"{ledger.token}: a socialised deficit needs the whole supply, at least the {wrapped:g} that are bridged")
        return dict.fromkeys(("", *chains), min(deficit / total_supply, 1.0))
    if allocation is Allocation.BRIDGED:
        if wrapped == 0.0 and deficit > 0.0:
            raise InputError(f"{ledger.token} on {ledger.bridge}: nothing is bridged that could bear a deficit")
        share = min(deficit / wrapped, 1.0) if wrapped else 0.0
        return {"": 0.0, **dict.fromkeys(chains, share)}
    given = by_chain or {}
    strangers = [chain for chain in given if chain not in chains]
    if strangers:
        raise InputError(f"{ledger.token} on {ledger.bridge} is not on {strangers[0]}")
    if abs(sum(given.values()) - deficit) > 1e-9 * max(deficit, 1.0) or any(not part >= 0.0 for part in given.values()):
        raise InputError(f"{ledger.token} on {ledger.bridge}: parts by chain add up to {sum(given.values()):g}, not to {deficit:g}")
    result = {"": 0.0}
    for one in ledger.minted:
        missing = given.get(one.chain, 0.0)
        if missing > 0.0 and not one.supply:
            raise InputError(f"{ledger.token} on {one.chain}: nothing is there that could bear a deficit")
        result[one.chain] = min(missing / one.supply, 1.0) if one.supply else 0.0
    return result


def looped_bad_debt(amount: float, price_usd: float, loan_to_value: float, haircut: float) -> float:
    """USD left unpaid when collateral, borrowed against to a loan-to-value, loses a share: amount · price · max(0, LTV − (1 − haircut))."""
    return amount * price_usd * max(0.0, loan_to_value - (1.0 - haircut))


def shortfalls(positions: Iterable[tuple[str, float, float]], haircut_by_chain: Mapping[str, float]) -> dict[str, float]:
    """USD left unpaid by chain. `positions`: (chain, collateral value before the haircut, debt), USD; a chain not named loses nothing."""
    result: dict[str, float] = {}
    for chain, collateral, debt in positions:
        left = collateral * (1.0 - haircut_by_chain.get(chain, 0.0))
        result[chain] = result.get(chain, 0.0) + max(debt - left, 0.0)
    return result
