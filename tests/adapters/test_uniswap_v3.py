"""The adapter of Uniswap v3 against a scripted position manager: what it reports, what it names as missing, how often it asks."""

from __future__ import annotations

import random

import pytest

from adapters.uniswap_v3.adapter import SPECULATION
from adapters.uniswap_v3.maths import uncollected
from aggregator.model.identifiers import Address, erc20
from aggregator.model.outcome import Reason
from aggregator.model.position import Position, Side
from aggregator.model.token import TokenKind
from aggregator.reading.adapter import Memory
from aggregator.reading.concentrated import Q128, WORD_MASK, Pair, sqrt_ratio_at_tick, withdrawal
from tests.adapters.scripted import Contract, Refuses, Reverts, token
from tests.adapters.uniswap_contracts import CHAIN, OTHER, OWNER, USDC, WETH, Nft, V3Scene

LIQUIDITY = 10**18


@pytest.fixture
def scene() -> V3Scene:
    return V3Scene()


def amounts(position: Position) -> tuple[int, ...]:
    return tuple(leg.amount for leg in position.legs)


def fees(position: Position) -> tuple[int, ...]:
    return tuple(leg.fees for leg in position.legs)


async def test_one_position_a_leg_a_token(scene: V3Scene) -> None:
    pool = scene.add(42, Nft(OWNER, -600, 600, LIQUIDITY))
    pool.sqrt_price, pool.tick = sqrt_ratio_at_tick(60) + 1, 60
    holdings, reads = await scene.read()
    (position,) = holdings.positions
    assert reads.rounds == 1
    assert (holdings.gaps, holdings.remarks, holdings.margin_accounts) == ((), (), ())
    assert [leg.asset for leg in position.legs] == [erc20(CHAIN, USDC), erc20(CHAIN, WETH)]
    assert [(leg.symbol, leg.decimals, leg.side) for leg in position.legs] == [("USDC", 6, Side.IDLE), ("WETH", 18, Side.IDLE)]
    bounds = sqrt_ratio_at_tick(-600), sqrt_ratio_at_tick(600)
    assert amounts(position) == withdrawal(LIQUIDITY, pool.sqrt_price, *bounds)
    assert position.range is not None
    assert (position.range.liquidity, position.range.sqrt_price_x96) == (LIQUIDITY, pool.sqrt_price)
    assert (position.range.sqrt_lower_x96, position.range.sqrt_upper_x96) == bounds
    assert (position.protocol, position.owner, position.market) == ("uniswap-v3", OWNER, position.identifiers["pool"])
    assert position.identifiers == {
        "token_id": "42",
        "pool": position.market,
        "fee": "500",
        "tick_lower": "-600",
        "tick_upper": "600",
        "in_range": "true",
    }


@pytest.mark.parametrize(
    ("tick", "price_tick", "in_range", "sides"),
    [
        (-700, -700, "false", (True, False)),
        (-601, -600, "false", (True, False)),  # exactly on the lower tick, reached from above
        (-600, -600, "true", (True, False)),
        (0, 0, "true", (True, True)),
        (599, 600, "true", (False, True)),  # exactly on the upper tick, reached from above
        (600, 600, "false", (False, True)),
        (700, 700, "false", (False, True)),
    ],
)
async def test_price_against_the_range(scene: V3Scene, tick: int, price_tick: int, in_range: str, sides: tuple[bool, bool]) -> None:
    pool = scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))
    pool.sqrt_price, pool.tick = sqrt_ratio_at_tick(price_tick), tick
    (position,) = (await scene.read())[0].positions
    assert tuple(amount > 0 for amount in amounts(position)) == sides
    assert position.identifiers["in_range"] == in_range


async def test_fees_wrap_and_go_by_the_tick_of_the_pool(scene: V3Scene) -> None:
    last = Pair(WORD_MASK - 5 * Q128, WORD_MASK)
    nft = Nft(OWNER, -600, 600, LIQUIDITY, last=last, owed=Pair(7, 11))
    pool = scene.add(1, nft)
    pool.outside = {-600: Pair(3 * Q128, 5), 600: Pair(WORD_MASK, 2 * Q128)}
    pool.growth = Pair(9 * Q128, 4 * Q128)
    for pool.tick in (-601, -600, 0, 599, 600):
        (position,) = (await scene.read())[0].positions
        assert fees(position) == uncollected(nft.owed, pool.inside(-600, 600), last, LIQUIDITY)


async def test_withdrawn_but_not_collected_is_owed_and_a_closed_position_is_none(scene: V3Scene) -> None:
    scene.add(1, Nft(OWNER, -600, 600, 0, last=Pair(5, 5), owed=Pair(1_000, 0)))
    scene.add(2, Nft(OWNER, -600, 600, 0, last=Pair(5, 5)))
    holdings, _ = await scene.read()
    (position,) = holdings.positions
    assert (position.identifiers["token_id"], amounts(position), fees(position)) == ("1", (0, 0), (1_000, 0))
    assert holdings.gaps == ()


async def test_an_owner_without_positions_costs_one_call(scene: V3Scene) -> None:
    holdings, reads = await scene.read()
    assert (holdings.positions, holdings.gaps, reads.rounds, scene.chain.calls) == ((), (), 1, 1)


async def test_a_thousand_and_one_positions_are_complete_in_two_rounds(scene: V3Scene) -> None:
    for token_id in range(1_001):
        scene.add(token_id + 10, Nft(OWNER, -600, 600 + 10 * (token_id % 7), token_id + 1))
    memory = Memory()
    holdings, reads = await scene.read(memory=memory)
    assert [position.identifiers["token_id"] for position in holdings.positions] == [str(i + 10) for i in range(1_001)]
    assert (holdings.gaps, reads.rounds) == ((), 2)
    again, reads = await scene.read(memory=memory)
    assert (again.positions, reads.rounds) == (holdings.positions, 1)


async def test_more_positions_than_a_snapshot_reads_are_named(scene: V3Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.uniswap_v3.adapter.MAXIMUM_NFTS", 20)
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))
    scene.manager.put("balanceOf(address)(uint256)", 23)
    scene.manager.put("tokenOfOwnerByIndex(address,uint256)(uint256)", 1)
    holdings, _ = await scene.read()
    assert len(holdings.positions) == 20
    assert [gap.what for gap in holdings.gaps] == [f"3 of 23 positions of {OWNER}"]


async def test_a_count_that_counts_nothing_is_not_believed(scene: V3Scene) -> None:
    scene.manager.put("balanceOf(address)(uint256)", WORD_MASK)
    holdings, _ = await scene.read()
    assert [gap.why for gap in holdings.gaps] == [f"malformed: a count of {WORD_MASK}"]


async def test_speculation_is_shared_between_owners(scene: V3Scene) -> None:
    owners = [Address(f"0x{number:040x}") for number in range(1, 101)]
    for number, owner in enumerate(owners):
        scene.add(number, Nft(owner, -600, 600, LIQUIDITY + number))
        scene.add(1_000 + number, Nft(owner, -600, 600, LIQUIDITY))
    memory = Memory()
    holdings, reads = await scene.read(*owners, memory=memory)
    assert (len(holdings.positions), reads.rounds) == (200, 2)
    assert {position.owner for position in holdings.positions} == set(owners)
    _, warm = await scene.read(*owners, memory=memory)
    assert warm.rounds == 1
    few, reads = await scene.read(*owners[:8])
    assert (len(few.positions), reads.rounds) == (16, 1)
    assert SPECULATION == 16


async def test_order_of_owners_changes_nothing_but_the_order(scene: V3Scene) -> None:
    owners = [Address(f"0x{number:040x}") for number in range(1, 6)]
    for number in range(20):
        scene.add(number, Nft(random.Random(number).choice(owners), -600, 600, LIQUIDITY + number))
    straight, _ = await scene.read(*owners)
    backward, _ = await scene.read(*reversed(owners))
    assert sorted(map(str, straight.positions)) == sorted(map(str, backward.positions))
    assert len(straight.positions) == 20


async def test_a_position_sold_and_another_received_are_seen_at_once(scene: V3Scene) -> None:
    memory = Memory()
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))
    scene.add(2, Nft(OWNER, -600, 600, LIQUIDITY))
    await scene.read(memory=memory)
    scene.nfts[1].owner = OTHER
    holdings, reads = await scene.read(memory=memory)
    assert ([position.identifiers["token_id"] for position in holdings.positions], reads.rounds) == (["2"], 1)
    scene.add(3, Nft(OWNER, -600, 600, LIQUIDITY))
    holdings, reads = await scene.read(memory=memory)
    assert ([position.identifiers["token_id"] for position in holdings.positions], reads.rounds) == (["2", "3"], 1)


async def test_unlisted_tokens_come_from_the_chain(scene: V3Scene) -> None:
    odd, odder = Address("0x" + "0d" * 20), Address("0x" + "0e" * 20)
    scene.chain.contracts[odd] = token("OD\u202eD\x00", 4)
    scene.chain.contracts[odder] = Contract({"symbol()()": b"MKR".ljust(32, b"\0")})
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY, tokens=(odd, odder)))
    memory = Memory()
    holdings, reads = await scene.read(memory=memory)
    (position,) = holdings.positions
    assert reads.rounds == 1
    assert [(leg.symbol, leg.decimals) for leg in position.legs] == [("ODD", 4), ("MKR", 0)]
    assert {found.asset: (found.symbol, found.decimals, found.kind) for found in holdings.tokens} == {
        erc20(CHAIN, odd): ("ODD", 4, TokenKind.UNKNOWN),
        erc20(CHAIN, odder): ("MKR", 0, TokenKind.UNKNOWN),
    }


async def test_a_remembered_place_with_new_tokens_asks_once_more(scene: V3Scene) -> None:
    memory = Memory()
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))
    await scene.read(memory=memory)
    new = Address("0x" + "0f" * 20)
    scene.chain.contracts[new] = token("NEW", 8)
    scene.nfts.clear()
    scene.add(2, Nft(OWNER, -600, 600, LIQUIDITY, tokens=(new, WETH)))
    holdings, reads = await scene.read(memory=memory)
    assert [(leg.symbol, leg.decimals) for leg in holdings.positions[0].legs] == [("NEW", 8), ("WETH", 18)]
    assert reads.rounds == 2
    assert (await scene.read(memory=memory))[1].rounds == 1


async def test_decimals_of_the_chain_win_over_the_list(scene: V3Scene) -> None:
    scene.chain.contracts[USDC] = token("USDC", 7)
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))
    holdings, _ = await scene.read()
    assert holdings.positions[0].legs[0].decimals == 7
    assert [remark.code for remark in holdings.remarks] == ["decimals-differ"]
    assert [found.decimals for found in holdings.tokens] == [7]


async def test_one_broken_pool_costs_no_other_position(scene: V3Scene) -> None:
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))
    scene.add(2, Nft(OWNER, -600, 600, LIQUIDITY, fee=3_000))
    scene.add(3, Nft(OWNER, -600, 600, LIQUIDITY, fee=100))

    def refuse(*_: object) -> object:
        raise Refuses(Reason.OUT_OF_GAS)

    broken = scene.chain.contracts[scene._pool(USDC, WETH, 3_000)]
    broken.put("slot0()(uint160,int24,uint16,uint16,uint16,uint8,bool)", refuse)
    holdings, _ = await scene.read()
    assert [position.identifiers["token_id"] for position in holdings.positions] == ["1", "3"]
    assert [(gap.protocol, gap.what, gap.why) for gap in holdings.gaps] == [("uniswap-v3", "position 2", "out-of-gas")]


async def test_a_position_without_a_pool_and_one_without_a_range_are_gaps(scene: V3Scene) -> None:
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))
    scene.add(2, Nft(OWNER, 900_000, 600, LIQUIDITY, fee=100))
    del scene.pools[USDC, WETH, 500]
    holdings, _ = await scene.read()
    assert holdings.positions == ()
    assert {gap.what: gap.why for gap in holdings.gaps} == {
        "position 1": "the factory names no pool for it",
        "position 2": "malformed: ticks 900000 and 600 are no range",
    }


async def test_an_index_that_the_manager_refuses_is_a_gap(scene: V3Scene) -> None:
    scene.add(1, Nft(OWNER, -600, 600, LIQUIDITY))

    def by_index(_: str, index: int) -> int:
        if index == 1:
            raise Reverts
        return 1

    scene.manager.put("balanceOf(address)(uint256)", 2)
    scene.manager.put("tokenOfOwnerByIndex(address,uint256)(uint256)", by_index)
    holdings, _ = await scene.read()
    assert len(holdings.positions) == 1
    assert [gap.what for gap in holdings.gaps] == [f"position number 1 of {OWNER}"]
