"""Signs in single wallets, and what a market's wallets say together."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from aggregator.contagion.evidence import FLOOR
from aggregator.contagion.indicators import liquidatable_debt
from aggregator.publish.alerts.condition import EvidenceValue, Signal
from aggregator.publish.alerts.instant import Instant
from aggregator.publish.alerts.nodes import Node, NodeKind
from aggregator.publish.alerts.observations import CurveObserved, WalletObserved
from aggregator.publish.alerts.picture import MarketKey
from aggregator.publish.alerts.rules import WALLET_DISTANCE, WALLET_HEALTH, WALLET_SHADOW, WALLET_TRAPPED, Rule, Severity

SMALLEST_DEBT = 100.0
"""USD owed below which an account is only informed about"""
CURVE_FALL = 0.1
_WORST = 1e9


def wallet_signals(wallet: WalletObserved) -> Iterator[Signal]:
    """Health, distance, trapped collateral and shadow gap of one account, or what is trapped of a whole portfolio, which names no
    protocol. All of one owner's accounts are one story."""
    root = Node(NodeKind.OWNER, wallet.owner)
    place = Node(NodeKind.OWNER, wallet.owner, wallet.chain, f"{wallet.protocol}/{wallet.market}")
    evidence: dict[str, EvidenceValue] = {
        "chain": wallet.chain,
        "protocol": wallet.protocol,
        "market": wallet.market,
        "health_factor": wallet.health_factor,
        "shadow_health_factor": wallet.shadow_health_factor,
        "collateral_usd": wallet.collateral_usd,
        "debt_usd": wallet.debt_usd,
    }
    small = wallet.debt_usd is not None and wallet.debt_usd < SMALLEST_DEBT
    cap = Severity.INFO if small else Severity.CRITICAL

    def signal(rule: Rule, figure: float | None, **more: EvidenceValue) -> Signal:
        return Signal(rule, place, root, figure, evidence | more, (wallet,), cap=cap)

    health, shadow, distance = wallet.health_factor, wallet.shadow_health_factor, wallet.distance
    nothing_owed = wallet.debt_usd == 0 and bool(wallet.protocol)
    if distance is None and nothing_owed:
        distance = math.inf
    if wallet.protocol or health is not None:
        yield signal(WALLET_HEALTH, 0.0 if wallet.debt_usd == 0 else None if health is None else 1 / health if health > 0 else _WORST)
    if distance is not None:
        yield signal(WALLET_DISTANCE, 1 - min(1.0, distance), distance=distance)
    if wallet.trapped_usd is not None and wallet.collateral_usd:
        yield signal(WALLET_TRAPPED, wallet.trapped_usd / wallet.collateral_usd, trapped_usd=wallet.trapped_usd)
    if health is not None and shadow is not None and health > 0:
        # only where the shadow is the darker one: an oracle that is too careful harms nobody by surprise
        yield signal(WALLET_SHADOW, max(0.0, health / shadow - 1) if shadow > 0 else _WORST)
    elif nothing_owed:
        yield signal(WALLET_SHADOW, 0.0)


def curve_of(key: MarketKey, wallets: Collection[WalletObserved], now: Instant) -> CurveObserved:
    """Debt of a market that collateral 10 % lower makes liquidatable; not known where too much of its debt cannot be judged."""
    protocol, chain, market = key
    accounts = [(one.health_factor, one.debt_usd) for one in wallets if one.debt_usd != 0]
    judged = [(health, debt) for health, debt in accounts if health is not None and debt is not None]
    known = not accounts or len(judged) >= FLOOR * len(accounts)
    return CurveObserved(now, protocol, chain, market, liquidatable_debt(judged, CURVE_FALL) if known else None)
