"""`crossmargin contagion simulate`: one scenario to its end: who is liquidated, what is sold, and who loses how much because of what."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.contagion_input import (
    Given,
    add_impact_options,
    add_input_options,
    check_outputs,
    finish,
    impact_given,
    read_given,
)
from aggregator.model.errors import InputError

if TYPE_CHECKING:
    from aggregator.cli.contagion_input import Subparsers
    from aggregator.contagion.liquidations import LiquidationTerms
    from aggregator.contagion.simulation import Simulation
    from aggregator.engine.systemic.schema import NetworkSimulationDocument

SUMMARY = "a scenario to its end: liquidations, sales, bad debt and who bears it; for a network, losses under every model"
EPILOG = """\
shocks of a population   price:ETH=-30%  depeg:USDe=-35%  oracle-freeze:wstETH  oracle-lie:wstETH=3100  oracle-lag:ETH=3600
                         depth:WETH=40% (what is left)  pause:MARKET
with --system also       loss:xUSD=93%  slashing:stETH=5%  run:USDe=20%  outflow:MARKET/USDC=60%
                         bridge-deficit:NAME=116500  bridge-freeze:NAME=10%
shocks of a network      NODE=-30%  *=-4%  (of external assets)
"""


def add_simulate(subparsers: Subparsers) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "simulate",
        help=SUMMARY,
        description=f"{SUMMARY[0].upper()}{SUMMARY[1:]}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--shock", metavar="WHAT", action="append", default=[], help="what happens, all at once (repeatable)")
    parser.add_argument(
        "--system", metavar="FILE", type=Path, help="what surrounds the population, in JSON: tokens, pools, bridges, oracles, depths"
    )
    parser.add_argument("--gas", metavar="USD", type=float, default=0.0, help="what one liquidation costs in gas (default 0)")
    parser.add_argument(
        "--mev", metavar="SHARE", type=float, default=0.0, help="share of a bonus that goes to builders and searchers (default 0)"
    )
    parser.add_argument("--best-pair", action="store_true", help="liquidate the best pair of an account's assets, as one call does")
    add_impact_options(parser)
    add_input_options(parser)
    parser.set_defaults(contagion_run=run_simulate)


def run_simulate(arguments: argparse.Namespace) -> int:
    """0 with what happened; IncompleteError (3) after it where too little is known."""
    check_outputs(arguments)
    if not arguments.shock:
        raise InputError("nothing happens: expected --shock, such as --shock price:ETH=-30%")
    given = read_given(arguments)
    return _network(arguments, given) if given.network is not None else _population(arguments, given)


def _terms(arguments: argparse.Namespace) -> LiquidationTerms | None:
    from aggregator.contagion.liquidations import Gate, LiquidationTerms, Pairing

    if not (arguments.gas or arguments.mev or arguments.best_pair):
        return None

    gate = Gate(arguments.gas, arguments.mev) if arguments.gas or arguments.mev else None
    return LiquidationTerms(Pairing.BEST_PAIR if arguments.best_pair else Pairing.PRO_RATA, gate)


def _population(arguments: argparse.Namespace, given: Given) -> int:
    from aggregator.cli.contagion_report import print_simulation
    from aggregator.contagion.evidence import together
    from aggregator.engine.systemic.analysis import load_system, simulate
    from aggregator.engine.systemic.document import simulation_document

    book = given.book
    assert book is not None
    moves = impact_given(arguments, given)
    system = None if arguments.system is None else load_system(arguments.system, book, moves)
    found = simulate(book, arguments.shock, moves, _terms(arguments), system)
    evidence = together([found.evidence, *([given.evidence] if given.evidence is not None else [])])
    document = simulation_document(given.source, book, arguments.shock, found, evidence)

    def plots(folder: Path, form: str) -> list[Path]:
        from aggregator.cli.contagion_plots import simulation_plots

        return simulation_plots(book, found, document, folder, form)

    return finish(arguments, document, _columns(found), plots, lambda console: print_simulation(document, console))


def _columns(found: Simulation) -> dict[str, list[object]]:
    """A row a line of the ledger, with what led to it; amounts in whole micro-dollars, which add up exactly."""
    from aggregator.engine.systemic.document import step

    causes = found.causes
    columns: dict[str, list[object]] = {name: [] for name in ("line", "loser", "gainer", "subject", "micro_usd", "usd", "cause")}
    for entry in found.cascade.ledger:
        because = " ← ".join(step(one) for one in reversed(causes.path(entry.cause))) if entry.cause >= 0 else ""
        row = (
            entry.line.value,
            entry.loser.value,
            entry.gainer.value,
            entry.subject,
            entry.amount,
            entry.amount / 1_000_000,
            because,
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


def _network(arguments: argparse.Namespace, given: Given) -> int:
    from aggregator.cli.contagion_report import print_network_simulation
    from aggregator.contagion.equilibrium import equilibrium
    from aggregator.contagion.ranking import MODELS, loss_band
    from aggregator.engine.systemic.analysis import falls_of, gain
    from aggregator.engine.systemic.document import network_simulation_document

    if arguments.depth or arguments.pools or arguments.gas or arguments.mev or arguments.best_pair or arguments.system is not None:
        raise InputError("--system, --depth, --pools, --gas, --mev and --best-pair are for populations")
    network = given.network
    assert network is not None
    shock = falls_of(network, arguments.shock)
    band = loss_band(network, shock)
    found = [equilibrium(network, model, shock) for model in MODELS]
    document = network_simulation_document(given.source, network, arguments.shock, band, found, gain(network))

    def plots(folder: Path, form: str) -> list[Path]:
        from aggregator.cli.contagion_plots import network_simulation_plots

        return network_simulation_plots(network, document, folder, form)

    return finish(arguments, document, _network_columns(document), plots, lambda console: print_network_simulation(document, console))


def _network_columns(document: NetworkSimulationDocument) -> dict[str, list[object]]:
    """A row a node."""
    columns: dict[str, list[object]] = {
        "name": [one.name for one in document.nodes],
        "kind": [one.kind for one in document.nodes],
        "equity_usd": [None if one.equity_usd is None else float(one.equity_usd) for one in document.nodes],
    }
    for model in (one.model for one in document.models):
        lost = [one.loss[model] for one in document.nodes]
        columns[f"loss_{model.replace('-', '_')}"] = [None if value is None else float(value) for value in lost]
    return columns
