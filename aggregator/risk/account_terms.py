"""A margin account's counted collateral and debt, at its protocol's oracle and at the market, and what moves do to both sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TypeAlias

from aggregator.model.position import MarginAccount, Side
from aggregator.risk.exposure import Key
from aggregator.risk.prepared import Prepared
from aggregator.risk.shock import Moves
from aggregator.risk.shocked import ONE, Shocked, scaled
from aggregator.risk.valuation import EXACT, LegValue

_EXACT_ENOUGH = Decimal(10) ** -50
"""of the gross: a cushion nearer to zero than this is added up as a fraction"""


@dataclass(frozen=True, slots=True)
class SignedTerm:
    """One leg's part: threshold · value of what counts, −value of debt, exact."""

    key: Key
    symbol: str
    signed: Decimal


Changes: TypeAlias = Mapping[Key, Fraction]
"""multipliers of legs, where they are not 1"""


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What is looked up once of a margin account."""

    account: MarginAccount
    native: tuple[SignedTerm, ...]
    """at the protocol's oracle, else at the market; empty where it owes nothing or where a debt has neither value"""
    by_oracle: bool
    """whether `native` are the protocol's own values"""
    market: tuple[SignedTerm, ...] | None
    """at the market, unpriced collateral left out; None where a debt has no value"""
    cushion: Fraction
    """Σ of `native`, below 0 is liquidatable"""
    debts_priced: bool
    """whether every debt has a market value"""

    def native_changes(self, moves: Moves, shocked: Shocked) -> Changes:
        """What moves at the protocol's oracle: everything, but for what is frozen."""
        account = self.account
        return {
            term.key: change
            for term in self.native
            if (change := shocked.claim_multiplier(term.key)) is not ONE
            and change != 1
            and not (self.by_oracle and any(one.covers(account.protocol, account.chain, term.symbol) for one in moves.frozen))
        }

    def market_changes(self, shocked: Shocked) -> Changes:
        return {term.key: shocked.claim_multiplier(term.key) for term in self.market or ()}


def account_terms(number: int, legs: Mapping[Key, LegValue], prepared: Prepared) -> AccountTerms:
    """Terms of a margin account; `legs` of the whole portfolio by key."""
    claim, own = prepared.claims.by_account.get(number), {key: leg for key, leg in legs.items() if key[0] == number}
    native = () if claim is None else tuple(SignedTerm(term.key, term.symbol, term.signed) for term in claim.terms)
    return AccountTerms(
        prepared.portfolio.margin_accounts[number],
        native,
        claim is not None and claim.oracle,
        _market(own),
        sum((Fraction(term.signed) for term in native), Fraction(0)),
        all(leg.value is not None for leg in own.values() if leg.leg.side is Side.DEBT),
    )


def _market(legs: Mapping[Key, LegValue]) -> tuple[SignedTerm, ...] | None:
    found = []
    for key, leg in legs.items():
        terms, value = leg.leg.terms, leg.value
        if leg.leg.amount == 0:
            continue
        if leg.leg.side is Side.DEBT:
            if value is None:
                return None
            found.append(SignedTerm(key, leg.leg.symbol, -value))
        elif leg.leg.side is Side.COLLATERAL and terms is not None and terms.liquidation_threshold > 0 and value is not None:
            with localcontext(EXACT):
                found.append(SignedTerm(key, leg.leg.symbol, value * terms.liquidation_threshold))
    return tuple(found)


def moved(terms: Iterable[SignedTerm], changes: Changes) -> list[tuple[Key, Decimal]]:
    """(leg, signed value) after the changes."""
    return [(term.key, scaled(term.signed, changes.get(term.key, ONE))) for term in terms]


def ratio(signed: Iterable[Decimal]) -> Decimal | None:
    """Health: Σ of what is positive over Σ of what is negative; None without debt."""
    counted = owed = Decimal(0)
    with localcontext(EXACT):
        for value in signed:
            if value < 0:
                owed -= value
            else:
                counted += value
        return counted / owed if owed > 0 else None


def cushion(terms: Iterable[SignedTerm], changes: Changes, values: Iterable[Decimal]) -> Fraction:
    """Σ signed · multiplier, below 0 is liquidatable: by `values` (the products) where that leaves no doubt, exactly near zero."""
    total = gross = Decimal(0)
    with localcontext(EXACT):
        for value in values:
            total, gross = total + value, gross + abs(value)
        if abs(total) > _EXACT_ENOUGH * gross:
            return Fraction(total)
    return sum((Fraction(term.signed) * changes.get(term.key, ONE) for term in terms), Fraction(0))
