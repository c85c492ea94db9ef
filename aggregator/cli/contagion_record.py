"""`crossmargin contagion record FILE`: a history from live chains, in the format that `contagion replay` reads."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.common import add_chain_options, add_json_option, run_async
from aggregator.model.errors import IncompleteError, InputError

if TYPE_CHECKING:
    from aggregator.engine.replay.record import Tick
    from aggregator.engine.replay.record_file import HistoryFile

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

SUMMARY = "a history from live chains, in the format that replay reads"
EVERY_SECONDS = 60.0
SHOWN_GAPS = 3


def add_record(subparsers: Subparsers) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "record",
        help=SUMMARY,
        description="Reads everybody in Aave, Spark and Morpho again and again and appends what their markets hold, what prices are and "
        "what oracles say to a history. Ends with Ctrl-C, or after --ticks; an existing history is continued.",
        allow_abbrev=False,
    )
    parser.add_argument("history", metavar="HISTORY", type=Path, help="file to append to; - writes to standard output")
    parser.add_argument("--every", metavar="SECONDS", type=float, default=EVERY_SECONDS, help="between readings (default 60)")
    parser.add_argument("--ticks", metavar="N", type=int, help="end after so many moments")
    parser.add_argument("--wallets", action="store_true", help="also a row for every account that owes something")
    add_json_option(parser)
    add_chain_options(parser)
    parser.set_defaults(contagion_run=run_record)


def run_record(arguments: argparse.Namespace) -> int:
    """0 when anything was recorded; IncompleteError (3) where no reading told anything."""
    if arguments.block or arguments.discover:
        raise InputError("record follows the heads of chains: --block and --discover do not go with it")
    if not 0 < arguments.every < 1e6:
        raise InputError("--every is a number of seconds above 0")
    if arguments.ticks is not None and arguments.ticks < 1:
        raise InputError("--ticks is a number of moments, at least 1")
    if not arguments.rpc and not arguments.chain and arguments.chains is None:
        raise InputError("nothing to record: expected live chains through --rpc CHAIN=URL or --chain CHAIN")
    from aggregator.engine.replay.record_file import HistoryFile

    with HistoryFile(arguments.history) as file:
        try:
            run_async(_record(arguments, file))
        except KeyboardInterrupt:
            # Ctrl-C is how a recording ends; every moment that was told is on the disk
            if not file.rows:
                raise
        if not file.rows:
            raise IncompleteError(f"nothing was recorded: {arguments.history} is as it was")
    return 0


async def _record(arguments: argparse.Namespace, file: HistoryFile) -> None:
    from aggregator.chains.arguments import rpc_overrides
    from aggregator.chains.configuration import load_chains
    from aggregator.chains.network import Network
    from aggregator.engine.replay.record import record
    from aggregator.engine.systemic.population import LivePopulation, PopulationReader, PopulationRequest

    configuration = load_chains(arguments.chains)
    request = PopulationRequest(only_chains=tuple(arguments.chain) or tuple(word.partition("=")[0] for word in arguments.rpc))
    async with Network(configuration, rpc_overrides=rpc_overrides(arguments.rpc, configuration)) as network:
        reader = PopulationReader(network)

        async def read() -> LivePopulation:
            return await reader.take(request)

        told = _tell_json if arguments.json and not file.to_stdout else _tell
        await record(read, file, every=arguments.every, ticks=arguments.ticks, wallets=arguments.wallets, told=told)


def _tell(tick: Tick) -> None:
    """One line a moment on stderr: stdout may be the history."""
    from aggregator.publish.alerts.escaping import plain
    from aggregator.publish.alerts.instant import show_instant

    gaps = [plain(one) for one in tick.missing[:SHOWN_GAPS]]
    more = f" and {len(tick.missing) - SHOWN_GAPS} more" if len(tick.missing) > SHOWN_GAPS else ""
    what = f"{show_instant(tick.t)}: {tick.rows} rows" if tick.rows else "nothing read"
    sys.stderr.write(f"{what}{'; missing: ' if gaps else ''}{'; '.join(gaps)}{more}\n")
    sys.stderr.flush()


def _tell_json(tick: Tick) -> None:
    from aggregator.publish.alerts.instant import show_instant

    document = {"t": show_instant(tick.t) if tick.rows else None, "rows": tick.rows, "missing": tick.missing}
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
