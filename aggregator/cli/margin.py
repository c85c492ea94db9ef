"""`crossmargin margin (OWNER… | --portfolio FILE) [--method NAME…]`: what every margin method requires of the same book."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.common import add_chain_options, add_json_option, add_venue_options, console, take_picture
from aggregator.model.errors import IncompleteError, InputError

if TYPE_CHECKING:
    from aggregator.engine.margin_input import MarginInput


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "owners", metavar="OWNER", nargs="*", help="0x and 40 hex digits, eth:0x…, eip155:1:0x…, or a name such as example.eth"
    )
    parser.add_argument("--portfolio", metavar="FILE", type=Path, help="a portfolio in YAML or JSON instead of owners")
    parser.add_argument(
        "--method", metavar="NAME", nargs="+", action="extend", default=[], help="only these methods (repeatable); all where none is named"
    )
    add_json_option(parser)
    add_chain_options(parser)
    add_venue_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 with a row a method, whatever could be covered; IncompleteError (3) where nothing could, after the document when JSON is wanted."""
    from aggregator.engine.margin import margin_document
    from aggregator.risk.margin.registry import model

    for name in arguments.method:
        model(name)
    given = _input(arguments)
    document = margin_document(given, dict.fromkeys(arguments.method))
    if arguments.json:
        sys.stdout.write(document.model_dump_json(by_alias=True) + "\n")
    if given.missing and not len(given.book):
        first = given.missing[0]
        raise IncompleteError(f"nothing of the portfolio can be margined: {first.what}: {first.why}")
    if not arguments.json:
        from aggregator.cli.margin_report import print_margin

        print_margin(document, console())
    return 0


def _input(arguments: argparse.Namespace) -> MarginInput:
    if (arguments.portfolio is None) == (not arguments.owners):
        raise InputError("expected either owners or --portfolio FILE")
    if arguments.portfolio is not None:
        from aggregator.engine.portfolio_file import read_portfolio_file

        return read_portfolio_file(arguments.portfolio, datetime.now(UTC))
    from aggregator.engine.margin_input import margin_input_of

    picture = take_picture(arguments)
    return margin_input_of(picture)
