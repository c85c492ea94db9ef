"""`crossmargin adapters [check]`: what is supported where, and each adapter's quality tier."""

from __future__ import annotations

import argparse
import json
import sys

from aggregator.cli.common import add_json_option, console, run_async
from aggregator.model.errors import IncompleteError
from aggregator.reading.adapter import Adapter
from aggregator.reading.catalogue import adapters
from aggregator.reading.venue import VenueAdapter
from aggregator.reading.venue_manifest import venues


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("check",), help="check: run the laws that need no chain on every adapter")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    return _check(arguments.json) if arguments.action == "check" else _list(arguments.json)


def _list(as_json: bool) -> int:
    known = adapters()
    if as_json:
        rows = {"adapters": [_row(adapter) for adapter in known], "venues": [_venue_row(one) for one in venues()]}
        json.dump({"schema": "crossmargin/adapters/1", **rows}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    from rich.table import Table

    from aggregator.chains.configuration import load_chains

    chains = load_chains().chains
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("adapter", "tier", "family", "chains", "capabilities"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("adapter", "tier"))
    for adapter in known:
        manifest = adapter.manifest
        names = [chains[chain].short_name if chain in chains else chain for chain in manifest.deployments]
        capabilities = [f"{name.value} {support.value}" for name, support in manifest.capabilities.items()]
        table.add_row(manifest.slug, manifest.tier.value, manifest.family, " ".join(names), ", ".join(capabilities))
    out = console()
    out.print(table)
    trading = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("venue", "tier", "accounts by", "capabilities"):
        trading.add_column(heading, overflow="fold", no_wrap=heading in ("venue", "tier"))
    for one in venues():
        capabilities = [f"{name.value} {support.value}" for name, support in one.manifest.capabilities.items()]
        trading.add_row(one.slug, one.manifest.tier.value, one.manifest.account, ", ".join(capabilities))
    out.print()
    out.print(trading)
    return 0


def _check(as_json: bool) -> int:
    results = run_async(_problems())
    failed = {slug: problems for slug, problems in results.items() if problems}
    if as_json:
        json.dump({"schema": "crossmargin/adapter-check/1", "problems": results}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        out = console()
        for slug, problems in results.items():
            out.print(f"{slug:16} {'; '.join(problems) if problems else 'keeps every law'}")
    if failed:
        raise IncompleteError(f"{len(failed)} of {len(results)} adapters break a law: {', '.join(failed)}")
    return 0


async def _problems() -> dict[str, list[str]]:
    from aggregator.reading.kit import law_problems

    return {adapter.slug: await law_problems(adapter) for adapter in adapters()}


def _row(adapter: Adapter) -> dict[str, object]:
    manifest = adapter.manifest
    return {
        "slug": manifest.slug,
        "name": manifest.name,
        "family": manifest.family,
        "tier": manifest.tier.value,
        "documentation": manifest.documentation,
        "capabilities": {name.value: support.value for name, support in manifest.capabilities.items()},
        "deployments": {
            chain: [{"market": one.market, "contracts": dict(one.contracts), "source": one.source} for one in instances]
            for chain, instances in manifest.deployments.items()
        },
    }


def _venue_row(adapter: VenueAdapter) -> dict[str, object]:
    manifest = adapter.manifest
    return {
        "slug": manifest.slug,
        "name": manifest.name,
        "tier": manifest.tier.value,
        "documentation": manifest.documentation,
        "capabilities": {name.value: support.value for name, support in manifest.capabilities.items()},
        "account": manifest.account,
        "base_url": manifest.base_url,
        "limits": {"weight": manifest.limits.weight, "period_seconds": manifest.limits.period_seconds, "source": manifest.limits.source},
        "source": manifest.source,
    }
