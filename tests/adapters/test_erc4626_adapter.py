"""Vaults against scripted ones: exact conversion, what can leave, cooldowns and queues, and what a broken vault costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from adapters.erc4626.adapter import Erc4626
from adapters.holders import FEW
from adapters.rates import SAMPLE
from aggregator.model.composition import look_through
from aggregator.model.identifiers import Address, erc20, evm_chain
from aggregator.model.outcome import Reason
from aggregator.model.snapshot import Block
from aggregator.model.token import TokenKind
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters, held_tokens
from aggregator.reading.kit import deployments, scope_of
from aggregator.reading.manifest import Deployment
from tests.adapters.scripted import Chain, Contract, Refuses, Reverts, RoundReads, token

CHAIN = evm_chain(1)
NOW = 1_700_000_000
BLOCK = Block(25_000_000, "0x" + "bb" * 32, NOW)
OWNER, OTHER, SILO, MANAGER, QUEUE = (Address("0x" + digit * 40) for digit in "12345")
USDC = Address("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
USDE = Address("0x4c9edd5852cd905f086c759e8383e09bff1e68b3")
ASSETS, SHARES = 1_234_567_890_123_457, 1_111_111_111_111_111_111_111_111_111


def adapter() -> Erc4626:
    found = next(a for a in adapters() if a.slug == "erc4626")
    assert isinstance(found, Erc4626)
    return found


def deployment(symbol: str) -> Deployment:
    return next(d for d in adapter().manifest.deployments[CHAIN] if d.market == symbol)


def vault(asset: Address, balances: dict[str, int], **more: Any) -> Contract:
    """A vault whose shares are ASSETS / SHARES assets each; extra functions by signature or by name."""
    contract = token("VLT", 18, balances)
    contract.put("asset()(address)", asset)
    contract.put("convertToAssets(uint256)(uint256)", lambda shares: shares * ASSETS // SHARES)
    contract.put("previewRedeem(uint256)(uint256)", lambda shares: shares * ASSETS // SHARES)
    contract.put("maxRedeem(address)(uint256)", lambda owner: balances.get(owner, 0))
    for signature, answer in more.items():
        contract.put(signature, answer)
    return contract


async def read(
    symbol: str,
    contract: Contract,
    owners: tuple[Address, ...] = (OWNER, OTHER),
    *,
    beside: Mapping[Address, Contract] | None = None,
    memory: Memory | None = None,
) -> tuple[Holdings, RoundReads]:
    contracts = {deployment(symbol).contracts["token"]: contract, USDC: token("USDC", 6), USDE: token("USDe", 18), **(beside or {})}
    reads = RoundReads(Chain({str(address): one for address, one in contracts.items()}), BLOCK)
    return await adapter().read(scope_of(adapter(), CHAIN, deployment(symbol), reads, owners, memory=memory)), reads


async def test_shares_are_one_leg_and_convert_exactly() -> None:
    shares = 987_654_321_987_654_321_987
    holdings, reads = await read("steakUSDC", vault(USDC, {OWNER: shares}))
    ((leg,),) = (position.legs for position in holdings.positions)
    assert reads.rounds == 1
    assert (leg.amount, leg.decimals, leg.redeemable) == (shares, 18, shares)
    assert [(c.symbol, c.decimals, c.amount) for c in leg.look_through] == [("USDC", 6, shares * ASSETS // SHARES)]
    assert (holdings.gaps, holdings.remarks) == ((), ())
    # the share is a token that the registry lacks; its asset is not repeated
    assert [(t.symbol, t.kind, t.factor) for t in holdings.tokens] == [("VLT", TokenKind.VAULT, "USDC")]


async def test_the_composition_stands_without_holders_and_is_exact_for_collateral_anywhere() -> None:
    holdings, _ = await read("steakUSDC", vault(USDC, {}))
    (composition,) = holdings.compositions
    assert holdings.positions == ()
    assert composition.kind == "vault"
    for shares in (1, 10**18, 123_456_789_123_456_789_123_456):
        assert look_through(composition.asset, shares, {composition.asset: composition})[0].amount == shares * ASSETS // SHARES


async def test_what_cannot_leave_is_not_redeemable() -> None:
    gated, _ = await read("steakUSDC", vault(USDC, {OWNER: 10**18}, **{"maxRedeem(address)(uint256)": 7}))
    assert gated.positions[0].legs[0].redeemable == 7
    unknown, _ = await read("steakUSDC", vault(USDC, {OWNER: 10**18}, **{"maxRedeem(address)(uint256)": _refuse(Reason.OUT_OF_GAS)}))
    assert unknown.positions[0].legs[0].redeemable == 0
    assert [(gap.what, gap.why) for gap in unknown.gaps] == [(f"what {OWNER} can redeem of VLT", "out-of-gas")]


async def test_an_exit_below_the_share_price_is_remarked_upon() -> None:
    fee = vault(USDC, {OWNER: 10**24}, **{"previewRedeem(uint256)(uint256)": lambda shares: shares * ASSETS // SHARES * 9_950 // 10_000})
    (remark,) = (await read("steakUSDC", fee))[0].remarks
    assert remark.code == "vault-exit-below-value"
    assert "0.50 % less" in remark.detail
    rounding = vault(USDC, {OWNER: 10**24}, **{"previewRedeem(uint256)(uint256)": lambda shares: shares * ASSETS // SHARES - 1})
    assert (await read("steakUSDC", rounding))[0].remarks == ()


async def test_a_vault_that_refuses_the_large_sample_is_sampled_small() -> None:
    def convert(shares: int) -> int:
        if shares > 10**30:
            raise Reverts
        return shares * 3 // 2

    holdings, _ = await read("steakUSDC", vault(USDC, {}, **{"convertToAssets(uint256)(uint256)": convert}))
    assert holdings.compositions[0].parts[0].numerator * 2 == holdings.compositions[0].denominator * 3
    assert holdings.compositions[0].denominator < SAMPLE


async def test_a_broken_vault_shows_its_shares_and_names_what_is_missing() -> None:
    broken = vault(USDC, {OWNER: 10**18}, **{"convertToAssets(uint256)(uint256)": _refuse(Reason.OUT_OF_GAS)})
    holdings, _ = await read("steakUSDC", broken)
    assert holdings.positions[0].legs[0].look_through == ()
    assert holdings.compositions == ()
    assert {gap.why for gap in holdings.gaps} == {"out-of-gas"}
    no_vault, _ = await read("steakUSDC", token("steakUSDC", 18, {OWNER: 10**18}))
    assert "asset of steakUSDC" in no_vault.gaps[0].what


def cooling(duration: int, end: int, balance: int = 10**18, amount: int = 5 * 10**18) -> Contract:
    return vault(
        USDE,
        {OWNER: balance},
        **{
            "cooldownDuration()(uint24)": duration,
            "silo()(address)": SILO,
            "cooldowns(address)(uint104,uint152)": lambda owner: (end, amount if owner == OTHER else 0),
        },
    )


@pytest.mark.parametrize(
    ("duration", "end", "leg_redeemable", "silo_redeemable"),
    [(604_800, NOW + 1, 0, 0), (604_800, NOW, 0, 5 * 10**18), (0, NOW + 1, 10**18, 5 * 10**18)],
)
async def test_a_cooldown_closes_the_vault_and_holds_assets_apart(
    duration: int, end: int, leg_redeemable: int, silo_redeemable: int
) -> None:
    holdings, reads = await read("sUSDe", cooling(duration, end))
    shares, waiting = holdings.positions
    assert reads.rounds == 1
    assert shares.legs[0].redeemable == leg_redeemable
    assert (waiting.owner, waiting.market, waiting.identifiers["cooldown_end"]) == (OTHER, SILO, str(end))
    assert (waiting.legs[0].asset, waiting.legs[0].amount, waiting.legs[0].redeemable) == (erc20(CHAIN, USDE), 5 * 10**18, silo_redeemable)


async def test_an_unknown_cooldown_counts_as_closed_and_is_named() -> None:
    contract = cooling(0, NOW)
    contract.put("cooldownDuration()(uint24)", _refuse(Reason.OUT_OF_GAS))
    holdings, _ = await read("sUSDe", contract)
    assert holdings.positions[0].legs[0].redeemable == 0
    assert holdings.gaps[0].what == "cooldown of sUSDe"


async def test_shares_in_a_withdrawal_queue_are_counted_at_their_exit_value() -> None:
    contract = vault(
        USDC, {OWNER: 10**12}, **{"convertToExitAssets(uint256)(uint256)": lambda shares: shares * 9 // 10, "manager()(address)": MANAGER}
    )
    contract.put("convertToAssets(uint256)(uint256)", lambda shares: shares)
    beside = {
        MANAGER: Contract({"withdrawalManager()(address)": QUEUE}),
        QUEUE: Contract(
            {
                "userEscrowedShares(address)(uint256)": lambda owner: 400 if owner == OTHER else 0,
                "manualSharesAvailable(address)(uint256)": lambda owner: 100 if owner == OTHER else 0,
            }
        ),
    }
    holdings, reads = await read("syrupUSDC", contract, beside=beside)
    held, queued = holdings.positions
    assert reads.rounds == 1
    assert "vault-exit-below-value" in {remark.code for remark in holdings.remarks}
    assert (held.owner, held.legs[0].amount) == (OWNER, 10**12)
    assert (queued.owner, queued.market) == (OTHER, QUEUE)
    assert (queued.legs[0].amount, queued.legs[0].redeemable, queued.legs[0].look_through[0].amount) == (500, 100, 450)
    assert holdings.gaps == ()


async def test_of_many_owners_only_holders_are_asked_more() -> None:
    crowd = tuple(Address(f"0x{n:040x}") for n in range(1, 4 * FEW))
    memory = Memory()
    first, cold = await read("steakUSDC", vault(USDC, {crowd[5]: 9, crowd[20]: 8}), crowd, memory=memory)
    second, warm = await read("steakUSDC", vault(USDC, {crowd[5]: 9, crowd[20]: 8}), crowd, memory=memory)
    assert [p.owner for p in first.positions] == [p.owner for p in second.positions] == [crowd[5], crowd[20]]
    assert (cold.rounds, warm.rounds) == (2, 1)


def test_every_vault_is_held_by_this_adapter_alone() -> None:
    for chain, one in deployments(adapter()):
        assert held_tokens()[chain][one.contracts["token"]] == "erc4626"


def _refuse(reason: Reason) -> Callable[..., int]:
    def answer(*_: object) -> int:
        raise Refuses(reason)

    return answer
