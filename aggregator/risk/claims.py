"""A margin account as its protocol judges it: counted collateral against debt, and how both follow the market.

Values are the protocol's own oracle values where every leg has one, in whatever unit the protocol counts (health is a ratio, so the
unit cancels), else market values. Health is Σ threshold·collateral / Σ debt; the account is liquidatable below 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext

import numpy as np

from aggregator.model.identifiers import AssetId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, MarginAccount, Side
from aggregator.risk.exposure import Exposures, Key
from aggregator.risk.shapes import Array, IntArray, Linear, Shape, delta_weights, multiplier, relabelled
from aggregator.risk.valuation import EXACT, LegValue, PositionValue
from aggregator.risk.venue_exposure import VenueLine, asset_of, signed_terms


@dataclass(frozen=True, slots=True)
class Term:
    """One leg's part: `signed` is threshold·value for counted collateral, −value for debt, exact."""

    key: Key
    asset: AssetId
    symbol: str
    signed: Decimal
    price: Decimal | None
    """USD price of one whole token that the protocol's oracle states, else the market's"""
    shape: Shape


@dataclass(frozen=True, slots=True)
class Claim:
    """An indebted account's terms; `oracle` tells whether they are the protocol's own values."""

    account: int
    terms: tuple[Term, ...]
    oracle: bool
    net: tuple[IntArray, Array] = field(init=False, repr=False, compare=False)
    """lots of the linear terms, ascending, and what counts of each less what is owed"""
    bent: tuple[Term, ...] = field(init=False, repr=False, compare=False)
    """the other terms"""

    def __post_init__(self) -> None:
        net: dict[int, float] = {}
        for term in self.terms:
            for lot, weight in term.shape.weights if isinstance(term.shape, Linear) else ():
                net[lot] = net.get(lot, 0.0) + float(term.signed) * weight
        lots = sorted(net)
        object.__setattr__(self, "net", (np.array(lots, dtype=np.int64), np.array([net[lot] for lot in lots])))
        object.__setattr__(self, "bent", tuple(term for term in self.terms if not isinstance(term.shape, Linear)))

    @property
    def lots(self) -> tuple[int, ...]:
        """Every lot that it follows, ascending."""
        return tuple(sorted({lot for term in self.terms for lot in delta_weights(term.shape)}))

    def relabelled(self, lots: Mapping[int, int]) -> Claim:
        """The same claim over lots with other numbers."""
        return replace(self, terms=tuple(replace(term, shape=relabelled(term.shape, lots)) for term in self.terms))

    @property
    def cushion(self) -> Decimal:
        """Σ of the terms: below 0 is liquidatable."""
        with localcontext(EXACT):
            return sum((term.signed for term in self.terms), Decimal(0))

    def cushions(self, lots: Array) -> Array:
        """The same after moves of the lots, shape (…, lots) → (…), as floats."""
        numbers, values = self.net
        result: Array = lots[..., numbers] @ values
        for term in self.bent:
            result += float(term.signed) * multiplier(term.shape, lots)
        return result

    @property
    def debt(self) -> Decimal:
        with localcontext(EXACT):
            return -sum((term.signed for term in self.terms if term.signed < 0), Decimal(0))


def claim(number: int, account: MarginAccount, values: tuple[PositionValue, ...], exposures: Exposures) -> Claim | None:
    """Claim of a margin account; None where it owes nothing or where a debt has neither an oracle value nor a market value."""
    legs = [
        ((number, p, n), leg)
        for p, position in enumerate(values)
        for n, leg in enumerate(position.legs)
        if leg.leg.amount > 0 and _counts(leg.leg)
    ]
    if not any(leg.leg.side is Side.DEBT for _, leg in legs):
        return None
    oracle = all(leg.leg.terms is not None and leg.leg.terms.oracle_value is not None for _, leg in legs)
    terms = []
    for key, leg in legs:
        signed = _signed(leg, oracle)
        if signed is None and leg.leg.side is Side.DEBT:
            return None
        if not signed:
            continue  # collateral of unknown value counts nothing, and what counts nothing moves nothing
        terms.append(Term(key, leg.leg.asset, leg.leg.symbol, signed, _price(leg), exposures.leg_shapes[key]))
    return Claim(number, tuple(terms), oracle)


def venue_claim(line: VenueLine) -> Claim:
    """Claim of a venue account: equity less maintenance margin, in the venue's own dollars."""
    return Claim(
        line.account,
        tuple(
            Term((line.account, 0, index), asset_of(line.venue, name), name, signed, None, shape)
            for index, (name, signed, shape) in enumerate(signed_terms(line))
        ),
        oracle=True,
    )


@dataclass(frozen=True, slots=True)
class Claims:
    """All claims by account, and exposures cut down to the lots they follow: what nobody owes or counts on plays no part."""

    by_account: Mapping[int, Claim]
    exposures: Exposures


def claims(portfolio: Portfolio, values: tuple[tuple[PositionValue, ...], ...], exposures: Exposures) -> Claims:
    """Claims of all accounts that have one."""
    found = [claim(number, account, values[number], exposures) for number, account in enumerate(portfolio.margin_accounts)]
    known = [*(one for one in found if one is not None), *(venue_claim(line) for line in exposures.venues if line.group_at_risk)]
    used = sorted({lot for one in known for lot in one.lots})
    lots = tuple(exposures.lots[lot] for lot in used)
    renumbered = {lot: number for number, lot in enumerate(used)}
    narrow = replace(
        exposures,
        holdings=(),
        lots=lots,
        factors=tuple(sorted({lot.factor for lot in lots})),
        bases=tuple(sorted({basis for lot in lots for basis in lot.bases})),
        leg_shapes={},
        leg_values={},
        trees={},
        lot_numbers={},
        venues=(),
    )
    return Claims({one.account: one.relabelled(renumbered) for one in known}, narrow)


def owes_nothing(account: MarginAccount) -> bool:
    """Whether it is known that nothing is owed."""
    return account.debt_free or (account.health_factor is not None and not any(leg.side is Side.DEBT for leg in account.legs))


def shadow_health(account: MarginAccount, values: tuple[PositionValue, ...]) -> Decimal | None:
    """Health at market or look-through prices, unpriced collateral counting nothing; None without debt or where a debt has no value."""
    counted, debt = Decimal(0), Decimal(0)
    with localcontext(EXACT):
        for position in values:
            for leg in position.legs:
                if leg.leg.amount == 0 or not _counts(leg.leg):
                    continue
                signed = _signed(leg, oracle=False)
                if leg.leg.side is Side.DEBT:
                    if signed is None:
                        return None
                    debt -= signed
                elif signed is not None:
                    counted += signed
        return counted / debt if debt > 0 else None


def _counts(leg: Leg) -> bool:
    if leg.side is Side.DEBT:
        return True
    return leg.side is Side.COLLATERAL and leg.terms is not None and leg.terms.liquidation_threshold > 0


def _signed(leg: LegValue, oracle: bool) -> Decimal | None:
    terms = leg.leg.terms
    value = terms.oracle_value if oracle and terms is not None else leg.value
    if value is None:
        return None
    if leg.leg.side is Side.DEBT:
        return -value
    with localcontext(EXACT):
        return value * (terms.liquidation_threshold if terms is not None else Decimal(0))


def _price(leg: LegValue) -> Decimal | None:
    terms = leg.leg.terms
    return terms.oracle_price_usd if terms is not None and terms.oracle_price_usd is not None else leg.price
