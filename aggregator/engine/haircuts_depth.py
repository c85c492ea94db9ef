"""The depth of a chain's pools in a token: constant-product pairs and concentrated pools against the chain's usual money.

Three rounds at one pinned block: pools with their price and liquidity; the bitmaps of ticks down to the edge; the ticks themselves. Pools
whose own price is further than the edge from the believed price are left out: selling into them is no way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log, log1p
from typing import Any

from aggregator.model.identifiers import Address, AssetId, ChainId, asset_address
from aggregator.model.outcome import Unknown, Value
from aggregator.model.price import PriceBook
from aggregator.model.token import Token
from aggregator.reading.abi import Function
from aggregator.reading.catalogue import adapters
from aggregator.reading.reads import Read, Reads
from aggregator.reading.registry import Registry
from aggregator.risk.haircut_depth import EDGE, Depth, Segment, concentrated, constant_product, together

GET_PAIR = Function("getPair(address,address)(address)")
GET_RESERVES = Function("getReserves()(uint112,uint112,uint32)")
GET_POOL = Function("getPool(address,address,uint24)(address)")
SLOT0 = Function("slot0()(uint160,int24)")
LIQUIDITY = Function("liquidity()(uint128)")
TICK_BITMAP = Function("tickBitmap(int16)(uint256)")
TICKS = Function("ticks(int24)(uint128,int128)")

PAIR_FEE = 0.003
SPACINGS = {100: 1, 500: 10, 3_000: 60, 10_000: 200}
"""tick spacing by fee in millionths"""
PAIRS, POOLS = "uniswap-v2", "uniswap-v3"
"""interface families of pools: every manifest of such a family has a factory"""
MONEY = ("USDC", "USDT", "DAI")
"""beside the wrapped native currency"""
BASE = 1.0001
WORD = 256


@dataclass(frozen=True, slots=True)
class PairState:
    """Reserves in raw units of what is sold and of what is paid."""

    sold: Token
    paid: Token
    reserve_sold: int
    reserve_paid: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """A concentrated pool: the sale moves the tick down when what is sold is token0, else up."""

    sold: Token
    paid: Token
    fee: int
    sqrt_price: int
    tick: int
    liquidity: int
    net: Mapping[int, int]
    """liquidity that comes in when a tick is crossed upwards, on the way that is walked"""


@dataclass(frozen=True, slots=True)
class Pools:
    """What was read of one chain; `unread` names what was there and not told."""

    pairs: tuple[PairState, ...] = ()
    pools: tuple[PoolState, ...] = ()
    unread: frozenset[AssetId] = frozenset()


@dataclass(slots=True)
class _Asked:
    sold: Token
    paid: Token
    fee: int
    address: Read[Any]
    slot: Read[Any]
    liquidity: Read[Any]


async def read_pools(reads: Reads, chain: ChainId, tokens: Sequence[Token], listed: Registry) -> Pools:
    """Pools of `tokens` (of a native currency its wrapper) against the chain's money. Never raises for what a chain may answer."""
    factories = _factories(chain)
    quotes = _money(chain, listed)
    pairs: list[tuple[Token, Token, Read[Any], Read[Any]]] = []
    asked: list[_Asked] = []
    for token in tokens:
        for quote in quotes:
            sold, paid = asset_address(token.asset), asset_address(quote.asset)
            if sold is None or paid is None or sold == paid:
                continue
            for factory in factories[PAIRS]:
                pair = reads.call(factory, GET_PAIR, sold, paid)
                pairs.append((token, quote, pair, reads.call(pair.word(0), GET_RESERVES, when=pair.word(0))))
            for factory in factories[POOLS]:
                for fee in SPACINGS:
                    pool = reads.call(factory, GET_POOL, sold, paid, fee)
                    slot = reads.call(pool.word(0), SLOT0, when=pool.word(0))
                    asked.append(_Asked(token, quote, fee, pool, slot, reads.call(pool.word(0), LIQUIDITY, when=pool.word(0))))
    unread: set[AssetId] = set()
    found_pairs = []
    for token, quote, pair, reserves in pairs:
        match await reserves:
            case Value((first, second, _)) if first and second:
                forward = is_first(token, quote)
                found_pairs.append(PairState(token, quote, *((first, second) if forward else (second, first))))
            case Unknown():
                if not isinstance(await pair, Value) or _there(await pair):
                    unread.add(token.asset)
    pools = await _walk(reads, asked, unread)
    return Pools(tuple(found_pairs), pools, frozenset(unread))


@dataclass(frozen=True, slots=True)
class _Live:
    """A pool with a price."""

    sold: Token
    paid: Token
    fee: int
    address: Address
    sqrt_price: int
    tick: int
    liquidity: int

    @property
    def down(self) -> bool:
        return is_first(self.sold, self.paid)


async def _walk(reads: Reads, asked: Iterable[_Asked], unread: set[AssetId]) -> tuple[PoolState, ...]:
    """The ticks of live pools on the way down of what is sold."""
    live = [found for one in asked if (found := await _live(one, unread)) is not None]
    maps = [{word: reads.call(one.address, TICK_BITMAP, word) for word in _words(one.tick, SPACINGS[one.fee], one.down)} for one in live]
    initialised = [await _initialised(words, one) for one, words in zip(live, maps, strict=True)]
    ticks = [{at: reads.call(one.address, TICKS, at) for at in found or ()} for one, found in zip(live, initialised, strict=True)]
    pools = []
    for one, known, under_way in zip(live, initialised, ticks, strict=True):
        outcomes = {at: await read for at, read in under_way.items()}
        net = {at: int(outcome.value[1]) for at, outcome in outcomes.items() if isinstance(outcome, Value)}
        if known is None or len(net) < len(under_way):
            unread.add(one.sold.asset)
        else:
            pools.append(PoolState(one.sold, one.paid, one.fee, one.sqrt_price, one.tick, one.liquidity, net))
    return tuple(pools)


async def _live(one: _Asked, unread: set[AssetId]) -> _Live | None:
    """None for a pool that is not there or has no price; one that is there and was not told is noted in `unread`."""
    address, slot, liquidity = await one.address, await one.slot, await one.liquidity
    if isinstance(address, Value) and isinstance(slot, Value) and isinstance(liquidity, Value):
        sqrt_price, tick = slot.value
        return _Live(one.sold, one.paid, one.fee, Address(address.value), sqrt_price, tick, liquidity.value) if sqrt_price else None
    if any(isinstance(outcome, Unknown) for outcome in (address, slot, liquidity)) and _there(address):
        unread.add(one.sold.asset)
    return None


async def _initialised(words: Mapping[int, Read[Any]], one: _Live) -> list[int] | None:
    """Ticks on the way that hold liquidity; None where a bitmap was not told."""
    found: list[int] = []
    for word, read in words.items():
        outcome = await read
        if not isinstance(outcome, Value):
            return None
        found += [at for at in _set_ticks(word, outcome.value, SPACINGS[one.fee]) if _on_the_way(at, one.tick, one.down)]
    return found


def depths(pools: Pools, prices: PriceBook) -> dict[AssetId, Depth]:
    """Depth by token, of the tokens for which a pool at the believed price was read. A token that was not wholly read has none."""
    found: dict[AssetId, list[Depth]] = {}
    for pair in pools.pairs:
        own, unit = _usd(pair.sold, prices), _usd(pair.paid, prices)
        paid = pair.reserve_paid / 10**pair.paid.decimals
        price = paid / (pair.reserve_sold / 10**pair.sold.decimals)
        if own is not None and unit is not None and _believed(price * unit, own):
            found.setdefault(pair.sold.asset, []).append(constant_product(paid * unit, PAIR_FEE))
    for pool in pools.pools:
        own, unit = _usd(pool.sold, prices), _usd(pool.paid, prices)
        down = is_first(pool.sold, pool.paid)
        price = _price(pool.sqrt_price, pool, down)
        if own is not None and unit is not None and _believed(price * unit, own):
            found.setdefault(pool.sold.asset, []).append(concentrated(segments(pool, down), price, unit, pool.fee / 1e6))
    return {asset: together(every) for asset, every in found.items() if asset not in pools.unread}


def segments(pool: PoolState, down: bool) -> list[Segment]:
    """Liquidity on the way from the pool's price to the last tick that was read, at most the edge."""
    scale = 10.0 ** (-(pool.sold.decimals + pool.paid.decimals) / 2)
    end = pool.tick + (-_reach() if down else _reach())
    made, liquidity, top = [], pool.liquidity, _price(pool.sqrt_price, pool, down)
    for at in (*sorted(pool.net, reverse=down), end):
        bottom = _tick_price(at, pool, down)
        if bottom < top:
            made.append(Segment(max(liquidity, 0) * scale, bottom, top))
            top = bottom
        if at in pool.net:
            liquidity += -pool.net[at] if down else pool.net[at]
    return made


def _factories(chain: ChainId) -> Mapping[str, list[Address]]:
    found: dict[str, list[Address]] = {PAIRS: [], POOLS: []}
    for adapter in adapters():
        own = found.get(adapter.manifest.family)
        if own is not None:
            own += [one.contracts["factory"] for one in adapter.manifest.deployments.get(chain, ()) if "factory" in one.contracts]
    return found


def _money(chain: ChainId, listed: Registry) -> list[Token]:
    tokens = listed.tokens(chain)
    dollars = [token for token in tokens.values() if token.symbol in MONEY]
    return [listed.wrapped_native(chain), *sorted(dollars, key=lambda one: one.asset)] if tokens else []


def is_first(sold: Token, paid: Token) -> bool:
    """Whether what is sold is token0 of its pools: tokens are in the order of their addresses, and its sale moves the tick down."""
    first, second = asset_address(sold.asset), asset_address(paid.asset)
    return first is not None and second is not None and int(first, 16) < int(second, 16)


def _there(outcome: object) -> bool:
    return isinstance(outcome, Unknown) or (isinstance(outcome, Value) and int(str(outcome.value), 16) != 0)


def _reach() -> int:
    return ceil(-log1p(-EDGE) / log(BASE)) + 1


def _words(tick: int, spacing: int, down: bool) -> range:
    far = tick - _reach() if down else tick + _reach()
    low, high = sorted((tick // spacing, far // spacing))
    return range(low // WORD, high // WORD + 1)


def _set_ticks(word: int, bits: int, spacing: int) -> list[int]:
    return [(word * WORD + bit) * spacing for bit in range(WORD) if bits >> bit & 1]


def _on_the_way(at: int, tick: int, down: bool) -> bool:
    """Downwards a tick at or below the present one is crossed, upwards one above it."""
    return tick - _reach() <= at <= tick if down else tick < at <= tick + _reach()


def _price(sqrt_price: int, pool: PoolState, down: bool) -> float:
    """What is paid for one whole unit of what is sold."""
    raw = (sqrt_price / 2**96) ** 2
    return _whole(raw if down else 1.0 / raw, pool)


def _tick_price(tick: int, pool: PoolState, down: bool) -> float:
    return _whole(BASE**tick if down else BASE**-tick, pool)


def _whole(raw: float, pool: PoolState) -> float:
    return float(raw * 10.0 ** (pool.sold.decimals - pool.paid.decimals))


def _usd(token: Token, prices: PriceBook) -> float | None:
    price = prices.get(token.asset)
    return float(price.value) if price is not None and price.value else None


def _believed(pool: float, book: float) -> bool:
    return abs(pool / book - 1.0) <= EDGE
