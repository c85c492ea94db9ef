"""For notebooks: populations and networks in, arrays out. The command line stands on the same functions.

    from aggregator.engine.systemic import analysis

    book = analysis.load_book("book.parquet")                       # or analysis.live_population(rpc=["1=http://…"]).book
    study = analysis.curve(book, ["ETH"], impact=analysis.impact(book, {"WETH": 40e6}))
    study.static.bad_debt, study.cascade.bad_debt                   # arrays over study.static.moves
    analysis.simulate(book, ["price:ETH=-30%"], analysis.impact(book, {"WETH": 40e6})).cascade.prices
    analysis.rank(analysis.load_network("network.json")).impact     # models × nodes

An asset is named by its CAIP-19 id, its symbol (on every chain), or a risk factor that several assets follow, such as `ETH`. Money is
USD, shares are of 1. Where an evidence is not sufficient, figures are lower bounds, and nothing may be called calm because of them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aggregator.contagion.concentration import Concentration, concentration, debt_concentration
from aggregator.contagion.curves import MOVES, Curve, GroupBy, static_curve
from aggregator.contagion.evidence import Evidence, of_book, together
from aggregator.contagion.impact import ExponentialImpact, Impact
from aggregator.contagion.lenders import lender_network
from aggregator.contagion.liquidations import LiquidationTerms
from aggregator.contagion.network import ExposureNetwork, leverage_matrix, spectral_radius
from aggregator.contagion.ranking import MODELS, Band, Ranking, loss_band
from aggregator.contagion.ranking import rank as rank_nodes
from aggregator.contagion.scenario import PriceShock, Scenario, Shock, shock_from_text
from aggregator.contagion.shadow import Shadow, shadow
from aggregator.contagion.simulation import Simulation
from aggregator.contagion.simulation import simulate as play
from aggregator.contagion.spiral import ShockCurve, SpiralDistance, spiral_distance, worst_shock
from aggregator.contagion.system import System
from aggregator.engine.systemic.depth import PopulationWithDepth, take_with_depth
from aggregator.engine.systemic.network_file import read_network
from aggregator.engine.systemic.population import LivePopulation, PopulationRequest, take_population
from aggregator.engine.systemic.system_file import read_system
from aggregator.model.book import Book, Floats
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId
from aggregator.reading.registry import registry
from aggregator.store.book_file import read_book

__all__ = [
    "EVERYTHING",
    "CurveStudy",
    "GroupBy",
    "NetworkCurve",
    "assets_named",
    "basket",
    "book_of",
    "collateral_held",
    "curve",
    "falls_of",
    "gain",
    "impact",
    "lender_network",
    "live_population",
    "live_with_depth",
    "load_book",
    "load_network",
    "load_system",
    "main_asset",
    "network_curve",
    "rank",
    "shocks_of",
    "simulate",
    "static_curve",
    "unknown_depths",
]

_FALL = re.compile(r"(?P<name>.+?)=(?P<fall>[-−+]?\d+(\.\d+)?)%")
EVERYTHING = "*"


def load_book(path: str | Path) -> Book:
    """A population from a `.parquet` or `.csv` file."""
    return read_book(Path(path))


def book_of(columns: Mapping[str, Sequence[object]]) -> Book:
    """A population from columns as a file has them, such as those of a data frame: one row a leg; None where something is not known."""
    from aggregator.store.book_file import book_from_columns

    return book_from_columns(columns)


def load_network(path: str | Path, nodes: str | Path | None = None) -> ExposureNetwork:
    """A network of claims from a `.json` file, or a `.csv` file of claims and one of nodes."""
    return read_network(Path(path), None if nodes is None else Path(nodes))


def live_population(
    rpc: Sequence[str] = (), chains: Sequence[str] = (), blocks: Sequence[str] = (), chains_file: Path | None = None
) -> LivePopulation:
    """Everybody in Aave, Spark and Morpho on live chains; arguments as on the command line. Runs its own event loop."""
    return asyncio.run(take_population(PopulationRequest(chains_file, tuple(rpc), tuple(chains), tuple(blocks))))


def live_with_depth(
    rpc: Sequence[str] = (), chains: Sequence[str] = (), blocks: Sequence[str] = (), chains_file: Path | None = None
) -> PopulationWithDepth:
    """The same, and the price impact that the chains' pools foretell, at the same blocks."""
    return asyncio.run(take_with_depth(PopulationRequest(chains_file, tuple(rpc), tuple(chains), tuple(blocks))))


def assets_named(book: Book, name: str) -> list[int]:
    """Codes of the assets that a name means, be it an id, a symbol or the risk factor that they follow; InputError where there is none."""
    codes = [code for code, one in enumerate(book.assets) if name in (str(one.asset), one.symbol, _factor(one.asset))]
    if not codes:
        known = ", ".join(dict.fromkeys(one.symbol for one in book.assets[:8]))
        raise InputError(
            f"{name} is not an asset or a risk factor of the population (it has {known}{', …' if len(book.assets) > 8 else ''})"
        )
    return codes


def _factor(asset: AssetId) -> str | None:
    token = registry().token(asset)
    return None if token is None else token.factor


def basket(book: Book, names: Sequence[str]) -> Floats:
    """Move of each asset per unit of fall, from `NAME` (1) or `NAME=BETA`; an asset named twice takes the last."""
    betas = np.zeros(len(book.assets))
    for text in names:
        name, equals, value = text.rpartition("=")
        try:
            beta = float(value) if equals else 1.0
        except ValueError:
            raise InputError(f"{text!r}: {value!r} is not a number; expected NAME or NAME=BETA") from None
        betas[assets_named(book, name if equals else text)] = beta
    return betas


def main_asset(book: Book) -> str:
    """The asset, or the risk factor, that most collateral follows at the lower of oracle and market price."""
    by_name: dict[str, float] = {}
    for reserve, worth in enumerate(collateral_held(book).tolist()):
        one = book.assets[int(book.reserves.asset[reserve])]
        name = _factor(one.asset) or one.symbol
        name = name if not name.startswith("eip155:") else one.symbol
        by_name[name] = by_name.get(name, 0.0) + worth
    return max(by_name, key=lambda name: by_name[name])


def collateral_held(book: Book) -> Floats:
    """USD that accounts hold in each reserve as collateral, at the lower of oracle and market price: an oracle may be far off."""
    prices = np.fmin(book.reserves.oracle_price, book.market_prices)
    units = np.bincount(book.collateral.reserves(), np.nan_to_num(book.collateral.amounts), len(book.reserves))
    worth: Floats = units.astype(np.float64, copy=False) * np.nan_to_num(book.reserves.seizable(prices))
    return worth


def impact(book: Book, depths: Mapping[str, float] | None = None, otherwise: float = np.nan) -> Impact:
    """Exponential price impact: `depths` by name are USD whose sale takes the price to 1/e of itself; `otherwise` for all others.

    NaN, the default, says that a depth is not known: sales of the asset then move nothing and the evidence says so. `inf` means that
    nothing moves it; what nobody holds as collateral is never sold, so it needs no depth.
    """
    column = np.full(len(book.assets), np.inf)
    held = np.diff(book.collateral.pointers) > 0
    column[book.reserves.asset[held & (book.reserves.threshold > 0.0)]] = otherwise
    for name, depth in (depths or {}).items():
        if not depth > 0.0:
            raise InputError(f"the depth of {name} is {depth:g} USD; expected a positive value")
        column[assets_named(book, name)] = depth
    return ExponentialImpact(column)


@dataclass(frozen=True, slots=True)
class CurveStudy:
    """What a fall of a basket does. `cascade` and `spiral` are None without a price impact."""

    names: tuple[str, ...]
    betas: Floats
    by: GroupBy
    static: Curve
    """by group"""
    total: Curve
    cascade: ShockCurve | None
    spiral: SpiralDistance | None
    owners: Concentration
    """of debt, by owner"""
    protocols: Concentration
    """of debt, by protocol"""
    collateral: Concentration
    """by asset, at the lower of oracle and market price"""
    oracle: Concentration
    """of collateral, by the asset whose price its oracle follows"""
    shadow: Shadow
    evidence: Evidence


def curve(
    book: Book,
    names: Sequence[str] = (),
    moves: Floats = MOVES,
    by: GroupBy = GroupBy.ALL,
    impact: Impact | None = None,
    evidence: Evidence | None = None,
    refinements: int = 1,
) -> CurveStudy:
    """Static curves, with `impact` also with the cascade that follows; concentration, and both healths of everybody.

    `names` default to `main_asset`; `moves`: falls as positive shares; `evidence`: what is known of the population beyond its rows.
    """
    chosen = tuple(names) or (main_asset(book),)
    betas = basket(book, chosen)
    total = static_curve(book, betas, moves)
    debt = book.health().debt
    codes = np.unique([market.protocol for market in book.markets], return_inverse=True)[1]
    worth = collateral_held(book)
    return CurveStudy(
        chosen,
        betas,
        by,
        total if by is GroupBy.ALL else static_curve(book, betas, moves, by),
        total,
        None if impact is None else worst_shock(book, betas, impact, moves, refinements=refinements),
        None if impact is None else spiral_distance(book, betas, impact, moves),
        debt_concentration(book),
        concentration(debt, codes[book.account_market]),
        concentration(worth, book.reserves.asset),
        concentration(worth, book.reserves.priced_by),
        shadow(book),
        together([of_book(book), *([evidence] if evidence is not None else [])]),
    )


def shocks_of(system: System, texts: Sequence[str]) -> tuple[Shock, ...]:
    """Shocks as one writes them: `price:ETH=-30%`, or `ETH=-30%` for short.

    A price that moves is of every asset that follows the name as its risk factor; for other shocks a factor stands for its assets only
    where nothing is called so.
    """
    found: list[Shock] = []
    tokens = set() if system.tokens is None else set(system.tokens.names)
    for text in texts:
        shock = shock_from_text(f"price:{text}" if "=" in text and ":" not in text.partition("=")[0] else text)
        name = getattr(shock, "name", None)
        # an outflow's name is looked for in its market
        if not isinstance(name, str) or hasattr(shock, "market"):
            found.append(shock)
            continue
        known = name in tokens or bool(system.assets_named(name))
        followers: list[str] = []
        if isinstance(shock, PriceShock) or not known:
            codes = [] if known and name not in _names(system.book) else assets_named(system.book, name)
            # what has a composition follows through that
            followers = [system.book.assets[code].symbol for code in codes if not known or code not in system.asset_tokens]
        names = dict.fromkeys([*([name] if known else []), *followers])
        found += [replace(shock, name=one) for one in names]  # type: ignore[arg-type]
    return tuple(found)


def _names(book: Book) -> set[str]:
    """Symbols, ids and risk factors of a population's assets."""
    return {name for one in book.assets for name in (str(one.asset), one.symbol, _factor(one.asset)) if name is not None}


def load_system(path: str | Path, book: Book, impact: Impact | None = None) -> System:
    """What surrounds a population, from a JSON file: tokens, pools, bridges, oracles, depths, other venues."""
    return read_system(Path(path), book, impact)


def unknown_depths(book: Book) -> Impact:
    """No depth is known: sales move nothing, and the evidence says so."""
    return impact(book)


def simulate(
    book: Book, shocks: Sequence[str], impact: Impact | None = None, terms: LiquidationTerms | None = None, system: System | None = None
) -> Simulation:
    """One scenario to its end: liquidations, sales, bad debt, and who bears it.

    `system`: what surrounds the population, with its own price impact; else `impact` is how sales push prices (default: not known).
    `terms` replace the system's.
    """
    if not shocks:
        raise InputError("nothing happens: expected at least one shock such as price:ETH=-30%")
    around = system if system is not None else System(book, impact if impact is not None else unknown_depths(book))
    around = around if terms is None else replace(around, terms=terms)
    return play(around, Scenario(", ".join(shocks), shocks_of(around, shocks)))


def falls_of(network: ExposureNetwork, texts: Sequence[str]) -> Floats:
    """USD off each node's external assets, from `NODE=-30%` and `*=-4%` for every node; an empty list is an empty shock."""
    taken = np.zeros(len(network))
    assets = np.nan_to_num(network.external_assets)
    places = {name: place for place, name in enumerate(network.names)}
    for text in texts:
        found = _FALL.fullmatch(text.strip())
        if found is None:
            raise InputError(f"{text!r} is no shock of a network; expected NODE=-30%, or *=-4% for every node")
        fall = -float(found["fall"].replace("−", "-")) / 100.0
        if not 0.0 <= fall <= 1.0:
            raise InputError(f"{text!r}: a node's external assets fall by 0 % to 100 %")
        name = found["name"].strip()
        if name == EVERYTHING:
            taken = assets * fall
        elif name in places:
            taken[places[name]] = assets[places[name]] * fall
        else:
            raise InputError(f"{name} is not one of the {len(network)} nodes")
    return taken


@dataclass(frozen=True, slots=True)
class NetworkCurve:
    """Loss of face equity over all nodes when every node's external assets fall: `loss` (models × moves), shares of 1."""

    moves: Floats
    models: tuple[str, ...]
    loss: Floats
    evidence: Evidence


def network_curve(network: ExposureNetwork, moves: Floats = MOVES) -> NetworkCurve:
    """The band over models along falls of everybody's external assets."""
    assets = np.nan_to_num(network.external_assets)
    bands: list[Band] = [loss_band(network, assets * move) for move in moves.tolist()]
    return NetworkCurve(moves, bands[0].models, np.array([band.loss for band in bands]).T, network.evidence())


def rank(network: ExposureNetwork, pays: float = 0.0) -> Ranking:
    """Systemic importance of every node under every model; `pays`: what claims on a failed node still pay."""
    return rank_nodes(network, MODELS, pays)


def gain(network: ExposureNetwork) -> float:
    """Spectral radius of claims over equity: from 1 on, losses passed on grow until they are capped by what there is to lose."""
    return spectral_radius(leverage_matrix(network))
