"""The live haircut of assets: feeds, their history and the pools' depth from the chains, judged as a holding of one size."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal

from aggregator.chains.arguments import parse_block_pin, resolve_chain, rpc_overrides
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.engine.chain import ChainMemory, Progress
from aggregator.engine.haircuts_judgement import AssetHaircut, Movements, asset_facts, histories, judge_asset
from aggregator.engine.haircuts_reading import read_facts
from aggregator.engine.haircuts_request import HaircutRequest, chosen_tokens
from aggregator.model.identifiers import ChainId
from aggregator.model.snapshot import Gap, Snapshot
from aggregator.model.token import Token
from aggregator.reading.registry import registry


@dataclass(frozen=True, slots=True)
class HaircutRun:
    """Haircuts and the blocks they stand on."""

    size_usd: Decimal
    snapshots: tuple[Snapshot, ...]
    haircuts: tuple[AssetHaircut, ...]
    gaps: tuple[Gap, ...]


async def take_haircuts(request: HaircutRequest, progress: Progress | None = None) -> HaircutRun:
    """Read what the request needs, and judge. InputError for what the request gets wrong; what chains do not tell is in the gaps."""
    configuration = load_chains(request.chains_file)
    chains = tuple(dict.fromkeys(resolve_chain(text, configuration) for text in request.only_chains)) or tuple(configuration.chains)
    pins = dict(parse_block_pin(text, configuration) for text in request.blocks)
    listed = registry()
    tokens = chosen_tokens(request.assets, chains, listed)
    by_chain: dict[ChainId, list[Token]] = {}
    for token in tokens:
        by_chain.setdefault(token.chain, []).append(token)
    report = progress if progress is not None else (lambda _chain, _stage: None)
    async with Network(configuration, rpc_overrides=rpc_overrides(request.rpc, configuration)) as network:
        facts = await asyncio.gather(
            *(
                read_facts(network.client(chain), ChainMemory(), own, listed, report, time.time, pins.get(chain))
                for chain, own in by_chain.items()
                if chain in configuration.chains
            )
        )
    movements = Movements(histories(facts), request.implied)
    return HaircutRun(
        request.size_usd,
        tuple(one.snapshot for one in facts),
        tuple(judge_asset(one, request.size_usd, movements) for one in asset_facts(tokens, facts, listed)),
        tuple(gap for one in facts for gap in one.gaps),
    )
