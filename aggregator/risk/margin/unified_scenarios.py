"""The joint scenarios of the unified method: what a book, or each of its holdings alone, gains or loses in every one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from aggregator.model.instrument import Holding, InstrumentKind
from aggregator.risk.classes import FACTORS, FactorClass, factor_class
from aggregator.risk.correlation import decoupled, repair, stressed
from aggregator.risk.crises import CRISES, Crisis
from aggregator.risk.expected_shortfall import expected_shortfall, expected_shortfalls
from aggregator.risk.margin.derive import Scenario, VolatilityShock, by_scenario
from aggregator.risk.margin.derive_parameters import PMRM2_MAINNET
from aggregator.risk.margin.derive_pmrm2 import Pmrm2Parameters, shocked_volatility
from aggregator.risk.margin.grid import profits
from aggregator.risk.margin.interface import IntArray, MarginBook
from aggregator.risk.margin.market import Array, BoolArray, Market
from aggregator.risk.margin.quotes import Groups, Quotes

CLASS_SCALE = {
    FactorClass.BTC: 16.0 / 18.0,
    FactorClass.ETH: 1.0,
    FactorClass.VOLATILE: 1.5,
    FactorClass.UNKNOWN: 25.0 / 12.0,
    FactorClass.GOLD: 0.4,
}
"""a class's moves against ether's: venues' price ranges (BTC 16, ETH 18 %; middle caps 18, others 25 against 12 %). Pegs do not move."""
PEGGED = frozenset({"USDC", "USDT", "USDS", "GHO", "PYUSD", "FRAX", "LUSD", "crvUSD"})
LEAST_PRICE = 0.02
"""of today's: no scaled move takes an asset below it"""
REGIMES = ("given correlations", "lowered correlations", "correlations of 1")
REVALUED = np.concatenate([np.linspace(-0.98, -0.5, 13), np.linspace(-0.46, 0.5, 49), np.geomspace(0.55, 6.0, 24)])
"""relative moves at which a book is revalued for draws in between"""
SEED = 20_200_312
DEGREES = 4.0
"""of freedom of the draws' tails"""


BLOCK = 512
"""holdings at a time, where every one is drawn by itself"""


@dataclass(frozen=True, slots=True)
class UnifiedParameters:
    """`correlation` names underlyings and gives their matrix; classes of underlyings that are not named follow from their name."""

    scan: Pmrm2Parameters = field(default_factory=lambda: PMRM2_MAINNET)
    crises: tuple[Crisis, ...] = CRISES
    classes: Mapping[str, FactorClass] = field(default_factory=dict)
    correlation: tuple[tuple[str, ...], Array] | None = None
    horizon_days: float = 1.0
    level: float = 0.99
    follower_discount: float = 0.12
    """how far what follows an underlying falls behind it, in a scenario of its own"""
    draws: int = 1_024
    net_delta_charge: float = 0.02
    hedged_delta_charge: float = 0.01
    maintenance_share: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.level < 1 or self.draws < 1:
            raise ValueError(f"level {self.level} with {self.draws} draws")


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Joint scenarios with their loss, and each holding's profit in the worst of them."""

    names: tuple[str, ...]
    pnl: Array
    worst_parts: Array
    """(n,)"""

    @property
    def worst(self) -> float:
        return max(-float(self.pnl.min(initial=0.0)), 0.0)


def class_of(underlying: str, market: Market, parameters: UnifiedParameters) -> FactorClass:
    """Class of an underlying: as the parameters say, known by its name, volatile where it has derivatives, or unknown."""
    if underlying in parameters.classes:
        return parameters.classes[underlying]
    known = factor_class(underlying, ())
    if known is not FactorClass.UNKNOWN:
        return known
    if underlying in PEGGED:
        return FactorClass.STABLE
    listed = underlying in market.perpetuals or any(name == underlying for name, _ in market.forwards)
    return FactorClass.VOLATILE if listed else FactorClass.UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A book laid out for its scenarios."""

    book: MarginBook
    quoted: Quotes
    market: Market
    parameters: UnifiedParameters
    classes: tuple[FactorClass, ...]
    """of each underlying"""
    groups: Groups
    """by underlying"""

    @staticmethod
    def of(book: MarginBook, quoted: Quotes, market: Market, parameters: UnifiedParameters) -> Scene:
        classes = tuple(class_of(name, market, parameters) for name in book.underlyings)
        return Scene(book, quoted, market, parameters, classes, Groups.of(book.columns.underlying))

    @property
    def moving(self) -> IntArray:
        """Underlyings that the grid moves."""
        return np.array([number for number, one in enumerate(self.classes) if CLASS_SCALE.get(one, 0.0) > 0], dtype=np.int64)

    def of_the_grid(self) -> Array:
        """(n, scenarios) weighted profits on the second PMRM's moves, scaled by class; 0 of what is pegged."""
        scenarios = self.parameters.scan.scenarios
        raw, weights = np.array([one.spot - 1.0 for one in scenarios]), np.array([one.weight for one in scenarios])
        scale = np.array([CLASS_SCALE.get(one, 0.0) for one in self.classes])[self.book.columns.underlying]
        moves = np.maximum(scale[:, None] * np.where(self.skew, 0.0, raw), LEAST_PRICE - 1.0)
        each = profits(self.book, self.quoted, moves, self._volatilities()) * weights
        return np.where(scale[:, None] > 0, each, 0.0)

    @property
    def skew(self) -> BoolArray:
        scenarios = self.parameters.scan.scenarios
        return np.asarray(by_scenario(scenarios, VolatilityShock.LINEAR) | by_scenario(scenarios, VolatilityShock.ABSOLUTE), np.bool_)

    def of_the_crises(self) -> tuple[tuple[str, ...], Array]:
        """Names, and (n, scenarios) profits: days on record, a peg that breaks or is bid up, an asset that falls behind its underlying."""
        names, rows = [], []
        for crisis in self.parameters.crises:
            names.append(crisis.name)
            rows.append([crisis.factors.get(key, crisis.classes.get(one, 0.0)) for key, one in self._named()])
        for number, (key, one) in enumerate(self._named()):
            jump = FACTORS[one].jump
            for label, move in (("breaks", -jump.worst), ("at a premium", jump.worst_premium)):
                if move:
                    names.append(f"{key} {label}")
                    rows.append([move if other == number else 0.0 for other in range(len(self.classes))])
        moves = np.array(rows, dtype=np.float64).reshape(-1, len(self.classes)).T[self.book.columns.underlying]
        up = by_scenario(self.parameters.scan.scenarios, VolatilityShock.UP)
        raised = self._volatilities()[:, [int(up.argmax())]] if up.any() else self.quoted.volatility[:, None]
        each = [profits(self.book, self.quoted, moves, np.where(moves != 0, raised, self.quoted.volatility[:, None]))]
        followers = np.array([one.instrument.symbol if _follows(one) else "" for one in self.book.holdings])
        lost = -self.parameters.follower_discount * self.book.columns.units * self.quoted.price
        for name in sorted(set(followers.tolist()) - {""}):
            names.append(f"{name} falls behind its underlying")
            each.append(np.where(followers == name, lost, 0.0)[:, None])
        return tuple(names), np.hstack(each)

    def revalued(self) -> Array:
        """(n, moves) profits at `REVALUED`, volatility unchanged."""
        return profits(self.book, self.quoted, REVALUED, np.repeat(self.quoted.volatility[:, None], len(REVALUED), axis=1))

    def moves(self) -> Array:
        """(draws, underlyings) moves of the horizon, ascending: what an underlying does, whatever stands beside it."""
        quantiles = fat_quantiles((np.arange(self.parameters.draws) + 0.5) / self.parameters.draws)
        deviation = self._daily() * np.sqrt(self.parameters.horizon_days)
        return np.asarray(np.clip(np.expm1(quantiles[:, None] * deviation), REVALUED[0], REVALUED[-1]), np.float64)

    def _named(self) -> list[tuple[str, FactorClass]]:
        return list(zip(self.book.underlyings, self.classes, strict=True))

    def _daily(self) -> Array:
        """Daily volatility of each underlying: its class's, or the mean of the market's implied ones where that is higher.

        Of the market, not of the options held: what a position loses must not depend on what stands beside it.
        """
        implied: dict[str, list[float]] = {}
        for (underlying, _, _), quote in sorted(self.market.volatilities.items()):
            implied.setdefault(underlying, []).append(quote.value)
        return np.array(
            [max(FACTORS[one].daily_volatility, float(np.mean(implied.get(key, [0.0]))) / 365.0**0.5) for key, one in self._named()]
        )

    def _volatilities(self) -> Array:
        """(n, scenarios) absolute volatilities of the scan; NaN without an option."""
        scan = self.parameters.scan
        options = np.flatnonzero(self.book.columns.option).astype(np.int64)
        result = np.full((len(self.book), len(scan.scenarios)), np.nan)
        result[options] = shocked_volatility(self.book, self.quoted, scan, options)
        return result


def families(scene: Scene) -> tuple[Family, Family, Family]:
    """Grid, crises and expected shortfall of a book that is not empty."""
    return _grid(scene), _crises(scene), _shortfall(scene)


def alone(scene: Scene) -> Array:
    """(n,) worst loss of each holding by itself over all families, ≥ 0."""
    grid = scene.of_the_grid()
    grid = np.where(scene.skew, -np.abs(grid), grid)
    worst = np.minimum(grid.min(axis=1, initial=0.0), scene.of_the_crises()[1].min(axis=1, initial=0.0))
    each, moves = scene.revalued(), scene.moves()
    shortfall = np.zeros(len(scene.book))
    for number in range(len(scene.classes)):
        rows = np.flatnonzero(scene.book.columns.underlying == number)
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            shortfall[block] = expected_shortfalls(-_between(each[block], moves[:, number]), scene.parameters.level)
    return np.asarray(np.maximum(-worst, shortfall), dtype=np.float64)


def _grid(scene: Scene) -> Family:
    """All together, each alone, and of every scenario the two that hurt most against each other."""
    scenarios, moving, groups = scene.parameters.scan.scenarios, scene.moving, scene.groups
    if not len(moving):
        return Family((), np.zeros(0), np.zeros(len(scene.book)))
    each = scene.of_the_grid()
    table = groups.sum(each)
    # a skew can turn either way: a gain of an underlying counts as a loss
    flip = np.where(scene.skew & (table > 0), -1.0, 1.0)
    table, each = (table * flip)[moving], each * flip[groups.index]
    names, underlyings = [one.name for one in scenarios], [scene.book.underlyings[number] for number in moving]
    several = len(moving) > 1
    labels = [f"{underlyings[row] + ': ' if several else ''}{name}" for row in range(len(moving)) for name in names]
    rows = [[(row, column)] for row in range(len(moving)) for column in range(len(names))]
    if several:
        labels += [f"all: {name}" for name in names]
        rows += [[(row, column) for row in range(len(moving))] for column in range(len(names))]
        for column, opposite in _opposite_columns(scenarios):
            one, other = _worst_pair(table[:, column], table[:, opposite])
            labels.append(f"{underlyings[one]} against {underlyings[other]}: {names[column]}")
            rows.append([(one, column), (other, opposite)])
    pnl = np.array([sum(table[row, column] for row, column in one) for one in rows])
    parts = np.zeros(len(each))
    for row, column in rows[int(pnl.argmin())]:
        held = scene.book.columns.underlying == moving[row]
        parts[held] = each[held, column]
    return Family(tuple(labels), pnl, parts)


def _worst_pair(here: Array, there: Array) -> tuple[int, int]:
    """Two different rows with the least here[one] + there[other]: among the two least of each column."""
    first, second = np.argsort(here, kind="stable")[:2], np.argsort(there, kind="stable")[:2]
    pairs = [(int(one), int(other)) for one in first for other in second if one != other]
    return min(pairs, key=lambda pair: (here[pair[0]] + there[pair[1]], pair))


def _opposite_columns(scenarios: Sequence[Scenario]) -> list[tuple[int, int]]:
    """Each scenario with the one of the opposite move and the same volatility, where there is one; without a move its own opposite."""
    return [
        (number, opposite)
        for number, one in enumerate(scenarios)
        for opposite, other in enumerate(scenarios)
        if abs(one.spot + other.spot - 2.0) < 1e-9 and one.volatility is other.volatility
    ]


def _crises(scene: Scene) -> Family:
    names, each = scene.of_the_crises()
    pnl = each.sum(axis=0)
    return Family(names, pnl, each[:, int(pnl.argmin())] if names else np.zeros(len(each)))


def _shortfall(scene: Scene) -> Family:
    """Expected shortfall under each correlation regime.

    An underlying's moves are the same in every regime and every book, only put in another order: what it loses alone depends on nothing
    else, so that no two books together can lose more than both apart.
    """
    each, ascending, level = scene.revalued(), scene.moves(), scene.parameters.level
    table = scene.groups.sum(each)
    drawn = [np.take_along_axis(ascending, ranks, axis=0) for ranks in _orders(scene)]
    losses = [-np.sum([_between(table[[row]], moves[:, row])[0] for row in range(len(table))], axis=0) for moves in drawn]
    shortfalls = [max(expected_shortfall(one, level), 0.0) for one in losses]
    worst = int(np.argmax(shortfalls))
    # without a second underlying there is nothing to correlate: every regime is the same
    pnl = -np.array(shortfalls if len(shortfalls) > 1 else shortfalls * len(REGIMES))
    names = tuple(f"expected shortfall {100 * level:g} %, {one}" for one in REGIMES)
    return Family(names, pnl, _tail_parts(scene, each, drawn[worst], losses[worst]))


def _orders(scene: Scene) -> list[IntArray]:
    """By regime (draws, underlyings): which of an underlying's ascending moves a draw takes. One for all where there is one underlying."""
    draws, count = scene.parameters.draws, len(scene.classes)
    if count == 1:
        return [np.arange(draws, dtype=np.int64)[:, None]]
    random = np.random.default_rng(SEED)
    normal = random.standard_normal((draws, count))
    # one fat tail for all: large moves come together even where their signs do not
    tail = 1.0 / np.sqrt(random.chisquare(DEGREES, (draws, 1)))
    orders = []
    for correlation in _regimes(scene):
        values, vectors = np.linalg.eigh(correlation)
        drawn = normal @ (vectors * np.sqrt(np.maximum(values, 0.0))).T * tail
        # correlations of 1 leave rounding between the columns: of equal draws the order must be equal
        orders.append(np.round(drawn, 9).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable").astype(np.int64))
    return orders


def _between(values: Array, moves: Array) -> Array:
    """Rows of values at `REVALUED`, read at other moves on straight lines between: (n, moves)."""
    at = np.clip(np.searchsorted(REVALUED, moves, side="right") - 1, 0, len(REVALUED) - 2)
    share = (moves - REVALUED[at]) / (REVALUED[at + 1] - REVALUED[at])
    return np.asarray(values[:, at] * (1.0 - share) + values[:, at + 1] * share, dtype=np.float64)


def fat_quantiles(probability: Array) -> Array:
    """Quantiles of Student's t with four degrees of freedom at variance 1, in closed form."""
    root = np.sqrt(4.0 * probability * (1.0 - probability))
    size = np.sqrt(2.0 * np.maximum(np.cos(np.arccos(root) / 3.0) / root - 1.0, 0.0))
    return np.asarray(np.sign(probability - 0.5) * size, dtype=np.float64)


def _tail_parts(scene: Scene, each: Array, moves: Array, losses: Array) -> Array:
    """(n,) profit of each holding in the tail, weighted as the expected shortfall weighs its draws."""
    count = (1.0 - scene.parameters.level) * len(losses)
    order = np.argsort(-losses, kind="stable")
    whole = min(int(count + 1e-9), len(losses))
    weight = np.zeros(len(losses))
    weight[order[:whole]] = 1.0
    if whole < len(losses):
        weight[order[whole]] = max(count - whole, 0.0)
    used = np.flatnonzero(weight)
    parts = np.zeros(len(each))
    for number in range(moves.shape[1]):
        rows = np.flatnonzero(scene.book.columns.underlying == number)
        parts[rows] = _between(each[rows], moves[used, number]) @ weight[used] / count
    return parts


def _regimes(scene: Scene) -> tuple[Array, Array, Array]:
    """Correlation matrices in the order of `REGIMES`."""
    names, given = scene.book.underlyings, scene.parameters.correlation
    place = {name: number for number, name in enumerate(given[0])} if given is not None else {}
    matrix = np.eye(len(names))
    for row, column in combinations(range(len(names)), 2):
        value = stressed(scene.classes[row], scene.classes[column])
        if given is not None and names[row] in place and names[column] in place:
            value = float(given[1][place[names[row]], place[names[column]]])
        matrix[row, column] = matrix[column, row] = value
    matrix = repair(matrix)
    return matrix, decoupled(matrix), np.ones_like(matrix)


def _follows(holding: Holding) -> bool:
    """Whether an asset follows an underlying without being it: weETH, cbBTC."""
    one = holding.instrument
    return one.kind is InstrumentKind.SPOT and one.symbol not in ("", one.underlying)
