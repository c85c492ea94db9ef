"""What `contagion curve`, `simulate` and `rank` share: where their population or network comes from, and where results go."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.common import ProgressDisplay, add_chain_options, add_json_option, console, run_async
from aggregator.model.errors import IncompleteError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from aggregator.contagion.evidence import Evidence
    from aggregator.contagion.impact import Impact
    from aggregator.contagion.network import ExposureNetwork
    from aggregator.engine.systemic.document import Source
    from aggregator.engine.systemic.schema import (
        CurveDocument,
        EvidenceDocument,
        NetworkCurveDocument,
        NetworkSimulationDocument,
        RankDocument,
        SimulationDocument,
    )
    from aggregator.model.book import Book

    Answer = CurveDocument | NetworkCurveDocument | SimulationDocument | NetworkSimulationDocument | RankDocument
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

OUTPUTS = (".parquet", ".csv", ".json")


@dataclass(frozen=True, slots=True)
class Given:
    """A population or a network, one of them, and what is known of it beyond its rows."""

    source: Source
    book: Book | None
    network: ExposureNetwork | None
    evidence: Evidence | None
    impact: Impact | None = None
    """what pools on the chains say, where they were asked"""


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """A population file, a network file, or live chains; and outputs."""
    given = parser.add_argument_group(
        "on what (without a file: everybody in Aave, Spark and Morpho on the chains that --rpc and --chain name)"
    )
    given.add_argument("--book", metavar="FILE", type=Path, help="a population in Parquet or CSV, one row a leg")
    given.add_argument("--network", metavar="FILE", type=Path, help="a network of claims in JSON, or the claims in CSV")
    given.add_argument("--nodes", metavar="FILE", type=Path, help="the nodes of a network whose claims are in CSV")
    given.add_argument("--accounts", metavar="N", type=int, help="how many accounts there should be, so that missing ones count as missing")
    given.add_argument("--save-book", metavar="FILE", type=Path, help="write the population that was read to this .parquet or .csv file")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the table to this .parquet or .csv file, or the document to .json")
    parser.add_argument("--plot", metavar="DIR", type=Path, help="write plots to this folder")
    parser.add_argument("--plot-format", choices=("png", "svg"), default="png", help="of the plots (default png)")
    add_json_option(parser)
    add_chain_options(parser)


def add_impact_options(parser: argparse.ArgumentParser) -> None:
    """How sales push prices."""
    group = parser.add_argument_group("what sales do to prices")
    group.add_argument(
        "--depth",
        metavar="NAME=USD",
        action="append",
        default=[],
        help="USD whose sale takes the price to 1/e of itself; `*=USD` for all others, `inf` for one that nothing moves (repeatable)",
    )
    group.add_argument("--pools", action="store_true", help="read the other depths from pools on the chains, at the same blocks")


def check_outputs(arguments: argparse.Namespace) -> None:
    """InputError before any work is done for an output that cannot be."""
    if arguments.plot is not None:
        from aggregator.cli.plots import require_matplotlib

        require_matplotlib()
    if arguments.out is not None and arguments.out.suffix not in OUTPUTS:
        raise InputError(f"--out {arguments.out}: expected a name that ends in {', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}")
    if arguments.save_book is not None and arguments.save_book.suffix not in OUTPUTS[:-1]:
        raise InputError(f"--save-book {arguments.save_book}: expected a name that ends in .parquet or .csv")


def read_given(arguments: argparse.Namespace) -> Given:
    """What the options name. InputError where they name too much; IncompleteError where chains told of nobody."""
    if arguments.book is not None and arguments.network is not None:
        raise InputError("expected either --book or --network, not both")
    if arguments.discover:
        raise InputError("--discover is for owners' tokens; populations are found in logs as it is")
    if arguments.save_book is not None and arguments.network is not None:
        raise InputError("--save-book goes with a population, not with --network")
    if arguments.nodes is not None and arguments.network is None:
        raise InputError("--nodes goes with --network")
    if arguments.accounts is not None and (arguments.network is not None or arguments.accounts < 1):
        raise InputError("--accounts is how many accounts a population should have, at least 1")
    if arguments.book is None and arguments.network is None:
        return _live(arguments)
    named = [option for option in ("rpc", "chain", "block", "pools") if getattr(arguments, option, None)]
    if named:
        raise InputError(f"--{named[0]} reads live chains; it does not go with a file")
    from aggregator.engine.systemic.document import Source

    if arguments.network is not None:
        from aggregator.engine.systemic.network_file import read_network

        network = read_network(arguments.network, arguments.nodes)
        return Given(Source("file", arguments.network.name), None, network, None)
    from aggregator.store.book_file import read_book

    book = read_book(arguments.book)
    given = Given(Source("file", arguments.book.name, book.size), book, None, _expected(book, arguments.accounts))
    _save(arguments, book)
    return given


def _live(arguments: argparse.Namespace) -> Given:
    from aggregator.contagion.evidence import together
    from aggregator.engine.systemic.document import Source
    from aggregator.engine.systemic.population import PopulationRequest, take_population

    if not arguments.rpc and not arguments.chain and arguments.chains is None:
        raise InputError(
            "nothing to look at: expected --book FILE, --network FILE, or live chains through --rpc CHAIN=URL or --chain CHAIN"
        )
    request = PopulationRequest(arguments.chains, tuple(arguments.rpc), tuple(arguments.chain), tuple(arguments.block))
    impact: Impact | None = None
    with ProgressDisplay() as progress:
        if getattr(arguments, "pools", False):
            from aggregator.engine.systemic.depth import take_with_depth

            both = run_async(take_with_depth(request, progress.report))
            found, impact = both.population, both.impact
        else:
            found = run_async(take_population(request, progress.report))
    if found.book is None:
        reasons = found.evidence.missing or tuple(f"{one.chain}: {one.detail or 'nobody has an account'}" for one in found.snapshots)
        raise IncompleteError(f"no account was found: {'; '.join(reasons[:3])}")
    names = ", ".join(str(one.chain) for one in found.snapshots)
    parts = [found.evidence, *([own] if (own := _expected(found.book, arguments.accounts)) is not None else [])]
    _save(arguments, found.book)
    return Given(Source("chains", names, found.book.size, found.snapshots, found.gaps), found.book, None, together(parts), impact)


def _expected(book: Book, accounts: int | None) -> Evidence | None:
    from aggregator.contagion.evidence import of_book

    return None if accounts is None else of_book(book, expected_accounts=accounts)


def _save(arguments: argparse.Namespace, book: Book) -> None:
    if arguments.save_book is not None:
        from aggregator.cli.contagion_out import write_arrow
        from aggregator.store.book_file import table_of

        write_arrow(table_of(book), arguments.save_book, "--save-book")


def impact_given(arguments: argparse.Namespace, given: Given) -> Impact | None:
    """The price impact of the `--depth` options, before what pools say; None where there is neither."""
    from aggregator.engine.systemic.analysis import EVERYTHING, assets_named, impact

    depths: dict[str, float] = {}
    for text in arguments.depth:
        name, equals, value = text.rpartition("=")
        try:
            depths[name] = float(value)
        except ValueError:
            raise InputError(f"--depth {text[:80]!r}: expected NAME=USD such as WETH=40000000, or *=inf") from None
        if not equals or not depths[name] > 0.0:
            raise InputError(f"--depth {text[:80]!r}: expected NAME=USD with a positive value")
    book = given.book
    assert book is not None
    if not depths:
        return given.impact
    if given.impact is None:
        otherwise = depths.pop(EVERYTHING, float("nan"))
        return impact(book, depths, otherwise)
    import numpy as np

    from aggregator.contagion.impact import MixedImpact

    rest = depths.pop(EVERYTHING, float("nan"))
    said = np.zeros(len(book.assets), dtype=np.bool_)
    for name in depths:
        said[assets_named(book, name)] = True
    # what is said comes first, then what pools say, then what is said of all others
    which = np.where(said | (given.impact.unknown & ~np.isnan(rest)), 1, 0)
    return MixedImpact((given.impact, impact(book, depths, rest)), which)


def falls_given(arguments: argparse.Namespace) -> tuple[float, ...]:
    """Falls from nothing to `--to` in steps of `--step`, shares of 1."""
    to, step = arguments.to, arguments.step
    if not (0.0 < to <= 100.0 and 0.0 < step <= to and to / step <= 10_000):
        raise InputError(f"--to {to:g} --step {step:g}: expected falls in per cent, up to 100 in at most 10,000 steps")
    count = round(to / step + 0.499_999_999)
    return tuple(min(number * step, to) / 100.0 for number in range(count + 1))


def add_fall_options(parser: argparse.ArgumentParser) -> None:
    """Which falls a curve is drawn over."""
    parser.add_argument("--to", metavar="PERCENT", type=float, default=50.0, help="the largest fall (default 50)")
    parser.add_argument("--step", metavar="PERCENT", type=float, default=1.0, help="distance between falls (default 1)")


def finish(
    arguments: argparse.Namespace,
    document: Answer,
    columns: dict[str, list[object]],
    plots: Callable[[Path, str], list[Path]],
    report: Callable[[Console], None],
) -> int:
    """Everything that goes out: files, plots, JSON or the report; then IncompleteError (3) where too little is known."""
    text = document.model_dump_json(by_alias=True, indent=2) + "\n"
    if arguments.out is not None:
        from aggregator.cli.contagion_out import write_columns, write_text

        if arguments.out.suffix == ".json":
            write_text(text, arguments.out)
        else:
            write_columns(columns, arguments.out)
    written = plots(arguments.plot, arguments.plot_format) if arguments.plot is not None else []
    if arguments.json:
        sys.stdout.write(text)
    else:
        report(console())
        sys.stdout.writelines(f"{path}\n" for path in written)
    sys.stdout.flush()
    refuse_incomplete(document.evidence)
    return 0


def refuse_incomplete(evidence: EvidenceDocument) -> None:
    """IncompleteError (3) where the evidence is below its floor: the result is marked unknown, and one line says what is missing."""
    if not evidence.sufficient:
        share = "nothing" if evidence.known_share is None else f"{100 * float(evidence.known_share):.0f} %"
        more = f" and {len(evidence.missing) - 3} more" if len(evidence.missing) > 3 else ""
        raise IncompleteError(f"unknown: only {share} of the picture is known; missing: {'; '.join(evidence.missing[:3])}{more}")
