"""Tokens that no registry lists: named by the logs of their transfers to the owners, asked what they are, and believed only so far.

A token nobody vouches for is listed and never valued. A vault is looked through to listed tokens where it is backed by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from adapters.erc20 import Missing, component, idle_leg
from adapters.wallet.probing import MAXIMUM_LEVELS, Probe, Step
from adapters.wallet.vouching import BackingReads
from aggregator.model.composition import Composition
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.model.position import Component, Position
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token
from aggregator.reading.abi import Event
from aggregator.reading.adapter import Scope
from aggregator.reading.catalogue import held_tokens
from aggregator.reading.owner_facts import OwnerFacts
from aggregator.reading.reads import Log, Read, why

TRANSFER = Event("Transfer(address indexed,address indexed,uint256)")
MAXIMUM_TOKENS = 200
"""unlisted tokens that are asked about; those received first go first"""
REORGANISATION_BLOCKS = 64
BACKED_AT_ONCE = 8
"""up to so many new tokens, what backs a vault is asked in the same round as whether it is one"""

_RECEIVED, _SCANNED, _DEPTHS = "unlisted tokens received", "transfers scanned", "vaults inside one another"


@dataclass(slots=True)
class Discovered:
    """What was found beside the registry."""

    positions: list[Position] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    compositions: list[Composition] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


class Discovery:
    """The search for one scope: asks at once for logs and for tokens known from earlier searches."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._received: dict[Address, tuple[Address, ...]] = dict(scope.memory.recall(_RECEIVED, dict) or {})
        self._scanned: OwnerFacts[int] = scope.memory.of_owners(_SCANNED)
        self._scanned_to: int | None = None
        self._depths: dict[Address, int] = dict(scope.memory.recall(_DEPTHS, dict) or {})
        earliest = min(self._scanned.get(owner) or 0 for owner in scope.owners)
        self._from = max(0, min(earliest, scope.block.number) - REORGANISATION_BLOCKS)
        receivers = tuple(f"0x{int(owner, 16):064x}" for owner in scope.owners)
        self._logs: Read[Any] = scope.reads.logs(None, [TRANSFER.topic, None, receivers], self._from)
        self._vouched = frozenset((*scope.tokens, *held_tokens().get(scope.chain, {})))
        """what an adapter or the registry answers for: nothing of it is discovered, and the way down ends there"""
        self._probes: dict[Address, Probe] = {}
        self._ask(self._received)

    async def finish(self, slug: str, missing: Missing) -> Discovered:
        """Take the logs, ask about tokens not met before, and say what all of them are."""
        logs = await self._logs
        if isinstance(logs, Value):
            self._take(logs.value)
        else:
            missing.note(f"tokens outside the registry, received since block {self._from}", why(logs), vouched=False)
        if len(self._received) > MAXIMUM_TOKENS:
            missing.note(
                "tokens outside the registry", f"{len(self._received)} were received, {MAXIMUM_TOKENS} are asked about", vouched=False
            )
        self._ask(self._received)
        found = Discovered()
        steps = {address: await probe.steps(self._scope, self._vouched) for address, probe in self._probes.items()}
        backings = {address: [self._backing(step) for step in way] for address, way in steps.items()}
        for address, probe in self._probes.items():
            await self._settle(slug, probe, steps[address], backings[address], found, missing)
        self._remember()
        return found

    def _take(self, logs: Iterable[Log]) -> None:
        """Note who received which unlisted ERC-20; an NFT's transfer has a fourth topic and no data."""
        scope, mine = self._scope, set(self._scope.owners)
        skipped = {*self._vouched, scope.deployment.contracts.get("native_mirror")}
        for log in logs:
            if log.address in skipped or len(log.topics) != 3 or len(log.data) != 32:
                continue
            owner = Address("0x" + log.topics[2][-40:])
            before = self._received.get(log.address, ())
            if owner in mine and owner not in before:
                self._received[log.address] = (*before, owner)
        self._scanned_to = scope.block.number

    def _ask(self, tokens: Iterable[Address]) -> None:
        """Probes of tokens that one of the owners received and that are not under way, within the limit."""
        room = MAXIMUM_TOKENS - len(self._probes)
        new: dict[Address, list[Address]] = {}
        for token in tokens:
            owners = [owner for owner in self._scope.owners if owner in self._received[token]]
            asked = self._probes.get(token)
            # a token that a further owner turns out to have received is asked about again
            if owners and (asked is None or len(asked.balances) < len(owners)):
                new[token] = owners
        for address, owners in list(new.items())[:room]:
            depth = self._depths.get(address, MAXIMUM_LEVELS)
            # a vault met before is known to need it; of many new tokens most are none
            with_backing = address in self._depths or len(new) <= BACKED_AT_ONCE
            self._probes[address] = Probe.ask(self._scope, address, owners, depth=depth, with_backing=with_backing)

    def _backing(self, step: Step) -> BackingReads:
        level, address = step.level, step.token.address
        assert address is not None
        return level.backing if level.backing is not None else BackingReads.ask(self._scope, address, level.vault.asset.word(0))

    async def _settle(
        self, slug: str, probe: Probe, steps: tuple[Step, ...], backings: list[BackingReads], found: Discovered, missing: Missing
    ) -> None:
        held: dict[Address, int] = {}
        for owner, read in probe.balances.items():
            outcome = await read
            if isinstance(outcome, Unknown):
                # what such a token says for itself is not repeated
                missing.note(f"balance of {owner} in the unlisted token {probe.address}", outcome.reason.value, vouched=False)
            elif isinstance(outcome, Value) and outcome.value:
                held[owner] = outcome.value
        if not held:
            return
        await self._learn_depth(probe, steps)
        amounts = {owner: await probe.amounts(owner, len(steps)) for owner in held} if steps else {}
        believed = bool(steps) and await self._backed(steps, backings, amounts, found)
        token = steps[0].token if believed else await probe.described(self._scope)
        found.tokens.append(token)
        if believed:
            found.tokens += [step.asset for step in steps if step.asset.address not in self._vouched]
            found.compositions += [step.ratio.composition(step.token, step.asset, "vault") for step in steps]
        for owner, amount in held.items():
            parts: tuple[Component, ...] = _parts(steps, amounts[owner]) if believed else ()
            redeemable = _redeemable(amount, await probe.redeemable[owner]) if believed else None
            leg = idle_leg(token, amount, look_through=parts, redeemable=redeemable)
            found.positions.append(Position(self._scope.chain, slug, probe.address, owner, (leg,), {"listed": "no"}))

    async def _learn_depth(self, probe: Probe, steps: tuple[Step, ...]) -> None:
        """Remember how deep to look next time, where the token itself gave the answer."""
        first = await probe.levels[0].vault.asset if probe.levels else None
        refused = isinstance(first, Unknown) and first.reason in (Reason.REVERTED, Reason.MALFORMED)
        if steps or refused:
            self._depths[probe.address] = len(steps)

    async def _backed(
        self, steps: tuple[Step, ...], backings: list[BackingReads], amounts: dict[Address, list[Outcome[int]]], found: Discovered
    ) -> bool:
        """Whether every vault on the way could pay now what these owners' shares claim of it."""
        for index, (step, backing) in enumerate(zip(steps, backings, strict=True)):
            claims = [outcomes[index] for outcomes in amounts.values()]
            asset = step.asset.address
            assert asset is not None
            claimed = sum(claim.value for claim in claims if isinstance(claim, Value))
            if any(not isinstance(claim, Value) for claim in claims) or claimed > await backing.amount(asset):
                token, claimed_in = steps[0].token, steps[-1].asset.symbol
                detail = f"{token.symbol} ({token.asset}) claims {claimed_in} that is not shown to be there; it has no price"
                found.remarks.append(Remark("vault-unbacked", detail))
                return False
        return True

    def _remember(self) -> None:
        memory = self._scope.memory
        memory.keep(_RECEIVED, dict(list(self._received.items())[: 4 * MAXIMUM_TOKENS]))
        if self._scanned_to is not None:
            for owner in self._scope.owners:
                self._scanned.put(owner, self._scanned_to)
        memory.keep(_DEPTHS, self._depths)


def _parts(steps: tuple[Step, ...], amounts: list[Outcome[int]]) -> tuple[Component, ...]:
    """The way down, each level in the contract's own conversion of the one above."""
    parts: tuple[Component, ...] = ()
    for step, amount in reversed(list(zip(steps, amounts, strict=True))):
        assert isinstance(amount, Value)
        parts = (component(step.asset, amount.value, parts),)
    return parts


def _redeemable(shares: int, outcome: Outcome[int]) -> int:
    """Shares that can leave now; what cannot be shown to be redeemable is not taken to be."""
    return min(shares, outcome.value) if isinstance(outcome, Value) else 0
