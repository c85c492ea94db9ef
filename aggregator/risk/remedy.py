"""The cheapest single action that brings a margin account back to a chosen health after a shock, and what it costs.

With C = Σ threshold · collateral and D = Σ debt after the shock at the protocol's oracle, health is h again

    by repaying x of a debt of value v a unit      x = ⌈(D − C/h) / v⌉
    by adding x of a collateral that counts u      x = ⌈(h·D − C) / u⌉

in raw units, over the rationals: one unit less is not enough. What is repaid or added comes from free holdings on the same chain; else it
is brought from one other chain, where no bridge on the way is down; only where neither can pay, from outside. Cost is the capital that
is put in, at the market after the shock, plus gas and what the bridge takes; the cheapest of the nearest kind wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from types import MappingProxyType

from aggregator.model.identifiers import ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, Side
from aggregator.model.units import to_decimal
from aggregator.risk.acting import free_legs, leg_for
from aggregator.risk.action import Action, ActionKind, Place
from aggregator.risk.exposure import Key
from aggregator.risk.valuation import EXACT
from aggregator.risk.what_if import State, WhatIf

HIGHEST_HEALTH = 1_000


@dataclass(frozen=True, slots=True)
class RemedyCosts:
    """What acting costs, assumptions like those of `LiquidationCosts`: a transaction of 200,000 gas, and a bridge's share."""

    transaction_usd: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"eip155:1": 6.0}))
    other_transaction_usd: float = 0.05
    bridge_share: float = 0.0005

    def transaction(self, chain: str) -> float:
        return self.transaction_usd.get(chain, self.other_transaction_usd)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to restore an account. `amount` in raw units of the token; USD at the market after the shock."""

    actions: tuple[Action, ...]
    """a move and what is done with it count as one; before the shock they have the same effect"""
    symbol: str
    decimals: int
    amount: int
    capital_usd: float | None
    """None where the token has no believed price"""
    fees_usd: float | None
    lag_hours: float
    """until it is done, where something has to arrive first"""
    from_outside: bool
    """no free holding can pay for it"""

    @property
    def cost_usd(self) -> float | None:
        return None if self.capital_usd is None or self.fees_usd is None else self.capital_usd + self.fees_usd


@dataclass(frozen=True, slots=True)
class Restoration:
    """An account below the chosen health after the shock; `ways` by preference, the first one named as the cheapest."""

    account: int
    breached: bool
    ways: tuple[Remedy, ...]
    why: str = ""
    """why there is no way"""

    @property
    def cheapest(self) -> Remedy | None:
        return self.ways[0] if self.ways else None


def restore(what_if: WhatIf, state: State, health: Fraction, costs: RemedyCosts | None = None) -> tuple[Restoration, ...]:
    """One restoration for every account whose native health after the shock is below `health`, in the order of liquidation first."""
    found = []
    for number, own in enumerate(state.accounts):
        if own.health is not None and Fraction(own.health) < health:
            ways = _Ways(what_if, state, number, health, costs if costs is not None else RemedyCosts()).all()
            why = "" if ways else "no single debt or collateral of the account is large enough"
            found.append(Restoration(number, bool(own.liquidatable), ways, why))
    place = {number: place for place, number in enumerate(state.order)}
    return tuple(sorted(found, key=lambda one: (place.get(one.account, len(place)), one.account)))


@dataclass(frozen=True, slots=True)
class _Need:
    """So many raw units of a leg's token, repaid or added."""

    key: Key
    leg: Leg
    kind: ActionKind
    amount: int
    unit_usd: Fraction | None
    """at the market after the shock"""


class _Ways:
    """All ways for one account."""

    def __init__(self, what_if: WhatIf, state: State, number: int, health: Fraction, costs: RemedyCosts) -> None:
        self.what_if, self.state, self.number, self.health, self.costs = what_if, state, number, health, costs
        self.portfolio = what_if.prepared.portfolio
        self.account = self.portfolio.margin_accounts[number]

    def all(self) -> tuple[Remedy, ...]:
        ways = [way for need in self._needs() for way in self._paid(need)]
        # outside money is named only where the portfolio itself cannot pay
        own = [way for way in ways if not way.from_outside]
        return tuple(sorted(own or ways, key=lambda way: (way.cost_usd is None, way.cost_usd or 0.0, way.lag_hours, way.actions[0].text)))

    def _needs(self) -> Iterator[_Need]:
        terms = self.what_if.native_terms(self.number, self.state)
        counted = sum((Fraction(signed) for _, signed in terms if signed > 0), Fraction(0))
        debt = -sum((Fraction(signed) for _, signed in terms if signed < 0), Fraction(0))
        for key, signed in terms:
            value = self.what_if.legs[key]
            leg, unit = value.leg, abs(Fraction(signed)) / value.leg.amount
            lacking = debt - counted / self.health if signed < 0 else self.health * debt - counted
            if unit <= 0 or lacking <= 0 or leg_for(self.account, leg.side, leg.asset) != key[1:]:
                continue
            amount = -(-lacking // unit)
            market = None if value.value is None else Fraction(value.value) * self.state.shocked.claim_multiplier(key) / leg.amount
            if leg.side is Side.DEBT and amount <= leg.amount:
                yield _Need(key, leg, ActionKind.REPAY, amount, market)
            elif leg.side is Side.COLLATERAL:
                yield _Need(key, leg, ActionKind.ADD, amount, market)

    def _paid(self, need: _Need) -> Iterator[Remedy]:
        chain, leg = self.account.chain, need.leg
        capital = float(need.amount * need.unit_usd) if need.unit_usd is not None else None
        action = Action(need.kind, leg.symbol, _whole(need.amount, leg.decimals), self._place(need))
        gas = self.costs.transaction(chain)

        def way(actions: tuple[Action, ...], fees: float | None, lag: float = 0.0, outside: bool = False) -> Remedy:
            return Remedy(actions, leg.symbol, leg.decimals, need.amount, capital, fees, lag, outside)

        if _free(self.portfolio, chain, leg.asset) >= need.amount:
            yield way((action,), gas)
        elif chain not in self.state.policy.cut_off:
            for other in sorted({position.chain for position in self.portfolio.positions} - {chain} - set(self.state.policy.cut_off)):
                held = [self.portfolio.positions[p].legs[n] for p, n, _ in free_legs(self.portfolio, ChainId(other), leg.symbol)]
                if not held or any(one.decimals != held[0].decimals for one in held):
                    continue
                wanted = _whole(need.amount, leg.decimals)
                if to_decimal(_free(self.portfolio, ChainId(other), leg.symbol), held[0].decimals) >= wanted:
                    move = Action(ActionKind.MOVE, leg.symbol, wanted, source=ChainId(other), target=chain)
                    bridging = None if capital is None else self.costs.bridge_share * capital
                    fees = None if bridging is None else gas + self.costs.transaction(other) + bridging
                    yield way((move, action), fees, self.state.policy.transfer_lag_hours)
        yield way((action,), gas, outside=True)

    def _place(self, need: _Need) -> Place:
        """The shortest place that means this account and no other."""
        account, side = self.account, need.leg.side
        short, label, own = Place(account.protocol, account.chain), account.market_label, account.owner
        for place in (short, replace(short, owner=own), replace(short, market=label), replace(short, market=label, owner=own)):
            meant = [
                number
                for number, one in enumerate(self.portfolio.margin_accounts)
                if place.matches(one) and any(leg.side is side and leg.symbol == need.leg.symbol for leg in one.legs)
            ]
            if meant == [self.number]:
                return place
        return replace(short, market=account.market, owner=own)


def _free(portfolio: Portfolio, chain: ChainId, asset: str) -> int:
    return sum(units for _, _, units in free_legs(portfolio, chain, asset))


def _whole(amount: int, decimals: int) -> Decimal:
    with localcontext(EXACT):
        return to_decimal(amount, decimals)
