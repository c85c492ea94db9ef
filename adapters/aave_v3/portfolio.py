"""From what was read to margin accounts: legs with the terms that the pool applies, its verdict, and what hinders a liquidation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Context, Decimal

from adapters.aave_v3.market import USD, Market, Reserve
from adapters.aave_v3.maths import (
    CLOSE_FACTOR_HEALTH,
    AccountData,
    Generation,
    Holding,
    Terms,
    account_data,
    close_factor,
    collateral_value,
    debt_value,
    effective_price,
    effective_terms,
)
from adapters.aave_v3.owners import Account, Amounts
from aggregator.model.position import Leg, MarginAccount, MarginAccountKind, MarginTerms, Position, Side
from aggregator.model.token import Token, TokenKind
from aggregator.model.units import BPS, UINT256_MAX, WAD, to_decimal
from aggregator.reading.adapter import OracleQuote, Scope

_WIDE = Context(prec=80)
RAY_DECIMALS = 27


def margin_account(scope: Scope, slug: str, market: Market, account: Account) -> MarginAccount | None:
    """The account as the pool would liquidate it; None where nothing is known to be in it."""
    view = account.view
    positions = tuple(position for amounts in account.amounts for position in _positions(scope, slug, market, account, amounts))
    something = account.configuration != 0 if view is None else view.collateral + view.debt > 0
    if not positions and not something:
        return None
    nothing_owed = _nothing_owed(account)
    # the pool calls a debt infinitely healthy that its rounding makes worth nothing; it is still owed
    debt_free = view.health_factor == UINT256_MAX and not any(amounts.owed for amounts in account.amounts) if view else nothing_owed
    liquidatable = (view.health_factor < WAD) if view else (False if nothing_owed else None)
    return MarginAccount(
        chain=scope.chain,
        protocol=slug,
        market=market.pool,
        owner=account.owner,
        kind=MarginAccountKind.LENDING,
        positions=positions,
        health_factor=view.health_factor if view and not debt_free else None,
        debt_free=debt_free,
        liquidatable=liquidatable,
        numeraire=market.numeraire or USD,
        collateral_value=in_numeraire(market, view.collateral) if view else None,
        debt_value=in_numeraire(market, view.debt) if view else None,
        liquidation_threshold=fraction(view.liquidation_threshold) if view else None,
        close_factor=_close_factor(market, account),
        liquidation_blocked=_obstacle(scope, market, account) if liquidatable else None,
        market_label=_label(scope, account),
    )


def recomputed(market: Market, account: Account) -> AccountData | None:
    """The pool's six figures from what was read; None where an input is missing."""
    if not market.revision_known or account.configuration is None or not account.mode_is_known:
        return None
    holdings = []
    by_id = {amounts.reserve.facts.reserve_id: amounts for amounts in account.amounts}
    for reserve_id in _flagged(account.configuration):
        amounts = by_id.get(reserve_id)
        if amounts is None:
            if not market.is_complete:
                return None
            continue
        if not amounts.is_complete or amounts.reserve.price is None:
            return None
        holdings.append(
            Holding(
                reserve_id=reserve_id,
                configuration=amounts.reserve.configuration,
                price=amounts.reserve.price,
                supplied=amounts.supplied or 0,
                variable_debt=amounts.variable_debt or 0,
                stable_debt=amounts.stable_debt or 0,
                is_collateral=account.is_collateral(reserve_id),
                is_borrowed=account.is_borrowed(reserve_id),
            )
        )
    return account_data(market.generation, holdings, account.mode)


def in_numeraire(market: Market, value: int) -> Decimal | None:
    """A base value in whole units of the numeraire, exact for the powers of ten that oracles use."""
    if market.unit is None:
        return None
    digits = len(str(market.unit)) - 1
    return to_decimal(value, digits) if market.unit == 10**digits else _WIDE.divide(Decimal(value), Decimal(market.unit))


def quotes(slug: str, market: Market) -> Iterable[OracleQuote]:
    """What the market's oracle says of each reserve, where it counts in USD."""
    if market.numeraire != USD or market.oracle is None:
        return
    for reserve in market.reserves:
        price = in_numeraire(market, reserve.price) if reserve.price else None
        if price is not None:
            yield OracleQuote(reserve.asset, price, slug, market.oracle, reserve.source)


def unlisted(scope: Scope, market: Market) -> Iterable[Token]:
    """Reserves that the registry does not list."""
    for reserve in market.reserves:
        if reserve.facts.underlying not in scope.tokens:
            yield Token(reserve.asset, reserve.facts.symbol, reserve.decimals, TokenKind.UNKNOWN, reserve.asset, "discovered")


def fraction(basis_points: int) -> Decimal:
    """Basis points as a fraction of 1."""
    return Decimal(basis_points).scaleb(-4)


def _flagged(configuration: int) -> Iterable[int]:
    reserve_id = 0
    while configuration:
        if configuration & 3:
            yield reserve_id
        configuration >>= 2
        reserve_id += 1


def _nothing_owed(account: Account) -> bool:
    """Proven without the pool's own view: no reserve is flagged as borrowed and no debt was read."""
    if account.configuration is None or any(account.is_borrowed(reserve_id) for reserve_id in _flagged(account.configuration)):
        return False
    return all(amounts.owed == 0 for amounts in account.amounts)


def _positions(scope: Scope, slug: str, market: Market, account: Account, amounts: Amounts) -> Iterable[Position]:
    """One position a reserve with its two sides; a debt at a stable rate stands as a position of its own."""
    reserve = amounts.reserve
    legs = []
    if amounts.supplied:
        legs.append(_supply_leg(market, account, reserve, amounts.supplied))
    if amounts.variable_debt:
        value = _variable_value(market, account, amounts)
        legs.append(_debt_leg(market, account, reserve, amounts.variable_debt, value, to_decimal(reserve.variable_rate, RAY_DECIMALS)))
    identifiers = _identifiers(market, account, reserve)
    if legs:
        yield Position(scope.chain, slug, market.pool, account.owner, tuple(legs), identifiers)
    if amounts.stable_debt:
        leg = _debt_leg(market, account, reserve, amounts.stable_debt, _debt_value(market, account, reserve, amounts.stable_debt))
        yield Position(scope.chain, slug, market.pool, account.owner, (leg,), {**identifiers, "rate": "stable"})


def _price(market: Market, account: Account, reserve: Reserve) -> int | None:
    if reserve.price is None:
        return None
    return effective_price(market.generation, reserve.configuration, reserve.price, account.mode)


def _supply_leg(market: Market, account: Account, reserve: Reserve, amount: int) -> Leg:
    price = _price(market, account, reserve)
    terms = _terms(market, account, reserve)
    return Leg(
        asset=reserve.asset,
        symbol=reserve.facts.symbol,
        decimals=reserve.decimals,
        side=Side.COLLATERAL,
        amount=amount,
        terms=MarginTerms(
            oracle_value=None if price is None else in_numeraire(market, collateral_value(amount, price, reserve.decimals)),
            loan_to_value=fraction(terms.loan_to_value),
            liquidation_threshold=fraction(terms.liquidation_threshold),
            liquidation_bonus=fraction(max(terms.liquidation_bonus - BPS, 0)),
            oracle_price_usd=_price_usd(market, price),
            yearly_rate=to_decimal(reserve.supply_rate, RAY_DECIMALS),
        ),
        redeemable=_redeemable(reserve, amount),
    )


def _debt_leg(
    market: Market, account: Account, reserve: Reserve, amount: int, value: int | None, yearly_rate: Decimal | None = None
) -> Leg:
    """`yearly_rate` of a debt at a stable rate is its owner's own, and not read."""
    return Leg(
        asset=reserve.asset,
        symbol=reserve.facts.symbol,
        decimals=reserve.decimals,
        side=Side.DEBT,
        amount=amount,
        terms=MarginTerms(
            oracle_value=None if value is None else in_numeraire(market, value),
            oracle_price_usd=_price_usd(market, _price(market, account, reserve)),
            yearly_rate=yearly_rate,
        ),
    )


def _terms(market: Market, account: Account, reserve: Reserve) -> Terms:
    """What the supply counts for now: nothing without a known bitmap, and as outside e-mode where the e-mode could not be read."""
    reserve_id = reserve.facts.reserve_id
    if not account.is_collateral(reserve_id):
        return Terms(0, 0, 0)
    return effective_terms(market.generation, reserve_id, reserve.configuration, account.mode)


def _debt_value(market: Market, account: Account, reserve: Reserve, amount: int) -> int | None:
    price = _price(market, account, reserve)
    return None if price is None else debt_value(market.generation, amount, price, reserve.decimals)


def _variable_value(market: Market, account: Account, amounts: Amounts) -> int | None:
    """The pool rounds variable and stable debt once, together: what the stable part does not take is the variable part's."""
    together = _debt_value(market, account, amounts.reserve, amounts.owed)
    stable = _debt_value(market, account, amounts.reserve, amounts.stable_debt or 0)
    return None if together is None or stable is None else together - stable


def _price_usd(market: Market, price: int | None) -> Decimal | None:
    return in_numeraire(market, price) if price is not None and market.numeraire == USD else None


def _redeemable(reserve: Reserve, amount: int) -> int | None:
    if reserve.configuration.paused or not reserve.configuration.active:
        return 0
    return None if reserve.liquidity is None else min(amount, reserve.liquidity)


def _identifiers(market: Market, account: Account, reserve: Reserve) -> dict[str, str]:
    configuration, reserve_id = reserve.configuration, reserve.facts.reserve_id
    limits_old = market.generation < Generation.V3_7
    flags = {
        "frozen": configuration.frozen,
        "paused": configuration.paused,
        "inactive": not configuration.active,
        "siloed": limits_old and configuration.siloed,
        "isolated": limits_old and configuration.debt_ceiling != 0,
        "used_as_collateral": account.is_collateral(reserve_id),
    }
    identifiers = {"reserve": str(reserve_id), **{name: "true" for name, holds in flags.items() if holds}}
    if account.mode is not None:
        identifiers["e_mode"] = str(account.mode.category)
        if account.mode.label:
            identifiers["e_mode_label"] = account.mode.label
        if account.mode.isolated:
            identifiers["e_mode_isolated"] = "true"
    return identifiers


def _label(scope: Scope, account: Account) -> str:
    parts = [scope.deployment.market] if scope.deployment.market else []
    if account.mode is not None:
        parts.append(f"e-mode {account.mode.label or account.mode.category}")
    return ", ".join(parts)


def _eligible(market: Market, account: Account) -> tuple[list[Amounts], list[Amounts]]:
    """What a liquidator could choose from: enabled collateral, and debts. What could not be read is taken to be there."""
    collateral = [
        amounts
        for amounts in account.amounts
        if amounts.supplied != 0
        and (account.configuration is None or account.is_collateral(amounts.reserve.facts.reserve_id))
        and (market.generation >= Generation.V3_6 or amounts.reserve.configuration.liquidation_threshold != 0)
    ]
    return collateral, [amounts for amounts in account.amounts if amounts.owed or not amounts.is_complete]


def _close_factor(market: Market, account: Account) -> Decimal:
    if account.view is None:
        return Decimal(1)
    collateral, debts = _eligible(market, account)
    largest_collateral = max((_worth(market, account, amounts, amounts.supplied) for amounts in collateral), default=0)
    largest_debt = max((_worth(market, account, amounts, amounts.owed) for amounts in debts), default=0)
    return close_factor(market.generation, account.view.health_factor, largest_collateral, largest_debt)


def _worth(market: Market, account: Account, amounts: Amounts, amount: int | None) -> int:
    price = _price(market, account, amounts.reserve)
    return 0 if price is None or amount is None else debt_value(market.generation, amount, price, amounts.reserve.decimals)


def _obstacle(scope: Scope, market: Market, account: Account) -> str | None:
    """Why no pair of reserves of this account can be liquidated in this block; None where one can."""
    collateral, debts = _eligible(market, account)
    if not collateral:
        return "no collateral is left to seize"
    healthy_enough = account.view is not None and account.view.health_factor >= CLOSE_FACTOR_HEALTH
    if market.liquidation_allowed is False and healthy_enough:
        return "the sequencer is down or was until recently"
    for side, name in ((collateral, "collateral"), (debts, "debt")):
        obstacles = [_closed(scope, amounts.reserve) for amounts in side]
        if obstacles and all(obstacles):
            return f"{name}: {'; '.join(obstacle for obstacle in obstacles if obstacle)}"
    return None


def _closed(scope: Scope, reserve: Reserve) -> str | None:
    """Why a reserve takes part in no liquidation in this block."""
    symbol = reserve.facts.symbol
    if not reserve.configuration.active:
        return f"{symbol} is inactive"
    if reserve.configuration.paused:
        return f"{symbol} is paused"
    if reserve.grace_until >= scope.block.timestamp:
        until = datetime.fromtimestamp(min(reserve.grace_until, 253_402_300_799), UTC)
        return f"{symbol} is in a grace period until {until:%Y-%m-%dT%H:%M:%SZ}"
    return None
