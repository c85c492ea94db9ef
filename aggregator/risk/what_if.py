"""The same portfolio after a shock: which margin accounts are liquidated, in which order, at what loss, and every figure beside it.

`WhatIf` looks at a prepared portfolio once; `after` then costs about a millisecond. Accounts are judged by their protocol's own oracle
(native health: it follows the market unless it is frozen) and at the market (shadow health). A yes or no is decided exactly. Along the
shock every leg moves in a straight line from its value now to its value after; accounts breach in the order in which their cushions
reach zero on that way, which is exact. No shock changes no figure.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TypeAlias

from aggregator.model.position import MarginAccount, Side
from aggregator.model.units import to_decimal
from aggregator.risk.account_terms import account_terms, cushion, moved, ratio
from aggregator.risk.accrual import Lifetime
from aggregator.risk.assessment import margin_ratio
from aggregator.risk.claims import owes_nothing
from aggregator.risk.exposure import Key
from aggregator.risk.liquidation_loss import LiquidationCosts, LiquidationLoss
from aggregator.risk.liquidation_outlook import account_lifetime, account_loss, legs_by_key
from aggregator.risk.policy import Policy
from aggregator.risk.prepared import Prepared
from aggregator.risk.probability import LiquidationProbability, probabilities
from aggregator.risk.requirement import Requirement, requirement
from aggregator.risk.scenarios import scenario_set
from aggregator.risk.score import score
from aggregator.risk.shock import NO_SHOCK, Moves, Shock, resolve
from aggregator.risk.shocked import ONE, Shocked, Shocking, scaled
from aggregator.risk.transfer import trapped_collateral
from aggregator.risk.valuation import EXACT, LegValue, PositionValue
from aggregator.risk.volatility import Volatility

Volatilities: TypeAlias = Mapping[str, Volatility]


@dataclass(frozen=True, slots=True)
class AccountState:
    """One margin account. Health factors are plain ratios; None where unknown or without debt."""

    account: int
    health: Decimal | None
    """at the protocol's oracle"""
    shadow_health: Decimal | None
    """at the market"""
    liquidatable: bool | None
    breach: Fraction | None
    """part of the shock after which it is liquidatable: 0 where it already is, None where it is not"""
    collateral_usd: Decimal
    debt_usd: Decimal | None
    lifetime: Lifetime
    loss: LiquidationLoss | None
    """None unless it is liquidatable and everything that counts has a market value"""


@dataclass(frozen=True, slots=True)
class State:
    """A portfolio after a shock. USD; None where coverage does not support the figure."""

    moves: Moves
    shocked: Shocked
    policy: Policy
    volatilities: Volatilities
    accounts: tuple[AccountState, ...]
    collateral_usd: Decimal
    debt_usd: Decimal | None
    profit_usd: Decimal
    """of long and short positions that stand outside margin accounts, since before the shock"""
    equity_usd: Decimal | None
    requirement: Requirement | None
    margin_ratio: Decimal | None
    trapped_collateral_usd: float | None

    @property
    def order(self) -> tuple[int, ...]:
        """Accounts that are liquidated, the first one first."""
        breached = [one for one in self.accounts if one.breach is not None]
        return tuple(one.account for one in sorted(breached, key=lambda one: (one.breach or 0, one.account)))

    @property
    def expected_loss_usd(self) -> float | None:
        """What liquidations take from the owner; None where one of them cannot be valued."""
        losses = [self.accounts[number].loss for number in self.order]
        return None if None in losses else sum(loss.owner_usd for loss in losses if loss is not None)


@dataclass(frozen=True, slots=True)
class Scored:
    """Probability and score after a shock when nobody acts; None where coverage is too low. A frozen oracle is taken to wake up."""

    probability: LiquidationProbability | None
    score: float | None


@dataclass(frozen=True, slots=True)
class _Sums:
    """USD: what is owned, what is owed, and the profit of derivatives since before the shock."""

    collateral: Decimal
    debt: Decimal
    profit: Decimal


class WhatIf:
    """One portfolio, and what becomes of it. `known`: names of factors and tokens that exist, whether or not they are held here."""

    def __init__(self, prepared: Prepared, costs: LiquidationCosts | None = None, known: Container[str] = frozenset()) -> None:
        self.prepared = prepared
        self.costs = costs if costs is not None else LiquidationCosts()
        self._known = known
        self._shocking = Shocking(prepared)
        self._tokens = {asset: token for asset, token in prepared.portfolio.tokens.items() if asset in self._shocking.names}
        self.legs: Mapping[Key, LegValue] = legs_by_key(prepared)
        """every leg with its value before any shock"""
        self.terms = tuple(account_terms(number, self.legs, prepared) for number in range(len(prepared.portfolio.margin_accounts)))
        self.before = self.after(NO_SHOCK)

    def moves(self, shock: Shock) -> Moves:
        """What the shock touches here; InputError for a name that means nothing."""
        exposures = self.prepared.exposures
        return resolve(shock, self._tokens, exposures.factors, exposures.bases, self._known)

    def after(self, shock: Shock) -> State:
        """The portfolio after a shock."""
        prepared, moves = self.prepared, self.moves(shock)
        policy = replace(prepared.policy, cut_off=frozenset(moves.bridges_down)) if moves.bridges_down else prepared.policy
        shocked = self._shocking.apply(moves)
        moving, scenarios = prepared.volatilities, prepared.scenarios
        if moves.volatilities:
            moving = {name: _louder(one, moves.volatilities.get(name, ONE)) for name, one in moving.items()}
            scenarios = scenario_set(prepared.exposures, moving, prepared.correlation, policy, prepared.history)
        valuation, known = prepared.valuation, prepared.coverage.debt_known
        sums = [self._sums(number, positions, shocked) for number, positions in enumerate(valuation.accounts)]
        with localcontext(EXACT):
            everything = [*sums, self._sums(None, valuation.positions, shocked)]
            collateral = sum((one.collateral for one in everything), Decimal(0))
            debt = sum((one.debt for one in everything), Decimal(0))
            profit = sum((one.profit for one in everything), Decimal(0))
            collateral, debt = collateral + shocked.venues.collateral, debt + shocked.venues.debt
            profit += Decimal(repr(shocked.venues.profit))
            marked = sum((book.mark_to_market_usd for book in prepared.venues if not book.why), Decimal(0))
            equity = collateral - debt + marked + profit if known else None
        needed = requirement(prepared.portfolio, shocked.exposures, scenarios, policy) if known else None
        return State(
            moves,
            shocked,
            policy,
            moving,
            tuple(self._account(number, moves, shocked, moving, own) for number, own in enumerate(sums)),
            collateral,
            debt if known else None,
            profit,
            equity,
            needed,
            margin_ratio(equity, needed),
            trapped_collateral(shocked.exposures, policy) if known else None,
        )

    def scored(self, state: State) -> Scored:
        """Probability of a liquidation from there on, and the score. Some tens of milliseconds: many paths are walked."""
        prepared, claims = self.prepared, state.shocked.claims
        breached = frozenset(one.account for one in state.accounts if one.liquidatable)
        outlook = prepared.outlook.louder({name: float(times) for name, times in state.moves.volatilities.items()})
        chances = probabilities(claims, breached, outlook, state.policy)
        accounts = prepared.portfolio.margin_accounts
        seen = all(number in claims.by_account or owes_nothing(account) for number, account in enumerate(accounts))
        if not (prepared.coverage.debt_read and seen):
            return Scored(None, None)
        return Scored(chances, score(chances.any_account["1d"]))

    def native_terms(self, number: int, state: State) -> list[tuple[Key, Decimal]]:
        """(leg, threshold · value of what counts or −value of debt) of an account at its protocol's oracle; empty where unknown."""
        own = self.terms[number]
        return moved(own.native, own.native_changes(state.moves, state.shocked)) if own.by_oracle else []

    def _sums(self, account: int | None, positions: Sequence[PositionValue], shocked: Shocked) -> _Sums:
        collateral = debt = profit = Decimal(0)
        with localcontext(EXACT):
            for number, position in enumerate(positions):
                for index, leg in enumerate(position.legs):
                    if leg.value is None:
                        continue
                    value, side = _value_after(leg, (account, number, index), shocked), leg.leg.side
                    if side is Side.DEBT:
                        debt += value
                    elif side in (Side.LONG, Side.SHORT):
                        profit += side.sign * (value - leg.value)
                    else:
                        collateral += value
        return _Sums(collateral, debt, profit)

    def _account(self, number: int, moves: Moves, shocked: Shocked, moving: Volatilities, sums: _Sums) -> AccountState:
        own = self.terms[number]
        account, changes = own.account, own.native_changes(moves, shocked)
        health, liquidatable, terms = _stated_health(account), account.liquidatable, moved(own.native, changes)
        breach: Fraction | None = Fraction(0) if liquidatable else None
        if changes and own.by_oracle:
            left = cushion(own.native, changes, (value for _, value in terms))
            health, liquidatable, breach = ratio(value for _, value in terms), left < 0, None
            if liquidatable:
                start = Fraction(0) if account.liquidatable else own.cushion
                breach = start / (start - left) if start > 0 else Fraction(0)
        priced = own.debts_priced
        lost = bool(liquidatable and priced and terms)
        return AccountState(
            number,
            health,
            None if own.market is None else ratio(value for _, value in moved(own.market, own.market_changes(shocked))),
            liquidatable,
            breach,
            sums.collateral,
            sums.debt if priced else None,
            account_lifetime(own, terms, self.legs, moves.rates),
            account_loss(own, terms, self.legs, shocked, moving, float(sums.debt), self.costs) if lost else None,
        )


def _value_after(leg: LegValue, key: Key, shocked: Shocked) -> Decimal:
    """Value of a leg after the moves: a concentrated position's principal by its range, its fees by their token."""
    value, principal = leg.value or Decimal(0), shocked.ranges.get((key[0], key[1]))
    if principal is None:
        return scaled(value, shocked.legs.get(key, ONE))
    fees = leg.fees_value or Decimal(0)
    return scaled(value - fees, principal) + scaled(fees, shocked.legs.get(key, ONE))


def _stated_health(account: MarginAccount) -> Decimal | None:
    return None if account.health_factor is None or account.debt_free else to_decimal(account.health_factor, 18)


def _louder(one: Volatility, change: Fraction) -> Volatility:
    return one if change == 1 else replace(one, daily=one.daily * float(change))
