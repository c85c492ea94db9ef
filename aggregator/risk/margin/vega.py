"""Vega: risk factors that are the expected shortfall of a lognormal price, and margin levels on top of them, market by market.

    RF_long  = 1 − E[S | S ≤ q(λ)] = 1 − e^(μτ)·N(z − σ√τ)/λ                 z = N⁻¹(λ), S the price after τ years in units of today's
    RF_short = E[S | S ≥ q(1 − λ)] − 1 = e^(μτ)·N(z + σ√τ)/λ − 1
    maintenance = ⌈ mark·(linear·|V| + quadratic·V²) + |V|·RF·mark + (funding·V)⁺ ⌉
    search, initial and release levels = ⌊maintenance·factor⌋;  closed out below maintenance

The lower tail is evaluated directly, so that small λ loses no digits. Source: vegaprotocol/vega@a50750cc `core/risk/models/lognormal.go`,
`core/risk/margins_calculation.go`; vegaprotocol/quant `riskmodelbs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import exp, log, sqrt

from scipy.special import log_ndtr, ndtri

from aggregator.model.instrument import Instrument, InstrumentKind
from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import AttributionMethod, Kind, MarginBook, Requirement, one_by_one
from aggregator.risk.margin.lines import by_row, exact, mark, net_lines, parameter, refuse_other_than, value
from aggregator.risk.margin.market import Array, Market

UNIT = Decimal("1e-6")
"""of the settlement asset, which levels are rounded to"""


@dataclass(frozen=True, slots=True)
class RiskFactors:
    """What a long and a short lose, as fractions of the mark price."""

    long: float
    short: float


@dataclass(frozen=True, slots=True)
class LognormalModel:
    """Risk aversion λ in (0, 1), horizon τ in years, drift and volatility a year. ValueError outside of their ranges."""

    risk_aversion: float
    tau: float
    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.risk_aversion < 1:
            raise ValueError(f"risk aversion {self.risk_aversion} is not between 0 and 1")
        if not (self.tau >= 0 and self.sigma >= 0):
            raise ValueError(f"horizon {self.tau} or volatility {self.sigma} is negative")

    def factors(self) -> RiskFactors:
        """Both risk factors; `short` is at most e^(μτ)/λ − 1."""
        deviation = self.sigma * sqrt(self.tau)
        quantile = float(ndtri(self.risk_aversion))
        drift = self.mu * self.tau - log(self.risk_aversion)
        return RiskFactors(
            long=1.0 - exp(drift + float(log_ndtr(quantile - deviation))),
            short=exp(drift + float(log_ndtr(quantile + deviation))) - 1.0,
        )


@dataclass(frozen=True, slots=True)
class Slippage:
    """What leaving a position may cost, as fractions of the mark price: V·linear + V²·quadratic."""

    linear: Decimal = Decimal(0)
    quadratic: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Multiples of the maintenance margin."""

    search: Decimal = Decimal("1.1")
    initial: Decimal = Decimal("1.2")
    release: Decimal = Decimal("1.4")


@dataclass(frozen=True, slots=True)
class Levels:
    """Margin levels of one market, in the unit they were asked for."""

    maintenance: Decimal
    search: Decimal
    initial: Decimal
    release: Decimal


def maintenance_margin(volume: Decimal, price: Decimal, factors: RiskFactors, slippage: Slippage, funding: Decimal = Decimal(0)) -> Decimal:
    """Of a signed volume without open orders, not rounded. `funding` is what a unit of volume will have to pay."""
    size = abs(volume)
    factor = exact(factors.long if volume > 0 else factors.short)
    leaving = price * (slippage.linear * size + slippage.quadratic * size * size)
    return max(leaving, Decimal(0)) + size * factor * price + max(funding * volume, Decimal(0))


def levels(maintenance: Decimal, scaling: Scaling = Scaling(), unit: Decimal = Decimal(1)) -> Levels:
    """Maintenance rounded up to the unit, the others down."""
    whole = (maintenance / unit).to_integral_value(ROUND_CEILING)

    def level(factor: Decimal) -> Decimal:
        return (whole * factor).to_integral_value(ROUND_FLOOR) * unit

    return Levels(whole * unit, level(scaling.search), level(scaling.initial), level(scaling.release))


@dataclass(frozen=True, slots=True)
class MarketModel:
    """A market's risk model and what leaving it costs."""

    model: LognormalModel
    slippage: Slippage = Slippage()


@dataclass(frozen=True, slots=True)
class VegaParameters:
    """Markets by underlying; the fallback is for those that are not named."""

    markets: Mapping[str, MarketModel]
    fallback: MarketModel | None
    scaling: Scaling
    source: str
    confirmed: bool


SAMPLE = VegaParameters(
    markets={},
    # an hour in years, and a volatility of 150 %
    fallback=MarketModel(LognormalModel(1e-6, 1 / 8_766, 0.0, 1.5), Slippage(Decimal("0.001"))),
    scaling=Scaling(),
    source="one hour at 150 % volatility and risk aversion 10⁻⁶ for every market; the engine's default scaling factors",
    confirmed=False,
)


def _tradable(instrument: Instrument) -> bool:
    return instrument.kind in (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE) and not instrument.inverse


@dataclass(frozen=True, slots=True)
class Vega:
    """See the module. Each market has a margin account of its own, so requirements add up."""

    id: str = "vega-es"
    version: str = "1"
    source: str = "vegaprotocol/vega@a50750cc core/risk, vegaprotocol/quant riskmodelbs"

    def default_parameters(self) -> VegaParameters:
        return SAMPLE

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refuse_other_than(book, _tradable, "markets are linear futures and perpetuals, and only the settlement asset is collateral")

    def requirement(self, book: MarginBook, market: Market, parameters: VegaParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        lines = net_lines(book)
        found: list[Levels] = []
        risk, leaving = Decimal(0), Decimal(0)
        for line in lines:
            terms = parameters.markets.get(line.key, parameters.fallback)
            terms = parameter(parameters.markets, line.key, "Vega risk parameters") if terms is None else terms
            price, factors = exact(mark(line.instrument, market)), terms.model.factors()
            whole = maintenance_margin(line.units, price, factors, terms.slippage)
            without = maintenance_margin(line.units, price, factors, Slippage())
            risk, leaving = risk + without, leaving + whole - without
            found.append(levels(whole, parameters.scaling, UNIT))
        chosen = [float(one.initial if kind is Kind.INITIAL else one.maintenance) for one in found]
        result = Found(
            amount=float(sum(chosen)),
            parts=by_row(book, lines, chosen),
            equity=value(book, market)[0],
            components={
                "expected-shortfall": float(risk),
                "slippage": float(leaving),
                "search-level": float(sum(one.search for one in found)),
                "release-level": float(sum(one.release for one in found)),
            },
            verified=parameters.confirmed,
            notes=() if parameters.confirmed else (f"parameters not read from the venue: {parameters.source}",),
            method=AttributionMethod.PROPORTIONAL,
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: VegaParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        return one_by_one(self, book, market, parameters, kind)


MODEL = Vega()
