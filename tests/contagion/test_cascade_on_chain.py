"""A shock on the local chains: whom the simulation says is liquidated in the first round, is; and what he repays and loses is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
import pytest

from aggregator.contagion.cascade import CascadeResult, cascade
from aggregator.contagion.impact import no_impact
from aggregator.contagion.liquidations import LiquidationTerms, Pairing
from aggregator.engine.systemic import analysis
from aggregator.engine.systemic.population import PopulationRequest, take_population
from aggregator.localnet import controls
from aggregator.localnet.deploy import lending, morpho
from aggregator.localnet.deploy.lending import LendingMarket, LendingReserve
from aggregator.localnet.deploy.shared import LIQUIDITY_PROVIDER, provide
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World
from aggregator.model.book import Book, Floats, Legs
from aggregator.model.identifiers import evm_chain

pytestmark = pytest.mark.localnet

LIQUIDATOR = "0x" + "1a" * 20
EVERYTHING = 2**256 - 1
BALANCE = "balanceOf(address)(uint256)"
CALL = "liquidationCall(address,address,address,uint256,bool)"
MARKET = "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)"
CLOSE = 1e-9
"""relative: the contracts round prices to 8 decimals and amounts to the token's own; the book carries floats of both"""


@dataclass(frozen=True)
class Expected:
    """One liquidation of the first round: whole tokens of the pair, and the account's bad debt in USD."""

    account: int
    collateral: int
    debt: int
    seized: float
    repaid: float
    bad_debt: float


@pytest.fixture
async def still(world: World) -> AsyncIterator[World]:
    """The world with its clocks stopped: blocks are made at the same second, so no interest comes between reading and liquidating."""
    for chain in world.chains.values():
        await chain.rpc("anvil_setBlockTimestampInterval", 0)
    try:
        yield world
    finally:
        for chain in world.chains.values():
            await chain.rpc("anvil_setBlockTimestampInterval", chain.spacing)


async def _book(world: World) -> Book:
    urls = tuple(f"{evm_chain(chain_id)}={chain.url}" for chain_id, chain in world.chains.items())
    found = await take_population(PopulationRequest(rpc=urls, only_chains=tuple(str(evm_chain(chain_id)) for chain_id in world.chains)))
    assert found.book is not None and found.evidence.sufficient
    return found.book


def _first_round(book: Book) -> tuple[CascadeResult, dict[int, Expected]]:
    """The simulation's first round with the exact engine, and for every liquidated account what it says."""
    terms = LiquidationTerms(Pairing.BEST_PAIR, dust_usd=0.0)
    result = cascade(book, book.prices, no_impact(len(book.assets)), terms=terms, maximum_rounds=1)
    taken, paid = _moved(book.collateral, result.collateral), _moved(book.debt, result.debt)
    expected = {}
    for account in np.flatnonzero(result.first_round).tolist():
        seized = [(reserve, amount) for reserve, amount in taken.get(account, ()) if amount > 0.0]
        if not seized:
            assert result.account_repaid[account] == 0.0, "without collateral a debt is written off and nobody repays"
            continue
        ((reserve, amount),) = seized
        oracle = book.reserves.oracle_price
        repaid_usd, bad = float(result.account_repaid[account]), float(result.account_bad_debt[account])
        debts = paid[account]
        chosen = debts[0][0] if len(debts) == 1 else _repaid_reserve(book, debts, repaid_usd, bad)
        expected[account] = Expected(account, reserve, chosen, amount, repaid_usd / float(oracle[chosen]), bad)
    return result, expected


def _repaid_reserve(book: Book, debts: list[tuple[int, float]], repaid: float, bad: float) -> int:
    """Of several debts that fell, the others by being written off, the one that was repaid: the best pair takes the largest."""
    values = {reserve: amount * float(book.reserves.oracle_price[reserve]) for reserve, amount in debts}
    assert sum(values.values()) == pytest.approx(repaid + bad, rel=1e-9)
    return max(values, key=lambda reserve: values[reserve])


def _moved(before: Legs, after: Legs) -> dict[int, list[tuple[int, float]]]:
    """By account: (reserve, whole tokens that are gone)."""
    result: dict[int, list[tuple[int, float]]] = {}
    gone: Floats = before.amounts - after.amounts
    reserves = before.reserves()
    for place in np.flatnonzero(gone).tolist():
        result.setdefault(int(before.accounts[place]), []).append((int(reserves[place]), float(gone[place])))
    return result


def _address(book: Book, reserve: int) -> str:
    return str(book.assets[int(book.reserves.asset[reserve])].asset).rpartition(":")[2]


def _units(book: Book, reserve: int, raw: int) -> float:
    return float(Fraction(raw, 10 ** book.assets[int(book.reserves.asset[reserve])].decimals))


def _listed(market: LendingMarket, address: str) -> LendingReserve:
    return next(one for one in market.reserves.values() if one.asset.lower() == address)


async def _liquidated_in_pool(world: World, market: LendingMarket, book: Book, said: Expected) -> tuple[float, float, float, float]:
    """(seized, repaid, USD of debt that nobody paid, USD of it still on the books), as the pool did it."""
    chain, owner = world.chains[market.chain_id], book.owner(said.account)
    seized, owed = _listed(market, _address(book, said.collateral)), _listed(market, _address(book, said.debt))
    debts = list(market.reserves.values())
    tokens = [(token, BALANCE, (owner,)) for token in (seized.a_token, *(one.variable_debt_token for one in debts))]
    before = [cast(int, value) for (value,) in await chain.calls(tokens)]
    wanted = int(said.repaid * 10 ** world.token(market.chain_id, owed.symbol).decimals)
    given = wanted * 2 + 10
    await lending.give(world, market.chain_id, owed.symbol, LIQUIDATOR, given)
    had = await world.balance(market.chain_id, owed.symbol, LIQUIDATOR)
    for allowance in (0, EVERYTHING):  # one of the tokens wants it to be zero in between
        await chain.send(LIQUIDATOR, owed.asset, "approve(address,uint256)", market.pool, allowance)
    try:
        await chain.send(LIQUIDATOR, market.pool, CALL, seized.asset, owed.asset, owner, EVERYTHING, False)
    except LocalChainError as error:
        assert "MustNotLeaveDust" in str(error), error
        await chain.send(LIQUIDATOR, market.pool, CALL, seized.asset, owed.asset, owner, wanted, False)
    after = [cast(int, value) for (value,) in await chain.calls(tokens)]
    spent = had - await world.balance(market.chain_id, owed.symbol, LIQUIDATOR)
    prices = await chain.calls([(market.oracle, "getAssetPrice(address)(uint256)", (one.asset,)) for one in debts])
    scales = [10 ** (8 + world.token(market.chain_id, one.symbol).decimals) for one in debts]
    worth = [cast(int, price) / scale for (price,), scale in zip(prices, scales, strict=True)]
    gone = sum((old - new) * unit for old, new, unit in zip(before[1:], after[1:], worth, strict=True))
    left = sum(new * unit for new, unit in zip(after[1:], worth, strict=True))
    repaid_usd = spent * worth[debts.index(owed)]
    return _units(book, said.collateral, before[0] - after[0]), _units(book, said.debt, spent), gone - repaid_usd, left


def _of(book: Book, expected: dict[int, Expected], *protocols: str) -> list[tuple[Expected, str, int, str]]:
    """Liquidations in some protocols, each with the protocol, the chain id and the market."""
    found = []
    for account, said in expected.items():
        at = book.markets[int(book.account_market[account])]
        if at.protocol in protocols:
            found.append((said, at.protocol, int(at.chain.rpartition(":")[2]), at.market))
    return found


@pytest.mark.parametrize(("factor", "least"), [("0.8", 20), ("0.93", 3)])
async def test_the_first_round_is_what_the_pools_do(still: World, factor: str, least: int) -> None:
    """Everybody who is liquidated, one after the other: at the same prices and the same second, order does not matter."""
    await controls.move_price(still, "ETH", factor)
    book = await _book(still)
    result, expected = _first_round(book)
    cases = _of(book, expected, "aave-v3", "spark")
    assert len(cases) >= least
    for account in np.flatnonzero((result.first_round == 0) & (book.health().debt > 0.0)).tolist():
        at = book.markets[int(book.account_market[account])]
        if at.protocol in ("aave-v3", "spark"):
            market = lending.aave(still, int(at.chain.rpartition(":")[2])) if at.protocol == "aave-v3" else lending.spark(still)
            assert (await lending.account(still, market, book.owner(account))).health_factor >= 10**18, "nobody is forgotten"
    for said, protocol, chain_id, _ in cases:
        market = lending.aave(still, chain_id) if protocol == "aave-v3" else lending.spark(still)
        seized, repaid, written_off, left = await _liquidated_in_pool(still, market, book, said)
        assert seized == pytest.approx(said.seized, rel=CLOSE)
        assert repaid == pytest.approx(said.repaid, rel=CLOSE)
        unpaid = left if protocol == "spark" and said.bad_debt else written_off  # the older generation keeps what nobody will pay
        assert unpaid == pytest.approx(said.bad_debt, rel=1e-7, abs=0.01)
        if said.bad_debt and protocol == "aave-v3":
            assert left == 0.0


@pytest.mark.parametrize(("symbol", "factor"), [("ETH", "0.8"), ("BTC", "0.85"), ("LINK", "0.7")])
async def test_what_is_foretold_before_a_shock_is_what_the_contracts_see_after_it(still: World, symbol: str, factor: str) -> None:
    """The simulation knows the book as it was; the feeds then move, and every oracle and every verdict is what it said."""
    before = await _book(still)
    nothing_moves = analysis.impact(before, {}, float("inf"))
    terms = LiquidationTerms(Pairing.BEST_PAIR, dust_usd=0.0)
    foretold = analysis.simulate(before, [f"price:{symbol}={(float(factor) - 1.0) * 100}%"], nothing_moves, terms)
    await controls.move_price(still, symbol, factor)
    after = await _book(still)
    said = foretold.cascade.oracle_prices[0]
    assert said == pytest.approx(after.reserves.oracle_price, rel=1e-7), "oracles round to 8 decimals"
    assert not np.array_equal(after.reserves.oracle_price, before.reserves.oracle_price)
    there = {key: row for row, key in enumerate(_keys(after))}
    assert set(there) == set(_keys(before))
    verdicts = after.health().liquidatable[[there[key] for key in _keys(before)]]
    assert np.array_equal(before.health(said).liquidatable, verdicts)
    assert set(np.flatnonzero(foretold.cascade.first_round == 1)) == set(np.flatnonzero(verdicts))


@pytest.mark.parametrize("factor", ["0.93", "0.8", "0.6"])
async def test_round_after_round_the_pools_end_where_the_simulation_ends(still: World, factor: str) -> None:
    """Until the pools let nobody be liquidated any more: what every account has left and owes then, to 1e-7 of what it had."""
    await controls.move_price(still, "ETH", factor)
    first = await _book(still)
    result = cascade(first, first.prices, no_impact(len(first.assets)), terms=LiquidationTerms(Pairing.BEST_PAIR, dust_usd=0.0))
    assert result.settled and result.rounds >= 2
    assert first.reserves.closed is not None and first.reserves.closed.any(), "one of the reserves is paused"
    book, rounds = first, 0
    while cases := _of(book, _first_round(book)[1], "aave-v3", "spark"):
        for said, protocol, chain_id, _ in cases:
            market = lending.aave(still, chain_id) if protocol == "aave-v3" else lending.spark(still)
            await _liquidated_in_pool(still, market, book, said)
        rounds += 1
        book = await _book(still)
    assert rounds >= 2
    there = {key: row for row, key in enumerate(_keys(book))}
    prices = first.reserves.oracle_price
    said_collateral, said_debt = (first.sums(side, np.nan_to_num(prices)) for side in (result.collateral, result.debt))
    had = first.sums(first.collateral, np.nan_to_num(prices))
    now_collateral, now_debt = (book.sums(side, np.nan_to_num(book.reserves.oracle_price)) for side in (book.collateral, book.debt))
    for account in np.flatnonzero(result.first_round).tolist():
        key = _keys(first)[account]
        if key[1] == "morpho-blue":
            continue
        row = there.get(key)
        collateral, debt = (0.0, 0.0) if row is None else (float(now_collateral[row]), float(now_debt[row]))
        assert collateral == pytest.approx(said_collateral[account], abs=1e-7 * had[account] + 0.01)
        kept = float(result.account_bad_debt[account]) if key[1] == "spark" else 0.0
        assert debt == pytest.approx(said_debt[account] + kept, abs=1e-7 * had[account] + 0.01)


def _keys(book: Book) -> list[tuple[str, str, str, str]]:
    """(chain, protocol, market, owner) of every account."""
    markets = [book.markets[code] for code in book.account_market.tolist()]
    return [(at.chain, at.protocol, at.market, book.owner(row)) for row, at in enumerate(markets)]


async def test_the_first_round_is_what_morpho_does(still: World) -> None:
    await controls.move_price(still, "ETH", "0.8")
    book = await _book(still)
    _, expected = _first_round(book)
    cases = _of(book, expected, "morpho-blue")
    assert len(cases) >= 4 and any(said.bad_debt for said, *_ in cases)
    for said, _, chain_id, identifier in cases:
        chain, owner = still.chains[chain_id], book.owner(said.account)
        market = next(one for one in morpho.deployment(still, chain_id).markets if one.id == identifier)
        await morpho.accrue_interest(still, market)
        before = await morpho.position(still, market, owner)
        borrowed = await _borrowed(still, market)
        price = float(book.reserves.oracle_price[said.debt])
        await provide(still, chain_id, market.loan, int(said.repaid * 10 ** still.token(chain_id, market.loan).decimals) * 2 + 10)
        wealth = await still.balance(chain_id, market.loan, LIQUIDITY_PROVIDER)
        signature = f"liquidate({morpho.PARAMS},address,uint256,uint256,bytes)"
        seize, repay = (before.collateral, 0) if said.bad_debt else (0, before.borrow_shares)
        await chain.send(LIQUIDITY_PROVIDER, morpho.BLUE[chain_id], signature, market.params, owner, seize, repay, b"")
        after = await morpho.position(still, market, owner)
        spent = wealth - await still.balance(chain_id, market.loan, LIQUIDITY_PROVIDER)
        assert _units(book, said.collateral, before.collateral - after.collateral) == pytest.approx(said.seized, rel=1e-8)
        assert _units(book, said.debt, spent) == pytest.approx(said.repaid, rel=1e-8)
        gone = borrowed - await _borrowed(still, market)
        assert _units(book, said.debt, gone - spent) * price == pytest.approx(said.bad_debt, rel=1e-7, abs=0.01)
        assert after.borrow_shares == 0


async def _borrowed(world: World, market: morpho.Market) -> int:
    """Raw assets borrowed in a market."""
    answer = await world.chains[market.chain_id].call(morpho.BLUE[market.chain_id], MARKET, market.id_bytes)
    return cast(int, answer[2])
