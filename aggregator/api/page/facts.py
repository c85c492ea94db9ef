"""What the page has to know before it asks anything: what chains and protocols are called, and how a chance becomes a score."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from aggregator.chains.configuration import ChainsConfiguration, load_chains
from aggregator.reading.catalogue import adapters
from aggregator.reading.venue_manifest import venues
from aggregator.risk.score import POINTS

NAME = "facts.js"


def facts_module(configuration: ChainsConfiguration | None = None, examples: Mapping[str, str] | None = None) -> bytes:
    """An ES module of constants. `configuration`: the chains that are read, the shipped ones by default; `examples`: an owner's
    address to one sentence about it, for those who have none at hand."""
    chains = configuration if configuration is not None else load_chains()
    named = {one.slug: one.manifest.name for one in adapters()} | {one.slug: one.manifest.name for one in venues()}
    constants: dict[str, object] = {
        "CHAINS": {chain: chains[chain].name for chain in chains.ids()},
        "PROTOCOLS": named,
        "SCORE": POINTS,
        "EXAMPLES": dict(examples or {}),
    }
    return b"".join(b"export const %s = %s\n" % (name.encode(), orjson.dumps(value)) for name, value in constants.items())
