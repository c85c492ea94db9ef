"""Plain balances: native currency and every registry token that no other adapter reads; on request also what the logs tell of.

One round cold and warm; with discovery two cold (logs, then the tokens they name) and one warm.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.erc20 import DECIMALS, Missing, ask_balances, component, decimals_remark, described, held, idle_leg, unlisted
from adapters.wallet.discovery import Discovery
from aggregator.model.composition import Composition, Part
from aggregator.model.identifiers import Address, AssetId
from aggregator.model.outcome import Unknown, Value
from aggregator.model.position import Component, Position
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token, TokenKind
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.catalogue import held_tokens
from aggregator.reading.reads import why


class Wallet(Adapter):
    """Balances of externally owned accounts and contracts alike.

    Contracts, all optional: `native_mirror`, a token that shows the native balance once more and is not counted; `morpho`, where vaults
    that were discovered may prove assets they lent.
    """

    async def read(self, scope: Scope) -> Holdings:
        missing = Missing()
        listed = own_tokens(scope)
        natives = {owner: scope.reads.balance(owner) for owner in scope.owners}
        decimals = {address: scope.reads.call(address, DECIMALS) for address in listed}
        balances = {address: ask_balances(scope, address) for address in listed}
        discovery = Discovery(scope) if scope.discover else None

        positions: list[Position] = []
        tokens: list[Token] = []
        remarks: list[Remark] = []
        for owner, native in natives.items():
            outcome = await native
            if isinstance(outcome, Unknown):
                missing.note(f"{scope.native.symbol} balance of {owner}", why(outcome))
            elif isinstance(outcome, Value) and outcome.value:
                positions.append(self._position(scope, owner, scope.native, outcome.value))
        for address in listed:
            token = described(scope, address, await decimals[address])
            found = await held(balances[address], token, missing)
            if found:
                tokens.append(token)
                remarks += decimals_remark(scope, token)
            positions += [self._position(scope, owner, token, amount) for owner, amount in found]
        compositions = [_wrapped(scope, token) for token in listed.values() if token.kind is TokenKind.WRAPPED_NATIVE]
        if discovery is not None:
            discovered = await discovery.finish(self.slug, missing)
            positions += discovered.positions
            tokens += discovered.tokens
            remarks += discovered.remarks
            compositions += discovered.compositions
        return Holdings(
            positions=tuple(positions),
            gaps=missing.gaps(self, scope),
            remarks=tuple(remarks),
            tokens=unlisted(scope, tokens),
            compositions=tuple(compositions),
        )

    def _position(self, scope: Scope, owner: Address, token: Token, amount: int) -> Position:
        parts: tuple[Component, ...] = (component(scope.native, amount),) if token.kind is TokenKind.WRAPPED_NATIVE else ()
        return Position(scope.chain, self.slug, reference(token.asset), owner, (idle_leg(token, amount, look_through=parts),))


def own_tokens(scope: Scope) -> Mapping[Address, Token]:
    """Registry tokens that are the wallet's to read: all that no other adapter holds."""
    others = held_tokens().get(scope.chain, {})
    return {address: token for address, token in scope.tokens.items() if address not in others}


def reference(asset: AssetId) -> str:
    """What stands for a wallet's market: the token's address, or the native currency's name in CAIP-19."""
    _, _, name = asset.partition("/")
    return name.removeprefix("erc20:")


def _wrapped(scope: Scope, token: Token) -> Composition:
    native = scope.native
    return Composition(token.asset, 1, (Part(native.asset, native.symbol, native.decimals, 1),), TokenKind.WRAPPED_NATIVE.value)


ADAPTER = Wallet
