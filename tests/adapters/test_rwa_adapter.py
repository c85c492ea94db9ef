"""Tokenised funds: balances, pauses and permissions as their tokens say them, and what is not said."""

from __future__ import annotations

import pytest

from adapters.holders import FEW
from adapters.rwa.adapter import RealWorldAssets
from aggregator.model.identifiers import Address, evm_chain
from aggregator.model.outcome import Reason
from aggregator.model.snapshot import Block
from aggregator.model.token import TokenKind
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import deployments, scope_of
from aggregator.reading.manifest import Deployment
from aggregator.reading.registry import registry
from tests.adapters.scripted import Chain, Contract, Refuses, RoundReads, token

CHAIN = evm_chain(1)
BLOCK = Block(25_000_000, "0x" + "bb" * 32, 1_700_000_000)
OWNER, OTHER = Address("0x" + "1" * 40), Address("0x" + "2" * 40)


def adapter() -> RealWorldAssets:
    found = next(a for a in adapters() if a.slug == "rwa")
    assert isinstance(found, RealWorldAssets)
    return found


def deployment(symbol: str) -> Deployment:
    return next(d for d in adapter().manifest.deployments[CHAIN] if d.market == symbol)


async def read(
    symbol: str, contract: Contract, owners: tuple[Address, ...] = (OWNER, OTHER), memory: Memory | None = None
) -> tuple[Holdings, RoundReads]:
    reads = RoundReads(Chain({deployment(symbol).contracts["token"]: contract}), BLOCK)
    return await adapter().read(scope_of(adapter(), CHAIN, deployment(symbol), reads, owners, memory=memory)), reads


def fund(paused: bool = False, allowed: bool = True, amount: int = 7_000_000) -> Contract:
    contract = token("USTB", 6, {OWNER: amount})
    contract.put("paused()(bool)", paused)
    contract.put("isAllowed(address)(bool)", lambda _: allowed)
    return contract


async def test_a_holder_may_move_and_is_told_the_terms() -> None:
    holdings, reads = await read("USTB", fund())
    (position,) = holdings.positions
    assert reads.rounds == 1
    assert (position.owner, position.legs[0].amount, position.legs[0].redeemable) == (OWNER, 7_000_000, None)
    assert position.identifiers["redemption_business_days"] == "1"
    assert position.identifiers["terms_source"].startswith("https://")
    assert (holdings.gaps, holdings.remarks, holdings.tokens) == ((), (), ())


@pytest.mark.parametrize(("contract", "code"), [(fund(paused=True), "transfers-paused"), (fund(allowed=False), "holder-not-permitted")])
async def test_what_cannot_move_cannot_be_redeemed(contract: Contract, code: str) -> None:
    holdings, _ = await read("USTB", contract)
    assert [remark.code for remark in holdings.remarks] == [code]
    assert holdings.positions[0].legs[0].redeemable == 0


async def test_nobody_is_told_of_a_pause_who_holds_nothing() -> None:
    holdings, _ = await read("USTB", fund(paused=True), (OTHER,))
    assert (holdings.positions, holdings.remarks) == ((), ())


async def test_a_token_that_does_not_say_is_no_gap_but_an_unreadable_one_is() -> None:
    silent, _ = await read("USTB", token("USTB", 6, {OWNER: 5}))
    assert (silent.gaps, len(silent.positions)) == ((), 1)
    broken = fund()
    broken.put("paused()(bool)", _out_of_gas)
    holdings, _ = await read("USTB", broken)
    assert [(gap.what, gap.why) for gap in holdings.gaps] == [("whether USTB is paused", "out-of-gas")]
    assert holdings.positions[0].legs[0].redeemable is None


async def test_decimals_of_the_chain_win_and_are_remarked_upon() -> None:
    holdings, _ = await read("TBILL", token("TBILL", 8, {OWNER: 5}))
    assert holdings.positions[0].legs[0].decimals == 8
    assert [remark.code for remark in holdings.remarks] == ["decimals-differ"]
    assert holdings.tokens[0].decimals == 8


async def test_of_many_owners_only_holders_are_asked_more() -> None:
    crowd = tuple(Address(f"0x{n:040x}") for n in range(1, 3 * FEW))
    memory, contract = Memory(), fund()
    asked: list[str] = []

    def allowed(owner: str) -> bool:
        asked.append(owner)
        return True

    contract.put("balanceOf(address)(uint256)", lambda owner: 9 if owner == crowd[4] else 0)
    contract.put("isAllowed(address)(bool)", allowed)
    cold, first = await read("USTB", contract, crowd, memory)
    warm, second = await read("USTB", contract, crowd, memory)
    assert [p.owner for p in cold.positions] == [p.owner for p in warm.positions] == [crowd[4]]
    assert (first.rounds, second.rounds, asked) == (2, 1, [crowd[4], crowd[4]])


def test_every_fund_is_in_the_registry_as_one() -> None:
    kinds = {TokenKind.RWA_TREASURY, TokenKind.RWA_MONEY_MARKET, TokenKind.RWA_CREDIT}
    for chain, one in deployments(adapter()):
        assert registry().tokens(chain)[one.contracts["token"]].kind in kinds


def _out_of_gas() -> bool:
    raise Refuses(Reason.OUT_OF_GAS)
