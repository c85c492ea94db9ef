"""`crossmargin contagion replay|record …`: what spreads from one place to others, in a population, a network or a recorded history."""

from __future__ import annotations

import argparse

from aggregator.cli.contagion_replay import add_replay


def configure(parser: argparse.ArgumentParser) -> None:
    subparsers = parser.add_subparsers(dest="contagion", metavar="WHAT", required=True)
    add_replay(subparsers)


def run(arguments: argparse.Namespace) -> int:
    """The subcommand's exit code."""
    return int(arguments.contagion_run(arguments))
