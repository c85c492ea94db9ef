"""Small made-up histories for tests: times in hours after a fixed start, one market unless more are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aggregator.engine.replay.replay import replay
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.instant import HOUR, parse_instant
from aggregator.publish.alerts.observations import (
    AllocationObserved,
    BackingObserved,
    BridgeObserved,
    MarketObserved,
    Observed,
    PriceObserved,
    WalletObserved,
)

START = parse_instant("2026-01-05T00:00:00Z")
CHAIN = "eip155:1"


def at(hours: float) -> int:
    return START + int(hours * HOUR)


def market(
    hours: float, supply: float | None, borrow: float | None, name: str = "0xaa", collateral: str = "aUSD", loan: str = "USDC"
) -> MarketObserved:
    return MarketObserved(at(hours), "morpho-blue", CHAIN, name, collateral, loan, supply, borrow)


def price(hours: float, usd: float | None, asset: str = "aUSD", source: str = "", venue: str = "") -> PriceObserved:
    return PriceObserved(at(hours), asset, usd, source, venue)


def allocation(hours: float, usd: float | None, vault: str, name: str = "0xaa", curator: str = "") -> AllocationObserved:
    return AllocationObserved(at(hours), vault, CHAIN, name, usd, curator)


def backing(hours: float, token: str, **shares: float) -> BackingObserved:
    return BackingObserved(at(hours), token, shares)


def bridge(
    hours: float, locked: float | None, minted: dict[str, float | None], in_flight: float | None = None, token: str = "rETH"
) -> BridgeObserved:
    return BridgeObserved(at(hours), token, "some-bridge", locked, minted, in_flight)


def wallet(hours: float, health: float | None, owner: str = "0xowner", name: str = "0xaa", debt: float | None = 5_000.0) -> WalletObserved:
    return WalletObserved(at(hours), owner, CHAIN, "morpho-blue", name, health, debt_usd=debt, collateral_usd=10_000.0)


def flat(
    count: int, supply: float = 10e6, used: float = 0.8, name: str = "0xaa", collateral: str = "aUSD", loan: str = "USDC"
) -> list[MarketObserved]:
    """A quiet market, observed `count` times, once an hour."""
    return [market(hour, supply, used * supply, name, collateral, loan) for hour in range(count)]


def told(history: Iterable[Observed]) -> list[Alert]:
    """Alerts of a history, which is put in the order of time."""
    return list(replay(sorted(history, key=lambda one: one.t)))


def rules(alerts: Sequence[Alert], state: str = "opened") -> list[tuple[str, str, str]]:
    """(rule, subject, severity) of the messages in a state."""
    return [(one.rule, one.subject, one.severity) for one in alerts if one.state == state]
