"""Wallets on the local chains: every token of the world by somebody and by nobody twice, and hostile tokens that cost nobody anything."""

from __future__ import annotations

from collections import Counter

import pytest

from aggregator.localnet.deploy import tokens, vaults
from aggregator.localnet.world import World
from tests.adapters.local_reader import local_reader

pytestmark = pytest.mark.localnet

HOLDERS = ("wallet", "erc4626", "lido", "rate-tokens", "rwa")


@pytest.mark.parametrize("chain_id", [1, 42161, 8453])
async def test_every_balance_is_counted_once(deployed: World, chain_id: int) -> None:
    owners = [owner.address for owner in deployed.owners]
    async with local_reader(deployed) as reader:
        cold = await reader.read(HOLDERS, chain_id, owners)
        warm = await reader.read(HOLDERS, chain_id, owners)
    plain = [p for p in cold.positions if not p.identifiers.keys() & {"token_id", "cooldown_end", "status"}]
    assert max(Counter((p.owner, p.market) for p in plain).values()) == 1
    found = {(str(p.owner), p.market): p.legs[0].amount for p in plain}
    chain = deployed.chains[chain_id]
    for (on, symbol), token in deployed.tokens.items():
        if on != chain_id or (on, symbol) in deployed.recorded(vaults.Vault):
            continue
        balances = await chain.calls([(token.address, "balanceOf(address)(uint256)", (owner,)) for owner in owners])
        for owner, (balance,) in zip(owners, balances, strict=True):
            assert found.get((owner.lower(), token.address.lower()), 0) == balance, (symbol, owner)
    for owner in owners:
        assert found.get((owner.lower(), "slip44:60"), 0) == await chain.balance(owner)
    assert {p.market for p in warm.positions} == {p.market for p in cold.positions}
    assert (cold.rounds <= 3, warm.rounds) == (True, 2)
    assert cold.requests <= 6


async def test_one_wallet_takes_one_round_beside_the_head(deployed: World) -> None:
    async with local_reader(deployed) as reader:
        for owner in deployed.owners[:12]:
            for chain_id in (1, 42161, 8453):
                reading = await reader.read(HOLDERS, chain_id, [owner.address])
                assert (reading.rounds, reading.requests) == (2, 2), owner.name


async def test_uninvited_tokens_are_shown_at_no_value_or_named_and_cost_nobody_anything(world: World) -> None:
    owner = "0x000000000000000000000000000000000000BEE5"
    guests = tokens.uninvited(world)
    await world.mint(1, "USDC", owner, 5_000_000)
    for address in guests.tokens.values():
        await world.chains[1].send(owner, address, "announce(address,uint256)", owner, 10**18)
    async with local_reader(world) as reader:
        reading = await reader.read(["wallet"], 1, [owner], discover=True)
        again = await reader.read(["wallet"], 1, [owner], discover=True)
    by_market = {p.market: p for p in reading.positions}
    assert by_market[world.token(1, "USDC").address.lower()].legs[0].amount == 5_000_000
    unlisted = {t.asset: t for holdings in reading.holdings for t in holdings.tokens}
    for name, address in guests.tokens.items():
        position = by_market.get(address.lower())
        if name in ("EndlessToken", "BloatedToken", "RevertingToken", "LookupToken"):
            assert position is None
            assert any(address.lower() in gap for gap in reading.gaps), name
        else:
            assert position is not None, name
            (leg,) = position.legs
            assert leg.look_through == ()
            assert (unlisted[leg.asset].source, unlisted[leg.asset].factor) == ("discovered", leg.asset)
            assert leg.symbol.isprintable()
            assert len(leg.symbol) <= 32
    # somebody else's USDC is not this one
    assert by_market[guests.tokens["Lookalike"].lower()].legs[0].asset != by_market[world.token(1, "USDC").address.lower()].legs[0].asset
    assert reading.compositions.keys() == {f"eip155:1/erc20:{world.token(1, 'WETH').address.lower()}"}
    assert "script" not in " ".join(reading.gaps)
    assert (reading.rounds, again.rounds) == (3, 2)
