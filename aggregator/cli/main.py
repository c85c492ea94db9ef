"""The command `crossmargin`: finds the subcommand, runs it, and turns what goes wrong into one line and an exit code.

0 success · 1 a fault of ours · 2 bad input · 3 too incomplete to answer · 130 interrupted. A subcommand is a module with
`configure(parser)` and `run(arguments) -> int`; only the one that is asked for is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from aggregator.model.errors import CrossmarginError, InputError

COMMANDS = {
    "health": "the portfolio of one or more owners and its unified health",
    "margin": "what every margin method requires of one or more owners, or of a portfolio file",
    "what-if": "the same portfolio after actions and a shock: who is liquidated, in which order, and the way back",
    "haircuts": "the dynamic haircut and its parts; its record on a recorded history",
    "score": "the liquidation probability's record on a recorded history",
    "serve": "the live service: API, stream, alerts and web page over the chains as they move",
    "keys": "API keys for what the service lets only some write",
    "verify": "whether a signed margin score is good, without any chain or service",
    "contagion": "what spreads: alerts over a recorded history, and such histories from live chains",
    "localnet": "local chains with the real protocol contracts and seeded owners",
    "adapters": "what is supported where, and each adapter's quality tier",
}
"""help line by name; the module is `aggregator.cli.NAME`, with dashes as underscores"""

INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def parser(only: str | None) -> Parser:
    """The whole parser, of which only the named command knows its options."""
    top = Parser(
        prog="crossmargin", description="Cross-chain, multi-protocol collateral: one portfolio, one margin health.", allow_abbrev=False
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False)
        if name == only:
            module(name).configure(sub)
    return top


def module(name: str) -> ModuleType:
    """The command's module."""
    return importlib.import_module(f"aggregator.cli.{name.replace('-', '_')}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. Never raises but for SystemExit of `--help`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except CrossmarginError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has gone; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("CROSSMARGIN_DEBUG"):
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (CROSSMARGIN_DEBUG=1 shows where)", 1)


def _run(words: list[str]) -> int:
    named = next((word for word in words if not word.startswith("-")), None)
    top = parser(named)
    parsed = top.parse_args(words)
    if parsed.command is None:
        top.print_help()
        return 0
    code = module(parsed.command).run(parsed)
    sys.stdout.flush()
    return int(code)


def _fail(message: str, code: int) -> int:
    """One line on stderr, whatever the message holds."""
    line = " ".join(message.split())
    try:
        sys.stderr.write(f"crossmargin: {''.join(c if c.isprintable() else '?' for c in line)}\n")
        sys.stderr.flush()
    except OSError:
        pass
    return code


if __name__ == "__main__":
    sys.exit(main())
