"""`crossmargin contagion curve`: what a fall makes liquidatable, puts at risk and leaves unpaid, over a whole range of falls."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.contagion_input import (
    Given,
    add_fall_options,
    add_impact_options,
    add_input_options,
    check_outputs,
    falls_given,
    finish,
    impact_given,
    read_given,
)
from aggregator.model.errors import InputError

if TYPE_CHECKING:
    from aggregator.cli.contagion_input import Subparsers
    from aggregator.engine.systemic.schema import CurveDocument, NetworkCurveDocument

SUMMARY = "liquidatable debt, collateral at risk and bad debt as prices fall; for a network, losses under every model"
GROUPS = ("all", "protocol", "chain", "market", "asset")


def add_curve(subparsers: Subparsers) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("curve", help=SUMMARY, description=f"{SUMMARY[0].upper()}{SUMMARY[1:]}.", allow_abbrev=False)
    parser.add_argument(
        "--asset",
        metavar="NAME[=BETA]",
        action="append",
        default=[],
        help="what falls: a symbol, a CAIP-19 id or a risk factor such as ETH, together where repeated; BETA is its move per unit of fall "
        "(default: what most collateral follows)",
    )
    parser.add_argument("--by", choices=GROUPS, default="all", help="also by protocol, chain, market or asset")
    add_fall_options(parser)
    add_impact_options(parser)
    add_input_options(parser)
    parser.set_defaults(contagion_run=run_curve)


def run_curve(arguments: argparse.Namespace) -> int:
    """0 with the curves; IncompleteError (3) after them where too little is known for them to be more than lower bounds."""
    check_outputs(arguments)
    falls = falls_given(arguments)
    given = read_given(arguments)
    return _network(arguments, given, falls) if given.network is not None else _population(arguments, given, falls)


def _population(arguments: argparse.Namespace, given: Given, falls: tuple[float, ...]) -> int:
    import numpy as np

    from aggregator.cli.contagion_report import print_curve
    from aggregator.engine.systemic.analysis import GroupBy, curve
    from aggregator.engine.systemic.document import curve_document

    book = given.book
    assert book is not None
    impact = impact_given(arguments, given)
    study = curve(book, arguments.asset, np.array(falls), GroupBy(arguments.by), impact, given.evidence)
    document = curve_document(given.source, book, study)

    def plots(folder: Path, form: str) -> list[Path]:
        from aggregator.cli.contagion_plots import curve_plots

        return curve_plots(book, study, document, folder, form)

    return finish(arguments, document, _columns(document), plots, lambda console: print_curve(document, console))


def _columns(document: CurveDocument) -> dict[str, list[object]]:
    """A row a group and fall; numbers, for whoever goes on computing."""
    columns: dict[str, list[object]] = {
        name: [] for name in ("group", "fall", "liquidatable_debt_usd", "collateral_at_risk_usd", "bad_debt_usd", "accounts", "lower_bound")
    }
    for group in document.groups:
        for place, fall in enumerate(document.falls):
            row = (
                group.name,
                float(fall),
                float(group.liquidatable_debt_usd[place]),
                float(group.collateral_at_risk_usd[place]),
                float(group.bad_debt_usd[place]),
                group.accounts[place],
                document.lower_bounds,
            )
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return columns


def _network(arguments: argparse.Namespace, given: Given, falls: tuple[float, ...]) -> int:
    import numpy as np

    from aggregator.cli.contagion_report import print_network_curve
    from aggregator.engine.systemic.analysis import gain, network_curve
    from aggregator.engine.systemic.document import network_curve_document

    if arguments.asset or arguments.depth or arguments.pools or arguments.by != "all":
        raise InputError("--asset, --depth, --pools and --by are for populations; in a network every node's external assets fall")
    network = given.network
    assert network is not None
    found = network_curve(network, np.array(falls))
    document = network_curve_document(given.source, network, found, gain(network))

    def plots(folder: Path, form: str) -> list[Path]:
        from aggregator.cli.contagion_plots import network_curve_plots

        return network_curve_plots(network, found, document, folder, form)

    return finish(arguments, document, _network_columns(document), plots, lambda console: print_network_curve(document, console))


def _network_columns(document: NetworkCurveDocument) -> dict[str, list[object]]:
    rows = [
        (one.model, float(fall), None if lost is None else float(lost), document.lower_bounds)
        for one in document.models
        for fall, lost in zip(document.falls, one.loss, strict=True)
    ]
    return {name: [row[place] for row in rows] for place, name in enumerate(("model", "fall", "loss", "lower_bound"))}
