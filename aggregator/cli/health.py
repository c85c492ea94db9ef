"""`crossmargin health OWNER…`: the portfolio and its unified health, for people or as JSON."""

from __future__ import annotations

import argparse
import sys

from aggregator.cli.common import add_chain_options, add_json_option, add_venue_options, console, take_picture
from aggregator.model.errors import IncompleteError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "owners", metavar="OWNER", nargs="+", help="0x and 40 hex digits, eth:0x…, eip155:1:0x…, or a name such as example.eth"
    )
    parser.add_argument("--explain", action="store_true", help="show what every figure is made of; --json always has it")
    add_json_option(parser)
    add_chain_options(parser)
    add_venue_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 with whatever could be read; IncompleteError (3) where no chain could be read at all, after its document when JSON is wanted."""
    from aggregator.engine.document import to_json
    from aggregator.engine.judgement import judge

    picture = take_picture(arguments)
    assessment, document = judge(picture)
    if arguments.json:
        sys.stdout.write(to_json(document) + "\n")
    if assessment.coverage.nothing_read:
        reasons = "; ".join(f"{snapshot.chain}: {snapshot.detail}" for snapshot in picture.portfolio.snapshots)
        raise IncompleteError(f"no chain could be read: {reasons}")
    if not arguments.json:
        from aggregator.chains.configuration import load_chains
        from aggregator.cli.report import print_report

        names = {chain: entry.name for chain, entry in load_chains(arguments.chains).chains.items()}
        print_report(document, console(), names, arguments.explain)
    return 0
