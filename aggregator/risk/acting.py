"""Carrying actions out on a portfolio. Pure: a new portfolio, new prices, and what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction

from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId, ChainId, asset_chain
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Component, Leg, MarginAccount, Position, Side
from aggregator.model.price import PriceBook
from aggregator.model.token import Token, TokenKind
from aggregator.model.units import WAD, to_decimal
from aggregator.risk.action import Action, ActionKind, account_for, names, plain_amount
from aggregator.risk.valuation import EXACT, believed

HEDGES = ChainId("hedge:forward")
"""where hedges stand: their gains reach no chain in time, but offset what free holdings lose"""

TokenFinder = Callable[[str, ChainId], Token | None]
"""a listed token by symbol and chain"""


@dataclass(frozen=True, slots=True)
class Done:
    """An action carried out. Amounts in raw units of `asset`."""

    action: Action
    asset: AssetId
    symbol: str
    decimals: int
    amount: int
    from_outside: int
    """part of `amount` that no free holding on the chain could give"""
    value_usd: Decimal | None
    """of `amount`, at the price before any shock"""


@dataclass(frozen=True, slots=True)
class Acted:
    """A portfolio after actions."""

    portfolio: Portfolio
    prices: PriceBook
    done: tuple[Done, ...] = ()


def _nothing_listed(_: str, __: ChainId) -> Token | None:
    return None


def act(portfolio: Portfolio, prices: PriceBook, actions: Iterable[Action], find: TokenFinder = _nothing_listed) -> Acted:
    """One action after the other. InputError for one that cannot be done."""
    state = Acted(portfolio, prices)
    for action in actions:
        match action.kind:
            case ActionKind.REPAY | ActionKind.ADD:
                state = _supply_or_repay(state, action)
            case ActionKind.MOVE:
                state = _move(state, action, find)
            case ActionKind.HEDGE:
                state = _hedge(state, action)
    return state


def resized(leg: Leg, amount: int) -> Leg:
    """The same leg with another amount: its oracle value in proportion, what is inside rounded down."""
    if leg.amount == 0:
        raise InputError(f"{leg.symbol}: an empty leg has no proportions")
    terms, whole = leg.terms, leg.amount + leg.fees
    if terms is not None and terms.oracle_value is not None:
        with localcontext(EXACT):
            terms = replace(terms, oracle_value=terms.oracle_value * amount / leg.amount)
    inside = tuple(_part(part, amount + leg.fees, whole) for part in leg.look_through)
    redeemable = leg.redeemable if leg.redeemable is None else max(0, min(amount, leg.redeemable + max(amount - leg.amount, 0)))
    return replace(leg, amount=amount, terms=terms, look_through=inside, redeemable=redeemable)


def free_legs(portfolio: Portfolio, chain: ChainId, asset: str) -> list[tuple[int, int, int]]:
    """(position, leg, raw units that can be taken out now) of free holdings of a token on a chain, the largest first."""
    found = []
    for number, position in enumerate(portfolio.positions):
        if position.chain != chain or position.range is not None:
            continue
        for index, leg in enumerate(position.legs):
            if leg.side is Side.IDLE and names(leg.symbol, leg.asset, asset):
                available = leg.amount if leg.redeemable is None else min(leg.amount, leg.redeemable)
                if available > 0:
                    found.append((number, index, available))
    return sorted(found, key=lambda one: (-one[2], one[0], one[1]))


def leg_for(account: MarginAccount, side: Side, asset: str) -> tuple[int, int] | None:
    """(position, leg) that an action on a token means: of several on one side the largest."""
    found = [
        (p, n)
        for p, position in enumerate(account.positions)
        for n, leg in enumerate(position.legs)
        if leg.side is side and leg.amount and names(leg.symbol, leg.asset, asset)
    ]
    return min(found, key=lambda one: (-account.positions[one[0]].legs[one[1]].amount, one), default=None)


def revised(account: MarginAccount, positions: Sequence[Position]) -> MarginAccount:
    """An account with other positions: sums and health follow from its legs' terms, exactly; None where one of them is not known."""
    counted, collateral, debt = Fraction(0), Fraction(0), Fraction(0)
    known = True
    for position in positions:
        for leg in position.legs:
            if leg.amount == 0 or leg.side not in (Side.COLLATERAL, Side.DEBT):
                continue
            value = leg.terms.oracle_value if leg.terms is not None else None
            if value is None:
                known = False
            elif leg.side is Side.DEBT:
                debt += Fraction(value)
            elif leg.terms is not None and leg.terms.liquidation_threshold > 0:
                collateral += Fraction(value)
                counted += Fraction(value) * Fraction(leg.terms.liquidation_threshold)
    owing = any(leg.side is Side.DEBT and leg.amount for position in positions for leg in position.legs)
    readable = known and (account.health_factor is not None or account.debt_free)
    return replace(
        account,
        positions=tuple(positions),
        health_factor=int(counted / debt * WAD) if readable and debt else None,
        debt_free=readable and not owing,
        liquidatable=counted < debt if readable else None,
        collateral_value=_decimal(collateral) if known else None,
        debt_value=_decimal(debt) if known else None,
        liquidation_threshold=_decimal(counted / collateral) if known and collateral else account.liquidation_threshold,
    )


def _supply_or_repay(state: Acted, action: Action) -> Acted:
    portfolio = state.portfolio
    number = account_for(portfolio, action)
    account = portfolio.margin_accounts[number]
    side = Side.DEBT if action.kind is ActionKind.REPAY else Side.COLLATERAL
    place = leg_for(account, side, action.asset)
    if place is None:
        return _first_supply(state, action, number)
    leg = account.positions[place[0]].legs[place[1]]
    available = sum(units for _, _, units in free_legs(portfolio, account.chain, leg.asset))
    amount = _wanted(action, leg, leg.amount if side is Side.DEBT else available, account.chain)
    if side is Side.DEBT and amount > leg.amount:
        owed = to_decimal(leg.amount, leg.decimals)
        raise InputError(f"--action {action.text}: only {plain_amount(owed)} {leg.symbol} are owed there; `all` repays it whole")
    target = leg.amount - amount if side is Side.DEBT else leg.amount + amount
    changed = _with_leg(account.positions[place[0]], place[1], resized(leg, target) if target else None)
    positions = [changed if p == place[0] else position for p, position in enumerate(account.positions)]
    return _finish(state, action, number, [one for one in positions if one.legs], leg, amount, available)


def _first_supply(state: Acted, action: Action, number: int) -> Acted:
    """A collateral that the account does not have yet, with the terms that another account shows for the same market."""
    portfolio, account = state.portfolio, state.portfolio.margin_accounts[number]
    pattern = next(
        (
            leg
            for other in portfolio.margin_accounts
            if (other.chain, other.protocol, other.market) == (account.chain, account.protocol, account.market)
            for leg in other.legs
            if leg.side is Side.COLLATERAL and leg.amount and names(leg.symbol, leg.asset, action.asset)
        ),
        None,
    )
    if action.kind is ActionKind.REPAY or pattern is None:
        raise InputError(f"--action {action.text}: what {action.asset} would count for there is not known, as nothing of it stands there")
    available = sum(units for _, _, units in free_legs(portfolio, account.chain, pattern.asset))
    amount = _wanted(action, pattern, available, account.chain)
    position = Position(account.chain, account.protocol, account.market, account.owner, (resized(pattern, amount),))
    return _finish(state, action, number, [*account.positions, position], pattern, amount, available)


def _finish(state: Acted, action: Action, number: int, positions: Sequence[Position], leg: Leg, amount: int, available: int) -> Acted:
    """The account changed, and the free holdings that paid for it."""
    account = state.portfolio.margin_accounts[number]
    accounts = list(state.portfolio.margin_accounts)
    accounts[number] = revised(account, positions)
    taken = min(amount, available)
    portfolio = _taken(replace(state.portfolio, margin_accounts=tuple(accounts)), account.chain, leg.asset, taken)
    return _done(state, portfolio, state.prices, Done(action, leg.asset, leg.symbol, leg.decimals, amount, amount - taken, None))


def _move(state: Acted, action: Action, find: TokenFinder) -> Acted:
    portfolio, prices, source, target = state.portfolio, state.prices, action.source, action.target
    there = free_legs(portfolio, source, action.asset) if source is not None else []
    if not there or source is None or target is None:
        raise InputError(f"--action {action.text}: nothing of {action.asset} is free on {source}")
    first = portfolio.positions[there[0][0]].legs[there[0][1]]
    available = sum(units for number, index, units in there if portfolio.positions[number].legs[index].asset == first.asset)
    amount = _wanted(action, first, available, source)
    if amount > available:
        held = to_decimal(available, first.decimals)
        raise InputError(f"--action {action.text}: only {plain_amount(held)} {first.symbol} are free on {source}")
    arriving = _counterpart(portfolio, first, target, find)
    if arriving is None:
        raise InputError(f"--action {action.text}: no token {first.symbol} is known on {target}")
    landed = _rescaled(amount, first.decimals, arriving.decimals)
    composition = portfolio.compositions.get(first.asset)
    compositions = {**portfolio.compositions}
    if composition is not None:
        compositions.setdefault(arriving.asset, replace(composition, asset=arriving.asset))
    price = prices.get(first.asset)
    if arriving.asset not in prices and price is not None:
        prices = {**prices, arriving.asset: replace(price, asset=arriving.asset)}
    leg = resized(first, amount)
    leg = replace(leg, asset=arriving.asset, symbol=arriving.symbol, decimals=arriving.decimals, amount=landed, redeemable=None)
    owner = portfolio.positions[there[0][0]].owner
    moved = Position(target, "wallet", arriving.asset, owner, (leg,))
    after = _taken(portfolio, source, first.asset, amount)
    after = replace(
        after,
        positions=(*after.positions, moved),
        tokens={**portfolio.tokens, arriving.asset: portfolio.tokens.get(arriving.asset, arriving)},
        compositions=compositions,
    )
    return _done(state, after, prices, Done(action, first.asset, first.symbol, first.decimals, amount, 0, None))


def _hedge(state: Acted, action: Action) -> Acted:
    portfolio, units = state.portfolio, action.amount if action.amount is not None else Decimal(0)
    token = _plain_token(portfolio, state.prices, action.asset)
    if token is None:
        raise InputError(f"--action {action.text}: no price of {action.asset} itself is known here")
    amount = _raw(abs(units), token.decimals)
    leg = Leg(token.asset, token.symbol, token.decimals, Side.SHORT if units < 0 else Side.LONG, amount)
    owner = portfolio.owners[0].address
    hedge = Position(HEDGES, "hedge", action.asset, owner, (leg,), {"units": f"{units:f}"})
    after = replace(portfolio, positions=(*portfolio.positions, hedge))
    return _done(state, after, state.prices, Done(action, token.asset, token.symbol, token.decimals, amount, 0, None))


def _plain_token(portfolio: Portfolio, prices: PriceBook, factor: str) -> Token | None:
    """A priced token that is the factor itself: native or wrapped native, or called like it."""
    natives = (TokenKind.NATIVE, TokenKind.WRAPPED_NATIVE)
    plain = [
        token
        for token in portfolio.tokens.values()
        if token.factor.lower() == factor.lower()
        and (token.kind in natives or token.symbol == token.factor or token.kind is TokenKind.WRAPPED_BTC)
        and token.kind is not TokenKind.UNKNOWN
        and believed(prices.get(token.asset), Side.SHORT)
    ]
    return min(plain, key=lambda token: (token.kind not in natives, token.symbol != token.factor, token.asset), default=None)


def _counterpart(portfolio: Portfolio, leg: Leg, chain: ChainId, find: TokenFinder) -> Token | None:
    listed = find(leg.symbol, chain)
    if listed is not None:
        return listed
    same = [
        token
        for asset, token in portfolio.tokens.items()
        if asset_chain(asset) == chain and token.symbol == leg.symbol and token.kind is not TokenKind.UNKNOWN
    ]
    return min(same, key=lambda token: token.asset, default=None)


def _taken(portfolio: Portfolio, chain: ChainId, asset: AssetId, amount: int) -> Portfolio:
    """The portfolio without so much of a free token on a chain."""
    positions: list[Position | None] = list(portfolio.positions)
    for number, index, available in free_legs(portfolio, chain, asset):
        position = positions[number]
        if amount == 0 or position is None:
            break
        part, leg = min(amount, available), position.legs[index]
        left = resized(leg, leg.amount - part) if leg.amount > part else None
        if left is not None and leg.redeemable is not None:
            left = replace(left, redeemable=min(left.amount, leg.redeemable - part))
        changed = _with_leg(position, index, left)
        positions[number] = changed if changed.legs else None
        amount -= part
    return replace(portfolio, positions=tuple(one for one in positions if one is not None))


def _done(state: Acted, portfolio: Portfolio, prices: PriceBook, done: Done) -> Acted:
    price = prices.get(done.asset)
    value = None
    if price is not None and price.value is not None and believed(price):
        with localcontext(EXACT):
            value = to_decimal(done.amount, done.decimals) * price.value
    return Acted(portfolio, prices, (*state.done, replace(done, value_usd=value)))


def _with_leg(position: Position, index: int, leg: Leg | None) -> Position:
    legs = [*position.legs[:index], *([leg] if leg is not None else []), *position.legs[index + 1 :]]
    return replace(position, legs=tuple(legs))


def _part(part: Component, amount: int, whole: int) -> Component:
    return replace(part, amount=part.amount * amount // whole, parts=tuple(_part(inner, amount, whole) for inner in part.parts))


def _wanted(action: Action, leg: Leg, everything: int, chain: ChainId) -> int:
    """Raw units that an action names; of `all`, everything there is."""
    if action.amount is None:
        if everything == 0:
            raise InputError(f"--action {action.text}: nothing of {leg.symbol} is free on {chain}")
        return everything
    amount = _raw(action.amount, leg.decimals)
    if amount == 0:
        raise InputError(f"--action {action.text}: less than the smallest unit of {leg.symbol}")
    return amount


def _raw(amount: Decimal, decimals: int) -> int:
    """Raw units, rounded down: nobody pays a part of the smallest unit."""
    return int(Fraction(amount) * 10**decimals)


def _rescaled(amount: int, decimals: int, others: int) -> int:
    return int(amount * 10 ** (others - decimals) if others >= decimals else amount // 10 ** (decimals - others))


def _decimal(value: Fraction) -> Decimal:
    with localcontext(EXACT):
        return Decimal(value.numerator) / Decimal(value.denominator)


def listed(tokens: Mapping[AssetId, Token]) -> TokenFinder:
    """A finder over known tokens."""
    by_name = {(token.symbol, asset_chain(asset)): token for asset, token in tokens.items() if token.kind is not TokenKind.UNKNOWN}
    return lambda symbol, chain: by_name.get((symbol, chain))
