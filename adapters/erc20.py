"""What every adapter asks of a token: balance, decimals, symbol; and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aggregator.model.identifiers import Address, AssetId, erc20
from aggregator.model.outcome import Outcome, Unknown, Value
from aggregator.model.position import Component, Leg, Side
from aggregator.model.snapshot import Gap, Remark
from aggregator.model.token import Token, TokenKind
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Adapter, Scope
from aggregator.reading.reads import DEFAULT_GAS, Read, Word, why
from aggregator.reading.text import clean_text

BALANCE_OF = Function("balanceOf(address)(uint256)")
TOTAL_SUPPLY = Function("totalSupply()(uint256)")
DECIMALS = Function("decimals()(uint8)")
SYMBOL = Function("symbol()()")
"""raw bytes: tokens answer with a string or with bytes32, honest ones in a few words"""
SYMBOL_LIMIT = 1024
MAXIMUM_DECIMALS = 77
"""10^77 is the last power of ten that fits 256 bits"""


@dataclass(frozen=True, slots=True)
class TokenReads:
    """Decimals and symbol of a token under way; a token that the registry lists is not asked for its symbol."""

    decimals: Read[Any]
    symbol: Read[Any] | None

    @classmethod
    def ask(cls, scope: Scope, token: Address | Word, *, when: Word | None = None, gas: int = DEFAULT_GAS) -> TokenReads:
        """Ask in this round; `token` may be a word of another answer."""
        reads = scope.reads
        decimals = reads.call(token, DECIMALS, when=when, gas=gas)
        if not isinstance(token, Word) and token in scope.tokens:
            return cls(decimals, None)
        return cls(decimals, reads.call(token, SYMBOL, when=when, gas=gas, limit=SYMBOL_LIMIT))

    async def token(
        self, scope: Scope, address: Address, *, kind: TokenKind = TokenKind.UNKNOWN, factor: str = "", source: str = "discovered"
    ) -> Token:
        """The token at `address`; see `described`."""
        symbol = await self.symbol if self.symbol is not None else None
        return described(scope, address, await self.decimals, symbol, kind=kind, factor=factor, source=source)


def described(
    scope: Scope,
    address: Address,
    decimals: Outcome[Any],
    symbol: Outcome[Any] | None = None,
    *,
    kind: TokenKind = TokenKind.UNKNOWN,
    factor: str = "",
    source: str = "discovered",
) -> Token:
    """Token from the registry and the chain; the chain's decimals win.

    A token that the registry does not list gets `kind`, its cleaned symbol and, unless `factor` names a better one, a risk factor of its
    own. Where its decimals cannot be read it is counted in raw units (decimals 0): amounts stay exact and nobody can price it.
    """
    listed = scope.tokens.get(address)
    known = _sane_decimals(decimals)
    if listed is not None:
        if known is None or known == listed.decimals:
            return listed
        return Token(listed.asset, listed.symbol, known, listed.kind, listed.factor, listed.source)
    text = clean_text(symbol.value) if isinstance(symbol, Value) else ""
    asset = erc20(scope.chain, address)
    return Token(asset, text or f"{address[:6]}…{address[-4:]}", known or 0, kind, factor or asset, source)


def decimals_remark(scope: Scope, token: Token) -> tuple[Remark, ...]:
    """A remark where the chain's decimals of a listed token are not the registry's."""
    listed = scope.tokens.get(token.address) if token.address is not None else None
    if listed is None or listed.decimals == token.decimals:
        return ()
    detail = f"{token.symbol} on {scope.chain} has {token.decimals} decimals, the registry says {listed.decimals}; the chain's count"
    return (Remark("decimals-differ", detail),)


def _sane_decimals(outcome: Outcome[Any]) -> int | None:
    if isinstance(outcome, Value) and isinstance(outcome.value, int) and 0 <= outcome.value <= MAXIMUM_DECIMALS:
        return outcome.value
    return None


def idle_leg(token: Token, amount: int, *, look_through: tuple[Component, ...] = (), redeemable: int | None = None) -> Leg:
    """A leg of something owned outside any margin account."""
    return Leg(token.asset, token.symbol, token.decimals, Side.IDLE, amount, look_through=look_through, redeemable=redeemable)


def component(token: Token, amount: int, parts: tuple[Component, ...] = ()) -> Component:
    """An amount of a token inside another."""
    return Component(token.asset, token.symbol, amount, token.decimals, parts)


@dataclass(slots=True)
class Missing:
    """Collects what could not be read and names it once a reason, however many owners or tokens it concerns."""

    _whats: dict[tuple[str, bool], list[str]] = field(default_factory=dict)

    def note(self, what: str, why: str, *, vouched: bool = True) -> None:
        whats = self._whats.setdefault((why, vouched), [])
        if what not in whats:
            whats.append(what)

    def gaps(self, adapter: Adapter, scope: Scope, shown: int = 4) -> tuple[Gap, ...]:
        """One gap a reason; the first few things are named and the rest counted."""
        return tuple(adapter.gap(scope, _listing(whats, shown), why, vouched=vouched) for (why, vouched), whats in self._whats.items())


def _listing(whats: list[str], shown: int) -> str:
    rest = len(whats) - shown
    return ", ".join(whats[:shown]) + (f" and {rest} more" if rest > 0 else "")


def ask_balances(scope: Scope, token: Address) -> dict[Address, Read[Any]]:
    """Balances of all owners, asked in this round."""
    return {owner: scope.reads.call(token, BALANCE_OF, owner) for owner in scope.owners}


async def held(balances: dict[Address, Read[Any]], token: Token, missing: Missing) -> list[tuple[Address, int]]:
    """Owners with a balance, and how much; what could not be read is noted."""
    found = []
    for owner, read in balances.items():
        outcome = await read
        if isinstance(outcome, Unknown):
            missing.note(f"{token.symbol} balance of {owner}", why(outcome))
        elif isinstance(outcome, Value) and outcome.value:
            found.append((owner, outcome.value))
    return found


def unlisted(scope: Scope, tokens: Iterable[Token]) -> tuple[Token, ...]:
    """Tokens that holdings must carry: those that the registry does not have, or has with other decimals. Each once, by asset."""
    chosen: dict[AssetId, Token] = {}
    for token in tokens:
        listed = scope.native if token.address is None else scope.tokens.get(token.address)
        if listed != token:
            chosen[token.asset] = token
    return tuple(chosen[asset] for asset in sorted(chosen))
