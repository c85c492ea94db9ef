"""The world as far as it has been observed: series of everything, and the graph of what pulls what along."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from aggregator.contagion.indicators import middle
from aggregator.publish.alerts.instant import DAY, Instant
from aggregator.publish.alerts.nodes import CausalGraph, Node, NodeKind
from aggregator.publish.alerts.observations import (
    AllocationObserved,
    BackingObserved,
    BridgeObserved,
    CurveObserved,
    MarketObserved,
    Observed,
    PriceObserved,
    ProtocolObserved,
    ReplacedObserved,
    WalletObserved,
    chain_of,
    unknown,
)
from aggregator.publish.alerts.series import KEPT, Series

ORACLE_SOURCES = ("oracle", "chainlink", "pyth", "redstone", "chronicle", "api3", "band")
"""first word of a price's source that says it is what contracts read"""
MATERIAL_SHARE = 0.1
"""of a token's supply in all its markets: from here on a market speaks for its collateral"""
WEEK = 7 * DAY
MOST_WAYS = 3
"""from one sign to those who lose by it; an alert names the largest"""
K = TypeVar("K", bound=Hashable)
O = TypeVar("O", bound=Observed)  # noqa: E741

MarketKey = tuple[str, str, str]
"""protocol, chain, market"""
PriceKey = tuple[str, str, str]
"""asset, source, venue"""
AllocationKey = tuple[str, str, str]
"""vault, chain, market"""


@dataclass(frozen=True, slots=True)
class FairPrice(Observed):
    """The market's price of a token over its venues: the median of those that still report."""

    asset: str
    usd: float
    parts: tuple[PriceObserved, ...]


def is_oracle(source: str) -> bool:
    """Whether a price of this source is what contracts read, not what is paid."""
    word = source.lower().replace("-", ":").replace("/", ":").partition(":")[0]
    return word in ORACLE_SOURCES


class Picture:
    """Takes observations in the order of time; everything it tells is about moments up to the last of them."""

    def __init__(self) -> None:
        self.markets: dict[MarketKey, Series[MarketObserved]] = {}
        self.prices: dict[PriceKey, Series[PriceObserved]] = {}
        self.fair: dict[str, Series[FairPrice]] = {}
        self.allocations: dict[AllocationKey, Series[AllocationObserved]] = {}
        self.backings: dict[str, BackingObserved] = {}
        self.bridges: dict[tuple[str, str], Series[BridgeObserved]] = {}
        self.protocols: dict[tuple[str, str], Series[ProtocolObserved]] = {}
        self.curves: dict[MarketKey, Series[CurveObserved]] = {}
        self.wallets: dict[tuple[str, str, str, str], WalletObserved] = {}
        self._accounts_of: dict[str, set[tuple[str, str, str]]] = {}
        self.graph = CausalGraph()
        self._peaks: dict[MarketKey, deque[tuple[Instant, float]]] = {}
        """by market: supplies of the last week that no later one exceeds, so the first is the highest"""
        self._market_nodes: dict[tuple[str, str], MarketKey] = {}
        self._of_collateral: dict[str, set[MarketKey]] = {}
        self._pools: dict[tuple[str, str], set[MarketKey]] = {}
        """reserves of a pool by protocol and chain: each is borrowed against all"""
        self._pools_of: dict[str, set[tuple[str, str]]] = {}
        self._price_keys: dict[str, set[PriceKey]] = {}
        self._vaults_of: dict[tuple[str, str], set[AllocationKey]] = {}
        self._of_vault: dict[str, set[AllocationKey]] = {}

    def add(self, observed: Observed) -> Series[Observed] | None:
        """Take one observation in; the series it belongs to, None for what nobody expects to come again and again."""
        match observed:
            case MarketObserved():
                return self._add_market(observed)
            case PriceObserved():
                key = (observed.asset, observed.source, observed.venue)
                self._price_keys.setdefault(observed.asset, set()).add(key)
                return _into(self.prices, key, observed, observed.usd is not None)
            case AllocationObserved():
                return self._add_allocation(observed)
            case BackingObserved():
                self.backings[observed.token] = observed
                for part in sorted(observed.shares):
                    self.graph.connect(token_node(part), token_node(observed.token))
                return None
            case BridgeObserved():
                self.graph.connect(bridge_node(observed), token_node(observed.token))
                known = observed.locked is not None and None not in observed.minted.values()
                return _into(self.bridges, (observed.token, observed.bridge), observed, known)
            case ProtocolObserved():
                return _into(self.protocols, (observed.protocol, observed.chain), observed, observed.tvl_usd is not None)
            case CurveObserved():
                key = (observed.protocol, observed.chain, observed.market)
                return _into(self.curves, key, observed, observed.liquidatable_debt_usd is not None)
            case WalletObserved():
                place = (observed.chain, observed.protocol, observed.market)
                self.wallets[(observed.owner, *place)] = observed
                self._accounts_of.setdefault(observed.owner, set()).add(place)
                return None
            case ReplacedObserved():
                if not observed.owner:
                    self._forget(observed.chain, observed.first)
                return None
            case _:
                raise TypeError(f"no rule knows {type(observed).__name__}")

    def _forget(self, chain: str, first: int) -> None:
        """Blocks of a chain were replaced, from `first` on: what was observed there is not known."""

        def gone(one: Observed) -> bool:
            return one.block is not None and one.block >= first and chain_of(one) == chain

        for key, markets in self.markets.items():
            times = set(markets.unsay(gone, unknown))
            if times and key in self._peaks:
                self._peaks[key] = deque(peak for peak in self._peaks[key] if peak[0] not in times)
        for tables in (self.prices, self.allocations, self.protocols, self.bridges, self.curves):
            for series in tables.values():
                series.unsay(gone, unknown)
        for asset, fair in tuple(self.fair.items()):
            fair.drop(lambda one: any(gone(part) for part in one.parts))
            if not fair:
                del self.fair[asset]

    def reaches(self, chain: str, first: int) -> bool:
        """Whether anything was observed at a block of a chain, from `first` on."""
        tables = (self.markets, self.prices, self.protocols)
        return any(
            (one := series.latest).block is not None and one.block >= first and chain_of(one) == chain
            for table in tables
            for series in table.values()
        )

    def price_again(self, asset: str, now: Instant) -> None:
        """The median over the venues that still report, noted for this moment."""
        parts = [
            series.latest
            for key in sorted(self._price_keys.get(asset, ()))
            if not is_oracle(key[1]) and (series := self.prices[key]).usable(now) and series.latest.usd is not None
        ]
        price = middle([part.usd for part in parts if part.usd is not None])
        if price is not None:
            self.fair.setdefault(asset, Series(KEPT)).add(FairPrice(now, asset, price, tuple(parts)))

    def oracle_prices(self, asset: str, now: Instant) -> Iterator[PriceObserved]:
        """What the contracts' oracles say of a token, each that has been seen; one that is frozen still counts, for contracts use it."""
        for key in sorted(self._price_keys.get(asset, ())):
            if is_oracle(key[1]) and self.prices[key].latest.usd is not None:
                yield self.prices[key].latest

    def fair_price(self, asset: str, moment: Instant) -> float | None:
        """Market price of a token at a moment, if it was observed in the two days before."""
        series = self.fair.get(asset)
        known = series.at(moment) if series is not None else None
        return known.usd if known is not None and moment - known.t <= 2 * DAY else None

    def high(self, asset: str, now: Instant, span: int) -> float | None:
        """Highest market price of a token within a span that ends now."""
        series = self.fair.get(asset)
        return max((one.usd for one in series.since(now - span)), default=None) if series is not None else None

    def accounts_of(self, owner: str) -> frozenset[tuple[str, str, str]]:
        """(chain, protocol, market) of an owner's accounts that were ever observed."""
        return frozenset(self._accounts_of.get(owner, ()))

    def market_node(self, key: MarketKey) -> Node:
        protocol, chain, market = key
        return Node(NodeKind.MARKET, market, chain, protocol)

    def allocated_market(self, chain: str, market: str) -> Node:
        """The market that an allocation names, which does not name the protocol."""
        key = self._market_nodes.get((chain, market))
        return self.market_node(key) if key is not None else Node(NodeKind.MARKET, market, chain)

    def market_seen(self, chain: str, market: str) -> MarketObserved | None:
        key = self._market_nodes.get((chain, market))
        return self.markets[key].latest if key is not None else None

    def markets_of(self, collateral: str) -> list[MarketKey]:
        """Markets that take a token as collateral, in order."""
        return sorted(self._of_collateral.get(collateral, ()))

    def root(self, key: MarketKey, now: Instant) -> Node:
        """What a sign in a market is about: its collateral where the market is a real part of all that is lent against it, else the
        market alone, so that one small market says nothing about ETH."""
        latest = self.markets[key].latest
        if not latest.collateral or latest.collateral == latest.loan:
            return self.market_node(key)
        own = self.size(key, now)
        everywhere = sum(self.size(one, now) for one in self.markets_of(latest.collateral))
        return token_node(latest.collateral) if own >= MATERIAL_SHARE * everywhere else self.market_node(key)

    def size(self, key: MarketKey, now: Instant) -> float:
        """The most that was supplied to a market within a week, USD; what could not be read counts as nothing here."""
        peaks = self._peaks.get(key)
        while peaks and peaks[0][0] < now - WEEK:
            peaks.popleft()
        return peaks[0][1] if peaks else 0.0

    def borrowed_at(self, oracle: PriceObserved) -> float | None:
        """USD borrowed at an oracle's price of a token: in the markets that take it and the pools that hold it, of the protocol and the
        market that the oracle names, else of all. None where none of them told it."""
        token, protocol = oracle.asset, oracle.source.partition(":")[2]
        pooled = [key for pool in sorted(self._pools_of.get(token, ())) for key in sorted(self._pools[pool])]
        keys = [*self.markets_of(token), *pooled]
        named = [key for key in keys if key[0] == protocol] or keys
        named = [key for key in named if f"{key[1]}/{key[2]}/".startswith(f"{oracle.venue}/")] or named
        known = [amount for key in named if (amount := self.markets[key].latest.borrow_usd) is not None]
        return sum(known) if known else None

    def exposed_vaults(self, chain: str, market: str, most: int = 5) -> list[tuple[str, float]]:
        """(vault, USD) of the largest suppliers of a market that are known."""
        latest = [self.allocations[key].latest for key in sorted(self._vaults_of.get((chain, market), ()))]
        held = [(one.vault, one.usd) for one in latest if one.usd]
        return sorted(held, key=lambda pair: (-pair[1], pair[0]))[:most]

    def dependants(self, node: Node) -> list[tuple[Node, ...]]:
        """The ways along which a sign at a token or in a market reaches those who lose by it, the largest first: from a token to what is
        made of it, to the markets that lend against it and their protocols, in a pool by way of what is borrowed most; from a market to
        the vaults that lend there and to its protocol."""
        if node.kind is NodeKind.TOKEN:
            made: list[tuple[Node, ...]] = [
                (token_node(token),) for token, one in sorted(self.backings.items()) if one.shares.get(node.name)
            ]
            lent = sorted(self._lent_against(node.name), key=lambda pair: (-pair[0], pair[1]))
            return [*made[:MOST_WAYS], *(way for _, way in lent[:MOST_WAYS])]
        if node.kind is NodeKind.MARKET:
            vaults: list[tuple[Node, ...]] = [(vault_node(vault),) for vault, _ in self.exposed_vaults(node.chain, node.name, MOST_WAYS)]
            return [*vaults, (_protocol_of(node),)] if node.protocol else vaults
        return []

    def _lent_against(self, token: str) -> Iterator[tuple[float, tuple[Node, ...]]]:
        """(USD borrowed, way) of the markets with a token as collateral and the pools with it as a reserve where anything is borrowed."""
        for key in self.markets_of(token):
            if borrowed := self.markets[key].latest.borrow_usd:
                yield borrowed, (self.market_node(key), _protocol_of(self.market_node(key)))
        for pool in sorted(self._pools_of.get(token, ())):
            keys = sorted(self._pools[pool])
            own = [key for key in keys if self.markets[key].latest.loan == token and self.markets[key].latest.supply_usd]
            others = [(amount, key) for key in keys if key not in own and (amount := self.markets[key].latest.borrow_usd)]
            if own and others:
                first, most = self.market_node(own[0]), self.market_node(max(others)[1])
                yield sum(amount for amount, _ in others), (first, most, _protocol_of(first))

    def allocations_of(self, vault: str) -> list[AllocationKey]:
        return sorted(self._of_vault.get(vault, ()))

    def exposure(self, chain: str, market: str) -> list[AllocationKey]:
        """Everybody's allocations to the same thing: to all markets of the market's collateral, else to the market itself."""
        seen = self.market_seen(chain, market)
        if seen is None or not seen.collateral or seen.collateral == seen.loan:
            return sorted(self._vaults_of.get((chain, market), ()))
        places = sorted({(key[1], key[2]) for key in self._of_collateral[seen.collateral]})
        return [key for place in places for key in sorted(self._vaults_of.get(place, ()))]

    def subject(self, observed: Observed) -> Node:
        """What an observation is about."""
        match observed:
            case MarketObserved() | CurveObserved():
                return Node(NodeKind.MARKET, observed.market, observed.chain, observed.protocol)
            case PriceObserved():
                return token_node(observed.asset)
            case AllocationObserved():
                return vault_node(observed.vault)
            case BackingObserved():
                return token_node(observed.token)
            case BridgeObserved():
                return bridge_node(observed)
            case ProtocolObserved():
                return Node(NodeKind.PROTOCOL, observed.protocol, observed.chain)
            case WalletObserved():
                return Node(NodeKind.OWNER, observed.owner)
            case _:
                raise TypeError(f"no rule knows {type(observed).__name__}")

    def _add_market(self, observed: MarketObserved) -> Series[Observed]:
        key = (observed.protocol, observed.chain, observed.market)
        node = self.market_node(key)
        if key not in self.markets:
            self._market_nodes.setdefault((observed.chain, observed.market), key)
            for chain in ("", observed.chain):
                self.graph.connect(node, Node(NodeKind.PROTOCOL, observed.protocol, chain))
            for allocation in sorted(self._vaults_of.get((observed.chain, observed.market), ())):
                self.graph.connect(node, vault_node(allocation[0]))
        for token in (observed.collateral, observed.loan):
            if token:
                self.graph.connect(token_node(token), node)
        if observed.collateral and observed.collateral != observed.loan:
            self._of_collateral.setdefault(observed.collateral, set()).add(key)
        else:
            self._pools.setdefault(key[:2], set()).add(key)
            self._pools_of.setdefault(observed.loan, set()).add(key[:2])
        if observed.supply_usd is not None:
            peaks = self._peaks.setdefault(key, deque())
            while peaks and peaks[-1][1] <= observed.supply_usd:
                peaks.pop()
            peaks.append((observed.t, observed.supply_usd))
        return _into(self.markets, key, observed, observed.supply_usd is not None and observed.borrow_usd is not None)

    def _add_allocation(self, observed: AllocationObserved) -> Series[Observed]:
        key = (observed.vault, observed.chain, observed.market)
        self._vaults_of.setdefault((observed.chain, observed.market), set()).add(key)
        self._of_vault.setdefault(observed.vault, set()).add(key)
        if observed.usd:
            self.graph.connect(self.allocated_market(observed.chain, observed.market), vault_node(observed.vault))
        return _into(self.allocations, key, observed, observed.usd is not None)


def _into(table: dict[K, Series[O]], key: K, observed: O, complete: bool) -> Series[Observed]:
    series = table.setdefault(key, Series())
    series.add(observed, complete)
    return series  # type: ignore[return-value]  # read as a series of anything from here on


def _protocol_of(market: Node) -> Node:
    return Node(NodeKind.PROTOCOL, market.protocol, market.chain)


def token_node(token: str) -> Node:
    return Node(NodeKind.TOKEN, token)


def vault_node(vault: str) -> Node:
    return Node(NodeKind.VAULT, vault)


def bridge_node(observed: BridgeObserved) -> Node:
    """A bridge as it serves one token: another token's ledger is another story."""
    return Node(NodeKind.BRIDGE, observed.bridge, "", observed.token)
