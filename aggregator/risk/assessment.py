"""`assess`: from a portfolio, prices and price histories to one assessment. The only way in for other rooms.

Figures that coverage does not support are None; which ones is said in `coverage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Side
from aggregator.model.price import PriceBook, PriceSeries
from aggregator.model.snapshot import Gap, Remark
from aggregator.risk.claims import Claims, owes_nothing, shadow_health
from aggregator.risk.comparison import Comparison, compare
from aggregator.risk.coverage import Coverage
from aggregator.risk.exposure import Exposures, Key
from aggregator.risk.haircuts import Haircut, HaircutModel
from aggregator.risk.liquidation import LiquidationPrice, Trigger, liquidation_prices, triggers
from aggregator.risk.liquidation_loss import LiquidationCosts
from aggregator.risk.liquidation_outlook import LiquidationOutlook, liquidation_outlooks
from aggregator.risk.policy import DEFAULT, MODEL_VERSION, SCORE_VERSION, Policy
from aggregator.risk.prepared import Prepared, prepare
from aggregator.risk.probability import LiquidationProbability, probabilities
from aggregator.risk.requirement import Requirement, requirement
from aggregator.risk.score import score
from aggregator.risk.score_basis import ScoreBasis, score_basis
from aggregator.risk.transfer import trapped_collateral
from aggregator.risk.valuation import EXACT, LegValue, PositionValue, Valuation, total
from aggregator.risk.venue_assessment import VenueAssessment, venue_assessments, venue_totals
from aggregator.risk.volatility import Volatility, VolatilitySource


@dataclass(frozen=True, slots=True)
class LegAssessment:
    """A leg's value and haircut; the haircut is None for what is owed and for what has no value."""

    value: LegValue
    haircut: Haircut | None


@dataclass(frozen=True, slots=True)
class PositionAssessment:
    """Legs in the order of the position's."""

    legs: tuple[LegAssessment, ...]


@dataclass(frozen=True, slots=True)
class AccountAssessment:
    """What is known of one margin account beyond what its protocol says. USD decimals; None where a value is missing."""

    positions: tuple[PositionAssessment, ...]
    collateral_usd: Decimal
    """a lower bound where some collateral has no value"""
    debt_usd: Decimal | None
    shadow_health: Decimal | None
    prices: tuple[LiquidationPrice, ...]
    trigger: Trigger | None
    probability: Mapping[str, float] | None
    """of being liquidated by horizon; None where a debt's value is not known; zero without debt"""
    outlook: LiquidationOutlook


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything the model says of a portfolio. `accounts` and `positions` follow the portfolio's order."""

    accounts: tuple[AccountAssessment, ...]
    positions: tuple[PositionAssessment, ...]
    collateral_usd: Decimal
    collateral_after_haircuts_usd: Decimal
    debt_usd: Decimal | None
    equity_usd: Decimal | None
    requirement: Requirement | None
    trapped_collateral_usd: float | None
    margin_ratio: Decimal | None
    """equity / requirement; None without a requirement"""
    score: float | None
    probability: LiquidationProbability | None
    basis: ScoreBasis | None
    """what the probability stands on; None where it is withheld"""
    order: tuple[Trigger, ...]
    """indebted accounts whose values are known, the first to be liquidated in a common fall first"""
    comparison: Comparison | None
    volatilities: Mapping[str, Volatility]
    coverage: Coverage
    missing: tuple[Gap, ...]
    warnings: tuple[Remark, ...]
    model: str = MODEL_VERSION
    score_version: str = SCORE_VERSION
    venues: tuple[VenueAssessment, ...] = ()
    """of the portfolio's venue accounts, in their order"""
    venue_haircuts: tuple[tuple[Decimal, Haircut], ...] = ()
    """USD and haircut of each balance at a venue"""


def assess(portfolio: Portfolio, prices: PriceBook, history: Sequence[PriceSeries], policy: Policy = DEFAULT) -> Assessment:
    """Assess a portfolio. Pure: the same inputs give the same figures, in whatever order positions and histories come."""
    return assess_prepared(prepare(portfolio, prices, history, policy))


def assess_prepared(ready: Prepared) -> Assessment:
    """The same of what is prepared already."""
    portfolio, policy, valuation, covered, exposures = ready.portfolio, ready.policy, ready.valuation, ready.coverage, ready.exposures
    moving, owed = ready.volatilities, ready.claims
    haircuts = HaircutModel(exposures, moving, policy)
    order = triggers(owed)
    chances = probabilities(owed, ready.breached, ready.outlook, policy)

    outlooks = liquidation_outlooks(ready, LiquidationCosts())
    accounts = tuple(
        _account(number, account, valuation, exposures, haircuts, owed, order, chances, outlooks[number])
        for number, account in enumerate(portfolio.margin_accounts)
    )
    positions = tuple(_position((None, number), position, exposures, haircuts) for number, position in enumerate(valuation.positions))
    collateral, debt = _totals(valuation)
    at_venues = venue_assessments(
        ready.venues, len(portfolio.margin_accounts), exposures, owed, order, chances.accounts, tuple(chances.any_account)
    )
    balances, borrowed, marked = venue_totals(ready.venues)
    at_haircuts = _venue_haircuts(exposures, haircuts)
    collateral, debt = _sum(collateral, balances), _sum(debt, borrowed)
    needed = requirement(portfolio, exposures, ready.scenarios, policy) if covered.debt_known else None
    equity = _sum(_difference(collateral, debt), marked) if covered.debt_known else None
    scored = covered.debt_read and None not in [*(one.probability for one in accounts), *(one.probability for one in at_venues)]
    return Assessment(
        accounts=accounts,
        positions=positions,
        collateral_usd=collateral,
        collateral_after_haircuts_usd=_sum(
            _after_haircuts(accounts, positions), sum((value * (1 - cut.share) for value, cut in at_haircuts), Decimal(0))
        ),
        debt_usd=debt if covered.debt_known else None,
        equity_usd=equity,
        requirement=needed,
        trapped_collateral_usd=trapped_collateral(exposures, policy) if covered.debt_known else None,
        margin_ratio=margin_ratio(equity, needed) if covered.assets_known else None,
        score=score(chances.any_account["1d"]) if scored else None,
        probability=chances if scored else None,
        basis=score_basis(ready, chances) if scored else None,
        order=order,
        comparison=compare(portfolio, exposures, order, equity, needed, ready.venues) if needed is not None else None,
        volatilities=moving,
        coverage=covered,
        missing=covered.missing,
        warnings=tuple(
            sorted({*covered.warnings, *_volatility_remarks(moving), *_oracle_remarks(portfolio, accounts), *_unscored(scored)})
        ),
        venues=at_venues,
        venue_haircuts=at_haircuts,
    )


def margin_ratio(equity: Decimal | None, needed: Requirement | None) -> Decimal | None:
    """equity / requirement, None where either is not known or nothing is required (below a millionth of a dollar)."""
    if equity is None or needed is None or needed.transfer_aware < 1e-6:
        return None
    with localcontext(EXACT):
        return equity / Decimal(needed.transfer_aware)


def _account(
    number: int,
    account: MarginAccount,
    valuation: Valuation,
    exposures: Exposures,
    haircuts: HaircutModel,
    owed: Claims,
    order: Sequence[Trigger],
    chances: LiquidationProbability,
    outlook: LiquidationOutlook,
) -> AccountAssessment:
    values = valuation.accounts[number]
    legs = [leg for position in values for leg in position.legs]
    debts = [leg.value for leg in legs if leg.leg.side is Side.DEBT]
    own = owed.by_account.get(number)
    return AccountAssessment(
        tuple(_position((number, p), position, exposures, haircuts) for p, position in enumerate(values)),
        total(leg.value for leg in legs if leg.leg.side in (Side.COLLATERAL, Side.IDLE)),
        total(debts) if None not in debts else None,
        shadow_health(account, values),
        liquidation_prices(own, owed.exposures) if own is not None else (),
        next((trigger for trigger in order if trigger.account == number), None),
        chances.accounts[number] if own is not None else dict.fromkeys(chances.any_account, 0.0) if owes_nothing(account) else None,
        outlook,
    )


def _position(where: tuple[int | None, int], position: PositionValue, exposures: Exposures, haircuts: HaircutModel) -> PositionAssessment:
    def leg(index: int, value: LegValue) -> LegAssessment:
        key: Key = (*where, index)
        if value.value is None or value.leg.side not in (Side.COLLATERAL, Side.IDLE):
            return LegAssessment(value, None)
        return LegAssessment(value, haircuts.of_leg(exposures.leg_shapes[key], value))

    return PositionAssessment(tuple(leg(index, value) for index, value in enumerate(position.legs)))


def _totals(valuation: Valuation) -> tuple[Decimal, Decimal]:
    positions = [position for account in valuation.accounts for position in account] + list(valuation.positions)
    legs = [leg for position in positions for leg in position.legs]
    return (
        total(leg.value for leg in legs if leg.leg.side in (Side.COLLATERAL, Side.IDLE)),
        total(leg.value for leg in legs if leg.leg.side is Side.DEBT),
    )


def _difference(owned: Decimal, owed: Decimal) -> Decimal:
    with localcontext(EXACT):
        return owned - owed


def _sum(first: Decimal, second: Decimal) -> Decimal:
    with localcontext(EXACT):
        return first + second


def _venue_haircuts(exposures: Exposures, haircuts: HaircutModel) -> tuple[tuple[Decimal, Haircut], ...]:
    groups = {line.group for line in exposures.venues}
    owned = [one for one in exposures.holdings if one.group in groups and one.side is Side.COLLATERAL]
    return tuple((Decimal(repr(one.value)), haircuts.haircut(one.shape, 0)) for one in owned)


def _after_haircuts(accounts: Sequence[AccountAssessment], positions: Sequence[PositionAssessment]) -> Decimal:
    everything = [position for account in accounts for position in account.positions] + list(positions)
    with localcontext(EXACT):
        return sum(
            (
                leg.value.value * (1 - leg.haircut.share)
                for position in everything
                for leg in position.legs
                if leg.value.value is not None and leg.haircut is not None
            ),
            Decimal(0),
        )


def _volatility_remarks(moving: Mapping[str, Volatility]) -> set[Remark]:
    assumed = sorted(name for name, one in moving.items() if one.source is VolatilitySource.CLASS and one.factor_class.volatile)
    if not assumed:
        return set()
    return {Remark("volatility-assumed", f"no usable price history of {', '.join(assumed)}: the class's long-run volatility stands in")}


def _oracle_remarks(portfolio: Portfolio, accounts: Sequence[AccountAssessment]) -> set[Remark]:
    """Accounts that their protocol calls healthy and the market does not: its oracle is what keeps them from being liquidated."""
    remarks = set()
    for account, own in zip(portfolio.margin_accounts, accounts, strict=True):
        if own.shadow_health is not None and own.shadow_health < 1 and account.liquidatable is False:
            place = f"{account.protocol} {account.market_label or account.market} of {account.owner} on {account.chain}"
            remarks.add(Remark("unhealthy-at-market", f"{place}: health {own.shadow_health:.4f} at market prices, above 1 at the oracle's"))
    return remarks


def _unscored(scored: bool) -> set[Remark]:
    return set() if scored else {Remark("score-withheld", "coverage is too low for a liquidation probability and a score")}
