"""What owners simply hold: tokens and native currency, vault shares, staked ether, funds, and what strangers sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from aggregator.localnet.deploy import lending, lido, rwa, tokens, vaults
from aggregator.localnet.deploy.shared import raw, raw_worth
from aggregator.localnet.owners.profile import Part
from aggregator.localnet.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet(Part):
    """Whole units of tokens by symbol, and of native currency."""

    chain_id: int = 1
    tokens: Mapping[str, str] = field(default_factory=dict)
    native: str = ""

    async def open(self, world: World, owner: str) -> None:
        chain = world.chains[self.chain_id]
        for symbol, amount in self.tokens.items():
            decimals = world.token(self.chain_id, symbol).decimals
            await lending.give(world, self.chain_id, symbol, owner, raw(amount, decimals))
        if self.native:
            await chain.set_balance(owner, raw(self.native, 18))


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultShares(Part):
    """``usd`` in a vault, through all vaults that it is nested in. ``leaving``: the share of it that was put into the
    vault's cooldown (sUSDe) or redemption queue (syrupUSDC) at the end."""

    chain_id: int = 1
    vault: str
    usd: int
    leaving: Decimal = Decimal(0)

    async def open(self, world: World, owner: str) -> None:
        innermost = self.vault
        while (self.chain_id, innermost) in world.recorded(vaults.Vault):
            innermost = vaults.vault(world, self.chain_id, innermost).asset
        assets = raw_worth(world, self.chain_id, innermost, self.usd)
        await vaults.deposit_through(world, self.chain_id, self.vault, owner, assets)

    async def settle(self, world: World, owner: str) -> None:
        if not self.leaving:
            return
        shares = int(await world.balance(self.chain_id, self.vault, owner) * self.leaving)
        leave = vaults.cool_down if self.vault == "sUSDe" else vaults.request_redeem
        await leave(world, owner, shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class StakedEther(Part):
    """Whole stETH (by staking) and wstETH on Ethereum."""

    chain_id: int = lido.CHAIN
    steth: str = "0"
    wsteth: str = "0"

    async def open(self, world: World, owner: str) -> None:
        if Decimal(self.steth):
            await lido.give_steth(world, owner, raw(self.steth, 18))
        if Decimal(self.wsteth):
            await lido.give_wsteth(world, owner, raw(self.wsteth, 18))


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawals(Part):
    """stETH put into the withdrawal queue halfway: ``ready`` of the requests are finalised at the end."""

    chain_id: int = lido.CHAIN
    steth: tuple[str, ...]
    ready: int = 0

    async def open(self, world: World, owner: str) -> None:
        # The next report may round: a little more than what is asked for.
        await lido.give_steth(world, owner, raw(sum(map(Decimal, self.steth)) * Decimal("1.0001"), 18))

    async def halfway(self, world: World, owner: str) -> None:
        await lido.request_withdrawals(world, owner, [raw(amount, 18) for amount in self.steth])

    async def settle(self, world: World, owner: str) -> None:
        if self.ready:
            queue = lido.WITHDRAWAL_QUEUE
            (requests,) = await world.chains[self.chain_id].call(queue, "getWithdrawalRequests(address)(uint256[])", owner)
            assert isinstance(requests, tuple)
            await lido.finalize_withdrawals(world, sorted(requests)[self.ready - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class FundShares(Part):
    """``usd`` of a tokenised fund. ``barred``: the issuer took the owner off its list at the end."""

    chain_id: int = rwa.CHAIN
    fund: str
    usd: int
    barred: bool = False

    async def open(self, world: World, owner: str) -> None:
        await rwa.issue(world, self.fund, owner, raw_worth(world, self.chain_id, self.fund, self.usd))

    async def settle(self, world: World, owner: str) -> None:
        if self.barred:
            # USDY has a list of those who may not, the others of those who may.
            await rwa.set_listed(world, self.fund, [owner], self.fund == "USDY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uninvited(Part):
    """Tokens that strangers sent: by contract name, or all of them; ``vanished`` too."""

    chain_id: int = 1
    which: tuple[str, ...] | Literal["all"] = "all"
    amount: str = "1000000"

    async def open(self, world: World, owner: str) -> None:
        sent = tokens.uninvited(world)
        addresses = [*sent.tokens.values(), sent.vanished] if self.which == "all" else [sent.tokens[name] for name in self.which]
        async with world.chains[self.chain_id].block():
            for address in addresses:
                await world.chains[self.chain_id].send(owner, address, "announce(address,uint256)", owner, raw(self.amount, 18))
