"""Recording from the local network: the same figures as the contracts say, and a run on a market that replay warns of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.engine.replay.file import read_history
from aggregator.engine.replay.record import Tick, observe, record
from aggregator.engine.replay.record_file import HistoryFile, row_line
from aggregator.engine.replay.replay import replay
from aggregator.engine.systemic.population import LivePopulation, PopulationReader, PopulationRequest
from aggregator.localnet.deploy import morpho
from aggregator.localnet.deploy.shared import LIQUIDITY_PROVIDER
from aggregator.localnet.life import live
from aggregator.localnet.world import World
from aggregator.model.errors import ConfigurationError, InputError
from aggregator.model.identifiers import evm_chain
from aggregator.publish.alerts.instant import show_instant
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
)
from aggregator.publish.alerts.rules import MARKET_RULES
from aggregator.publish.alerts.wallet_signals import curve_of
from tests.publish.alerts.histories import at, market

MARKET = "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)"
names = st.text(min_size=1, max_size=20)
labels = st.text(max_size=20)
figures = st.none() | st.floats(0, 1e15)
known = st.floats(0, 1e15)
blocks = st.none() | st.integers(0, 10**9)
OBSERVED: st.SearchStrategy[Observed] = st.one_of(
    st.builds(MarketObserved, st.just(at(1)), labels, labels, names, labels, labels, figures, figures, block=blocks),
    st.builds(PriceObserved, st.just(at(1)), names, figures, labels, labels, block=blocks),
    st.builds(AllocationObserved, st.just(at(1)), names, labels, names, figures, labels),
    st.builds(BackingObserved, st.just(at(1)), names, st.dictionaries(names, known, max_size=3)),
    st.builds(BridgeObserved, st.just(at(1)), names, names, figures, st.dictionaries(names, figures, max_size=3), figures),
    st.builds(ProtocolObserved, st.just(at(1)), names, figures, labels),
    st.builds(CurveObserved, st.just(at(1)), names, labels, labels, figures, figures, block=blocks),
    st.builds(ReplacedObserved, st.just(at(1)), names, labels, block=st.integers(0, 10**9)),
    st.builds(WalletObserved, st.just(at(1)), names, labels, labels, labels, figures, figures, figures, figures, figures, figures),
)


@given(st.lists(OBSERVED, min_size=1, max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, observed: list[Observed]) -> None:
    path = tmp_path_factory.mktemp("history") / "h.jsonl"
    path.write_text("".join(row_line(one) + "\n" for one in observed))
    assert read_history(path) == observed


def test_a_history_is_continued_and_a_row_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    with HistoryFile(path) as file:
        assert (file.last, file.write([market(1, 5e6, 1e6)])) == (None, 1)
    path.write_bytes(path.read_bytes() + b'{"t": "2026-01-05T02:00:00Z", "kind": "mar')
    with HistoryFile(path) as file:
        assert file.last == at(1)
        file.write([market(2, 5e6, 1e6)])
    assert read_history(path) == [market(1, 5e6, 1e6), market(2, 5e6, 1e6)]


def test_what_is_no_history_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(ConfigurationError, match=r"notes.txt:1: not JSON"), HistoryFile(path):
        pass
    assert path.read_text() == "my notes\n"
    with pytest.raises(InputError), HistoryFile(tmp_path / "absent" / "h.jsonl"):
        pass


@asynccontextmanager
async def reader(world: World, chain_id: int) -> AsyncIterator[tuple[PopulationReader, PopulationRequest]]:
    urls = {evm_chain(chain_id): (world.chains[chain_id].url,)}
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        yield PopulationReader(network), PopulationRequest(only_chains=(str(evm_chain(chain_id)),))


@pytest.mark.localnet
async def test_markets_are_what_the_contracts_say(deployed: World) -> None:
    async with reader(deployed, 1) as (population, request):
        found = await population.take(request)
    observed = observe(found, at(0), wallets=True)
    by_market = {one.market: one for one in observed if isinstance(one, MarketObserved) and one.protocol == "morpho-blue"}
    prices = {one.asset: one.usd for one in observed if isinstance(one, PriceObserved) and one.source == "feeds"}
    chain, blue = deployed.chains[1], morpho.BLUE[1]
    compared = 0
    for one in morpho.deployment(deployed, 1).markets:
        if one.id not in by_market:
            continue
        row = by_market[one.id]
        supplied, _, owed, *_ = cast(list[int], await chain.call(blue, MARKET, one.id_bytes))
        price, decimals = prices[row.loan], deployed.token(1, one.loan).decimals
        if price is None:
            assert row.supply_usd is None
            continue
        assert row.supply_usd is not None and row.borrow_usd is not None
        # interest since the market was last touched is in ours and not in the contract's last state
        assert row.supply_usd == pytest.approx(supplied / 10**decimals * price, rel=5e-3)
        assert row.borrow_usd == pytest.approx(owed / 10**decimals * price, rel=5e-3)
        assert row.supply_usd >= row.borrow_usd
        compared += 1
    assert compared >= 3
    pooled = [one for one in observed if isinstance(one, MarketObserved) and one.protocol == "aave-v3"]
    assert pooled and all(one.collateral == "" and one.market.endswith(f"/{one.loan}") for one in pooled)
    owing = [one for one in observed if isinstance(one, WalletObserved)]
    assert owing and all(one.debt_usd is None or one.debt_usd > 0 for one in owing)
    assert {one.protocol for one in observed if isinstance(one, ProtocolObserved)} >= {"aave-v3", "morpho-blue", "spark"}
    assert all(one.block is not None for one in observed)


@pytest.mark.localnet
async def test_a_run_on_a_market_is_recorded_and_replay_warns_of_it(lived: World, tmp_path: Path) -> None:
    """Quiet days, then lenders withdraw nine tenths of what one market holds."""
    chosen = morpho.market(lived, 1, "wrong-scale LINK/USDC")
    path, ticks = tmp_path / "history.jsonl", list[Tick]()
    async with reader(lived, 1) as (population, request):

        async def read() -> LivePopulation:
            return await population.take(request)

        with HistoryFile(path) as file:
            for day in range(5):
                if day:
                    await live(lived, 1)
                if day == 4:
                    supplied = cast(list[int], await lived.chains[1].call(morpho.BLUE[1], MARKET, chosen.id_bytes))[0]
                    await morpho.withdraw(lived, chosen, LIQUIDITY_PROVIDER, supplied * 9 // 10)
                await record(read, file, every=0.01, ticks=1, wallets=True, told=ticks.append)
    assert [tick.rows > 50 for tick in ticks] == [True] * 5
    history = read_history(path)
    sizes = [one.supply_usd for one in history if isinstance(one, MarketObserved) and one.market == chosen.id]
    assert len(sizes) == 5
    alerts = [one for one in replay(history) if one.rule in MARKET_RULES]
    assert [(one.t, one.rule, one.severity, one.subject, one.state) for one in alerts] == [
        (show_instant(history[-1].t), "market-outflow", "critical", "LINK", "opened")
    ]
    assert alerts[0].evidence["market"] == chosen.id
    assert alerts[0].blocks == {str(evm_chain(1)): await lived.chains[1].head()}


@pytest.mark.localnet
async def test_an_oracle_that_does_not_answer_is_null_and_not_zero(lived: World) -> None:
    await morpho.set_oracle_broken(lived, 1, True)
    async with reader(lived, 1) as (population, request):
        found = await population.take(request)
    oracles = [one for one in observe(found, at(0)) if isinstance(one, PriceObserved) and one.source == "oracle:morpho-blue"]
    assert any(one.usd is None for one in oracles) and any(one.usd for one in oracles)
    assert all(one.usd != 0.0 for one in oracles)
    assert '"usd":null' in row_line(next(one for one in oracles if one.usd is None))


@pytest.mark.localnet
async def test_nothing_new_is_not_written_twice_and_a_silent_chain_not_at_all(deployed: World, tmp_path: Path) -> None:
    async with reader(deployed, 42161) as (population, request):
        found = await population.take(request)
    silent = replace(found, book=None, snapshots=tuple(replace(one, block=None) for one in found.snapshots))
    answers = [found, found, silent]

    async def read() -> LivePopulation:
        return answers.pop(0)

    ticks: list[Tick] = []
    with HistoryFile(tmp_path / "h.jsonl") as file:
        await record(read, file, every=0.001, ticks=2, told=ticks.append)
    assert [bool(tick.rows) for tick in ticks] == [True, False]
    assert answers == []
    assert len({json.loads(line)["t"] for line in (tmp_path / "h.jsonl").read_text().splitlines()}) == 1


@pytest.mark.localnet
async def test_the_curve_of_a_market_is_what_its_wallets_make_it(deployed: World) -> None:
    async with reader(deployed, 1) as (population, request):
        found = await population.take(request)
    curves = {(one.protocol, one.chain, one.market): one for one in observe(found, at(0)) if isinstance(one, CurveObserved)}
    wallets: dict[tuple[str, str, str], list[WalletObserved]] = {}
    for one in observe(found, at(0), wallets=True):
        assert not isinstance(one, CurveObserved)
        if isinstance(one, WalletObserved):
            wallets.setdefault((one.protocol, one.chain, one.market), []).append(one)
    assert len(wallets) > 5 and wallets.keys() <= curves.keys()
    for key, curve in curves.items():
        expected = curve_of(key, wallets.get(key, []), at(0)).liquidatable_debt_usd
        assert curve.liquidatable_debt_usd == (None if expected is None else pytest.approx(expected)), key
    assert sum(one.liquidatable_debt_usd or 0.0 for one in curves.values()) > 1e6
