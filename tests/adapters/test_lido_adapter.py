"""Lido against scripted contracts: rounding of shares, one count of each unit, the withdrawal queue, bridged wstETH."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from adapters.lido.adapter import Lido
from adapters.lido.queue import GUESSED_REQUESTS, MAXIMUM_REQUESTS
from adapters.rates import SAMPLE, Ratio
from aggregator.model.composition import look_through
from aggregator.model.identifiers import Address, evm_chain
from aggregator.model.snapshot import Block
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import scope_of
from tests.adapters.scripted import Chain, Contract, Reverts, RoundReads, token

NOW = 1_700_000_000
BLOCK = Block(25_000_000, "0x" + "bb" * 32, NOW)
OWNER, OTHER = Address("0x" + "1" * 40), Address("0x" + "2" * 40)
ETHER, SHARES = 9_414_213_562_373_095_048_801_688, 7_732_050_807_568_877_293_527_446


def adapter() -> Lido:
    found = next(a for a in adapters() if a.slug == "lido")
    assert isinstance(found, Lido)
    return found


def contracts(chain: int) -> dict[str, Address]:
    return dict(adapter().manifest.deployments[evm_chain(chain)][0].contracts)


@dataclass
class Request:
    owner: Address
    amount: int
    shares: int
    finalized: bool = False
    claimable: int = 0
    claimed: bool = False


@dataclass
class ScriptedLido:
    """stETH, wstETH and the queue."""

    shares: dict[str, int] = field(default_factory=dict)
    wrapped: dict[str, int] = field(default_factory=dict)
    requests: dict[int, Request] = field(default_factory=dict)
    chain: Chain = field(default_factory=Chain)

    def __post_init__(self) -> None:
        at = contracts(1)
        steth, queue = token("stETH", 18), Contract()
        steth.put("balanceOf(address)(uint256)", lambda owner: self.shares.get(owner, 0) * ETHER // SHARES)
        steth.put("getTotalPooledEther()(uint256)", lambda: ETHER)
        steth.put("getTotalShares()(uint256)", lambda: SHARES)
        steth.put("getPooledEthByShares(uint256)(uint256)", lambda shares: shares * ETHER // SHARES)
        wsteth = token("wstETH", 18)
        wsteth.put("balanceOf(address)(uint256)", lambda owner: self.wrapped.get(owner, 0))
        queue.put("getWithdrawalRequests(address)(uint256[])", lambda owner: [i for i, r in self.requests.items() if r.owner == owner])
        queue.put("getWithdrawalStatus(uint256[])((uint256,uint256,address,uint256,bool,bool)[])", self._status)
        queue.put("getLastCheckpointIndex()(uint256)", 9)
        queue.put("findCheckpointHints(uint256[],uint256,uint256)(uint256[])", self._hints)
        queue.put("getClaimableEther(uint256[],uint256[])(uint256[])", self._claimable)
        self.chain.contracts |= {at["steth"]: steth, at["wsteth"]: wsteth, at["withdrawal_queue"]: queue}

    def _status(self, ids: tuple[int, ...]) -> list[tuple[object, ...]]:
        found = [self.requests[i] for i in ids]
        return [(r.amount, r.shares, r.owner, NOW, r.finalized, r.claimed) for r in found]

    def _hints(self, ids: tuple[int, ...], first: int, last: int) -> list[int]:
        assert (first, last) == (1, 9)
        return [i + 7 for i in ids]

    def _claimable(self, ids: tuple[int, ...], hints: tuple[int, ...]) -> list[int]:
        assert list(hints) == [i + 7 for i in ids]
        return [self.requests[i].claimable for i in ids]

    async def read(self, *owners: Address, memory: Memory | None = None) -> tuple[Holdings, RoundReads]:
        reads = RoundReads(self.chain, BLOCK)
        deployment = adapter().manifest.deployments[evm_chain(1)][0]
        return await adapter().read(scope_of(adapter(), evm_chain(1), deployment, reads, owners, memory=memory)), reads


async def test_steth_and_wsteth_count_once_each_and_look_through_to_the_unit() -> None:
    lido = ScriptedLido(shares={OWNER: 3 * 10**18 + 1}, wrapped={OWNER: 5 * 10**18 + 7})
    holdings, reads = await lido.read(OWNER, OTHER)
    steth, wsteth = holdings.positions
    assert reads.rounds == 1
    assert steth.legs[0].amount == (3 * 10**18 + 1) * ETHER // SHARES
    assert [(c.symbol, c.amount) for c in steth.legs[0].look_through] == [("ETH", steth.legs[0].amount)]
    assert wsteth.legs[0].amount == 5 * 10**18 + 7
    (inner,) = wsteth.legs[0].look_through
    assert (inner.symbol, inner.amount) == ("stETH", (5 * 10**18 + 7) * ETHER // SHARES)
    assert [(c.symbol, c.amount) for c in inner.parts] == [("ETH", inner.amount)]
    assert (holdings.gaps, holdings.tokens, holdings.remarks) == ((), (), ())


async def test_the_composition_is_the_contracts_own_fraction_for_collateral_anywhere() -> None:
    lido = ScriptedLido()
    holdings, _ = await lido.read(OWNER)
    compositions = {c.asset: c for c in holdings.compositions}
    wsteth = f"eip155:1/erc20:{contracts(1)['wsteth']}"
    amount = 123_456_789_012_345_678_901
    (steth,) = look_through(next(a for a in compositions if a == wsteth), amount, compositions)
    assert steth.amount == amount * ETHER // SHARES
    assert steth.parts[0].amount == steth.amount


async def test_a_conversion_that_is_not_the_quotient_of_the_totals_is_sampled() -> None:
    lido = ScriptedLido(wrapped={OWNER: 10**18})
    at = contracts(1)
    lido.chain.contracts[at["steth"]].put("getPooledEthByShares(uint256)(uint256)", lambda shares: shares * 5 // 4)
    holdings, _ = await lido.read(OWNER)
    assert holdings.positions[0].legs[0].look_through[0].amount == 10**18 * 5 // 4


@given(st.integers(1, 10**27), st.integers(1, 10**27), st.integers(0, 10**26))
def test_a_sample_gives_exact_quotients_exactly_and_others_to_the_unit(ether: int, shares: int, amount: int) -> None:
    sampled = Ratio.sampled(SAMPLE * ether // shares)
    assert sampled.of(amount) - Ratio(ether, shares).of(amount) in (0, 1)
    whole = amount // shares * shares
    assert sampled.of(whole) == Ratio(ether, shares).of(whole)


async def test_withdrawal_requests_are_ether_that_can_be_claimed_or_waits() -> None:
    rich = 10**18 * SHARES // ETHER
    lido = ScriptedLido(
        requests={
            41: Request(OWNER, 10**18, rich + 5),
            42: Request(OWNER, 10**18, rich // 2),
            43: Request(OWNER, 10**18, rich, finalized=True, claimable=9 * 10**17),
            44: Request(OTHER, 10**18, rich, finalized=True, claimable=10**18),
            45: Request(OWNER, 10**18, rich, finalized=True, claimed=True),
        }
    )
    holdings, reads = await lido.read(OWNER)
    legs = {p.identifiers["token_id"]: (p.legs[0], p.identifiers["status"]) for p in holdings.positions}
    assert reads.rounds == 1
    assert set(legs) == {"41", "42", "43"}
    # never more than was asked for; less where the shares fell below it; once finalised what the queue holds ready
    assert [(legs[i][0].amount, legs[i][0].redeemable, legs[i][1]) for i in ("41", "42", "43")] == [
        (10**18, 0, "pending"),
        (rich // 2 * ETHER // SHARES, 0, "pending"),
        (9 * 10**17, 9 * 10**17, "finalized"),
    ]
    assert {leg.symbol for leg, _ in legs.values()} == {"ETH"}


async def test_more_requests_than_guessed_take_one_more_round_once() -> None:
    lido = ScriptedLido(requests={i: Request(OWNER, 10**18, 10**18) for i in range(1, GUESSED_REQUESTS + 4)})
    memory = Memory()
    cold, first = await lido.read(OWNER, memory=memory)
    warm, second = await lido.read(OWNER, memory=memory)
    assert len(cold.positions) == len(warm.positions) == GUESSED_REQUESTS + 3
    assert (first.rounds, second.rounds) == (2, 1)


async def test_a_request_list_beyond_the_limit_is_named() -> None:
    lido = ScriptedLido(requests={i: Request(OWNER, 10**18, 10**18) for i in range(1, MAXIMUM_REQUESTS + 2)})
    holdings, _ = await lido.read(OWNER)
    assert len(holdings.positions) == MAXIMUM_REQUESTS
    assert holdings.gaps[0].why == f"only {MAXIMUM_REQUESTS} of {MAXIMUM_REQUESTS + 1} are read"


async def test_a_queue_that_does_not_answer_costs_the_balances_nothing() -> None:
    lido = ScriptedLido(wrapped={OWNER: 10**18})
    lido.chain.contracts[contracts(1)["withdrawal_queue"]] = Contract()
    holdings, _ = await lido.read(OWNER, OTHER)
    assert len(holdings.positions) == 1
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [
        (f"withdrawal requests of {OWNER}, withdrawal requests of {OTHER}", "reverted")
    ]


async def test_without_a_rate_wsteth_is_shown_unlooked_through_and_the_rate_is_a_gap() -> None:
    lido = ScriptedLido(shares={OWNER: 10**18}, wrapped={OWNER: 10**18})
    lido.chain.contracts[contracts(1)["steth"]].put("getPooledEthByShares(uint256)(uint256)", _reverts)
    holdings, _ = await lido.read(OWNER)
    assert [position.legs[0].look_through == () for position in holdings.positions] == [False, True]
    assert holdings.gaps[0].what == "ether a share of stETH"


async def bridged(chain: Chain, chain_id: int = 42161) -> Holdings:
    deployment = adapter().manifest.deployments[evm_chain(chain_id)][0]
    reads = RoundReads(chain, BLOCK, f"eip155:{chain_id}")
    holdings = await adapter().read(scope_of(adapter(), evm_chain(chain_id), deployment, reads, (OWNER,)))
    assert reads.rounds == 1
    return holdings


def bridged_chain(answer: int, chain_id: int = 42161, age: int = 100) -> Chain:
    at = contracts(chain_id)
    feed = Contract({"decimals()(uint8)": 18, "latestRoundData()(uint80,int256,uint256,uint256,uint80)": (1, answer, 0, NOW - age, 1)})
    chain = Chain({at["wsteth"]: token("wstETH", 18, {OWNER: 10**18 + 3}), at["rate_feed"]: feed})
    if "ether" in at:
        chain.contracts[at["ether"]] = token("WETH", 18)
    return chain


async def test_bridged_wsteth_takes_its_rate_from_the_feed() -> None:
    rate = 1_223_800_000_000_000_001
    holdings = await bridged(bridged_chain(rate))
    (leg,) = holdings.positions[0].legs
    assert [(c.asset, c.amount) for c in leg.look_through] == [("eip155:42161/slip44:60", (10**18 + 3) * rate // 10**18)]
    assert len(holdings.compositions) == 1
    assert holdings.gaps == ()


async def test_where_ether_is_a_token_wsteth_is_looked_through_to_it() -> None:
    holdings = await bridged(bridged_chain(12 * 10**17, 137), 137)
    assert holdings.positions[0].legs[0].look_through[0].asset == f"eip155:137/erc20:{contracts(137)['ether']}"


async def test_an_old_rate_stands_with_a_remark_and_a_senseless_one_does_not() -> None:
    old = await bridged(bridged_chain(12 * 10**17, age=3 * 86_400))
    assert [remark.code for remark in old.remarks] == ["rate-stale"]
    assert old.positions[0].legs[0].look_through
    for answer in (0, -5):
        senseless = await bridged(bridged_chain(answer))
        assert senseless.positions[0].legs[0].look_through == ()
        assert senseless.compositions == ()
        assert senseless.gaps[0].what == "rate of wstETH"


def _reverts(*_: object) -> int:
    raise Reverts
