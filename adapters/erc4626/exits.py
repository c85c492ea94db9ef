"""What stands between a vault's shares and its assets: cooldowns, queues, and exits below the share price.

Sources: ethena-labs/bbp-public-assets `StakedUSDeV2.sol`; maple-labs `PoolManager`, `WithdrawalManagerQueue`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.erc20 import Missing, component, idle_leg
from adapters.rates import Ratio
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.model.position import Position
from aggregator.model.token import Token
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, why

COOLDOWN_DURATION = Function("cooldownDuration()(uint24)")
COOLDOWNS = Function("cooldowns(address)(uint104,uint152)")
SILO = Function("silo()(address)")
MANAGER = Function("manager()(address)")
WITHDRAWAL_MANAGER = Function("withdrawalManager()(address)")
ESCROWED_SHARES = Function("userEscrowedShares(address)(uint256)")
SERVICED_SHARES = Function("manualSharesAvailable(address)(uint256)")


@dataclass(frozen=True, slots=True)
class CooldownReads:
    """Ethena's way out: assets leave the vault at once and wait in a silo."""

    duration: Read[Any]
    silo: Read[Any]
    cooling: dict[Address, Read[Any]]

    @classmethod
    def ask(cls, scope: Scope, vault: Address) -> CooldownReads:
        reads = scope.reads
        cooling = {owner: reads.call(vault, COOLDOWNS, owner) for owner in scope.owners}
        return cls(reads.call(vault, COOLDOWN_DURATION), reads.call(vault, SILO), cooling)

    async def closed(self, token: Token, missing: Missing) -> bool:
        """Whether shares cannot be redeemed without a cooldown; taken as closed where it cannot be known."""
        duration = await self.duration
        if isinstance(duration, Unknown):
            missing.note(f"cooldown of {token.symbol}", why(duration))
        return not (isinstance(duration, Value) and duration.value == 0)

    async def positions(self, scope: Scope, slug: str, vault: Address, asset: Token, missing: Missing) -> list[Position]:
        """What waits in the silo, by owner: assets, not shares any more. They can be had once their time is over or cooldowns are off."""
        duration, silo = await self.duration, await self.silo
        market = silo.value if isinstance(silo, Value) else vault
        off = isinstance(duration, Value) and duration.value == 0
        found = []
        for owner, read in self.cooling.items():
            outcome = await read
            if isinstance(outcome, Unknown):
                missing.note(f"{asset.symbol} cooling down for {owner}", why(outcome))
            if not isinstance(outcome, Value) or outcome.value[1] == 0:
                continue
            end, amount = outcome.value
            ready = off or scope.block.timestamp >= end
            leg = idle_leg(asset, amount, redeemable=amount if ready else 0)
            found.append(Position(scope.chain, slug, market, owner, (leg,), {"vault": vault, "cooldown_end": str(end)}))
        return found


@dataclass(frozen=True, slots=True)
class QueueReads:
    """Maple's way out: shares move to the withdrawal manager and wait there to be served in order."""

    escrowed: dict[Address, tuple[Read[Any], Read[Any]]]
    manager: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, vault: Address) -> QueueReads:
        reads = scope.reads
        manager = reads.call(reads.call(vault, MANAGER).word(0), WITHDRAWAL_MANAGER)
        queue = manager.word(0)
        escrowed = {owner: (reads.call(queue, ESCROWED_SHARES, owner), reads.call(queue, SERVICED_SHARES, owner)) for owner in scope.owners}
        return cls(escrowed, manager)

    async def note_absence(self, token: Token, missing: Missing) -> None:
        """Say where there is no withdrawal manager to ask."""
        manager = await self.manager
        if not isinstance(manager, Value):
            missing.note(f"withdrawal queue of {token.symbol}", why(manager))

    async def positions(
        self, scope: Scope, slug: str, token: Token, asset: Token, exit_ratio: Ratio | None, missing: Missing
    ) -> list[Position]:
        """Shares that wait, by owner, looked through at the exit value; none of them can be withdrawn now but what was served."""
        found: list[Position] = []
        manager = await self.manager
        for owner, (escrowed_read, serviced_read) in self.escrowed.items():
            escrowed, serviced = await escrowed_read, await serviced_read
            for outcome in (escrowed, serviced):
                if _matters(outcome):
                    missing.note(f"{token.symbol} queued for {owner}", why(outcome))
            waiting, ready = (outcome.value if isinstance(outcome, Value) else 0 for outcome in (escrowed, serviced))
            if not waiting + ready:
                continue
            amount = waiting + ready
            parts = (component(asset, exit_ratio.of(amount)),) if exit_ratio is not None else ()
            leg = idle_leg(token, amount, look_through=parts, redeemable=ready)
            market = manager.value if isinstance(manager, Value) else str(token.address)
            found.append(Position(scope.chain, slug, market, owner, (leg,), {"vault": str(token.address), "status": "queued"}))
        return found


def _matters(outcome: Outcome[Any]) -> bool:
    """Earlier withdrawal managers lack these views: a refusal is not a gap, silence is."""
    return isinstance(outcome, Unknown) and outcome.reason is not Reason.REVERTED
