"""`crossmargin contagion curve|simulate|rank|replay …`: what spreads from one place to others, in populations, networks and histories."""

from __future__ import annotations

import argparse

from aggregator.cli.contagion_curve import add_curve
from aggregator.cli.contagion_rank import add_rank
from aggregator.cli.contagion_record import add_record
from aggregator.cli.contagion_replay import add_replay
from aggregator.cli.contagion_simulate import add_simulate


def configure(parser: argparse.ArgumentParser) -> None:
    subparsers = parser.add_subparsers(dest="contagion", metavar="WHAT", required=True)
    add_curve(subparsers)
    add_simulate(subparsers)
    add_rank(subparsers)
    add_replay(subparsers)
    add_record(subparsers)


def run(arguments: argparse.Namespace) -> int:
    """The subcommand's exit code."""
    return int(arguments.contagion_run(arguments))
