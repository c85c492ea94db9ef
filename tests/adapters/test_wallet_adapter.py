"""Plain balances and discovery: what is counted, what is only listed, and that a hostile token costs nobody else anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from adapters.wallet.adapter import Wallet, own_tokens
from adapters.wallet.discovery import MAXIMUM_TOKENS, TRANSFER
from adapters.wallet.probing import MAXIMUM_LEVELS
from aggregator.model.composition import look_through
from aggregator.model.identifiers import Address, AssetId, erc20, evm_chain
from aggregator.model.outcome import Reason, Unknown
from aggregator.model.position import Component, Position
from aggregator.model.snapshot import Block
from aggregator.model.token import TokenKind
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters, held_tokens
from aggregator.reading.kit import broken_laws, scope_of
from aggregator.reading.reads import Log
from aggregator.reading.registry import registry
from tests.adapters.scripted import Chain, Contract, Refuses, RoundReads, text, token, topic

CHAIN = evm_chain(1)
BLOCK = Block(25_000_000, "0x" + "bb" * 32, 1_700_000_000)
OWNER, OTHER, THIRD = (Address("0x" + digit * 40) for digit in "123")
USDC = Address("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
WETH = Address("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")
DAI = Address("0x6b175474e89094c44da98b954eedeac495271d0f")
NEW, INNER, OUTER, LOOP = (Address("0x" + digit * 40) for digit in "abcd")
ETHER = AssetId("eip155:1/slip44:60")


def adapter() -> Wallet:
    found = next(a for a in adapters() if a.slug == "wallet")
    assert isinstance(found, Wallet)
    return found


def morpho() -> Address:
    return adapter().manifest.deployments[CHAIN][0].contracts["morpho"]


@dataclass
class World:
    """A chain with some tokens, and transfers that tell of them."""

    chain: Chain = field(default_factory=Chain)
    memory: Memory = field(default_factory=Memory)

    def put(self, address: Address, contract: Contract, *receivers: Address, block: int = 5) -> None:
        self.chain.contracts[address] = contract
        for receiver in receivers:
            self.announce(address, receiver, block)

    def announce(self, address: Address, receiver: Address, block: int = 5, topics: int = 3, data: bytes = bytes(32)) -> None:
        all_topics = (TRANSFER.topic, topic(THIRD), topic(receiver), topic(THIRD))[:topics]
        self.chain.logs.append(Log(address, all_topics, data, block, len(self.chain.logs)))

    async def read(self, *owners: Address, discover: bool = True, block: Block = BLOCK) -> tuple[Holdings, RoundReads]:
        reads = RoundReads(self.chain, block)
        deployment = adapter().manifest.deployments[CHAIN][0]
        scope = scope_of(adapter(), CHAIN, deployment, reads, owners or (OWNER,), memory=self.memory, discover=discover)
        holdings = await adapter().read(scope)
        assert broken_laws(holdings) == []
        return holdings, reads


def vault(asset: Address, balances: dict[str, int], numerator: int = 3, denominator: int = 2, **more: Any) -> Contract:
    contract = token("VLT", 18, balances)
    contract.put("asset()(address)", asset)
    contract.put("convertToAssets(uint256)(uint256)", lambda shares: shares * numerator // denominator)
    contract.put("maxRedeem(address)(uint256)", lambda owner: balances.get(owner, 0))
    for signature, answer in more.items():
        contract.put(signature, answer)
    return contract


def of(holdings: Holdings, market: str) -> Position:
    return next(position for position in holdings.positions if position.market == market)


def vaults(holdings: Holdings) -> set[str]:
    """Assets whose composition was discovered; the native wrapper's is always there."""
    return {c.asset for c in holdings.compositions if c.kind == "vault"}


def leaves(parts: tuple[Component, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for symbol, amount in (leaves(part.parts) or {part.symbol: part.amount}).items():
            found[symbol] = found.get(symbol, 0) + amount
    return found


# -- what the registry lists ----------------------------------------------------------------------------------------


async def test_native_and_tokens_are_counted_once_each() -> None:
    world = World()
    world.chain.balances[OWNER] = 7
    world.put(USDC, token("USDC", 6, {OWNER: 5_000_000}))
    world.put(WETH, token("WETH", 18, {OWNER: 3}))
    holdings, reads = await world.read(OWNER, OTHER, discover=False)
    assert reads.rounds == 1
    assert {(p.owner, p.market, p.legs[0].amount) for p in holdings.positions} == {
        (OWNER, "slip44:60", 7),
        (OWNER, USDC, 5_000_000),
        (OWNER, WETH, 3),
    }
    assert leaves(of(holdings, WETH).legs[0].look_through) == {"ETH": 3}
    compositions = {c.asset: c for c in holdings.compositions}
    assert look_through(erc20(CHAIN, WETH), 9, compositions)[0].asset == ETHER
    assert (holdings.gaps, holdings.tokens, holdings.remarks) == ((), (), ())


def test_each_listed_token_has_exactly_one_reader() -> None:
    for chain, deployments in adapter().manifest.deployments.items():
        scope = scope_of(adapter(), chain, deployments[0], _NoReads(), ())
        mine, held = set(own_tokens(scope)), set(held_tokens().get(chain, {}))
        assert mine.isdisjoint(held)
        assert mine | held >= set(registry().tokens(chain))
        symbols = {registry().tokens(chain)[address].symbol for address in mine}
        assert "USDC" in symbols
        assert symbols.isdisjoint({"stETH", "wstETH", "rETH", "weETH", "sDAI", "sUSDe", "USTB", "BUIDL"})


async def test_one_unreadable_token_is_named_and_the_others_stay() -> None:
    world = World()
    world.put(USDC, token("USDC", 6, {OWNER: 5}))
    broken = token("DAI", 18)
    broken.put("balanceOf(address)(uint256)", _refuse(Reason.OUT_OF_GAS))
    world.put(DAI, broken)
    holdings, _ = await world.read(OWNER, OTHER, discover=False)
    assert [position.market for position in holdings.positions] == [USDC]
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [(f"DAI balance of {OWNER}, DAI balance of {OTHER}", "out-of-gas")]


async def test_the_chains_decimals_win() -> None:
    world = World()
    world.put(USDC, token("USDC", 18, {OWNER: 5}))
    holdings, _ = await world.read(discover=False)
    assert holdings.positions[0].legs[0].decimals == 18
    assert [t.decimals for t in holdings.tokens] == [18]
    assert [remark.code for remark in holdings.remarks] == ["decimals-differ"]


# -- what only the logs tell of -------------------------------------------------------------------------------------


async def test_an_unlisted_token_is_listed_and_vouched_for_by_nobody() -> None:
    world = World()
    world.put(NEW, token("\x1b[31mFREE\u202e<b>", 9, {OWNER: 123}), OWNER)
    holdings, reads = await world.read()
    (position,) = holdings.positions
    (found,) = holdings.tokens
    assert reads.rounds == 2
    assert (position.legs[0].amount, position.legs[0].decimals, position.legs[0].look_through) == (123, 9, ())
    assert (found.kind, found.factor, found.source) == (TokenKind.UNKNOWN, found.asset, "discovered")
    assert not set(found.symbol) & {"\x1b", "\u202e"}
    assert vaults(holdings) == set()


async def test_transfers_of_listed_tokens_and_of_nfts_discover_nothing() -> None:
    world = World()
    world.put(USDC, token("USDC", 6, {OWNER: 5}), OWNER)
    world.chain.contracts[NEW] = token("NFT", 0, {OWNER: 1})
    world.announce(NEW, OWNER, topics=4, data=b"")
    world.announce(NEW, OWNER, data=b"")
    held = next(iter(held_tokens()[CHAIN]))
    world.announce(held, OWNER)
    holdings, reads = await world.read()
    assert [position.market for position in holdings.positions] == [USDC]
    assert reads.rounds == 1


async def test_warm_is_one_round_and_continues_the_search() -> None:
    world = World()
    world.put(NEW, token("NEW", 18, {OWNER: 1}), OWNER)
    await world.read()
    again, warm = await world.read()
    assert (len(again.positions), warm.rounds) == (1, 1)
    world.put(INNER, token("LATER", 18, {OWNER: 2}), OWNER, block=BLOCK.number)
    later, _ = await world.read()
    assert {position.market for position in later.positions} == {NEW, INNER}
    assert [search.from_block for search in world.chain.log_searches] == [0, BLOCK.number - 64, BLOCK.number - 64]


async def test_another_owner_is_searched_from_the_beginning_and_asked_about_the_same_token() -> None:
    world = World()
    world.put(NEW, token("NEW", 18, {OWNER: 1, OTHER: 2}), OWNER, OTHER)
    await world.read(OWNER)
    holdings, _ = await world.read(OWNER, OTHER)
    assert {(p.owner, p.legs[0].amount) for p in holdings.positions} == {(OWNER, 1), (OTHER, 2)}
    assert world.chain.log_searches[-1].from_block == 0


async def test_logs_out_of_range_are_a_gap_and_balances_stay() -> None:
    world = World()
    world.put(USDC, token("USDC", 6, {OWNER: 5}))
    world.chain.log_failure = Unknown(Reason.RANGE, "too many blocks")
    holdings, _ = await world.read()
    assert len(holdings.positions) == 1
    assert [gap.what for gap in holdings.gaps] == ["tokens outside the registry, received since block 0"]


async def test_a_flood_of_tokens_is_cut_and_said() -> None:
    world = World()
    for number in range(MAXIMUM_TOKENS + 3):
        world.put(Address(f"0x{0xF00000 + number:040x}"), token("SPAM", 18, {OWNER: 1}), OWNER)
    holdings, _ = await world.read()
    assert len(holdings.positions) == MAXIMUM_TOKENS
    assert holdings.gaps[0].why == f"{MAXIMUM_TOKENS + 3} were received, {MAXIMUM_TOKENS} are asked about"


@pytest.mark.parametrize(
    ("functions", "gap"),
    [
        ({"balanceOf(address)(uint256)": Reason.OUT_OF_GAS}, True),
        ({"balanceOf(address)(uint256)": Reason.TOO_LARGE}, True),
        ({"balanceOf(address)(uint256)": Reason.REVERTED}, True),
        ({"symbol()()": Reason.TOO_LARGE, "decimals()(uint8)": Reason.OUT_OF_GAS, "asset()(address)": Reason.OUT_OF_GAS}, False),
        ({"symbol()()": text("🎁" * 5_000)}, False),
        ({"symbol()()": b"\xff" * 31, "decimals()()": (300).to_bytes(32, "big")}, False),
        ({"balanceOf(address)(uint256)": 2**256 - 1}, False),
        ({"asset()()": b"\xff" * 32}, False),
        ({"asset()(address)": USDC, "convertToAssets(uint256)(uint256)": Reason.OUT_OF_GAS}, False),
        ({"asset()(address)": USDC, "convertToAssets(uint256)(uint256)": 0}, False),
        ({"asset()(address)": USDC, "convertToAssets(uint256)(uint256)": 2**256 - 1}, False),
    ],
)
async def test_hostile_tokens_cost_nobody_else_anything(functions: dict[str, Any], gap: bool) -> None:
    world = World()
    world.put(USDC, token("USDC", 6, {OWNER: 5}))
    hostile = token("X", 18, {OWNER: 10**24})
    for signature, answer in functions.items():
        hostile.put(signature, _refuse(answer) if isinstance(answer, Reason) else answer)
    world.put(NEW, hostile, OWNER)
    world.put(INNER, token("FINE", 18, {OWNER: 3}), OWNER)
    holdings, _ = await world.read()
    assert of(holdings, USDC).legs[0].amount == 5
    assert of(holdings, INNER).legs[0].amount == 3
    assert bool(holdings.gaps) is gap
    if gap:
        assert f"unlisted token {NEW}" in holdings.gaps[0].what
    else:
        # it is shown, and adds no value
        assert of(holdings, NEW).legs[0].look_through == ()
        assert vaults(holdings) == set()


async def test_a_token_that_is_gone_is_gone() -> None:
    world = World()
    world.announce(NEW, OWNER)
    holdings, _ = await world.read()
    assert (holdings.positions, holdings.gaps) == ((), ())


# -- vaults recognised by their interface ---------------------------------------------------------------------------


async def test_nested_vaults_are_looked_through_by_their_own_conversions() -> None:
    world = World()
    shares = 1_000_000_007
    inner_shares = shares * 3 // 2
    assets = inner_shares * 7 // 5
    world.put(OUTER, vault(INNER, {OWNER: shares}), OWNER)
    world.put(INNER, vault(USDC, {OUTER: inner_shares}, 7, 5))
    world.put(USDC, token("USDC", 6, {INNER: assets}))
    holdings, reads = await world.read()
    (leg,) = of(holdings, OUTER).legs
    assert reads.rounds == 2
    assert (leg.amount, leg.redeemable) == (shares, shares)
    (inner,) = leg.look_through
    assert (inner.asset, inner.amount) == (erc20(CHAIN, INNER), inner_shares)
    assert [(c.asset, c.amount) for c in inner.parts] == [(erc20(CHAIN, USDC), assets)]
    assert {(t.asset, t.kind, t.factor) for t in holdings.tokens} == {
        (erc20(CHAIN, OUTER), TokenKind.VAULT, "USDC"),
        (erc20(CHAIN, INNER), TokenKind.VAULT, "USDC"),
    }
    compositions = {c.asset: c for c in holdings.compositions}
    assert leaves(look_through(erc20(CHAIN, OUTER), shares, compositions)) == {"USDC": assets}
    assert holdings.remarks == ()


@pytest.mark.parametrize("short", [OUTER, INNER])
async def test_a_vault_that_is_not_backed_at_some_level_adds_no_value(short: Address) -> None:
    world = World()
    world.put(OUTER, vault(INNER, {OWNER: 1_000}), OWNER)
    world.put(INNER, vault(USDC, {OUTER: 1_499 if short == OUTER else 1_500}, 7, 5))
    world.put(USDC, token("USDC", 6, {INNER: 2_099 if short == INNER else 2_100}))
    holdings, _ = await world.read()
    assert of(holdings, OUTER).legs[0].look_through == ()
    assert vaults(holdings) == set()
    assert [t.kind for t in holdings.tokens] == [TokenKind.UNKNOWN]
    assert [remark.code for remark in holdings.remarks] == ["vault-unbacked"]


async def test_a_claim_is_taken_over_all_owners() -> None:
    world = World()
    world.put(NEW, vault(USDC, {OWNER: 600, OTHER: 600}, 1, 1), OWNER, OTHER)
    world.put(USDC, token("USDC", 6, {NEW: 1_000}))
    alone, _ = await world.read(OWNER)
    assert leaves(of(alone, NEW).legs[0].look_through) == {"USDC": 600}
    together, _ = await world.read(OWNER, OTHER)
    assert all(position.legs[0].look_through == () for position in together.positions)


async def test_what_a_vault_lent_in_morpho_backs_it_as_far_as_nobody_borrowed_it() -> None:
    markets = {b"\x01" * 32: (USDC, 900), b"\x02" * 32: (USDC, 400), b"\x03" * 32: (DAI, 10**9)}
    queue = [*markets, b"\x01" * 32]

    def position(market: bytes, owner: str) -> tuple[int, int, int]:
        return (800 * 10**6 if owner == NEW and market in markets else 0, 0, 0)

    lender = Contract(
        {
            "position(bytes32,address)(uint256,uint128,uint128)": position,
            "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)": lambda id: (
                2_000,
                2_000 * 10**6,
                2_000 - min(markets[id][1], 2_000),
                1,
                1,
                0,
            ),
            "idToMarketParams(bytes32)(address,address,address,address,uint256)": lambda id: (markets[id][0], DAI, DAI, DAI, 0),
        }
    )
    for claim, believed in ((1_200, True), (1_201, False)):
        world = World()
        world.put(morpho(), lender)
        world.put(USDC, token("USDC", 6))
        more = {"withdrawQueue(uint256)(bytes32)": lambda index: queue[index] if index < len(queue) else _refuse(Reason.REVERTED)()}
        world.put(NEW, vault(USDC, {OWNER: claim}, 1, 1, **more), OWNER)
        holdings, _ = await world.read()
        # min(800, 900) and min(800, 400); another asset's market and a repeated one show nothing
        assert bool(of(holdings, NEW).legs[0].look_through) is believed


async def test_a_gated_vault_shows_its_value_and_that_nothing_can_leave() -> None:
    world = World()
    world.put(NEW, vault(USDC, {OWNER: 100}, 1, 1, **{"maxRedeem(address)(uint256)": 0}), OWNER)
    world.put(USDC, token("USDC", 6, {NEW: 100}))
    holdings, _ = await world.read()
    assert leaves(of(holdings, NEW).legs[0].look_through) == {"USDC": 100}
    assert of(holdings, NEW).legs[0].redeemable == 0


async def test_cycles_and_bottomless_nesting_end_and_add_no_value() -> None:
    world = World()
    world.put(LOOP, vault(LOOP, {OWNER: 5}), OWNER)
    world.put(INNER, vault(OUTER, {OWNER: 5}), OWNER)
    world.put(OUTER, vault(INNER, {OWNER: 5}), OWNER)
    deep = [Address(f"0x{0xDEE900 + level:040x}") for level in range(MAXIMUM_LEVELS + 1)]
    for above, below in zip(deep, [*deep[1:], USDC], strict=True):
        world.put(above, vault(below, {OWNER: 5} if above == deep[0] else {}))
    world.announce(deep[0], OWNER)
    holdings, _ = await world.read()
    assert len(holdings.positions) == 4
    assert all(position.legs[0].look_through == () for position in holdings.positions)
    assert vaults(holdings) == set()


async def test_many_new_vaults_are_backed_in_a_round_of_their_own_and_warm_in_one() -> None:
    world = World()
    many = [Address(f"0x{0xAA00 + number:040x}") for number in range(12)]
    for address in many:
        world.put(address, vault(USDC, {OWNER: 10}, 1, 1), OWNER)
    world.put(USDC, token("USDC", 6, dict.fromkeys(many, 10)))
    holdings, cold = await world.read()
    assert all(leaves(position.legs[0].look_through) == {"USDC": 10} for position in holdings.positions)
    assert cold.rounds == 3


class _NoReads(RoundReads):
    """Reads that nobody makes."""

    def __init__(self) -> None:
        super().__init__(Chain(), BLOCK)


def _refuse(reason: Reason) -> Any:
    def answer(*_: object) -> Any:
        raise Refuses(reason)

    return answer
