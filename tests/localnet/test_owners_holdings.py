"""What owners simply hold: nothing, dust, tokens, vault shares, staked ether, funds, and what strangers sent."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet.deploy import lending, lido, morpho, rwa, tokens, vaults
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet
TRANSFERRED = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


async def received(world: World, chain_id: int, who: str) -> list[str]:
    """Contracts whose `Transfer` logs name the address as the receiver."""
    request = {"fromBlock": "0x0", "toBlock": "latest", "topics": [TRANSFERRED, None, f"0x{int(who, 16):064x}"]}
    logs = cast("list[dict[str, str]]", await world.chains[chain_id].rpc("eth_getLogs", request))
    return [log["address"].lower() for log in logs]


async def test_nobody_has_nothing_but_the_empty_owner(inhabited: World) -> None:
    for owner in inhabited.owners:
        for chain_id, chain in inhabited.chains.items():
            signs = [bool(await received(inhabited, chain_id, owner.address)), await chain.balance(owner.address) > 0]
            # Morpho gives no token for what lies in it.
            signs += [
                await morpho.position(inhabited, market, owner.address) != morpho.Position(0, 0, 0)
                for market in morpho.deployment(inhabited, chain_id).markets
                if not any(signs)
            ]
            assert any(signs) is (chain_id in owner.chains), f"{owner.name} on {chain_id}"
    empty = inhabited.owner("empty").address
    for (chain_id, symbol), token in inhabited.tokens.items():
        assert token.chain_id == chain_id
        assert await inhabited.balance(chain_id, symbol, empty) == 0


async def test_dust(inhabited: World) -> None:
    who = inhabited.owner("dust").address
    assert await inhabited.balance(1, "USDC", who) == 1
    assert await inhabited.balance(1, "WETH", who) == 1
    assert await inhabited.chains[1].balance(who) == 10**12
    account = await lending.account(inhabited, lending.aave(inhabited, 42161), who)
    assert 0 < account.debt < 10**8


async def test_nested_vault_shares(inhabited: World) -> None:
    who = inhabited.owner("vault-nested").address
    for chain_id, expected in ((1, 40_000), (8453, 22_000)):
        amount = await inhabited.balance(chain_id, vaults.OUTER_VAULT, who)
        for vault in (vaults.OUTER_VAULT, vaults.INNER_VAULT, vaults.MARKET_VAULT):
            amount = await vaults.convert_to_assets(inhabited, chain_id, vault, amount)
        # A month of interest; nothing at all went wrong on the way in.
        assert 1 <= Decimal(amount).scaleb(-6) / expected < Decimal("1.02")
    assert await inhabited.balance(1, vaults.INNER_VAULT, who) > 0


async def test_odd_vaults(inhabited: World) -> None:
    who, chain = inhabited.owner("vault-odd").address, inhabited.chains[1]
    offset, gated = (vaults.vault(inhabited, 1, symbol).address for symbol in (vaults.OFFSET_VAULT, vaults.GATED_VAULT))
    assert await chain.call(offset, "decimals()(uint8)") == (18,)
    assert await chain.call(gated, "maxWithdraw(address)(uint256)", who) == (0,)
    shares = await inhabited.balance(1, vaults.GATED_VAULT, who)
    assert await vaults.convert_to_assets(inhabited, 1, vaults.GATED_VAULT, shares) > 13_000 * 10**6
    donated = await inhabited.balance(1, vaults.DONATED_VAULT, who)
    assert await vaults.convert_to_assets(inhabited, 1, vaults.DONATED_VAULT, donated) >= donated


async def test_on_the_way_out_of_two_vaults(inhabited: World) -> None:
    who, chain = inhabited.owner("vault-leaving").address, inhabited.chains[1]
    end, underlying = await chain.call(vaults.STAKED_USDE, "cooldowns(address)(uint104,uint152)", who)
    assert cast(int, end) > await chain.now()
    assert cast(int, underlying) > 10_000 * 10**18
    assert await inhabited.balance(1, "sUSDe", who) > 0


async def test_staked_ether_in_both_forms(inhabited: World) -> None:
    who = inhabited.owner("steth-and-wsteth").address
    steth = await inhabited.balance(1, "stETH", who)
    assert Decimal("12.5") < Decimal(steth).scaleb(-18) < Decimal("12.6"), "rebased for a month"
    assert await lido.shares_of(inhabited, who) < steth
    assert await inhabited.balance(1, "wstETH", who) == 8_250_000_000_000_000_000
    assert await inhabited.balance(42161, "wstETH", who) == 3_500_000_000_000_000_000


async def test_withdrawals_ready_and_waiting(inhabited: World) -> None:
    who, chain = inhabited.owner("withdrawal-queue").address, inhabited.chains[1]
    (requests,) = await chain.call(lido.WITHDRAWAL_QUEUE, "getWithdrawalRequests(address)(uint256[])", who)
    numbers = sorted(cast("tuple[int, ...]", requests))
    assert len(numbers) == 3
    signature = "getWithdrawalStatus(uint256[])((uint256,uint256,address,uint256,bool,bool)[])"
    (statuses,) = await chain.call(lido.WITHDRAWAL_QUEUE, signature, numbers)
    found = cast("tuple[tuple[int, int, str, int, bool, bool], ...]", statuses)
    assert [status[4] for status in found] == [True, False, False]
    assert not any(status[5] for status in found)
    assert [round(status[0] / 10**18, 3) for status in found] == [5, 7.5, 20]


async def test_a_treasury_of_every_fund(inhabited: World) -> None:
    who = inhabited.owner("rwa-treasury").address
    for fund in inhabited.recorded(rwa.Fund).values():
        amount = Decimal(await inhabited.balance(1, fund.symbol, who)).scaleb(-fund.decimals)
        assert amount * inhabited.prices[fund.symbol] > 50_000


async def test_net_asset_values_have_their_age(inhabited: World) -> None:
    chain = inhabited.chains[1]
    now = await chain.now()
    for symbol, hours in (("BUIDL", 13), ("USTB", 13), ("USYC", 13), ("TBILL", 61)):
        fund = rwa.fund(inhabited, symbol)
        (_, answer, _, updated, _) = await chain.call(fund.feed, "latestRoundData()(uint80,int256,uint256,uint256,uint80)")
        assert hours - 1 <= (now - cast(int, updated)) / 3_600 <= hours
        assert answer == int(inhabited.prices[symbol] * 10**fund.feed_decimals)
    assert await rwa.issuer_price(inhabited, "USDY") == int(inhabited.prices["USDY"].scaleb(18))


async def test_barred_holders_cannot_move_what_they_own(lived: World) -> None:
    who = lived.owner("rwa-barred").address
    for symbol in ("BUIDL", "USDY"):
        assert await lived.balance(1, symbol, who) > 0
        with pytest.raises(LocalChainError, match="AccountNotPermitted"):
            await lived.chains[1].send(who, rwa.fund(lived, symbol).address, "transfer(address,uint256)", rwa.FIRST_HOLDER, 1)


async def test_what_strangers_sent(inhabited: World) -> None:
    who, chain = inhabited.owner("hostile-tokens").address, inhabited.chains[1]
    sent = tokens.uninvited(inhabited)
    logged = set(await received(inhabited, 1, who))
    assert logged >= {address.lower() for address in (*sent.tokens.values(), sent.vanished)}
    assert await chain.code(sent.vanished) == b""
    for name in ("EndlessToken", "RevertingToken"):
        with pytest.raises(LocalChainError):
            await chain.call(sent.tokens[name], "balanceOf(address)(uint256)", who)
    assert await inhabited.balance(1, "USDC", who) == 5_000 * 10**6
    spammed = inhabited.owner("spammed").address
    (false,) = await chain.call(sent.tokens["Lookalike"], "balanceOf(address)(uint256)", spammed)
    assert false == 10**24
