"""The Morpho adapter against a scripted Morpho: what it reports, what it names as missing, and how often it asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from adapters.morpho_blue import markets
from adapters.morpho_blue.accounts import FROZEN
from adapters.morpho_blue.adapter import BLIND_MARKETS, MorphoBlue
from adapters.morpho_blue.surface import position_slot
from aggregator.model.identifiers import ZERO_ADDRESS, Address, erc20, evm_chain
from aggregator.model.outcome import Reason, Unknown
from aggregator.model.position import Side
from aggregator.model.snapshot import Block
from aggregator.model.units import WAD
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import scope_of
from aggregator.reading.reads import Log
from tests.adapters.scripted import Chain, Contract, Refuses, Reverts, RoundReads, token

CHAIN = evm_chain(1)
NOW = 1_700_000_000
LOCAL = Block(1_300, "0x" + "aa" * 32, NOW)
MAINNET = Block(20_500_000, "0x" + "bb" * 32, NOW)
OWNER, OTHER, TREASURY = (Address("0x" + digit * 40) for digit in "123")
LOAN, COLLATERAL, ORACLE, IRM = (Address("0x" + digit * 40) for digit in "cdef")
LLTV = 86 * 10**16


def adapter() -> MorphoBlue:
    found = next(a for a in adapters() if a.slug == "morpho-blue")
    assert isinstance(found, MorphoBlue)
    return found


def morpho_address(chain: int = 1) -> Address:
    return adapter().manifest.deployments[evm_chain(chain)][0].contracts["morpho"]


@dataclass
class ScriptedMorpho:
    """A Morpho with markets and positions, as contracts of a scripted chain."""

    chain: Chain = field(default_factory=Chain)
    slots: dict[int, int] = field(default_factory=lambda: {1: int(TREASURY, 16)})
    params: dict[bytes, tuple[str, str, str, str, int]] = field(default_factory=dict)
    totals: dict[bytes, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = (ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS, 0)
        self.chain.contracts |= {
            morpho_address(): Contract(
                {
                    "extSloads(bytes32[])(bytes32[])": lambda slots: [self.slots.get(int.from_bytes(s), 0).to_bytes(32) for s in slots],
                    "idToMarketParams(bytes32)(address,address,address,address,uint256)": lambda id: self.params.get(id, empty),
                    "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)": lambda id: self.totals.get(id, (0,) * 6),
                }
            ),
            LOAN: token("LOAN", 6),
            COLLATERAL: token("COLL", 18),
            ORACLE: Contract({"price()(uint256)": 2_000 * 10**24}),
            IRM: Contract(
                {
                    "borrowRateView((address,address,address,address,uint256),"
                    "(uint128,uint128,uint128,uint128,uint128,uint128))(uint256)": self._rate
                }
            ),
        }
        self.asked_rates: list[tuple[object, object]] = []

    def _rate(self, params: object, totals: object) -> int:
        self.asked_rates.append((params, totals))
        return WAD // 31_536_000 // 20

    def market(
        self, *, collateral: str = COLLATERAL, oracle: str = ORACLE, irm: str = IRM, lltv: int = LLTV, block: int = 1, age: int = 0
    ) -> bytes:
        params = (str(LOAN), collateral, oracle, irm, lltv)
        market = keccak(encode(["address", "address", "address", "address", "uint256"], params))
        self.params[market] = params
        self.totals[market] = (10**12, 10**18, 4 * 10**11, 4 * 10**17, NOW - age, WAD // 10)
        self.chain.logs.append(Log(morpho_address(), (markets.CREATE_MARKET.topic, "0x" + market.hex()), b"", block, 0))
        return market

    def position(self, market: bytes, owner: Address, supply: int = 0, borrow: int = 0, collateral: int = 0) -> None:
        slot = position_slot(market, owner)
        self.slots[slot] = supply
        self.slots[slot + 1] = collateral << 128 | borrow

    async def read(self, *owners: Address, block: Block = LOCAL, memory: Memory | None = None) -> tuple[Holdings, RoundReads]:
        reads = RoundReads(self.chain, block)
        deployment = adapter().manifest.deployments[CHAIN][0]
        return await adapter().read(scope_of(adapter(), CHAIN, deployment, reads, owners, memory=memory)), reads


def test_position_slots_are_those_of_the_storage_layout() -> None:
    market, inner = b"\x07" * 32, keccak(b"\x07" * 32 + (2).to_bytes(32))
    assert position_slot(market, OWNER) == int.from_bytes(keccak(int(OWNER, 16).to_bytes(32) + inner))


async def test_a_borrower_has_collateral_debt_and_the_contracts_health() -> None:
    morpho = ScriptedMorpho()
    market = morpho.market()
    # 1 collateral = 2000 loan; 1.0 of it carries 1720; 1500 borrowed, one unit up by rounding
    morpho.position(market, OWNER, borrow=1_500 * 10**12, collateral=10**18)
    holdings, reads = await morpho.read(OWNER)
    (account,) = holdings.margin_accounts
    assert reads.rounds == 2
    borrowed = -(-1_500 * 10**12 * (4 * 10**11 + 1) // (4 * 10**17 + 10**6))
    assert account.health_factor == 1_720 * 10**6 * WAD // borrowed
    assert account.liquidatable is False
    assert account.debt_free is False
    assert (account.market, account.market_label) == ("0x" + market.hex(), "COLL/LOAN 86 %")
    assert (account.numeraire, account.collateral_value) == (erc20(CHAIN, LOAN), Decimal("2000"))
    assert [(leg.side, leg.amount, leg.symbol) for leg in account.legs] == [
        (Side.COLLATERAL, 10**18, "COLL"),
        (Side.DEBT, borrowed, "LOAN"),
    ]
    terms = account.legs[0].terms
    assert terms is not None
    assert terms.liquidation_threshold == Decimal("0.86")
    assert terms.liquidation_bonus == Decimal("0.043841336116910229")
    assert (holdings.positions, holdings.gaps) == ((), ())
    # an oracle that anyone may choose never becomes a price
    assert holdings.quotes == ()
    assert {t.symbol for t in holdings.tokens} == {"LOAN", "COLL"}


async def test_liquidatable_is_decided_in_integers_on_the_line() -> None:
    morpho = ScriptedMorpho()
    market = morpho.market()
    # with these totals a million shares are one unit exactly
    owed = 1_720 * 10**6
    for owner, borrow_shares in ((OWNER, owed * 10**6), (OTHER, owed * 10**6 + 1)):
        morpho.position(market, owner, borrow=borrow_shares, collateral=10**18)
    holdings, _ = await morpho.read(OWNER, OTHER)
    safe, lost = holdings.margin_accounts
    assert (safe.legs[1].amount, safe.liquidatable) == (owed, False)
    assert safe.health_factor == WAD
    assert (lost.legs[1].amount, lost.liquidatable) == (owed + 1, True)
    assert lost.health_factor is not None
    assert lost.health_factor < WAD


async def test_interest_accrues_to_the_block_at_the_rate_of_the_market() -> None:
    morpho = ScriptedMorpho()
    market = morpho.market(age=86_400)
    morpho.position(market, OWNER, supply=10**15, borrow=10**15)
    holdings, _ = await morpho.read(OWNER)
    params, totals = morpho.asked_rates[0]
    assert params == morpho.params[market]
    assert totals == morpho.totals[market]
    (account,), (supply,) = holdings.margin_accounts, holdings.positions
    assert account.legs[0].amount > 10**9
    assert supply.legs[0].side is Side.IDLE
    assert 10**9 < supply.legs[0].amount < account.legs[0].amount
    assert supply.legs[0].redeemable == supply.legs[0].amount


async def test_bad_debt_is_an_account_like_any_other() -> None:
    morpho = ScriptedMorpho()
    morpho.position(morpho.market(), OWNER, borrow=10**15)
    (account,) = (await morpho.read(OWNER))[0].margin_accounts
    assert account.health_factor == 0
    assert account.liquidatable is True
    assert [leg.side for leg in account.legs] == [Side.DEBT]


async def test_collateral_without_debt_is_free_and_needs_no_oracle_to_leave() -> None:
    morpho = ScriptedMorpho()
    morpho.position(morpho.market(), OWNER, collateral=5)
    morpho.chain.contracts[ORACLE].put("price()(uint256)", _reverts)
    holdings, _ = await morpho.read(OWNER)
    (account,) = holdings.margin_accounts
    assert account.debt_free is True
    assert (account.health_factor, account.liquidatable, account.liquidation_blocked) == (None, False, None)
    assert account.legs[0].redeemable == 5
    assert account.collateral_value is None
    assert "collateral price" in holdings.gaps[0].what


async def test_a_broken_oracle_freezes_and_is_named() -> None:
    morpho = ScriptedMorpho()
    morpho.position(morpho.market(), OWNER, borrow=10**15, collateral=10**18)
    morpho.chain.contracts[ORACLE].put("price()(uint256)", _reverts)
    holdings, _ = await morpho.read(OWNER)
    (account,) = holdings.margin_accounts
    assert (account.health_factor, account.liquidatable, account.debt_free) == (None, None, False)
    assert account.liquidation_blocked is not None
    assert account.liquidation_blocked.startswith(FROZEN)
    assert account.legs[0].redeemable == 0
    assert account.debt_value is not None
    assert len(holdings.gaps) == 1


async def test_an_oracle_that_only_we_could_not_ask_is_unknown_and_not_frozen() -> None:
    morpho = ScriptedMorpho()
    morpho.position(morpho.market(), OWNER, borrow=10**15, collateral=10**18)
    morpho.chain.contracts[ORACLE].put("price()(uint256)", _out_of_gas)
    holdings, _ = await morpho.read(OWNER)
    (account,) = holdings.margin_accounts
    assert (account.health_factor, account.liquidatable, account.liquidation_blocked) == (None, None, None)
    assert holdings.gaps[0].why == f"its oracle {ORACLE}: out-of-gas"


async def test_a_price_that_overflows_the_contract_freezes_the_account() -> None:
    morpho = ScriptedMorpho()
    morpho.position(morpho.market(), OWNER, borrow=10**15, collateral=10**18)
    morpho.chain.contracts[ORACLE].put("price()(uint256)", 2**255)
    (account,) = (await morpho.read(OWNER))[0].margin_accounts
    assert account.health_factor is None
    assert account.liquidation_blocked is not None


async def test_an_idle_market_has_suppliers_and_asks_nobody() -> None:
    morpho = ScriptedMorpho()
    market = morpho.market(collateral=ZERO_ADDRESS, oracle=ZERO_ADDRESS, irm=ZERO_ADDRESS, lltv=0, age=10**6)
    morpho.totals[market] = (10**12, 10**18, 0, 0, NOW - 10**6, 0)
    morpho.position(market, OWNER, supply=10**15)
    holdings, _ = await morpho.read(OWNER)
    (supply,) = holdings.positions
    assert (supply.legs[0].amount, supply.legs[0].redeemable) == (10**9, 10**9)
    assert supply.identifiers["market"] == "idle/LOAN 0 %"
    assert (holdings.margin_accounts, holdings.gaps) == ((), ())


async def test_what_is_lent_out_cannot_be_withdrawn_now() -> None:
    morpho = ScriptedMorpho()
    market = morpho.market()
    morpho.totals[market] = (10**12, 10**18, 10**12 - 7, 10**18, NOW, 0)
    morpho.position(market, OWNER, supply=10**17)
    (supply,) = (await morpho.read(OWNER))[0].positions
    assert supply.legs[0].redeemable == 7 < supply.legs[0].amount


async def test_the_fee_recipient_gets_what_the_next_touch_will_give() -> None:
    morpho = ScriptedMorpho()
    market = morpho.market(age=30 * 86_400)
    for owner in (TREASURY, OTHER):
        morpho.position(market, owner, supply=10**12)
    holdings, _ = await morpho.read(TREASURY, OTHER)
    mine, theirs = holdings.positions
    interest = 4 * 10**11 * 30 // 365 // 20
    assert mine.legs[0].amount - theirs.legs[0].amount == pytest.approx(interest // 10, rel=1e-2)


async def test_without_a_rate_the_market_is_a_gap_and_others_stay() -> None:
    morpho = ScriptedMorpho()
    broken = morpho.market(irm=ORACLE, age=100)
    whole = morpho.market()
    for market in (broken, whole):
        morpho.position(market, OWNER, borrow=10**15, collateral=10**18)
    holdings, _ = await morpho.read(OWNER)
    assert [account.market for account in holdings.margin_accounts] == ["0x" + whole.hex()]
    assert "borrow rate" in holdings.gaps[0].what
    assert "0x" + broken.hex() in holdings.gaps[0].what


async def test_warm_is_one_round_and_new_markets_are_found_by_logs() -> None:
    morpho, memory = ScriptedMorpho(), Memory()
    morpho.position(morpho.market(), OWNER, collateral=10**18)
    _, cold = await morpho.read(OWNER, memory=memory)
    same, warm = await morpho.read(OWNER, memory=memory)
    assert (cold.rounds, warm.rounds) == (2, 1)
    assert len(same.margin_accounts) == 1
    later = Block(LOCAL.number + 10, LOCAL.hash, NOW)
    morpho.position(morpho.market(lltv=77 * 10**16, block=later.number), OWNER, collateral=1)
    found, more = await morpho.read(OWNER, block=later, memory=memory)
    assert len(found.margin_accounts) == 2
    assert more.rounds == 2
    assert [search.from_block for search in morpho.chain.log_searches] == [0, LOCAL.number - 64, LOCAL.number - 64]


async def test_many_new_markets_are_asked_for_positions_before_they_are_read() -> None:
    morpho = ScriptedMorpho()
    made = [morpho.market(lltv=LLTV + i) for i in range(BLIND_MARKETS + 1)]
    morpho.position(made[-1], OWNER, collateral=3)
    holdings, reads = await morpho.read(OWNER)
    assert [account.market for account in holdings.margin_accounts] == ["0x" + made[-1].hex()]
    assert reads.rounds == 3
    assert morpho.chain.calls < 20


async def test_shipped_ids_are_read_beside_the_logs_that_continue_them() -> None:
    morpho = ScriptedMorpho()
    shipped = markets.shipped("ethereum")
    known = bytes.fromhex(shipped.markets[700][2:])
    morpho.params[known] = morpho.params[morpho.market(block=MAINNET.number)]
    morpho.totals[known] = (10**12, 10**18, 0, 0, NOW, 0)
    morpho.position(known, OTHER, supply=10**15)
    holdings, reads = await morpho.read(OWNER, OTHER, block=MAINNET)
    assert [position.market for position in holdings.positions] == ["0x" + known.hex()]
    assert reads.rounds == 2
    assert morpho.chain.log_searches[0].from_block == shipped.complete_to + 1


async def test_logs_beyond_the_range_are_a_gap_that_says_from_where() -> None:
    morpho = ScriptedMorpho()
    morpho.chain.log_failure = Unknown(Reason.RANGE, "too many blocks")
    holdings, _ = await morpho.read(OWNER, block=MAINNET)
    (gap,) = holdings.gaps
    assert gap.what == f"markets created since block {markets.shipped('ethereum').complete_to + 1}"
    assert gap.why == "range: too many blocks"


def test_every_shipped_id_stands_once_and_the_files_are_complete_to_a_block_of_their_chain() -> None:
    for chain, deployments in adapter().manifest.deployments.items():
        for deployment in deployments:
            name = deployment.parameters.get("markets")
            if name is None:
                continue
            file = markets.shipped(str(name))
            assert file.chain == chain
            assert len(set(file.markets)) == len(file.markets) > 100
            assert deployment.deployed_at is not None
            assert file.complete_to >= deployment.deployed_at - 1


def _reverts() -> int:
    raise Reverts


def _out_of_gas() -> int:
    raise Refuses(Reason.OUT_OF_GAS)
