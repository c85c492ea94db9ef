"""`crossmargin contagion rank`: who matters most, under every model, on one scale and as a band."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.contagion_input import add_input_options, check_outputs, finish, read_given
from aggregator.model.errors import InputError

if TYPE_CHECKING:
    from aggregator.cli.contagion_input import Subparsers
    from aggregator.engine.systemic.schema import RankDocument

SUMMARY = "systemic importance of protocols, tokens, oracles, bridges and curators, as a band over models"


def add_rank(subparsers: Subparsers) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("rank", help=SUMMARY, description=f"{SUMMARY[0].upper()}{SUMMARY[1:]}.", allow_abbrev=False)
    parser.add_argument(
        "--pays", metavar="SHARE", type=float, default=0.0, help="what claims on a failed node still pay, 0 to 1 (default 0)"
    )
    parser.add_argument("--top", metavar="N", type=int, default=20, help="rows to print (default 20; files and JSON hold all)")
    add_input_options(parser)
    parser.set_defaults(contagion_run=run_rank)


def run_rank(arguments: argparse.Namespace) -> int:
    """0 with the ranking; IncompleteError (3) after it where too little is known."""
    from aggregator.cli.contagion_report import print_rank
    from aggregator.contagion.evidence import of_book, together
    from aggregator.engine.systemic.analysis import gain, lender_network, rank
    from aggregator.engine.systemic.document import rank_document

    check_outputs(arguments)
    if not 0.0 <= arguments.pays <= 1.0:
        raise InputError(f"--pays {arguments.pays:g}: expected a share of 0 to 1")
    if arguments.top < 1:
        raise InputError(f"--top {arguments.top}: expected at least 1")
    given = read_given(arguments)
    network = given.network
    parts = []
    if network is None:
        assert given.book is not None
        network = lender_network(given.book)
        parts = [of_book(given.book), *([given.evidence] if given.evidence is not None else [])]
    ranking = rank(network, arguments.pays)
    document = rank_document(given.source, ranking, gain(network), together([ranking.evidence, *parts]))

    def plots(folder: Path, form: str) -> list[Path]:
        from aggregator.cli.contagion_plots import rank_plots

        return rank_plots(network, document, folder, form)

    return finish(arguments, document, _columns(document), plots, lambda console: print_rank(document, console, arguments.top))


def _columns(document: RankDocument) -> dict[str, list[object]]:
    """A row a node."""
    columns: dict[str, list[object]] = {
        "rank": [one.rank for one in document.nodes],
        "name": [one.name for one in document.nodes],
        "kind": [one.kind for one in document.nodes],
        "rank_low": [one.rank_low for one in document.nodes],
        "rank_high": [one.rank_high for one in document.nodes],
    }
    for what in ("impact", "vulnerability"):
        for end in ("low", "middle", "high"):
            columns[f"{what}_{end}"] = [_number(getattr(getattr(one, what), end)) for one in document.nodes]
    for model in document.models:
        columns[f"impact_{model.replace('-', '_')}"] = [_number(one.impact.by_model[model]) for one in document.nodes]
    return columns


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
