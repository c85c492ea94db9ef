"""The adapter of Uniswap v2 against scripted pairs: what it reports, what it names as missing, how often it asks."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from adapters.uniswap_v2.adapter import RECHECK_SECONDS
from adapters.uniswap_v2.discovery import REORGANISATION_BLOCKS
from adapters.uniswap_v2.maths import PairState, burn_amounts
from adapters.uniswap_v2.pairs import candidates, pair_of
from aggregator.model.identifiers import Address, erc20
from aggregator.model.outcome import Reason, Unknown
from aggregator.model.position import Component
from aggregator.model.snapshot import Block
from aggregator.model.token import TokenKind
from aggregator.reading.adapter import Memory
from aggregator.reading.registry import registry
from tests.adapters.scripted import Contract, Refuses, token
from tests.adapters.uniswap_contracts import BLOCK, CHAIN, OTHER, OWNER, USDC, WETH, V2Scene, adapter_of

RECORDED = Path(__file__).parents[2].parent / "shared/DATA/vectors/recorded-positions"
USDT = Address("0xdac17f958d2ee523a2206206994597c13d831ec7")
STATE = PairState(
    supply=10**18, reserve0=2_000 * 10**6, reserve1=10**18, balance0=2_001 * 10**6, balance1=10**18, k_last=10**27, fee_on=False
)


@pytest.fixture
def scene() -> V2Scene:
    scene = V2Scene()
    for address, symbol, decimals in ((USDC, "USDC", 6), (WETH, "WETH", 18), (USDT, "USDT", 6)):
        scene.chain.contracts[address] = token(symbol, decimals)
    return scene


def at(number: int, seconds: int) -> Block:
    return Block(number, "0x" + "cd" * 32, BLOCK.timestamp + seconds)


def test_addresses_of_pairs_are_those_of_the_chain() -> None:
    deployment = adapter_of("uniswap-v2").manifest.deployments[CHAIN][0]
    factory, init_code_hash = deployment.contracts["factory"], bytes.fromhex(str(deployment.parameters["init_code_hash"])[2:])
    assert pair_of(factory, init_code_hash, WETH, USDC).address == "0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc"
    assert pair_of(factory, init_code_hash, USDC, WETH) == pair_of(factory, init_code_hash, WETH, USDC)
    tokens = registry().tokens(CHAIN)
    pairs = candidates(factory, init_code_hash, frozenset({"WETH", "USDC"}), tokens)
    # every token with each base, the two bases' own pair once
    assert len(pairs) == 2 * (len(tokens) - 1) - 1
    assert len({pair.address for pair in pairs}) == len(pairs)


def test_bases_are_listed_tokens_of_their_chain() -> None:
    for chain, deployments in adapter_of("uniswap-v2").manifest.deployments.items():
        for deployment in deployments:
            symbols = {one.symbol for one in registry().tokens(chain).values()}
            assert set(str(deployment.parameters["bases"]).split()) <= symbols, chain


@pytest.mark.parametrize("fee_on", [False, True])
async def test_one_leg_looked_through_to_what_a_burn_pays(scene: V2Scene, fee_on: bool) -> None:
    pair = scene.add(USDC, WETH, STATE, {OWNER: 12_345_678_901_234_567})
    scene.fee_to = Address("0x" + "fe" * 20) if fee_on else scene.fee_to
    holdings, reads = await scene.read()
    (position,), address = holdings.positions, scene.pair(USDC, WETH)
    (leg,) = position.legs
    asset = erc20(CHAIN, address)
    assert (reads.rounds, holdings.gaps) == (2, ())
    assert (position.market, position.constant_product, position.identifiers) == (address, True, {"pair": address})
    assert (leg.asset, leg.symbol, leg.decimals, leg.amount) == (asset, "UNI-V2 USDC/WETH", 18, pair.balances[OWNER])
    state = PairState(**{name: getattr(STATE, name) for name in STATE.__slots__ if name != "fee_on"}, fee_on=fee_on)
    paid = burn_amounts(leg.amount, state)
    assert leg.look_through == (
        Component(erc20(CHAIN, USDC), "USDC", paid[0], 6),
        Component(erc20(CHAIN, WETH), "WETH", paid[1], 18),
    )
    (composition,) = holdings.compositions
    assert (composition.asset, composition.kind, composition.denominator) == (asset, "pair", state.supply_at_burn)
    assert [part.numerator for part in composition.parts] == [STATE.balance0, STATE.balance1]
    assert (composition.denominator > STATE.supply) == fee_on
    assert holdings.claims == {asset}
    assert [(one.asset, one.kind, one.decimals) for one in holdings.tokens] == [(asset, TokenKind.PAIR, 18)]


async def test_nothing_held_costs_one_round(scene: V2Scene) -> None:
    scene.add(USDC, WETH, STATE, {})
    holdings, reads = await scene.read()
    assert (holdings.positions, holdings.gaps, holdings.claims, reads.rounds) == ((), (), frozenset(), 1)


async def test_later_reads_ask_existing_pairs_alone_in_one_round(scene: V2Scene) -> None:
    memory = Memory()
    scene.add(USDC, WETH, STATE, {OWNER: 5})
    scene.add(USDT, WETH, STATE, {})
    await scene.read(memory=memory)
    scene.chain.calls = 0
    holdings, reads = await scene.read(memory=memory, block=at(BLOCK.number + 1, 12))
    assert (len(holdings.positions), reads.rounds) == (1, 1)
    # fee receiver, two balances, the state of the pair held
    assert scene.chain.calls == 1 + 2 + 5


async def test_new_pairs_are_seen_after_a_while(scene: V2Scene) -> None:
    memory = Memory()
    scene.add(USDC, WETH, STATE, {OWNER: 5})
    await scene.read(memory=memory)
    scene.add(USDT, WETH, STATE, {OWNER: 7})
    soon, _ = await scene.read(memory=memory, block=at(BLOCK.number + 100, RECHECK_SECONDS - 1))
    later, _ = await scene.read(memory=memory, block=at(BLOCK.number + 300, RECHECK_SECONDS))
    assert (len(soon.positions), len(later.positions)) == (1, 2)


async def test_a_hundred_owners_in_two_rounds_then_one(scene: V2Scene) -> None:
    owners = [Address(f"0x{number:040x}") for number in range(1, 101)]
    scene.add(USDC, WETH, STATE, {owner: number for number, owner in enumerate(owners)})
    scene.add(USDT, WETH, STATE, {owners[3]: 10})
    memory = Memory()
    holdings, cold = await scene.read(*owners, memory=memory)
    again, warm = await scene.read(*owners, memory=memory)
    assert (len(holdings.positions), cold.rounds, warm.rounds) == (100, 2, 1)
    assert again.positions == holdings.positions
    assert len(holdings.compositions) == 2


async def test_a_pair_that_cannot_be_read_is_named_and_costs_no_other(scene: V2Scene) -> None:
    scene.add(USDC, WETH, STATE, {OWNER: 5, OTHER: 6})
    scene.add(USDT, WETH, STATE, {OWNER: 7})

    def refuse() -> object:
        raise Refuses(Reason.ENDPOINT)

    broken = scene.pair(USDC, WETH)
    scene.chain.contracts[broken].put("getReserves()(uint112,uint112,uint32)", refuse)
    holdings, _ = await scene.read(OWNER, OTHER)
    assert [position.market for position in holdings.positions] == [scene.pair(USDT, WETH)]
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [(f"pair {broken}", "endpoint")]
    assert holdings.claims == {erc20(CHAIN, scene.pair(USDT, WETH))}


async def test_a_balance_that_cannot_be_read_is_named_for_its_owner(scene: V2Scene) -> None:
    made = scene.add(USDC, WETH, STATE, {OTHER: 6})

    def balance(owner: str) -> int:
        if owner == OWNER:
            raise Refuses(Reason.ENDPOINT)
        return made.balances.get(Address(owner), 0)

    scene.chain.contracts[scene.pair(USDC, WETH)].put("balanceOf(address)(uint256)", balance)
    holdings, _ = await scene.read(OWNER, OTHER)
    assert [position.owner for position in holdings.positions] == [OTHER]
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [(f"1 pair balances of {OWNER}", "endpoint")]


async def test_a_pair_of_unlisted_tokens_is_found_with_discovery(scene: V2Scene) -> None:
    odd = Address("0x" + "0d" * 20)
    scene.add(odd, WETH, STATE, {OWNER: 5})
    pair = scene.pair(odd, WETH)
    scene.tell(pair, OWNER, 20_000_000)
    plain, _ = await scene.read()
    assert plain.positions == ()
    memory = Memory()
    holdings, reads = await scene.read(memory=memory, discover=True)
    assert ([position.market for position in holdings.positions], reads.rounds, holdings.gaps) == ([pair], 2, ())
    assert holdings.positions[0].legs[0].symbol == "UNI-V2 ODD/WETH"
    assert erc20(CHAIN, pair) in holdings.claims
    assert {one.symbol for one in holdings.tokens} == {"UNI-V2 ODD/WETH", "ODD"}
    # known from now on, with and without discovery
    again, reads = await scene.read(memory=memory)
    assert (again.positions, reads.rounds) == (holdings.positions, 1)
    again, reads = await scene.read(memory=memory, discover=True)
    assert (again.positions, reads.rounds) == (holdings.positions, 1)
    assert [search.from_block for search in scene.chain.log_searches] == [10_000_834, BLOCK.number - REORGANISATION_BLOCKS]


async def test_a_token_that_only_claims_to_be_a_pair_is_none(scene: V2Scene) -> None:
    fake, nft = Address("0x" + "fa" * 20), Address("0x" + "fb" * 20)
    scene.add(USDC, WETH, STATE, {})
    scene.chain.contracts[fake] = Contract(
        {
            "token0()(address)": USDC,
            "token1()(address)": WETH,
            "factory()(address)": scene.contract("factory"),
            "balanceOf(address)(uint256)": 10**30,
            "totalSupply()(uint256)": 1,
            "getReserves()(uint112,uint112,uint32)": (10**30, 10**30, 0),
            "kLast()(uint256)": 0,
        }
    )
    scene.chain.contracts[nft] = Contract()
    scene.tell(fake, OWNER, 20_000_000)
    scene.tell(nft, OWNER, 20_000_001, topics=4)
    holdings, _ = await scene.read(discover=True)
    assert (holdings.positions, holdings.claims, holdings.gaps) == ((), frozenset(), ())


async def test_a_search_that_nobody_serves_and_one_too_large_are_named(scene: V2Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        scene.tell(Address(f"0x{number + 1:040x}"), OWNER, 20_000_000 + number)
    monkeypatch.setattr("adapters.uniswap_v2.discovery.MAXIMUM_STRANGERS", 3)
    holdings, _ = await scene.read(discover=True)
    assert [gap.why for gap in holdings.gaps] == ["2 more tokens were received than one snapshot tries"]
    scene.chain.log_failure = Unknown(Reason.RANGE, "too many blocks")
    holdings, _ = await scene.read(discover=True)
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [("pairs of tokens that are not listed", "range: too many blocks")]


async def test_a_stranger_that_did_not_answer_is_tried_again(scene: V2Scene) -> None:
    odd, memory = Address("0x" + "0d" * 20), Memory()
    scene.add(odd, WETH, STATE, {OWNER: 5})
    pair = scene.pair(odd, WETH)
    scene.tell(pair, OWNER, 20_000_000)

    def refuse() -> object:
        raise Refuses(Reason.ENDPOINT)

    scene.chain.contracts[pair].put("token0()(address)", refuse)
    holdings, _ = await scene.read(memory=memory, discover=True)
    assert (holdings.positions, [gap.what for gap in holdings.gaps]) == ((), [f"whether {pair} is a pair"])
    scene.chain.contracts[pair].put("token0()(address)", odd)
    holdings, _ = await scene.read(memory=memory, discover=True)
    assert [position.market for position in holdings.positions] == [pair]


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "uniswap-v2.pool.ethereum.positions",
        "quickswap-v2.pool.matic.positions",
        "sushiswap-v2.pool.ethereum.positions.single-position",
    ],
)
def test_recorded_pairs_pay_what_others_measured(name: str) -> None:
    """Real pairs of the main networks, which somebody else read in floating point: equal to what that can tell.

    The recording keeps answers without their questions: one supply and one pair of reserves must fit each position.
    """
    path = RECORDED / f"{name}.json"
    if not path.exists():
        pytest.skip("the recorded positions are not on this machine")
    case = orjson.loads(path.read_bytes())
    answers = [_words(answer["result"]) for answer in case["rpcResponses"].values()]
    supplies = [words[0] for words in answers if len(words) == 1]
    reserves = [words[:2] for words in answers if len(words) == 3 and words[2] > 10**9]
    for held in case["expected"][0]["tokens"]:
        liquidity = int(held["balanceRaw"].rstrip("n"))
        expected = tuple(int(part["balanceRaw"].rstrip("n")) for part in held["tokens"])
        fitting = [
            (supply, reserve0, reserve1)
            for supply in supplies
            for reserve0, reserve1 in reserves
            if all(
                abs(ours - theirs) <= 1 + theirs // 10**15
                for ours, theirs in zip(burn_amounts(liquidity, _state(supply, reserve0, reserve1)), expected, strict=True)
            )
        ]
        assert len(fitting) == 1


def _state(supply: int, reserve0: int, reserve1: int) -> PairState:
    return PairState(supply, reserve0, reserve1, reserve0, reserve1, k_last=0, fee_on=False)


def _words(answer: str) -> list[int]:
    return [int(answer[at : at + 64], 16) for at in range(2, len(answer), 64)]
