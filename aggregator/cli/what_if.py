"""`crossmargin what-if (OWNER… | --portfolio FILE) --shock ETH=-30% …`: the same portfolio after actions and a shock."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.common import add_chain_options, add_json_option, add_venue_options, console, take_picture
from aggregator.model.errors import IncompleteError, InputError
from aggregator.model.identifiers import ChainId

if TYPE_CHECKING:
    from aggregator.engine.what_if import WhatIfRequest, WhatIfRun

_HEALTH = re.compile(r"\d{1,3}(\.\d{1,18})?\Z", re.ASCII)

EPILOG = """\
shocks    ETH=-30%  wstETH=-5%  lst:stETH=-5%  ETH:vol=+50%  USDC:rate=+10%  oracle:aave-v3=frozen  oracle:aave-v3@eth/wstETH=frozen
          bridge:eip155:42161=down
actions   repay:aave-v3:USDC=1500  add:aave-v3@eth:WETH=2  move:USDC:eth/base=500  hedge:ETH=-2      (amount `all` where there is one)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument(
        "owners", metavar="OWNER", nargs="*", help="0x and 40 hex digits, eth:0x…, eip155:1:0x…, or a name such as example.eth"
    )
    parser.add_argument("--portfolio", metavar="FILE", type=Path, help="a portfolio in YAML or JSON instead of owners")
    parser.add_argument("--shock", metavar="WHAT=HOW", action="append", default=[], help="what happens, all at once (repeatable)")
    parser.add_argument("--action", metavar="ACTION", action="append", default=[], help="what is done before, in this order (repeatable)")
    parser.add_argument("--restore", metavar="HEALTH", help="name the cheapest action that brings each account back to this health")
    parser.add_argument(
        "--method", metavar="NAME", nargs="+", action="extend", default=[], help="also these margin methods on the whole book (repeatable)"
    )
    parser.add_argument("--surface", action="store_true", help="with --json, each account's health over moves of two drivers")
    parser.add_argument("--axes", metavar="NAME", nargs="+", default=[], help="one or two drivers of the surfaces, such as ETH USDC")
    parser.add_argument("--plot", metavar="DIR", type=Path, help="write plots to this folder")
    parser.add_argument("--plot-format", choices=("png", "svg"), default="png", help="of the plots (default png)")
    add_json_option(parser)
    add_chain_options(parser)
    add_venue_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 with whatever could be read; IncompleteError (3) where nothing could, after the document when JSON is wanted."""
    if (arguments.portfolio is None) == (not arguments.owners):
        raise InputError("expected either owners or --portfolio FILE")
    if len(arguments.axes) > 2:
        raise InputError("--axes: a surface has two axes at most")
    if not (arguments.shock or arguments.action or arguments.restore):
        raise InputError("nothing to look at: expected --shock, for example --shock ETH=-30%, or --action or --restore")
    if arguments.plot is not None:
        from aggregator.cli.plots import require_matplotlib

        require_matplotlib()
    return _book(arguments) if arguments.portfolio is not None else _owners(arguments)


def _owners(arguments: argparse.Namespace) -> int:
    from aggregator.chains.arguments import resolve_chain
    from aggregator.chains.configuration import load_chains
    from aggregator.engine.what_if import run_what_if
    from aggregator.engine.what_if_document import what_if_document

    configuration = load_chains(arguments.chains)
    asked = _request(arguments, lambda text: resolve_chain(text, configuration))
    picture = take_picture(arguments)
    done = run_what_if(picture, asked)
    document = what_if_document(done)
    if arguments.json:
        sys.stdout.write(document.model_dump_json(by_alias=True, indent=2) + "\n")
    if done.start.prepared.coverage.nothing_read:
        reasons = "; ".join(f"{snapshot.chain}: {snapshot.detail}" for snapshot in picture.portfolio.snapshots)
        raise IncompleteError(f"no chain could be read: {reasons}")
    names = {chain: entry.name for chain, entry in configuration.chains.items()}
    written = _plots(arguments, done, names) if arguments.plot is not None else []
    if not arguments.json:
        from aggregator.cli.what_if_report import print_what_if

        print_what_if(document, console(), names)
        for path in written:
            sys.stdout.write(f"{path}\n")
    return 0


def _book(arguments: argparse.Namespace) -> int:
    from aggregator.engine.portfolio_file import read_portfolio_file
    from aggregator.engine.what_if import run_book
    from aggregator.engine.what_if_document import book_document

    asked = _request(arguments, None)
    given = read_portfolio_file(arguments.portfolio, datetime.now(UTC))
    done = run_book(given, asked)
    document = book_document(done)
    if arguments.json:
        sys.stdout.write(document.model_dump_json(by_alias=True, indent=2) + "\n")
    if given.missing and given.book.empty:
        first = given.missing[0]
        raise IncompleteError(f"nothing of the portfolio can be valued: {first.what}: {first.why}")
    written = []
    if arguments.plot is not None:
        from aggregator.cli.plots import book_plots

        written = book_plots(done, arguments.plot, arguments.plot_format)
    if not arguments.json:
        from aggregator.cli.what_if_report import print_book

        print_book(document, console())
        for path in written:
            sys.stdout.write(f"{path}\n")
    return 0


def _request(arguments: argparse.Namespace, chain: Callable[[str], ChainId] | None) -> WhatIfRequest:
    from aggregator.engine.what_if import WhatIfRequest
    from aggregator.model.identifiers import parse_chain
    from aggregator.risk.action import parse_action
    from aggregator.risk.margin.registry import model
    from aggregator.risk.shock import shock_of

    for name in arguments.method:
        model(name)
    resolve = chain if chain is not None else parse_chain
    return WhatIfRequest(
        shock=shock_of(arguments.shock, resolve),
        actions=tuple(parse_action(text, resolve) for text in arguments.action),
        health=_health(arguments.restore) if arguments.restore is not None else None,
        methods=tuple(dict.fromkeys(arguments.method)),
        surfaces=arguments.surface or (arguments.plot is not None and arguments.portfolio is None),
        axes=tuple(arguments.axes),
    )


def _health(text: str) -> Fraction:
    if not _HEALTH.match(text):
        raise InputError(f"--restore {text[:40]!r}: expected a health such as 1.2")
    return Fraction(text)


def _plots(arguments: argparse.Namespace, done: WhatIfRun, names: dict[ChainId, str]) -> list[Path]:
    from aggregator.cli.plots import what_if_plots

    return what_if_plots(done, arguments.plot, arguments.plot_format, names)
