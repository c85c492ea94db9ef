"""`World`: the three chains and everything that the deployers put on them.

A deployer records what it made as a frozen dataclass of its own, by chain or by (chain, name)::

    world.record(1, LendingDeployment(pool=..., ...))
    world.recorded(LendingDeployment)[1].pool

Records hold only what JSON can (addresses and other text, whole numbers, Decimals, tuples, dicts with text or whole
numbers as keys, nested dataclasses): they are written beside the chains' dumped states and read back from there.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter

from aggregator.localnet import market
from aggregator.localnet.artifacts import OWN, Artifacts
from aggregator.localnet.compiling import Artifact
from aggregator.localnet.node import DEPLOYER, LocalChain
from aggregator.localnet.progress import Progress, silent

CHAINS = (1, 42161, 8453)
Key = int | tuple[int, str]
Record = TypeVar("Record")


class WorldError(RuntimeError):
    """Something was asked for that is not there."""


@dataclass(frozen=True, slots=True)
class Token:
    """A fungible token. ``supply`` says how ``World.mint`` makes more: ``mint(address,uint256)`` sent by ``issuer``,
    ``wrap`` of native currency, or not at all (``none``: shares and the like, to be got as anybody would)."""

    chain_id: int
    symbol: str
    address: str
    decimals: int
    issuer: str = DEPLOYER
    supply: Literal["mint", "wrap", "none"] = "mint"


@dataclass(frozen=True, slots=True)
class Feed:
    """A Chainlink-shaped price feed: ``proxies`` all show the one current ``aggregator``.

    ``symbol``: whose USD price it is in ``World.prices``, empty for a rate between two tokens; ``heartbeat``: seconds
    after which a round is written even when nothing moved.
    """

    chain_id: int
    description: str
    symbol: str
    proxies: tuple[str, ...]
    aggregator: str
    decimals: int
    heartbeat: int


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody to try the aggregator on: the same ``address`` on every chain; ``story``: one sentence for people;
    ``chains``: where he holds anything, in the order of ``CHAINS``."""

    name: str
    address: str
    story: str
    chains: tuple[int, ...]


@dataclass(slots=True)
class World:
    """What every deployer, owner and scenario shares."""

    chains: dict[int, LocalChain]
    artifacts: Artifacts
    seed: int = 1
    progress: Progress = silent
    prices: dict[str, Decimal] = field(default_factory=lambda: dict(market.PRICES))
    """USD a whole token, by symbol, as the feeds show them now; changed by ``set_price``."""
    tokens: dict[tuple[int, str], Token] = field(default_factory=dict)
    feeds: dict[tuple[int, str], Feed] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()
    """Everybody who was put on the chains, in the order of their themes."""
    _records: dict[type[object], dict[Key, object]] = field(default_factory=dict)

    # -- contracts and tokens ---------------------------------------------------------------------------------------

    def artifact(self, package: str, name: str) -> Artifact:
        """``artifact("localnet", "ManagedToken")`` (compiled sources, by contract name) or a file of a package."""
        return self.artifacts.get(package, name)

    def own(self, name: str) -> bytes:
        """The init code of one of our own contracts."""
        return self.artifact(OWN, name).code

    def token(self, chain_id: int, symbol: str) -> Token:
        try:
            return self.tokens[chain_id, symbol]
        except KeyError:
            raise WorldError(f"no token {symbol} on chain {chain_id}") from None

    def add_token(self, token: Token) -> Token:
        self.tokens[token.chain_id, token.symbol] = token
        return token

    def owner(self, name: str) -> Owner:
        for one in self.owners:
            if one.name == name:
                return one
        raise WorldError(f"no owner {name}")

    async def mint(self, chain_id: int, symbol: str, to: str, amount_raw: int) -> None:
        """New tokens for ``to``, in the smallest unit. Allowed inside ``chain.block()``."""
        chain, token = self.chains[chain_id], self.token(chain_id, symbol)
        if token.supply == "mint":
            await chain.send(token.issuer, token.address, "mint(address,uint256)", to, amount_raw)
        elif token.supply == "wrap":
            await chain.send(DEPLOYER, token.address, "deposit()", value=amount_raw)
            await chain.send(DEPLOYER, token.address, "transfer(address,uint256)", to, amount_raw)
        else:
            raise WorldError(f"{symbol} on chain {chain_id} cannot be minted")

    async def balance(self, chain_id: int, symbol: str, owner: str) -> int:
        token = self.token(chain_id, symbol)
        return cast(int, (await self.chains[chain_id].call(token.address, "balanceOf(address)(uint256)", owner))[0])

    # -- prices -----------------------------------------------------------------------------------------------------

    def feed(self, chain_id: int, description: str) -> Feed:
        try:
            return self.feeds[chain_id, description]
        except KeyError:
            raise WorldError(f"no feed {description!r} on chain {chain_id}") from None

    async def set_price(self, chain_id: int, description: str, price: Decimal) -> None:
        """Write a new round of the feed (``"ETH / USD"``) at its block's time, and keep ``prices`` in step.

        What follows this price (stETH follows ETH) is moved by the same factor, its own feed on the chain too. To
        move a follower alone, set its own feed afterwards. Allowed inside ``chain.block()``.
        """
        feed = self.feed(chain_id, description)
        await self._transmit(feed, price)
        old = self.prices.get(feed.symbol)
        if old is None:
            return
        for symbol in (feed.symbol, *market.FOLLOWERS.get(feed.symbol, ())):
            self.prices[symbol] *= price / old
        for follower in self.feeds.values():
            if follower.chain_id == chain_id and follower.symbol in market.FOLLOWERS.get(feed.symbol, ()):
                await self._transmit(follower, self.prices[follower.symbol])

    async def _transmit(self, feed: Feed, price: Decimal) -> None:
        answer = int(price.scaleb(feed.decimals).to_integral_value())
        await self.chains[feed.chain_id].send(DEPLOYER, feed.aggregator, "transmit(int192)", answer)

    async def refresh_feeds(self, chain_id: int, *, older_than: int = 0) -> None:
        """Write every feed's present answer again (one block), where it is older than ``older_than`` seconds."""
        chain = self.chains[chain_id]
        feeds = [feed for feed in self.feeds.values() if feed.chain_id == chain_id]
        signature = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
        answers = await chain.calls([(feed.aggregator, signature, ()) for feed in feeds])
        now = await chain.now()
        async with chain.block():
            for feed, (_, answer, _, updated, _) in zip(feeds, answers, strict=True):
                if now - cast(int, updated) >= older_than:
                    await chain.send(DEPLOYER, feed.aggregator, "transmit(int192)", answer)

    async def set_price_everywhere(self, description: str, price: Decimal) -> None:
        """``set_price`` on every chain that has the feed."""
        for chain_id in self.chains:
            if (chain_id, description) in self.feeds:
                await self.set_price(chain_id, description, price)

    # -- what was deployed ------------------------------------------------------------------------------------------

    def record(self, key: Key, deployment: object) -> None:
        """Keep a deployment record under a chain id, or under (chain id, name) where a chain has several."""
        self._records.setdefault(type(deployment), {})[key] = deployment

    def recorded(self, kind: type[Record]) -> Mapping[Key, Record]:
        """All records of a type, by the keys they were kept under."""
        return cast(Mapping[Key, Record], self._records.get(kind, {}))

    # -- keeping ----------------------------------------------------------------------------------------------------

    def document(self) -> dict[str, object]:
        """Everything but the chains' states, as JSON can hold it."""
        return {
            "seed": self.seed,
            "prices": {symbol: str(price) for symbol, price in self.prices.items()},
            "tokens": _plain(list[Token], sorted(self.tokens.values(), key=lambda one: (one.chain_id, one.symbol))),
            "feeds": _plain(list[Feed], sorted(self.feeds.values(), key=lambda one: (one.chain_id, one.description))),
            "owners": _plain(tuple[Owner, ...], self.owners),
            "records": [
                {
                    "kind": f"{kind.__module__}:{kind.__qualname__}",
                    "key": list(key) if isinstance(key, tuple) else key,
                    "value": _plain(kind, values[key]),
                }
                for kind, values in sorted(self._records.items(), key=lambda item: item[0].__qualname__)
                for key in sorted(values, key=str)
            ],
        }

    def restore(self, document: Mapping[str, Any]) -> None:
        """Read back what ``document`` gave."""
        self.seed = document["seed"]
        self.prices = {symbol: Decimal(price) for symbol, price in document["prices"].items()}
        for token in _typed(list[Token], document["tokens"]):
            self.add_token(token)
        for feed in _typed(list[Feed], document["feeds"]):
            self.feeds[feed.chain_id, feed.description] = feed
        self.owners = _typed(tuple[Owner, ...], document["owners"])
        for entry in document["records"]:
            module, _, name = entry["kind"].partition(":")
            kind: type[object] = getattr(importlib.import_module(module), name)
            key: Key = tuple(entry["key"]) if isinstance(entry["key"], list) else entry["key"]
            self.record(key, _typed(kind, entry["value"]))


def _plain(kind: type[Record], value: Record) -> object:
    return TypeAdapter(kind).dump_python(value, mode="json")


def _typed(kind: type[Record], value: object) -> Record:
    return TypeAdapter(kind).validate_json(json.dumps(value))
