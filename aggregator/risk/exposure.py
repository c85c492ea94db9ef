"""From positions to signed exposures: legs looked through to lots, margin accounts and free holdings as groups.

A *group* is what can lose by itself: one margin account, or everything free on one chain. A *holding* is one value in a group that
moves with one shape: a leg, or the principal of a concentrated position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from aggregator.model.identifiers import AssetId, ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Position, Side
from aggregator.model.token import Token, TokenKind
from aggregator.risk.classes import WRAPPER_HAIRCUTS, BasisClass, FactorClass, basis_class, factor_class
from aggregator.risk.failures import Failure, of_protocol, of_token, oracle_of
from aggregator.risk.shapes import Linear, Pair, Range, Shape, blend, delta_weights
from aggregator.risk.valuation import ComponentValue, LegValue, PositionValue, Valuation
from aggregator.risk.venue_book import DOLLARS, VenueBook, VenuePart, discounts_of
from aggregator.risk.venue_exposure import VenueLine, line_of, shape_of

Key = tuple[int | None, int, int]
"""margin account or None, position, leg"""


@dataclass(frozen=True, slots=True, order=True)
class Lot:
    """A factor behind the discounts of the wrappers on the way to it, as `class:symbol`."""

    factor: str
    bases: tuple[str, ...] = ()
    structure: float = 0.0
    """share taken off for the contracts, bridges and issuers on the way"""
    depends: tuple[str, ...] = ()
    """issuers, bridges and protocols on the way: when one of them fails, this does"""


@dataclass(frozen=True, slots=True)
class Holding:
    """A value that moves with one shape. USD floats ≥ 0; the side gives the sign."""

    group: int
    side: Side
    value: float
    low: float
    high: float
    shape: Shape
    redeemable: float
    """share of it that can be withdrawn now"""
    age_seconds: int
    source: tuple[int | None, int, int | None] = (None, -1, None)
    """margin account or None, position, and leg; no leg for the principal of a concentrated position"""


@dataclass(frozen=True, slots=True)
class Group:
    """One margin account (`account` is its index in the portfolio, venue accounts counted after the others) or what is free on a chain."""

    chain: ChainId
    """or the venue"""
    account: int | None
    indebted: bool
    """owes something, so that it can be liquidated and cannot simply be emptied"""


@dataclass(frozen=True, slots=True)
class Exposures:
    """All priced holdings with the lots, factors and discounts they move with. All tuples in sorted order of names."""

    groups: tuple[Group, ...]
    holdings: tuple[Holding, ...]
    lots: tuple[Lot, ...]
    factors: tuple[str, ...]
    bases: tuple[str, ...]
    classes: Mapping[str, FactorClass]
    leg_shapes: Mapping[tuple[int | None, int, int], Shape] = field(default_factory=dict)
    """shape by (margin account or None, position, leg): of every leg in a margin account, and of every other one with a value"""
    leg_values: Mapping[tuple[int | None, int, int], float] = field(default_factory=dict)
    """USD value of the legs that have one"""
    trees: Mapping[tuple[int | None, int, int], Tree] = field(default_factory=dict)
    """what each leg with a shape is made of, its own token by token"""
    lot_numbers: Mapping[Lot, int] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """what the lots depend on"""
    oracles: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """indebted margin accounts by the oracle that prices them"""
    venues: tuple[VenueLine, ...] = ()
    """the lines at which venue accounts are liquidated"""
    labels: Mapping[Key, str] = field(default_factory=dict)
    """name of each leg and of each part of a venue account"""

    def delta(self, group: int | None = None) -> dict[str, float]:
        """Signed first-order USD exposure by factor, of one group or of all."""
        result: dict[str, float] = {}
        for holding in self.holdings:
            if group is None or holding.group == group:
                for lot, weight in delta_weights(holding.shape).items():
                    factor = self.lots[lot].factor
                    result[factor] = result.get(factor, 0.0) + holding.side.sign * holding.value * weight
        return result

    def gross(self) -> dict[str, float]:
        """Σ |exposure| by factor, before any netting."""
        result = dict.fromkeys(self.factors, 0.0)
        for holding in self.holdings:
            for lot, weight in delta_weights(holding.shape).items():
                result[self.lots[lot].factor] += holding.value * abs(weight)
        return result

    def held(self) -> dict[str, float]:
        """USD owned by factor, all groups together: what would have to be sold."""
        result = dict.fromkeys(self.factors, 0.0)
        for holding in self.holdings:
            if holding.side.sign > 0:
                for lot, weight in delta_weights(holding.shape).items():
                    result[self.lots[lot].factor] += holding.value * weight
        return result


def basis_of(name: str) -> BasisClass:
    """Class of a discount named `class:symbol`."""
    return BasisClass(name.partition(":")[0])


class _Builder:
    """Collects lots while shapes are built; lots are renumbered in sorted order at the end, so input order leaves no trace."""

    def __init__(self, portfolio: Portfolio) -> None:
        self.tokens = portfolio.tokens
        self.kinds = {asset: composition.kind for asset, composition in portfolio.compositions.items()}
        self.lots: set[Lot] = set()
        self.failures: dict[str, Failure] = {}
        self.index: dict[Lot, int] = {}

    def add(self, lot: Lot, depends: Iterable[tuple[str, Failure]]) -> None:
        self.lots.add(lot)
        self._depend(depends)

    def collect(self, trees: Iterator[Tree]) -> None:
        for tree in trees:
            self.lots.update(tree.lots())
        self.index = {lot: number for number, lot in enumerate(sorted(self.lots))}

    def tree(self, leg: LegValue, position: Position) -> Tree:
        node = ComponentLike(leg.leg.asset, leg.leg.symbol, leg.components)
        # what is owed stays owed when the protocol that lent it fails
        depends = self._depend(of_protocol(position.protocol)) if leg.leg.side.sign > 0 else frozenset()
        return self._tree(node, {}, frozenset(), depends, position.constant_product)

    def _depend(self, on: Iterable[tuple[str, Failure]]) -> frozenset[str]:
        found = dict(on)
        self.failures.update(found)
        return frozenset(found)

    def _tree(
        self, node: ComponentLike, bases: Mapping[BasisClass, str], kinds: frozenset[TokenKind], depends: frozenset[str], pair: bool
    ) -> Tree:
        token = self.tokens.get(node.asset)
        kind = token.kind if token is not None else TokenKind.UNKNOWN
        basis = basis_class(kind)
        if basis is not None and token is not None:
            bases = {**bases, basis: token.symbol}  # the innermost token of a class names the discount, so wstETH and stETH share one
        if token is not None:
            depends = depends | self._depend(of_token(token))
        parts = node.parts
        known = [part.value for part in parts if part.value is not None]
        worth = sum(known)
        if not parts or len(known) < len(parts) or worth <= 0:
            factor = token.factor if token is not None else node.asset
            kinds = kinds | {kind}
            structure = 1.0
            for wrapper in sorted(kinds):
                structure *= 1.0 - WRAPPER_HAIRCUTS.get(wrapper, 0.0)
            names = tuple(sorted(f"{one}:{symbol}" for one, symbol in bases.items()))
            return Tree(node.asset, Lot(factor, names, round(1.0 - structure, 12), tuple(sorted(depends))))
        below = kinds | {kind}
        children = [
            self._tree(ComponentLike(part.component.asset, part.component.symbol, part.parts), bases, below, depends, False)
            for part in parts
        ]
        weights = [float(value / worth) for value in known]
        is_pair = (pair or self.kinds.get(node.asset) == "pair" or kind is TokenKind.PAIR) and len(parts) == 2
        return Tree(node.asset, None, tuple(zip(weights, children, strict=True)), is_pair, tuple(known))

    def shape(self, tree: Tree) -> Shape:
        if tree.lot is not None:
            return Linear(((self.index[tree.lot], 1.0),))
        shapes = [(weight, self.shape(child)) for weight, child in tree.children]
        return Pair(shapes[0][1], shapes[1][1]) if tree.pair else blend(shapes)


@dataclass(frozen=True, slots=True)
class ComponentLike:
    """A leg or a component as the builder walks it."""

    asset: AssetId
    symbol: str
    parts: tuple[ComponentValue, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A shape before its lots have numbers: a lot, or parts by their share of the value."""

    asset: AssetId
    """the token that this node stands for"""
    lot: Lot | None
    children: tuple[tuple[float, Tree], ...] = ()
    pair: bool = False
    values: tuple[Decimal, ...] = ()
    """exact USD values of the children, of which their shares are the ratios"""

    def lots(self) -> Iterator[Lot]:
        if self.lot is not None:
            yield self.lot
        for _, child in self.children:
            yield from child.lots()


def expose(portfolio: Portfolio, valuation: Valuation, venues: Sequence[VenueBook] = ()) -> Exposures:
    """Exposures of everything that has a value. What has none is in the coverage, not here."""
    venues = [book for book in venues if not book.why]
    builder = _Builder(portfolio)
    trees: dict[Key, Tree] = {}
    values: dict[Key, float] = {}
    for account, positions in _accounts(valuation):
        for number, position in enumerate(positions):
            for index, leg in enumerate(position.legs):
                # a leg without a market value can still be collateral or debt at its protocol's oracle
                if leg.value is not None or account is not None:
                    trees[account, number, index] = builder.tree(leg, position.position)
                if leg.value is not None:
                    values[account, number, index] = float(leg.value)
    for book in venues:
        for part in book.parts:
            builder.add(_venue_lot(part, book.venue), [*of_protocol(book.venue), *(of_token(part.token) if part.token is not None else ())])
            builder.add(Lot(part.factor), ())
    builder.collect(iter(trees.values()))
    shapes = {key: builder.shape(tree) for key, tree in trees.items()}
    groups = _groups(portfolio)
    holdings: list[Holding] = []
    ranged: dict[Key, Shape] = {}
    for account, positions in _accounts(valuation):
        for number, position in enumerate(positions):
            group = _group_of(groups, account, position.position)
            holdings.extend(_holdings(group, (account, number), position, shapes))
            principal = _range_shape((account, number), position, shapes)
            if principal is not None:  # from here on both legs share the position's shape
                ranged.update({(account, number, 0): principal, (account, number, 1): principal})
    groups, lines = _venue_lines(portfolio, venues, groups, builder, holdings)
    lots = tuple(sorted(builder.lots))
    factors = tuple(sorted({lot.factor for lot in lots}))
    followers: dict[str, list[Token]] = {}
    for token in portfolio.tokens.values():
        followers.setdefault(token.factor, []).append(token)
    return Exposures(
        groups,
        tuple(holdings),
        lots,
        factors,
        tuple(sorted({basis for lot in lots for basis in lot.bases})),
        {factor: _class(factor, followers) for factor in factors},
        shapes | ranged,
        values,
        trees,
        builder.index,
        builder.failures,
        _oracles(portfolio, groups),
        lines,
        _labels(portfolio, valuation, venues),
    )


def _labels(portfolio: Portfolio, valuation: Valuation, venues: Sequence[VenueBook]) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for account, positions in _accounts(valuation):
        for number, position in enumerate(positions):
            found.update({(account, number, index): leg.leg.symbol for index, leg in enumerate(position.legs)})
    for book in venues:
        number = len(portfolio.margin_accounts) + book.account
        found.update({(number, 0, index): part.label for index, part in enumerate(book.parts)})
    return found


def _venue_lines(
    portfolio: Portfolio, venues: Sequence[VenueBook], groups: tuple[Group, ...], builder: _Builder, holdings: list[Holding]
) -> tuple[tuple[Group, ...], tuple[VenueLine, ...]]:
    """Groups with those of venue accounts after the others, and their lines; their holdings are added."""
    lines = []
    plain = {lot.factor: place for lot, place in builder.index.items() if lot == Lot(lot.factor)}
    for book in venues:
        number, group = len(portfolio.margin_accounts) + book.account, len(groups)
        groups = (*groups, Group(ChainId(book.venue), number, book.at_risk))
        own = [builder.index[_venue_lot(part, book.venue)] for part in book.parts]
        lines.append(line_of(book, group, number, own, plain))
        for index, (part, lot) in enumerate(zip(book.parts, own, strict=True)):
            holdings.append(Holding(group, part.side, *(part.value,) * 3, shape_of(part, lot), 1.0, 0, (number, 0, index)))
    return groups, tuple(lines)


def _class(factor: str, followers: Mapping[str, Sequence[Token]]) -> FactorClass:
    """Of a factor that no token follows, only a venue lists it: a dollar that venues settle in, or a coin."""
    if factor in followers or factor_class(factor, ()) is not FactorClass.UNKNOWN:
        return factor_class(factor, followers.get(factor, ()))
    return FactorClass.STABLE if factor.upper() in DOLLARS else FactorClass.VOLATILE


def _venue_lot(part: VenuePart, venue: str) -> Lot:
    """The lot that a part moves with. What a venue owes its user depends on the venue, and on the token's issuer."""
    owned = part.side is Side.COLLATERAL
    depends = {name for name, _ in of_protocol(venue)} if owned else set[str]()
    depends |= {name for name, _ in of_token(part.token)} if part.token is not None else set()
    discounts = discounts_of(part.label, part.token) if part.side in (Side.COLLATERAL, Side.DEBT) else ()
    return Lot(part.factor, discounts, 0.0, tuple(sorted(depends)))


def _oracles(portfolio: Portfolio, groups: Sequence[Group]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for number, account in enumerate(portfolio.margin_accounts):
        if groups[number].indebted:
            found.setdefault(oracle_of(account.protocol, account.chain), set()).add(number)
    return {name: frozenset(members) for name, members in sorted(found.items())}


def _accounts(valuation: Valuation) -> Iterator[tuple[int | None, tuple[PositionValue, ...]]]:
    yield from enumerate(valuation.accounts)
    yield None, valuation.positions


def _groups(portfolio: Portfolio) -> tuple[Group, ...]:
    accounts = [
        Group(account.chain, number, any(leg.side is Side.DEBT and leg.amount > 0 for leg in account.legs))
        for number, account in enumerate(portfolio.margin_accounts)
    ]
    chains = sorted({position.chain for position in portfolio.positions})
    return (*accounts, *(Group(chain, None, False) for chain in chains))


def _group_of(groups: Sequence[Group], account: int | None, position: Position) -> int:
    if account is not None:
        return account
    return next(number for number, group in enumerate(groups) if group.account is None and group.chain == position.chain)


def _holdings(group: int, where: tuple[int | None, int], position: PositionValue, shapes: Mapping[Key, Shape]) -> Iterator[Holding]:
    legs = position.legs
    principal = _range_shape(where, position, shapes)
    if principal is not None:
        yield _principal(group, where, legs, principal)
        for index, (leg, shape) in enumerate(zip(legs, (principal.first, principal.second), strict=True)):
            if leg.leg.fees:
                share = leg.leg.fees / (leg.leg.amount + leg.leg.fees)
                yield Holding(group, leg.leg.side, *_scaled(leg, share), shape, 1.0, leg.age_seconds, (*where, index))
        return
    for index, leg in enumerate(legs):
        if leg.value is not None and leg.value > 0:
            units = leg.leg.amount + leg.leg.fees
            redeemable = 1.0 if leg.leg.redeemable is None else min(1.0, leg.leg.redeemable / units) if units else 1.0
            shape, source = shapes[(*where, index)], (*where, index)
            yield Holding(group, leg.leg.side, *_scaled(leg, 1.0), shape, redeemable, leg.age_seconds, source)


def _range_shape(where: tuple[int | None, int], position: PositionValue, shapes: Mapping[Key, Shape]) -> Range | None:
    """Shape of a concentrated position of which both tokens have a price, else None."""
    span, legs = position.position.range, position.legs
    if span is None or len(legs) != 2 or any(leg.price is None for leg in legs):
        return None
    return Range(shapes[(*where, 0)], shapes[(*where, 1)], span, _raw_price(legs[0]), _raw_price(legs[1]))


def _principal(group: int, where: tuple[int | None, int], legs: Sequence[LegValue], shape: Range) -> Holding:
    shares = [leg.leg.amount / (leg.leg.amount + leg.leg.fees) if leg.leg.amount else 0.0 for leg in legs]
    value, low, high = (sum(part) for part in zip(*(_scaled(leg, share) for leg, share in zip(legs, shares, strict=True)), strict=True))
    return Holding(group, legs[0].leg.side, value, low, high, shape, 1.0, max(leg.age_seconds for leg in legs), (*where, None))


def _scaled(leg: LegValue, share: float) -> tuple[float, float, float]:
    return float(leg.value or 0) * share, float(leg.low or 0) * share, float(leg.high or 0) * share


def _raw_price(leg: LegValue) -> float:
    return float(leg.price or 0) * 10.0**-leg.leg.decimals
