"""What both of Derive's portfolio margin managers do with a scan: factors, the requirement's form, accounts side by side."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse
from aggregator.risk.margin.derive import Accounts, Scenario, narrate, refusal
from aggregator.risk.margin.interface import IntArray, Kind, MarginBook, Requirement
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import each_alone


class ManagerParameters(Protocol):
    """The parameters that both read alike."""

    @property
    def scenarios(self) -> tuple[Scenario, ...]: ...
    @property
    def initial_factor(self) -> float: ...
    @property
    def peg_threshold(self) -> float: ...
    @property
    def peg_factor(self) -> float: ...
    @property
    def source(self) -> str: ...
    @property
    def confirmed(self) -> bool: ...


class ManagerEvaluation(Protocol):
    """One row an account, or one a holding (n)."""

    @property
    def accounts(self) -> Accounts: ...
    @property
    def pnl(self) -> Array:
        """(accounts, scenarios)"""

    @property
    def basis(self) -> Array: ...
    @property
    def worst(self) -> IntArray:
        """index of the scenario; their number where the basis contingency is worse"""

    @property
    def value(self) -> Array:
        """(n,) mark-to-market in the stable coin; NaN where a perpetual's profit is not known"""

    @property
    def span_parts(self) -> Array:
        """(n,) profit or loss in the account's worst scenario"""

    @property
    def foreign_parts(self) -> Array:
        """(n,) value of what the manager does not take"""

    def amounts(self, factor: float, initial: bool) -> Array:
        """(n,) parts of the requirement; their sum over an account is its amount."""


P = TypeVar("P", bound=ManagerParameters)
E = TypeVar("E", bound=ManagerEvaluation)


class PortfolioManager(Generic[P, E]):
    """A manager by its evaluation; see the modules of the two."""

    __slots__ = ()
    id: str
    version: str
    source: str

    @abstractmethod
    def evaluate(self, book: MarginBook, market: Market, parameters: P, accounts: IntArray | None) -> E:
        """Everything that both margins are made of. Each underlying of each numbered account is margined by itself."""

    @abstractmethod
    def maintenance_factor(self, parameters: P) -> float: ...

    @abstractmethod
    def components(self, found: E, initial: bool) -> dict[str, float]:
        """Those that the manager has beside the scan."""

    @abstractmethod
    def notes(self, parameters: P, found: E) -> tuple[str, ...]: ...

    @abstractmethod
    def doubtful(self, found: E) -> bool:
        """Whether the figure is not to be relied on even with confirmed parameters."""

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refusal(book)

    def factor(self, market: Market, parameters: P, kind: Kind) -> float:
        """What the scan is multiplied with."""
        if kind is Kind.MAINTENANCE:
            return self.maintenance_factor(parameters)
        return parameters.initial_factor + max(parameters.peg_threshold - market.stable, 0.0) * parameters.peg_factor

    def requirement(self, book: MarginBook, market: Market, parameters: P, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        found = self.evaluate(book, market, parameters, None)
        factor, initial = self.factor(market, parameters, kind), kind is Kind.INITIAL
        parts = found.amounts(factor, initial)
        names = tuple(one.name for one in parameters.scenarios)
        table, worst = narrate(book, found.accounts, names, found.pnl, found.basis, found.worst)
        unconfirmed = () if parameters.confirmed else (f"parameters not confirmed on chain: {parameters.source}",)
        result = Found(
            amount=float(parts.sum()),
            parts=parts,
            equity=equity_of(book, found.value),
            components={
                "scan": -float(found.span_parts.sum()),
                "basis": -float(found.basis.sum()),
                "factor": factor,
                **self.components(found, initial),
                "not-accepted": float(found.foreign_parts.sum()),
            },
            scenarios=table,
            worst_scenario=worst,
            verified=parameters.confirmed and not self.doubtful(found),
            notes=(*unconfirmed, *self.notes(parameters, found)),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: P, kind: Kind) -> Array:
        return self.parts(book, market, parameters, kind, each_alone(book))

    def parts(self, book: MarginBook, market: Market, parameters: P, kind: Kind, accounts: IntArray) -> Array:
        """(n,) parts of the requirement of every numbered account; their sum over an account is its amount."""
        refuse(self.id, self.refusal(book, market))
        return self.evaluate(book, market, parameters, accounts).amounts(self.factor(market, parameters, kind), kind is Kind.INITIAL)

    @abstractmethod
    def default_parameters(self) -> P: ...
