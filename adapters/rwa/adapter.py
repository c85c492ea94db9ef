"""One fund's token a deployment: balances, whether it can move, and how long redeeming takes.

Its net asset value is a feed's or an issuer's and is read with the prices. One round cold and warm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.erc20 import Missing, TokenReads, decimals_remark, idle_leg, unlisted
from adapters.holders import Holder, HolderReads
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.model.position import Position
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token, TokenKind
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.reads import Read, Word, why

TERMS = ("redemption_business_days", "redemption_calendar", "terms_source")
"""parameters that are passed on with each position"""


@dataclass(frozen=True, slots=True)
class PermissionReads:
    """Whether an account may hold and move the token."""

    allowed: Read[Any]


class RealWorldAssets(Adapter):
    """The family of tokenised funds.

    Contract: `token`. Parameters, all optional: `paused`, name of the view `()(bool)` that says that nothing moves; `allowed`, name of the
    view `(address)(bool)` that says who may hold (a view that a token does not have says nothing); `redemption_business_days` and
    `redemption_calendar` as the issuer publishes them, with their `terms_source`.
    """

    async def read(self, scope: Scope) -> Holdings:
        missing = Missing()
        address, parameters = scope.contract("token"), scope.deployment.parameters
        token_reads = TokenReads.ask(scope, address)
        paused_read = scope.reads.call(address, Function(f"{parameters.get('paused', 'paused')}()(bool)"))
        allowed = Function(f"{parameters.get('allowed', 'isAllowed')}(address)(bool)")

        def ask(owner: Address, balance: Word) -> PermissionReads:
            return PermissionReads(scope.reads.call(address, allowed, owner, when=balance))

        reads = HolderReads(scope, address, ask)
        token = await token_reads.token(scope, address, kind=TokenKind.UNKNOWN, source=scope.deployment.source)
        holders = await reads.holders(token, missing)
        paused = _said(await paused_read, f"whether {token.symbol} is paused", missing)
        positions, remarks = [], list(decimals_remark(scope, token))
        if paused and holders:
            remarks.append(Remark("transfers-paused", f"the issuer of {token.symbol} ({token.asset}) has paused it: nothing moves"))
        for holder in holders:
            position, said = await self._position(scope, token, holder, bool(paused), missing)
            positions.append(position)
            remarks += said
        return Holdings(
            positions=tuple(positions), gaps=missing.gaps(self, scope), remarks=tuple(remarks), tokens=unlisted(scope, (token,))
        )

    async def _position(
        self, scope: Scope, token: Token, holder: Holder[PermissionReads], paused: bool, missing: Missing
    ) -> tuple[Position, list[Remark]]:
        remarks: list[Remark] = []
        allowed = _said(await holder.asked.allowed, f"whether {holder.owner} may hold {token.symbol}", missing)
        if allowed is False:
            remarks.append(Remark("holder-not-permitted", f"{holder.owner} is not permitted to move or redeem {token.symbol}"))
        leg = idle_leg(token, holder.amount, redeemable=0 if paused or allowed is False else None)
        terms = {name: str(scope.deployment.parameters[name]) for name in TERMS if name in scope.deployment.parameters}
        return Position(scope.chain, self.slug, scope.contract("token"), holder.owner, (leg,), terms), remarks


def _said(outcome: Outcome[Any], what: str, missing: Missing) -> bool | None:
    """What the token says; None where it cannot be known. A view that the token does not have says nothing, and that is no gap."""
    if isinstance(outcome, Value):
        return bool(outcome.value)
    if isinstance(outcome, Unknown) and outcome.reason is not Reason.REVERTED:
        missing.note(what, why(outcome))
    return None


ADAPTER = RealWorldAssets
