"""The live haircut of assets: feeds, their history and the pools' depth from the chains, judged as a holding of one size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from aggregator.chains.arguments import parse_block_pin, resolve_chain, rpc_overrides
from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import ChainsConfiguration, load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.engine.haircuts_depth import Pools, depths, read_pools
from aggregator.model.errors import EndpointError, InputError
from aggregator.model.identifiers import Address, AssetId, ChainId, asset_chain, erc20, native, parse_address, parse_chain
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, Position, Side
from aggregator.model.price import Price, PriceBook, PriceQuality, PriceSeries
from aggregator.model.snapshot import Gap, Snapshot, SnapshotStatus
from aggregator.model.token import Token, TokenKind
from aggregator.prices.answers import FeedAnswers
from aggregator.prices.book import price_book
from aggregator.prices.history import best_series
from aggregator.prices.reader import PriceReader
from aggregator.reading.registry import Registry, registry
from aggregator.risk.classes import FactorClass
from aggregator.risk.exposure import expose
from aggregator.risk.haircut_depth import Depth
from aggregator.risk.haircut_implied import with_implied
from aggregator.risk.haircut_time import LiquidationTime
from aggregator.risk.haircuts import Haircut, HaircutModel
from aggregator.risk.policy import DEFAULT, Policy
from aggregator.risk.valuation import value_portfolio
from aggregator.risk.volatility import Volatility, by_factor, volatilities

Progress = Callable[[ChainId, str], None]

UNKNOWN_AGE = 86_400
"""age of a price that no feed gives: the longest heartbeat in use"""
DEPTH_OF_AT_MOST = 8
"""tokens of a chain whose pools are read"""
HOLDER = Address("0x" + "00" * 20)
SCALE = 6


@dataclass(frozen=True, slots=True)
class HaircutRequest:
    """What a person asks for, as written. `assets` empty: every listed token of the chains."""

    assets: tuple[str, ...] = ()
    size_usd: Decimal = Decimal(10_000)
    implied: Mapping[str, float] = field(default_factory=dict)
    """a year's implied volatility by factor"""
    chains_file: Path | None = None
    rpc: tuple[str, ...] = ()
    only_chains: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssetHaircut:
    """One asset's haircut and what it rests on."""

    token: Token
    haircut: Haircut
    time: LiquidationTime
    volatility: Volatility
    age_seconds: int | None
    """of the price; None where there is none, and UNKNOWN_AGE was taken"""
    depth: Depth | None
    """of its pools on its chain, where they were read"""
    notes: tuple[str, ...]
    """what was not known, and what stood in for it"""


@dataclass(frozen=True, slots=True)
class HaircutRun:
    """Everything that one command gives."""

    size_usd: Decimal
    snapshots: tuple[Snapshot, ...]
    haircuts: tuple[AssetHaircut, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What one chain told for haircuts."""

    snapshot: Snapshot
    feeds: FeedAnswers | None = None
    history: tuple[PriceSeries, ...] = ()
    pools: Pools = field(default_factory=Pools)
    gaps: tuple[Gap, ...] = ()


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
                _read(network.client(chain), own, pins.get(chain), listed, bool(request.assets), report)
                for chain, own in by_chain.items()
                if _configured(chain, configuration)
            )
        )
    return judged(request, tokens, facts)


def chosen_tokens(words: Sequence[str], chains: Sequence[ChainId], listed: Registry) -> tuple[Token, ...]:
    """Tokens by CAIP-19 id or symbol on these chains; all listed ones without a word. InputError for a word that names none."""
    known: list[Token] = []
    for chain in chains:
        own = listed.tokens(chain)
        if own:
            known += [listed.native(chain), *own.values()]
    if not words:
        return tuple(sorted(known, key=lambda token: (chains.index(token.chain), token.symbol.lower(), token.asset)))
    found: dict[AssetId, Token] = {}
    for word in words:
        if "/" in word:
            asset = parse_asset(word)
            if asset_chain(asset) not in chains:
                raise InputError(f"{word}: its chain is not read")
            token = listed.token(asset) or Token(asset, "?", 18, TokenKind.UNKNOWN, asset, "discovered")
            found[token.asset] = token
            continue
        named = [token for token in known if token.symbol.lower() == word.lower()]
        if not named:
            raise InputError(f"{word}: no token of that name is listed on the chains that are read; a CAIP-19 id names any")
        found.update({token.asset: token for token in named})
    return tuple(found.values())


def parse_asset(text: str) -> AssetId:
    """A CAIP-19 id of a token or a native currency; InputError for anything else."""
    chain, _, name = text.partition("/")
    namespace, _, reference = name.partition(":")
    if namespace == "erc20":
        return erc20(parse_chain(chain), parse_address(reference))
    if namespace == "slip44" and reference.isdecimal():
        return native(parse_chain(chain), int(reference))
    raise InputError(f"{text}: expected a symbol or a CAIP-19 id such as eip155:1/erc20:0x…")


def judged(request: HaircutRequest, tokens: Sequence[Token], facts: Sequence[ChainFacts], policy: Policy = DEFAULT) -> HaircutRun:
    """Haircuts from what was read. Pure."""
    listed = registry()
    feeds = [one.feeds for one in facts if one.feeds is not None]
    traded = {token for one in facts for pair in one.pools.pairs for token in (pair.sold, pair.paid)}
    traded |= {token for one in facts for pool in one.pools.pools for token in (pool.sold, pool.paid)}
    prices = price_book([*tokens, *traded], feeds)
    series = by_factor(best_series(one for chain in facts for one in chain.history))
    pools = {asset: depth for one in facts for asset, depth in depths(one.pools, prices).items()}
    unread = {asset for one in facts for asset in one.pools.unread}
    known = []
    for token in tokens:
        contract = _contract(token, listed)
        known.append(_judge(token, request, prices, series, policy, pools.get(contract), contract in unread))
    return HaircutRun(request.size_usd, tuple(one.snapshot for one in facts), tuple(known), tuple(gap for one in facts for gap in one.gaps))


def _judge(
    token: Token,
    request: HaircutRequest,
    prices: PriceBook,
    series: Mapping[str, PriceSeries],
    policy: Policy,
    depth: Depth | None,
    unread: bool,
) -> AssetHaircut:
    price = prices.get(token.asset)
    age = price.age_seconds if price is not None and price.value is not None else None
    notes = [] if age is not None else [f"no price on chain: taken to be {UNKNOWN_AGE // 3600} hours old"]
    # one position of the asked size; the price does not matter, so a token is taken to be worth 1 USD
    leg = Leg(token.asset, token.symbol, SCALE, Side.IDLE, int(request.size_usd.scaleb(SCALE)), 0, ())
    held = Portfolio((), (), (), (Position(token.chain, "wallet", token.asset, HOLDER, (leg,)),), tokens={token.asset: token})
    one = Decimal(1)
    worth = {token.asset: Price(token.asset, one, one, one, age or 0, PriceQuality.FRESH, 1.0, ("asked",))}
    exposures = expose(held, value_portfolio(held, worth))
    moving = volatilities(exposures.factors, exposures.classes, series)
    (factor,) = exposures.factors
    if factor in request.implied:
        moving = {factor: with_implied(moving[factor], request.implied[factor])}
    if moving[factor].path is None:
        notes.append(f"no usable price history of {factor}: its class, {moving[factor].factor_class.value}, stands in")
    if exposures.classes[factor] is FactorClass.UNKNOWN:
        notes.append("not listed: taken to be as bad as such tokens are")
    if depth is None:
        notes.append("pools were not told: volume of the class only" if unread else "no pools read: volume of the class only")
    model = HaircutModel(exposures, moving, policy, {(token.chain, factor): depth} if depth is not None else {})
    seconds = float(age if age is not None else UNKNOWN_AGE)
    cut = model.haircut(exposures.leg_shapes[None, 0, 0], seconds, token.asset)
    return AssetHaircut(token, cut, model.time(0, seconds, token.chain), moving[factor], age, depth, tuple(notes))


async def _read(
    client: ChainClient, tokens: Sequence[Token], number: int | None, listed: Registry, with_depth: bool, report: Progress
) -> ChainFacts:
    chain = client.chain
    report(chain, "head")
    try:
        block = await pin_block(client, number)
    except EndpointError as error:
        return _unreachable(chain, str(error))
    reader = PriceReader(chain)
    sold = list(dict.fromkeys(_sold(token, listed) for token in tokens))[:DEPTH_OF_AT_MOST] if with_depth and listed.tokens(chain) else []
    async with PinnedReads(client, block) as reads:
        report(chain, "feeds and pools")

        async def histories() -> tuple[FeedAnswers, tuple[PriceSeries, ...]]:
            answers = await reader.read_feeds(reads)
            return answers, await reader.read_history(reads, sorted({token.factor for token in tokens}), answers)

        (feeds, history), pools = await asyncio.gather(histories(), read_pools(reads, chain, sold, listed))
        silence = reads.silence or reads.orphaned
    report(chain, "done")
    if silence:
        return _unreachable(chain, silence)
    gaps = tuple(Gap(chain, "prices", f"price history of {factor}", why) for factor, why in sorted(reader.unread_history.items()))
    return ChainFacts(Snapshot(chain, block, SnapshotStatus.OK), feeds, history, pools, gaps)


def _unreachable(chain: ChainId, why: str) -> ChainFacts:
    gap = Gap(chain, "*", "prices, their history and pools", why)
    return ChainFacts(Snapshot(chain, None, SnapshotStatus.UNREACHABLE, why), gaps=(gap,))


def _configured(chain: ChainId, configuration: ChainsConfiguration) -> bool:
    return chain in configuration.chains


def _sold(token: Token, listed: Registry) -> Token:
    """What pools know the token as."""
    return listed.wrapped_native(token.chain) if token.kind is TokenKind.NATIVE else token


def _contract(token: Token, listed: Registry) -> AssetId:
    return _sold(token, listed).asset if listed.tokens(token.chain) else token.asset
