"""One vault a deployment: shares counted once, looked through to assets by the vault's own conversion of exactly that balance.

Its composition is given whether or not anybody holds it, so that its shares are looked through as collateral anywhere. One round cold and
warm for a few owners; of many, new holders take a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.erc20 import Missing, TokenReads, component, decimals_remark, idle_leg, unlisted
from adapters.erc4626.exits import CooldownReads, QueueReads
from adapters.holders import Holder, HolderReads
from adapters.rates import ConversionReads, Ratio
from adapters.vaults import CONVERT_TO_ASSETS, MAX_REDEEM, VAULT_GAS, VaultReads
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Unknown, Value
from aggregator.model.position import Component, Position
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token, TokenKind
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.reads import Read, Word, why

NOTICEABLE = 10_000
"""an exit that pays less than one part in this many below the share price is rounding"""


@dataclass(frozen=True, slots=True)
class ShareReads:
    """What a holder's shares convert to, what leaving pays, and how many can leave now."""

    assets: Read[Any]
    exit: Read[Any]
    redeemable: Read[Any]


class Erc4626(Adapter):
    """The family of ERC-4626 vaults.

    Contract: `token`. Parameters, all optional: `exit`, name of the view of shares that says what leaving pays (`previewRedeem`);
    `cooldown`, true where leaving takes Ethena's cooldown; `queue`, `maple` where leaving goes through Maple's withdrawal manager.
    """

    async def read(self, scope: Scope) -> Holdings:
        missing, address = Missing(), scope.contract("token")
        exit_name = str(scope.deployment.parameters.get("exit", "previewRedeem"))
        exit_view = Function(f"{exit_name}(uint256)(uint256)")
        token_reads, vault = TokenReads.ask(scope, address), VaultReads.ask(scope, address)

        def ask(owner: Address, balance: Word) -> ShareReads:
            call = scope.reads.call
            return ShareReads(
                call(address, CONVERT_TO_ASSETS, balance, gas=VAULT_GAS, when=balance),
                call(address, exit_view, balance, gas=VAULT_GAS, when=balance),
                call(address, MAX_REDEEM, owner, gas=VAULT_GAS, when=balance),
            )

        holder_reads = HolderReads(scope, address, ask)
        cooldown = CooldownReads.ask(scope, address) if scope.deployment.parameters.get("cooldown") else None
        queue = QueueReads.ask(scope, address) if scope.deployment.parameters.get("queue") == "maple" else None
        exit_rate = ConversionReads.ask(scope, address, exit_name) if queue is not None else None

        asset = await self._asset(scope, vault)
        ratio = await vault.ratio()
        source, factor = scope.deployment.source, asset.factor if asset is not None else ""
        token = await token_reads.token(scope, address, kind=TokenKind.VAULT, factor=factor, source=source)
        if isinstance(await token_reads.decimals, Value) or isinstance(await vault.asset, Unknown):
            self._note_vault(token, await vault.asset, ratio, missing)
        closed = cooldown is not None and await cooldown.closed(token, missing)
        positions, remarks = [], list(decimals_remark(scope, token))
        for holder in await holder_reads.holders(token, missing):
            position, said = await self._position(scope, token, asset, holder, closed, missing)
            positions.append(position)
            remarks += said
        if cooldown is not None and asset is not None:
            positions += await cooldown.positions(scope, self.slug, address, asset, missing)
        if queue is not None and exit_rate is not None and asset is not None:
            if positions:
                await queue.note_absence(token, missing)
            exits = await exit_rate.ratio(scope, token, asset)
            exit_ratio = exits.value if isinstance(exits, Value) else None
            positions += await queue.positions(scope, self.slug, token, asset, exit_ratio, missing)
        return Holdings(
            positions=tuple(positions),
            gaps=missing.gaps(self, scope),
            remarks=tuple(remarks),
            tokens=unlisted(scope, (token, *((asset,) if asset is not None else ()))),
            compositions=(ratio.value.composition(token, asset, "vault"),) if isinstance(ratio, Value) and asset is not None else (),
        )

    async def _asset(self, scope: Scope, vault: VaultReads) -> Token | None:
        outcome = await vault.asset
        return await vault.asset_token.token(scope, outcome.value) if isinstance(outcome, Value) else None

    def _note_vault(self, token: Token, asset: Outcome[Address], ratio: Outcome[Ratio], missing: Missing) -> None:
        """Say what of the vault itself could not be read."""
        if not isinstance(asset, Value):
            missing.note(f"asset of {token.symbol}", why(asset))
        elif not isinstance(ratio, Value):
            missing.note(f"share price of {token.symbol}", why(ratio))

    async def _position(
        self, scope: Scope, token: Token, asset: Token | None, holder: Holder[ShareReads], closed: bool, missing: Missing
    ) -> tuple[Position, list[Remark]]:
        owner, shares = holder.owner, holder.amount
        converted, paid, leaving = await holder.asked.assets, await holder.asked.exit, await holder.asked.redeemable
        parts: tuple[Component, ...] = ()
        remarks: list[Remark] = []
        if asset is not None and isinstance(converted, Value):
            parts = (component(asset, converted.value),)
            remarks += _exit_remark(token, converted.value, paid)
        elif asset is not None:
            missing.note(f"assets of {owner} in {token.symbol}", why(converted))
        if not isinstance(leaving, Value):
            missing.note(f"what {owner} can redeem of {token.symbol}", why(leaving))
        # what cannot be shown to be redeemable is not taken to be
        redeemable = min(shares, leaving.value) if isinstance(leaving, Value) and not closed else 0
        leg = idle_leg(token, shares, look_through=parts, redeemable=redeemable)
        return Position(scope.chain, self.slug, scope.contract("token"), owner, (leg,)), remarks


def _exit_remark(token: Token, assets: int, paid: Outcome[int]) -> list[Remark]:
    """A remark where leaving pays noticeably less than the share price; a vault that cannot say so says nothing."""
    if not isinstance(paid, Value) or (assets - paid.value) * NOTICEABLE <= assets or assets - paid.value <= 1:
        return []
    hundredths = (assets - paid.value) * NOTICEABLE // assets
    detail = f"leaving {token.symbol} ({token.asset}) pays {hundredths // 100}.{hundredths % 100:02d} % less than its share price"
    return [Remark("vault-exit-below-value", detail)]


ADAPTER = Erc4626
