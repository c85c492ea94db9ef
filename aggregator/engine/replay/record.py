"""Recording a history from live chains: what the population says of markets, prices, protocols and wallets, moment after moment.

The moment is the newest block's time, not the clock's: a row says when its figures were true.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import numpy as np

from aggregator.contagion.evidence import FLOOR
from aggregator.contagion.shadow import shadow
from aggregator.engine.replay.record_file import HistoryFile
from aggregator.engine.systemic.population import LivePopulation
from aggregator.model.book import Book, Floats, Legs
from aggregator.model.identifiers import AssetId, ChainId
from aggregator.publish.alerts.instant import SECOND, Instant
from aggregator.publish.alerts.observations import CurveObserved, MarketObserved, Observed, PriceObserved, ProtocolObserved, WalletObserved
from aggregator.publish.alerts.wallet_signals import CURVE_FALL
from aggregator.reading.registry import registry

ORACLE = "oracle"
"""source of prices that a protocol's contracts use; followed by `:protocol`, with chain and market as the venue"""
FEEDS = "feeds"
"""source of what the market pays, as far as the price feeds know"""


@dataclass(frozen=True, slots=True)
class Tick:
    """One moment that was recorded: rows written, and what could not be read."""

    t: Instant
    rows: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sums:
    """By reserve: whole tokens as collateral and as debt, NaN where a leg is not known."""

    collateral: Floats
    debt: Floats


def moment(population: LivePopulation) -> Instant | None:
    """Time of the newest block that was read; None where no chain was."""
    times = [snapshot.block.timestamp for snapshot in population.snapshots if snapshot.block is not None]
    return max(times) * SECOND if times else None


def observe(population: LivePopulation, t: Instant, wallets: bool = False) -> tuple[Observed, ...]:
    """Rows of one reading. A figure that could not be read is None; of a chain that was not reached there is no row at all.

    A market whose lenders are no accounts gives one row with its collateral; a pool gives one row a reserve, without collateral.
    Tokens that the registry knows go by their symbol on every chain, all others by their CAIP-19 id: anybody may call a token USDC.
    """
    book = population.book
    if book is None:
        return ()
    blocks = {snapshot.chain: snapshot.block.number for snapshot in population.snapshots if snapshot.block is not None}
    sums = _Sums(_by_reserve(book.collateral), _by_reserve(book.debt))
    found: list[Observed] = [*_prices(book, t, blocks), *_markets(population, book, sums, t, blocks)]
    found += _protocols(book, found, sums, t, blocks)
    # of wallets that are told of one by one, the rules make the curve themselves
    found += _wallets(book, t, blocks) if wallets else _curves(book, t, blocks)
    return tuple(found)


def token_name(asset: AssetId) -> str:
    """How a token is called in a history."""
    known = registry().token(asset)
    return known.symbol if known is not None else str(asset)


def _by_reserve(legs: Legs) -> Floats:
    ends = np.concatenate([[0.0], np.cumsum(legs.amounts)])
    if not np.isnan(ends[-1]):
        return np.asarray(ends[legs.pointers[1:]] - ends[legs.pointers[:-1]])
    parts = zip(legs.pointers[:-1].tolist(), legs.pointers[1:].tolist(), strict=True)
    return np.array([float(np.sum(legs.amounts[start:end])) for start, end in parts])


def _figure(value: float) -> float | None:
    return None if math.isnan(value) else max(0.0, float(value))


def _prices(book: Book, t: Instant, blocks: dict[ChainId, int]) -> Iterator[PriceObserved]:
    """What the market pays, once a token and chain; and what each market's contract takes for it."""
    for asset, price in zip(book.assets, book.prices.tolist(), strict=True):
        chain = ChainId(str(asset.asset).partition("/")[0])
        yield PriceObserved(t, token_name(asset.asset), _figure(price), FEEDS, str(chain), block=blocks.get(chain))
    seen: set[tuple[int, int]] = set()
    columns = zip(book.reserves.asset.tolist(), book.reserves.market.tolist(), book.reserves.oracle_price.tolist(), strict=True)
    for code, number, price in columns:
        if (code, number) in seen:
            continue
        seen.add((code, number))
        market = book.markets[number]
        venue = f"{market.chain}/{market.market}"
        yield PriceObserved(
            t, token_name(book.assets[code].asset), _figure(price), f"{ORACLE}:{market.protocol}", venue, block=blocks.get(market.chain)
        )


def _markets(population: LivePopulation, book: Book, sums: _Sums, t: Instant, blocks: dict[ChainId, int]) -> Iterator[MarketObserved]:
    for number, market in enumerate(book.markets):
        mine = np.flatnonzero(book.reserves.market == number)
        supplied = population.supplied.get((market.chain, market.protocol, market.market))
        names = (market.protocol, str(market.chain))
        block = blocks.get(market.chain)
        codes = list(dict.fromkeys(book.reserves.asset[mine].tolist()))
        if supplied:
            pledged = [code for code in codes if book.assets[code].asset not in supplied]
            collateral = token_name(book.assets[pledged[0]].asset) if pledged else ""
            for asset, raw in supplied.items():
                code = next(code for code in codes if book.assets[code].asset == asset)
                price, debt = float(book.prices[code]), _of(book, sums.debt, mine, code)
                held = raw / 10 ** book.assets[code].decimals
                yield MarketObserved(
                    t, *names, market.market, collateral, token_name(asset), _figure(held * price), _figure(debt * price), block=block
                )
            continue
        for code in codes:
            price = float(book.prices[code])
            held, debt = (_of(book, side, mine, code) * price for side in (sums.collateral, sums.debt))
            name = token_name(book.assets[code].asset)
            yield MarketObserved(t, *names, f"{market.market}/{name}", "", name, _figure(held), _figure(debt), block=block)


def _of(book: Book, amounts: Floats, mine: np.ndarray[tuple[int], np.dtype[np.intp]], code: int) -> float:
    """Whole tokens of an asset in a market, over the reserves that differ in their terms only."""
    return float(np.sum(amounts[mine[book.reserves.asset[mine] == code]]))


def _protocols(book: Book, found: list[Observed], sums: _Sums, t: Instant, blocks: dict[ChainId, int]) -> Iterator[ProtocolObserved]:
    """What stands in a protocol on a chain: supplies not lent out, and collateral that is no supply."""
    by_protocol: dict[tuple[str, str], list[float]] = {}
    for one in found:
        if isinstance(one, MarketObserved):
            idle = one.supply_usd - one.borrow_usd if one.supply_usd is not None and one.borrow_usd is not None else math.nan
            by_protocol.setdefault((one.protocol, one.chain), []).append(idle)
            if one.collateral:
                by_protocol[(one.protocol, one.chain)].append(_pledged(book, sums, one))
    for (protocol, chain), values in by_protocol.items():
        yield ProtocolObserved(t, protocol, _figure(sum(values)), chain, block=blocks.get(ChainId(chain)))


def _pledged(book: Book, sums: _Sums, one: MarketObserved) -> float:
    numbers = [
        n
        for n, market in enumerate(book.markets)
        if (market.protocol, str(market.chain), market.market) == (one.protocol, one.chain, one.market)
    ]
    mine = np.flatnonzero(np.isin(book.reserves.market, numbers) & ~(sums.collateral == 0))
    return float(np.sum(sums.collateral[mine] * book.market_prices[mine]))


def _wallets(book: Book, t: Instant, blocks: dict[ChainId, int]) -> Iterator[WalletObserved]:
    """Every account that owes something, at the oracle's price and at the market's."""
    both = shadow(book)
    oracle = book.reserves.oracle_price
    pledged, owed = book.sums(book.collateral, book.reserves.seizable(oracle)), book.sums(book.debt, oracle)
    for account in np.flatnonzero(~(owed == 0)).tolist():
        market = book.markets[int(book.account_market[account])]
        yield WalletObserved(
            t,
            f"{market.chain}:{book.owner(account)}",
            str(market.chain),
            market.protocol,
            market.market,
            _finite(float(both.oracle.factor[account])),
            _finite(float(both.shadow.factor[account])),
            _finite(float(pledged[account])),
            _finite(float(owed[account])),
            block=blocks.get(market.chain),
        )


def _curves(book: Book, t: Instant, blocks: dict[ChainId, int]) -> Iterator[CurveObserved]:
    """What collateral 10 % lower would make liquidatable in each market; None where too much of its debt cannot be judged."""
    health = book.health()
    owing = ~(health.debt == 0)
    falls = health.weighted * (1 - CURVE_FALL) < health.debt
    for number, market in enumerate(book.markets):
        mine = (book.account_market == number) & owing
        unknown = int(np.count_nonzero(health.unknown & mine))
        judged = unknown <= (1 - FLOOR) * np.count_nonzero(mine)
        usd = float(np.sum(health.debt[mine & falls & ~health.unknown])) if judged else None
        yield CurveObserved(t, market.protocol, str(market.chain), market.market, usd, block=blocks.get(market.chain))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


async def record(
    read: Callable[[], Awaitable[LivePopulation]],
    file: HistoryFile,
    *,
    every: float,
    ticks: int | None = None,
    wallets: bool = False,
    told: Callable[[Tick], None] = lambda tick: None,
) -> int:
    """Write moments until cancelled, or until there are `ticks` of them; rows written. A reading without a newer block writes nothing,
    for nothing has happened; one that reaches no chain is told and tried again."""
    done = 0
    loop = asyncio.get_running_loop()
    while ticks is None or done < ticks:
        started = loop.time()
        population = await read()
        t = moment(population)
        missing = tuple(f"{gap.protocol or gap.chain}: {gap.what}: {gap.why}" for gap in population.gaps)
        if t is not None and (file.last is None or t > file.last):
            rows = file.write(observe(population, t, wallets))
            file.last = t
            done += 1
            told(Tick(t, rows, missing))
        elif t is None:
            done += 1
            told(Tick(0, 0, missing or ("no chain could be read",)))
        if ticks is None or done < ticks:
            await asyncio.sleep(max(0.0, every - (loop.time() - started)))
    return file.rows
