"""Actions before a shock, as people write them, and the portfolio afterwards.

    repay:aave-v3:USDC=1500                repay a debt
    add:aave-v3:WETH=2                     supply more of a collateral that counts there
    move:USDC:eip155:1/eip155:8453=500     bring free holdings to another chain, where the same token stands by its symbol
    hedge:ETH=-2                           sell (or buy) two ether forward at the price now, margined from elsewhere

PROTOCOL may say more: aave-v3@eip155:1 (which chain), aave-v3@eip155:1/Core (which market, by its label or id), and with #0x… at its end
whose account it is. `all` repays a whole debt, or uses all that is free. Repaid and added tokens come from free holdings on the same
chain, and what is lacking from outside: the result says how much. Amounts are raw integers; a leg's value at its protocol's oracle
follows its amount exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from aggregator.model.errors import InputError
from aggregator.model.identifiers import ChainId, parse_chain
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Side

FORMS = "repay:PROTOCOL:ASSET=AMOUNT, add:PROTOCOL:ASSET=AMOUNT, move:ASSET:CHAIN/CHAIN=AMOUNT or hedge:FACTOR=UNITS"

_AMOUNT = re.compile(r"\d{1,40}(\.\d{1,40})?\Z", re.ASCII)
_SIGNED = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?\Z", re.ASCII)


class ActionKind(StrEnum):
    REPAY = "repay"
    ADD = "add"
    MOVE = "move"
    HEDGE = "hedge"


@dataclass(frozen=True, slots=True)
class Place:
    """A margin account as written: protocol, and where several could be meant its chain, market and owner."""

    protocol: str
    chain: str = ""
    market: str = ""
    owner: str = ""

    def matches(self, account: MarginAccount) -> bool:
        here = self.market.lower() in ("", account.market.lower(), account.market_label.lower())
        whose = self.owner.lower() in ("", account.owner)
        return account.protocol == self.protocol and self.chain in ("", account.chain) and here and whose

    @property
    def text(self) -> str:
        parts = (("@", self.chain), ("/", self.market), ("#", self.owner))
        return self.protocol + "".join(f"{sign}{part}" for sign, part in parts if part)


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `amount` in whole tokens, None for all; `units` of a hedge, signed."""

    kind: ActionKind
    asset: str
    """a token's symbol or address; of a hedge the factor"""
    amount: Decimal | None = None
    place: Place | None = None
    source: ChainId | None = None
    target: ChainId | None = None
    """ends of a move"""

    @property
    def text(self) -> str:
        """As `parse_action` reads it."""
        amount = "all" if self.amount is None else plain_amount(self.amount)
        match self.kind:
            case ActionKind.HEDGE:
                return f"hedge:{self.asset}={amount}"
            case ActionKind.MOVE:
                return f"move:{self.asset}:{self.source}/{self.target}={amount}"
            case _:
                return f"{self.kind}:{self.place.text if self.place is not None else ''}:{self.asset}={amount}"


def parse_action(text: str, chain: Callable[[str], ChainId] = parse_chain) -> Action:
    """One action; `chain` resolves a chain as people write it. InputError in one line for what is wrong."""
    name, separator, value = (part.strip() for part in text.rpartition("="))
    kind, _, rest = name.partition(":")
    if not separator or not rest or kind not in set(ActionKind):
        raise InputError(f"--action {text!r}: expected {FORMS}")
    if kind == ActionKind.HEDGE:
        plain = value.replace("−", "-")
        if not _SIGNED.match(plain) or Decimal(plain) == 0:
            raise InputError(f"--action {text!r}: {value!r} is not a number of units such as -2 or +0.5")
        return Action(ActionKind.HEDGE, rest, Decimal(plain))
    if value != "all" and (not _AMOUNT.match(value) or Decimal(value) == 0):
        raise InputError(f"--action {text!r}: {value!r} is not an amount above zero, nor `all`")
    amount = None if value == "all" else Decimal(value)
    if kind == ActionKind.MOVE:
        asset, _, way = rest.partition(":")
        source, slash, target = way.partition("/")
        if not asset or not slash or not source or not target:
            raise InputError(f"--action {text!r}: expected move:ASSET:FROM/TO=AMOUNT, for example move:USDC:eip155:1/eip155:8453=500")
        ends = chain(source), chain(target)
        if ends[0] == ends[1]:
            raise InputError(f"--action {text!r}: it moves nothing: both ends are {ends[0]}")
        return Action(ActionKind.MOVE, asset, amount, source=ends[0], target=ends[1])
    where, colon, asset = rest.rpartition(":")
    if not colon or not where or not asset:
        raise InputError(f"--action {text!r}: expected {kind}:PROTOCOL:ASSET=AMOUNT")
    return Action(ActionKind(kind), asset, amount, _place(where, chain))


def _place(text: str, chain: Callable[[str], ChainId]) -> Place:
    rest, _, owner = text.partition("#")
    where, _, market = rest.partition("/")
    protocol, at, place = where.partition("@")
    return Place(protocol, chain(place) if at else "", market, owner)


def plain_amount(amount: Decimal) -> str:
    """Without exponent and trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def account_for(portfolio: Portfolio, action: Action) -> int:
    """The margin account that a repayment or an addition means; InputError where it is none or several."""
    place = action.place if action.place is not None else Place("")
    found = [number for number, account in enumerate(portfolio.margin_accounts) if place.matches(account)]
    side = Side.DEBT if action.kind is ActionKind.REPAY else Side.COLLATERAL
    holding = [
        number
        for number in found
        if any(names(leg.symbol, leg.asset, action.asset) and leg.side is side for leg in portfolio.margin_accounts[number].legs)
    ]
    if len(holding) == 1 or (len(found) == 1 and not holding):
        return (holding or found)[0]
    if not found:
        there = ", ".join(sorted({described(account) for account in portfolio.margin_accounts})) or "none"
        raise InputError(f"--action {action.text}: there is no such margin account; there are {there}")
    if not holding:
        raise InputError(f"--action {action.text}: no account there {'owes' if side is Side.DEBT else 'has supplied'} {action.asset}")
    several = ", ".join(described(portfolio.margin_accounts[number]) for number in holding)
    raise InputError(f"--action {action.text}: which one is meant? {several}")


def described(account: MarginAccount) -> str:
    """An account as a place that `parse_action` reads back."""
    return Place(account.protocol, account.chain, account.market_label or account.market, account.owner).text


def names(symbol: str, asset: str, wanted: str) -> bool:
    """Whether `wanted` is this token's symbol in any capitals, its id, or its address."""
    return wanted.lower() in (symbol.lower(), asset.lower(), asset.rpartition(":")[2].lower())
