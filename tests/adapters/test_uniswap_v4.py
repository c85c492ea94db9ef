"""The adapter of Uniswap v4 against a scripted position manager: what it reports, what it names as missing, how often it asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.uniswap_v4.adapter import REORGANISATION_BLOCKS, _signed_tick
from adapters.uniswap_v4.hooks import influence_on_withdrawal
from aggregator.model.identifiers import ZERO_ADDRESS, Address, erc20, native
from aggregator.model.outcome import Reason, Unknown
from aggregator.model.snapshot import Block
from aggregator.reading.adapter import Memory
from aggregator.reading.concentrated import Q128, WORD_MASK, Pair, fees_since, sqrt_ratio_at_tick, withdrawal
from tests.adapters.scripted import Refuses, token
from tests.adapters.uniswap_contracts import BLOCK, CHAIN, OTHER, OWNER, USDC, Nft, V4Scene

LIQUIDITY = 10**18
DEPLOYED_AT = 21_689_089


@pytest.fixture
def scene() -> V4Scene:
    scene = V4Scene()
    scene.chain.contracts[USDC] = token("USDC", 6)
    return scene


def nft(owner: Address = OWNER, **changes: object) -> Nft:
    return Nft(owner, -600, 600, LIQUIDITY, **{"tokens": (ZERO_ADDRESS, USDC), **changes})  # type: ignore[arg-type]


async def test_a_position_with_native_ether(scene: V4Scene) -> None:
    held = nft(last=Pair(WORD_MASK, 5))
    pool = scene.add(7, held)
    pool.sqrt_price, pool.tick, pool.growth = sqrt_ratio_at_tick(60), 60, Pair(9 * Q128, 2 * Q128 + 5)
    holdings, reads = await scene.read()
    (position,) = holdings.positions
    assert (reads.rounds, holdings.gaps, holdings.remarks) == (2, (), ())
    assert [leg.asset for leg in position.legs] == [native(CHAIN, 60), erc20(CHAIN, USDC)]
    assert [leg.symbol for leg in position.legs] == ["ETH", "USDC"]
    bounds = sqrt_ratio_at_tick(-600), sqrt_ratio_at_tick(600)
    assert tuple(leg.amount for leg in position.legs) == withdrawal(LIQUIDITY, pool.sqrt_price, *bounds)
    assert tuple(leg.fees for leg in position.legs) == fees_since(pool.growth, held.last, LIQUIDITY)
    assert position.market == "0x" + held.pool_id.hex()
    assert position.identifiers == {
        "token_id": "7",
        "pool": position.market,
        "fee": "500",
        "tick_spacing": "10",
        "tick_lower": "-600",
        "tick_upper": "600",
        "in_range": "true",
    }
    assert position.range is not None
    assert position.range.liquidity == LIQUIDITY


@given(st.integers(-887_272, 887_272), st.integers(-887_272, 887_272), st.integers(0, 255), st.integers(0, (1 << 200) - 1))
def test_packed_ticks(lower: int, upper: int, flag: int, pool: int) -> None:
    info = pool << 56 | (upper & 0xFFFFFF) << 32 | (lower & 0xFFFFFF) << 8 | flag
    assert (_signed_tick(info >> 8), _signed_tick(info >> 32)) == (lower, upper)


async def test_an_owner_of_nothing_needs_no_logs(scene: V4Scene) -> None:
    scene.chain.log_failure = Unknown(Reason.RANGE, "too many blocks")
    holdings, reads = await scene.read()
    assert (holdings.positions, holdings.gaps, reads.rounds) == ((), (), 1)


async def test_a_log_range_that_nobody_serves_is_named_for_who_it_concerns(scene: V4Scene) -> None:
    scene.add(1, nft())
    scene.add(2, nft())
    scene.chain.log_failure = Unknown(Reason.RANGE, "too many blocks")
    holdings, _ = await scene.read(OWNER, OTHER)
    assert holdings.positions == ()
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [(f"2 of 2 positions of {OWNER}", "range: too many blocks")]


async def test_ids_that_no_log_tells_of_are_missed_by_the_count(scene: V4Scene) -> None:
    scene.add(1, nft())
    scene.add(2, nft())
    scene.chain.logs.pop()
    holdings, _ = await scene.read()
    assert [position.identifiers["token_id"] for position in holdings.positions] == ["1"]
    assert [gap.what for gap in holdings.gaps] == [f"1 of 2 positions of {OWNER}"]


async def test_sold_burned_and_closed_positions_are_none(scene: V4Scene) -> None:
    for token_id in range(1, 5):
        scene.add(token_id, nft())
    scene.nfts[1].owner = OTHER
    del scene.nfts[2]
    scene.nfts[3].liquidity = 0
    holdings, _ = await scene.read()
    assert [position.identifiers["token_id"] for position in holdings.positions] == ["4"]
    assert holdings.gaps == ()


async def test_search_begins_at_the_deployment_and_goes_on_from_the_last_block(scene: V4Scene) -> None:
    memory = Memory()
    scene.add(1, nft())
    _, cold = await scene.read(memory=memory)
    later = Block(BLOCK.number + 1_000, "0x" + "cd" * 32, BLOCK.timestamp + 12_000)
    _, warm = await scene.read(memory=memory, block=later)
    assert (cold.rounds, warm.rounds) == (2, 1)
    assert [search.from_block for search in scene.chain.log_searches] == [DEPLOYED_AT, BLOCK.number - REORGANISATION_BLOCKS]
    scene.add(2, nft(), block=later.number)
    holdings, reads = await scene.read(memory=memory, block=later)
    assert ([position.identifiers["token_id"] for position in holdings.positions], reads.rounds) == (["1", "2"], 2)
    newcomer, _ = await scene.read(OWNER, OTHER, memory=memory, block=later)
    assert len(newcomer.positions) == 2
    assert [search.from_block for search in scene.chain.log_searches[3:]] == [later.number - REORGANISATION_BLOCKS, DEPLOYED_AT]


async def test_a_chain_that_is_not_that_high_is_searched_from_its_beginning(scene: V4Scene) -> None:
    scene.add(1, nft(), block=12)
    holdings, _ = await scene.read(block=Block(900, "0x" + "cd" * 32, BLOCK.timestamp))
    assert len(holdings.positions) == 1
    assert scene.chain.log_searches[0].from_block == 0


async def test_an_earlier_block_is_not_judged_by_what_a_later_one_taught(scene: V4Scene) -> None:
    memory = Memory()
    scene.add(1, nft())
    await scene.read(memory=memory)
    earlier = Block(BLOCK.number - 5_000, "0x" + "cd" * 32, BLOCK.timestamp - 60_000)
    holdings, _ = await scene.read(memory=memory, block=earlier)
    assert len(holdings.positions) == 1
    assert scene.chain.log_searches[-1].from_block == DEPLOYED_AT


async def test_a_complete_count_makes_up_for_a_refused_search(scene: V4Scene) -> None:
    memory = Memory()
    scene.add(1, nft())
    await scene.read(memory=memory)
    scene.chain.log_failure = Unknown(Reason.RANGE, "too many blocks")
    holdings, reads = await scene.read(memory=memory)
    assert (len(holdings.positions), holdings.gaps, reads.rounds) == (1, (), 1)


async def test_a_hundred_owners_in_two_rounds(scene: V4Scene) -> None:
    owners = [Address(f"0x{number:040x}") for number in range(1, 101)]
    for number, owner in enumerate(owners):
        scene.add(number, nft(owner))
        scene.add(1_000 + number, nft(owner, fee=3_000, spacing=60))
    memory = Memory()
    holdings, cold = await scene.read(*owners, memory=memory)
    assert (len(holdings.positions), holdings.gaps, cold.rounds, len(scene.chain.log_searches)) == (200, (), 2, 1)
    again, warm = await scene.read(*owners, memory=memory)
    assert (again.positions, warm.rounds) == (holdings.positions, 1)


@pytest.mark.parametrize(
    ("hook", "influence"),
    [
        ("0x" + "00" * 18 + "40c0", "has no say in withdrawals"),
        ("0x" + "00" * 18 + "4200", "may refuse a withdrawal"),
        ("0x" + "00" * 18 + "4100", "may refuse a withdrawal"),
        ("0x" + "00" * 18 + "4101", "may keep part of what a withdrawal pays"),
    ],
)
async def test_hooks_are_named(scene: V4Scene, hook: str, influence: str) -> None:
    scene.add(1, nft(hooks=Address(hook), fee=0x800000))
    holdings, _ = await scene.read()
    assert holdings.positions[0].identifiers["hooks"] == hook
    assert holdings.positions[0].identifiers["fee"] == "dynamic"
    assert [remark.code for remark in holdings.remarks] == ["unknown-hook"]
    assert influence in holdings.remarks[0].detail
    assert influence_on_withdrawal(Address(hook)) == influence


async def test_what_cannot_be_read_is_named_and_costs_no_other_position(scene: V4Scene) -> None:
    scene.add(1, nft())
    scene.add(2, nft(fee=3_000, spacing=60))
    broken = scene.nfts[2].pool_id

    def slot(pool: bytes) -> tuple[int, ...]:
        if pool == broken:
            raise Refuses(Reason.ENDPOINT)
        return (1 << 96, 0, 0, 0)

    scene.view.put("getSlot0(bytes32)(uint160,int24,uint24,uint24)", slot)
    holdings, _ = await scene.read()
    assert [position.identifiers["token_id"] for position in holdings.positions] == ["1"]
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [("position 2", "endpoint")]


async def test_an_owner_that_cannot_be_told_is_a_gap(scene: V4Scene) -> None:
    scene.add(1, nft())

    def unknown(_: int) -> str:
        raise Refuses(Reason.ENDPOINT)

    scene.manager.put("ownerOf(uint256)(address)", unknown)
    holdings, _ = await scene.read()
    assert holdings.positions == ()
    assert [gap.what for gap in holdings.gaps] == ["owner of position 1", f"1 of 1 positions of {OWNER}"]


async def test_more_ids_than_a_snapshot_reads(scene: V4Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.uniswap_v4.adapter.MAXIMUM_NFTS", 20)
    for token_id in range(22):
        scene.add(token_id, nft())
    holdings, _ = await scene.read()
    assert [position.identifiers["token_id"] for position in holdings.positions] == [str(number) for number in range(2, 22)]
    assert [gap.what for gap in holdings.gaps] == [f"2 of 22 positions of {OWNER}"]
