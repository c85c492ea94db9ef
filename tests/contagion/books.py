"""Random and tiny populations for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies

from aggregator.model.book import HALF_IF_MILD, Book, BookAsset, BookMarket, Codes, Floats, Legs, LiquidationRule, Reserves
from aggregator.model.identifiers import AssetId, ChainId

CHAINS = ("eip155:1", "eip155:42161")


def codes(values: Sequence[int]) -> Codes:
    return np.array(values, dtype=np.int32)


def owners(count: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Addresses 1, 2, 3 …"""
    digits = np.zeros((count, 20), dtype=np.uint8)
    digits[:, 16:] = np.arange(1, count + 1, dtype=">u4").view(np.uint8).reshape(-1, 4)
    return digits.view("V20").ravel()


def small_book(
    wallets: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
    prices: Mapping[str, float],
    threshold: float | Mapping[str, float] = 0.8,
    bonus: float | Mapping[str, float] = 0.05,
    rule: LiquidationRule = HALF_IF_MILD,
    oracles: Mapping[str, float] | None = None,
) -> Book:
    """One market; wallets as (collateral, debt) by asset name, in whole tokens; oracle prices are the prices unless given."""
    names = list(prices)
    of = {name: code for code, name in enumerate(names)}
    sides: list[Legs] = []
    for side in (0, 1):
        rows = [(account, of[name], amount) for account, wallet in enumerate(wallets) for name, amount in wallet[side].items()]
        account, reserve, amount = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        sides.append(Legs.build(account.astype(np.int32), reserve.astype(np.int32), amount, len(names)))
    given = {**prices, **(oracles or {})}
    by_name = {
        "threshold": [threshold[name] if isinstance(threshold, Mapping) else threshold for name in names],
        "bonus": [bonus[name] if isinstance(bonus, Mapping) else bonus for name in names],
    }
    numbers = codes(range(len(names)))
    return Book(
        tuple(BookAsset(AssetId(f"eip155:1/slip44:{code + 1}"), name) for code, name in enumerate(names)),
        np.array([float(prices[name]) for name in names]),
        (BookMarket(ChainId("eip155:1"), "pool", "0x01", rule=rule),),
        Reserves(
            numbers,
            codes([0] * len(names)),
            numbers,
            np.array([float(given[name]) for name in names]),
            np.array(by_name["threshold"], dtype=np.float64),
            np.array(by_name["bonus"], dtype=np.float64),
        ),
        codes([0] * len(wallets)),
        sides[0],
        sides[1],
        owners(len(wallets)),
    )


def random_book(
    seed: int,
    accounts: int = 120,
    assets: int = 6,
    markets: int = 3,
    legs: tuple[float, float] = (2.0, 1.5),
    rule: LiquidationRule = HALF_IF_MILD,
    factors: tuple[float, float] = (1.02, 2.5),
) -> Book:
    """Wallets with a health between `factors`, several collateral and debt assets, sizes from dust to whales."""
    random = np.random.default_rng(seed)
    prices = np.exp(random.normal(3.0, 2.0, assets))
    prices[0] = 1.0
    count = assets * markets
    asset, market = np.tile(np.arange(assets), markets), np.repeat(np.arange(markets), assets)
    reserves = Reserves(
        codes(asset.tolist()),
        codes(market.tolist()),
        codes(asset.tolist()),
        prices[asset],
        random.uniform(0.5, 0.9, count),
        random.uniform(0.02, 0.12, count),
    )
    home = random.integers(0, markets, accounts)
    sides = []
    for mean, owed in zip(legs, (False, True), strict=True):
        number = np.minimum(1 + random.poisson(mean - 1.0, accounts), assets)
        account = np.repeat(np.arange(accounts), number)
        choice = np.concatenate([random.permutation(assets)[:size] for size in number])
        sides.append((account, home[account] * assets + choice, random.lognormal(8.0, 2.0, len(account)) / prices[choice], owed))
    (account, reserve, amount, _), (debtor, borrowed, owed_amount, _) = sides
    weighted = np.bincount(account, amount * reserves.oracle_price[reserve] * reserves.threshold[reserve], accounts)
    debt = np.bincount(debtor, owed_amount * reserves.oracle_price[borrowed], accounts)
    target = weighted / (debt * random.uniform(*factors, accounts))
    return Book(
        tuple(BookAsset(AssetId(f"eip155:1/slip44:{code + 1}"), f"A{code}") for code in range(assets)),
        prices,
        tuple(
            BookMarket(ChainId(CHAINS[number % 2]), f"protocol-{number // 2}", f"0x{number:02x}", rule=rule) for number in range(markets)
        ),
        reserves,
        home.astype(np.uint8),
        Legs.build(account, reserve, amount, count),
        Legs.build(debtor, borrowed, owed_amount * target[debtor], count),
        owners(accounts),
    )


def permuted(book: Book, order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Book:
    """The same accounts in another order: row i of the result is row order[i]."""
    place = np.empty(book.size, dtype=np.int32)
    place[order] = np.arange(book.size, dtype=np.int32)
    sides = [Legs.build(place[side.accounts], side.reserves(), side.amounts, len(book.reserves)) for side in (book.collateral, book.debt)]
    names = None if book.owners is None else book.owners[order]
    return Book(book.assets, book.prices, book.markets, book.reserves, book.account_market[order], sides[0], sides[1], names)


def shocked(book: Book, moves: Floats) -> Floats:
    """Oracle prices of the reserves when asset prices are multiplied by `moves`."""
    return book.oracle_prices(book.prices * moves)


seeds = strategies.integers(0, 2**32 - 1)
