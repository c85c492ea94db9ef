"""Endpoints that can do less than others give the same portfolio, to the unit, at the price of requests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aggregator.chains.configuration import load_chains
from aggregator.localnet.world import World
from aggregator.model.identifiers import evm_chain
from tests.engine.node_faults import CallsTo, IgnoredOverrides, LogSpan, NoOverrides
from tests.engine.support import (
    CHAINS,
    Proxies,
    Sight,
    assert_not_calmer,
    assert_same_elsewhere,
    assert_whole,
    engine_on,
    held,
    look_once,
    take,
    urls_of,
)
from tests.faults import BatchLimit, BodyLimit, Fault, Refuse

pytestmark = pytest.mark.localnet

LIMITED = 8453
CHAIN = evm_chain(LIMITED)
MULTICALL3 = load_chains()[CHAIN].multicall3_address

LESS: dict[str, tuple[list[Callable[[], Fault]], int, bool]] = {
    "no batches": ([lambda: BatchLimit(1, message="batch requests are not supported")], 20, False),
    "small batches": ([lambda: BatchLimit(2)], 12, False),
    "batches refused as an array": ([lambda: BatchLimit(1, array=True)], 20, False),
    "batches refused with a status": ([lambda: BatchLimit(1, status=400)], 20, False),
    "small bodies": ([lambda: BodyLimit(40_000)], 30, False),
    "no overrides": ([NoOverrides], 20, True),
    "overrides unheard": ([IgnoredOverrides], 20, True),
    "overrides not supported": ([lambda: NoOverrides("state override is not supported")], 20, True),
    "neither overrides nor the multicall": ([NoOverrides, lambda: CallsTo(str(MULTICALL3))], 60, True),
    "neither overrides nor batches": ([NoOverrides, lambda: BatchLimit(1)], 250, True),
    "narrow log ranges": ([lambda: LogSpan(50)], 20, False),
}
"""faults, most requests, and whether the slower way is remarked on"""


@pytest.mark.parametrize("name", LESS)
async def test_less_able_endpoints_give_the_same_portfolio(name: str, proxies: Proxies, witness: str, whole: Sight, now: float) -> None:
    faults, most, slow = LESS[name]
    for fault in faults:
        proxies[LIMITED].inject(fault())
    sight = await look_once(urls_of(proxies), [witness], now=now)
    assert_whole(sight, whole)
    assert (CHAIN in "".join(detail for code, detail in sight.warnings if code == "slow-endpoint")) is slow
    assert proxies[LIMITED].requests <= most
    assert proxies[LIMITED].rules[0].struck >= 1


async def test_without_overrides_all_owners_have_the_same(proxies: Proxies, deployed: World, everybody: Sight) -> None:
    """Every position of everybody, through the lens and without it."""
    for proxy in proxies.values():
        proxy.inject(NoOverrides())
    async with engine_on(urls_of(proxies)) as engine:
        plainly = await take(engine, [owner.address for owner in deployed.owners], discover=True)
    slow = [remark.detail for remark in plainly.portfolio.warnings if remark.code == "slow-endpoint"]
    assert len(slow) == len(CHAINS)
    assert held(plainly) == everybody.held()
    assert plainly.portfolio.gaps == everybody.picture.portfolio.gaps
    assert plainly.prices == everybody.picture.prices


async def test_refused_logs_are_gaps_of_what_only_logs_tell(proxies: Proxies, witness: str, whole: Sight, now: float) -> None:
    proxies[LIMITED].inject(Refuse(-32005, "query returned more than 10000 results", "eth_getLogs"))
    sight = await look_once(urls_of(proxies), [witness], now=now)
    assert_same_elsewhere(sight, whole, LIMITED)
    assert_not_calmer(sight, whole)
    assert {(chain, protocol) for chain, protocol, _, _ in sight.missing} == {(CHAIN, "morpho-blue"), (CHAIN, "uniswap-v4")}
    assert all("query returned more than 10000 results" in why for *_, why in sight.missing)
    accounts, positions = sight.held([LIMITED])
    true_accounts, true_positions = whole.held([LIMITED])
    assert accounts == [one for one in true_accounts if one.protocol != "morpho-blue"]
    assert positions == [one for one in true_positions if one.protocol not in ("morpho-blue", "uniswap-v4")]


async def test_refused_logs_say_nothing_of_owners_who_have_nothing_there(proxies: Proxies, deployed: World, now: float) -> None:
    """The contract's own count proves it for NFTs; that no market was created can only be told by logs."""
    who = deployed.owner("wallet-bridged").address
    proxies[LIMITED].inject(Refuse(-32005, "query returned more than 10000 results", "eth_getLogs"))
    sight = await look_once({LIMITED: (proxies[LIMITED].url,)}, [who], now=now)
    assert {protocol for _, protocol, _, _ in sight.missing} == {"morpho-blue"}
