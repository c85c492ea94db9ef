"""The ways between the places of a portfolio, from shipped facts: what their lag is and how much can pass in a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from itertools import permutations
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, Side
from aggregator.model.price import PriceBook
from aggregator.model.units import to_decimal
from aggregator.risk.policy import Link
from aggregator.risk.valuation import believed

DAY_HOURS = 24.0
Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AssumedWay(_Facts):
    """A way of which no limit is published."""

    lag_hours: Amount
    capacity_usd: Amount
    success: Fraction
    cost: Fraction

    @property
    def link(self) -> Link:
        return Link(self.lag_hours, self.capacity_usd, self.success, self.cost)


class AssumedWays(_Facts):
    between_chains: AssumedWay
    venue: AssumedWay


class Lanes(_Facts):
    """Limits by token symbol and `source>target`: (bucket, refill an hour) in whole tokens."""

    source: str
    lag_hours: Amount
    limits: dict[str, dict[str, Annotated[list[Amount], Field(min_length=2, max_length=2)]]]

    def passing(self, symbol: str, source: str, target: str) -> float:
        """Whole tokens that can pass within a day, sent early enough to arrive."""
        limit = self.limits.get(symbol, {}).get(f"{source}>{target}")
        return 0.0 if limit is None else limit[0] + limit[1] * (DAY_HOURS - self.lag_hours)


class TransferRoutes(_Facts):
    schema_: Literal["crossmargin/transfer-routes/1"] = Field(alias="schema")
    assumed: AssumedWays
    lanes: Lanes


@lru_cache(maxsize=1)
def transfer_routes() -> TransferRoutes:
    """The shipped facts. pydantic's ValidationError where the file is damaged."""
    return TransferRoutes.model_validate(yaml.safe_load(files("aggregator.engine").joinpath("transfer_routes.yaml").read_text("utf-8")))


def links(portfolio: Portfolio, prices: PriceBook) -> Mapping[tuple[str, str], Link]:
    """Ways between all places of the portfolio. A lane's capacity counts as far as its token is free at its source."""
    routes = transfer_routes()
    chains = {account.chain for account in portfolio.margin_accounts} | {position.chain for position in portfolio.positions}
    venues = {account.venue for account in portfolio.venue_accounts}
    free = _free(portfolio, prices)
    found = {}
    for source, target in permutations(sorted({*chains, *venues}), 2):
        if {source, target} & venues:
            found[source, target] = routes.assumed.venue.link
            continue
        way = routes.assumed.between_chains
        lanes = sum(
            price * min(units, routes.lanes.passing(symbol, source, target))
            for (chain, symbol), (units, price) in free.items()
            if chain == source
        )
        found[source, target] = Link(way.lag_hours, way.capacity_usd + lanes, way.success, way.cost)
    return found


def _free(portfolio: Portfolio, prices: PriceBook) -> dict[tuple[str, str], tuple[float, float]]:
    """(whole tokens, USD price) of what is free by (chain, symbol)."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for chain, leg in _idle(portfolio):
        price = prices.get(leg.asset)
        if price is not None and price.value is not None and believed(price):
            units = float(to_decimal(leg.amount, leg.decimals))
            found[chain, leg.symbol] = (found.get((chain, leg.symbol), (0.0, 0.0))[0] + units, float(price.value))
    return found


def _idle(portfolio: Portfolio) -> Iterator[tuple[str, Leg]]:
    for position in portfolio.positions:
        for leg in position.legs:
            if leg.side is Side.IDLE:
                yield position.chain, leg
