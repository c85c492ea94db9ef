"""What becomes of what was read: actions, then a shock, and everything that follows; of owners, or of a book from a portfolio file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from aggregator.engine.judgement import policy_of
from aggregator.engine.margin_input import MarginInput, margin_input_of
from aggregator.engine.snapshot import Picture
from aggregator.model.errors import InputError
from aggregator.model.identifiers import ChainId
from aggregator.model.token import Token
from aggregator.reading.registry import registry
from aggregator.risk.acting import Acted, act
from aggregator.risk.action import Action
from aggregator.risk.book_shock import BookMoves, book_moves, hedged, shocked_book, shocked_market
from aggregator.risk.liquidation_loss import LiquidationCosts
from aggregator.risk.margin.interface import Inapplicable, Kind, MarginModel, MissingInput, Requirement
from aggregator.risk.margin.registry import model, models
from aggregator.risk.policy import Policy
from aggregator.risk.prepared import prepare
from aggregator.risk.remedy import RemedyCosts, Restoration, restore
from aggregator.risk.shock import Shock
from aggregator.risk.surface import Surface, surface
from aggregator.risk.venue_shock import VenueState, venue_state
from aggregator.risk.what_if import Scored, State, WhatIf

HEALTH_BOUNDS = (Fraction(1), Fraction(100))


@dataclass(frozen=True, slots=True)
class WhatIfRequest:
    """What is asked. `health` to be restored, None for none; `methods` of margin for the whole book, by name."""

    shock: Shock
    actions: tuple[Action, ...] = ()
    health: Fraction | None = None
    methods: tuple[str, ...] = ()
    surfaces: bool = False
    axes: tuple[str, ...] = ()
    """one or two drivers for the surfaces, where they should not be those that matter most"""

    def __post_init__(self) -> None:
        least, most = HEALTH_BOUNDS
        if self.health is not None and not least <= self.health <= most:
            raise InputError(f"--restore: a health from {least} to {most} can be asked for")


@dataclass(frozen=True, slots=True, eq=False)
class MethodResult:
    """One margin method on the whole book; `reason` where it has no figures."""

    method: str
    before: Requirement | None = None
    after: Requirement | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WhatIfRun:
    """Everything that came out. `start` is the portfolio as it was read, `what_if` the one after the actions."""

    picture: Picture
    request: WhatIfRequest
    acted: Acted
    start: WhatIf
    what_if: WhatIf
    after: State
    scored: Mapping[str, Scored]
    """by `before`, `actions` and `after`"""
    costs: LiquidationCosts
    remedy_costs: RemedyCosts
    restorations: tuple[Restoration, ...] = ()
    surfaces: Mapping[int, Surface] = field(default_factory=dict)
    venues: tuple[tuple[VenueState, VenueState], ...] = ()
    """(before, after) of the portfolio's venue accounts"""
    methods: tuple[MethodResult, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class BookRun:
    """The same of a book."""

    given: MarginInput
    request: WhatIfRequest
    moves: BookMoves
    methods: tuple[MethodResult, ...]


def run_what_if(picture: Picture, request: WhatIfRequest, policy: Policy | None = None) -> WhatIfRun:
    """Of what was read of owners. Pure but for the lists of adapters and tokens. InputError for names and actions that make no sense."""
    chosen = policy if policy is not None else policy_of(picture.portfolio, picture.prices)
    costs, remedy_costs, known = LiquidationCosts(), RemedyCosts(), known_names()
    for name in request.methods:
        model(name)
    start = WhatIf(prepare(picture.portfolio, picture.prices, picture.history, chosen), costs, known)
    acted, what_if = Acted(picture.portfolio, picture.prices), start
    if request.actions:
        acted = act(picture.portfolio, picture.prices, request.actions, _listed)
        chosen = policy if policy is not None else policy_of(acted.portfolio, acted.prices)
        what_if = WhatIf(prepare(acted.portfolio, acted.prices, picture.history, chosen), costs, known)
    after = what_if.after(request.shock)
    scored = {"before": start.scored(start.before), "after": what_if.scored(after)}
    if request.actions:
        scored["actions"] = what_if.scored(what_if.before)
    venues: tuple[tuple[VenueState, VenueState], ...] = ()
    methods: tuple[MethodResult, ...] = ()
    if picture.portfolio.venue_accounts or request.methods:
        given = margin_input_of(picture)
        moves = book_moves(request.shock, given.book, given.market, known)
        still = book_moves(Shock(), given.book, given.market)
        accounts = picture.portfolio.venue_accounts
        venues = tuple((venue_state(one, given.market, still), venue_state(one, given.market, moves)) for one in accounts)
        methods = method_results(given, moves, request.methods) if request.methods else ()
    return WhatIfRun(
        picture,
        request,
        acted,
        start,
        what_if,
        after,
        scored,
        costs,
        remedy_costs,
        restore(what_if, after, request.health, remedy_costs) if request.health is not None else (),
        _surfaces(what_if, request.axes, after) if request.surfaces else {},
        venues,
        methods,
    )


def run_book(given: MarginInput, request: WhatIfRequest) -> BookRun:
    """Of a portfolio file. InputError for what a book has no answer to."""
    if request.health is not None:
        raise InputError("--restore: a portfolio file has no margin accounts of protocols; it needs owners")
    if request.surfaces:
        raise InputError("a portfolio file has no liquidation surface; it needs owners")
    shock = request.shock
    if shock.rates or shock.frozen or shock.bridges_down:
        raise InputError("--shock: rates, oracles and bridges belong to protocols, which a portfolio file does not have")
    book, market = hedged(given.book, given.market, request.actions)
    acted = MarginInput(book, market, given.missing, given.warnings, given.correlation, given.left_out, given.owners)
    moves = book_moves(shock, book, market, known_names())
    return BookRun(acted, request, moves, method_results(acted, moves, request.methods))


def method_results(given: MarginInput, moves: BookMoves, names: Sequence[str]) -> tuple[MethodResult, ...]:
    """Maintenance margin by the named methods before and after, or by all that apply. InputError for an unknown name."""
    chosen: Mapping[str, MarginModel[Any]] = {name: model(name) for name in names} or dict(models())
    after_market = shocked_market(given.market, given.book, moves)
    after_book = shocked_book(given.book, given.market, after_market, moves)
    results = []
    for name, method in chosen.items():
        try:
            refused = method.refusal(given.book, given.market)
            if refused is not None:
                raise Inapplicable(refused)
            if given.missing:
                first = given.missing[0]
                raise MissingInput(f"withheld, because something is missing: {first.what}: {first.why}")
            parameters = given.parameters_of(method)
            before, after = (
                method.requirement(book, market, parameters, Kind.MAINTENANCE)
                for book, market in ((given.book, given.market), (after_book, after_market))
            )
            results.append(MethodResult(name, before, after))
        except Inapplicable as error:
            if names:
                results.append(MethodResult(name, reason=str(error)))
        except MissingInput as error:
            results.append(MethodResult(name, reason=str(error)))
    return tuple(results)


@lru_cache(maxsize=1)
def known_names() -> frozenset[str]:
    """Factors and symbols of every listed token: a shock may name them where nobody holds them."""
    return frozenset(name for token in _tokens() for name in (token.factor, token.symbol))


def _tokens() -> Iterable[Token]:
    listed = registry()
    for chain in listed.chains:
        yield from (listed.native(chain), *listed.tokens(chain).values())


def _listed(symbol: str, chain: ChainId) -> Token | None:
    """A listed token by symbol and chain."""
    listed = registry()
    if chain not in listed.chains:
        return None
    return next((one for one in (listed.native(chain), *listed.tokens(chain).values()) if one.symbol == symbol), None)


def _surfaces(what_if: WhatIf, axes: Sequence[str], after: State) -> dict[int, Surface]:
    """Surface of every account that owes something; with axes of those that follow them. InputError where none does."""
    horizontal, vertical = (*axes[:2], None, None)[:2]
    landing = {name: float(move) - 1.0 for name, move in {**after.moves.factors, **after.moves.bases}.items()}
    found, refused = {}, None
    for number in sorted(what_if.prepared.claims.by_account):
        try:
            found[number] = surface(what_if, number, horizontal, vertical, show=landing)
        except InputError as error:
            refused = error
    if refused is not None and not found:
        raise refused
    return found
