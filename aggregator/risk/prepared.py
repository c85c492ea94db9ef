"""Everything that an assessment of one portfolio stands on, computed once: values, exposures, volatilities, scenarios, claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aggregator.model.portfolio import Portfolio
from aggregator.model.price import PriceBook, PriceSeries
from aggregator.risk.claims import Claims, claims
from aggregator.risk.coverage import Coverage, coverage
from aggregator.risk.exposure import Exposures, expose
from aggregator.risk.filtered import Filtered
from aggregator.risk.haircut_implied import raised_by_options
from aggregator.risk.market_view import market_view
from aggregator.risk.outlook import Outlook, outlook
from aggregator.risk.policy import DEFAULT, Policy
from aggregator.risk.scenarios import ScenarioSet, scenario_set
from aggregator.risk.shapes import Array
from aggregator.risk.valuation import Valuation, value_portfolio
from aggregator.risk.venue_book import VenueBook, venue_books
from aggregator.risk.volatility import Volatility, by_factor


@dataclass(frozen=True, slots=True)
class Prepared:
    """One portfolio at one moment, ready for every figure that is asked of it. `correlation` is in the order of `exposures.factors`."""

    portfolio: Portfolio
    policy: Policy
    valuation: Valuation
    coverage: Coverage
    exposures: Exposures
    volatilities: Mapping[str, Volatility]
    correlation: Array
    history: Filtered | None
    """joint returns on record, None without enough of them"""
    outlook: Outlook
    """the forecast that liquidation probabilities stand on"""
    scenarios: ScenarioSet
    claims: Claims
    venues: tuple[VenueBook, ...] = ()
    """of the portfolio's venue accounts, in their order"""

    @property
    def breached(self) -> frozenset[int]:
        """Accounts that their protocol already calls liquidatable."""
        accounts, first = self.portfolio.margin_accounts, len(self.portfolio.margin_accounts)
        venues = {first + number for number, account in enumerate(self.portfolio.venue_accounts) if account.figures.liquidatable}
        return frozenset({number for number, account in enumerate(accounts) if account.liquidatable} | venues)


def prepare(portfolio: Portfolio, prices: PriceBook, history: Sequence[PriceSeries], policy: Policy = DEFAULT) -> Prepared:
    """Pure: the same inputs give the same figures, in whatever order positions and histories come."""
    valuation = value_portfolio(portfolio, prices)
    venues = venue_books(portfolio, prices)
    exposures = expose(portfolio, valuation, venues)
    series = by_factor(history)
    view = market_view(exposures.factors, exposures.classes, series)
    moving = raised_by_options(view.volatilities, venues)
    return Prepared(
        portfolio,
        policy,
        valuation,
        coverage(portfolio, valuation, policy, venues),
        exposures,
        moving,
        view.correlation,
        view.on_record,
        outlook(exposures.factors, exposures.classes, series, _now(portfolio)),
        scenario_set(exposures, moving, view.correlation, policy, view.on_record),
        claims(portfolio, valuation.accounts, exposures),
        venues,
    )


def _now(portfolio: Portfolio) -> float | None:
    """The youngest block's time, None where no chain was read."""
    return max((float(one.block.timestamp) for one in portfolio.snapshots if one.block is not None), default=None)
