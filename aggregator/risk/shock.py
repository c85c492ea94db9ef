"""Shocks as people write them: prices of factors and single tokens, discounts, volatilities, borrow rates, oracles, bridges.

    ETH=-30%                       the factor ETH: every token that follows it, wrapped or not, supplied or owed
    wstETH=-5%                     one token against everything else (a peg, a discount), and whatever is made of it
    lst:stETH=-5%                  a discount that several tokens share (stETH and wstETH)
    ETH:vol=+50%                   the factor's volatility, relative
    USDC:rate=+10%                 borrow rates of the token or factor, ten percentage points a year more
    oracle:aave-v3=frozen          the protocol's oracle stays where it is; also oracle:PROTOCOL@CHAIN and oracle:PROTOCOL/SYMBOL
    bridge:eip155:42161=down       nothing free leaves the chain or arrives there

Shocks compose: moves of one thing multiply, rate shifts add, the rest is a union. So the order does not matter, and shocking twice
is shocking by the composition. Exact rationals throughout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction

from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId, ChainId, parse_chain
from aggregator.model.token import Token, TokenKind

LARGEST_MOVE = Fraction(1_000_000)
"""a price or a volatility times a million is looked at, not more"""
FORMS = "NAME=-30%, NAME:vol=+50%, NAME:rate=+10%, oracle:PROTOCOL=frozen or bridge:CHAIN=down"

_PERCENT = re.compile(r"[+-]?\d{1,20}(\.\d{1,40})?%\Z", re.ASCII)
_ASSET = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}/\S+\Z")


@dataclass(frozen=True, slots=True, order=True)
class Freeze:
    """Oracles that stand still: of a protocol (`*` for all), on one chain or all, for one token symbol or all (empty)."""

    protocol: str
    chain: str = ""
    symbol: str = ""

    def covers(self, protocol: str, chain: str, symbol: str) -> bool:
        """Whether this oracle's price of the token stands still."""
        return self.protocol in ("*", protocol) and self.chain in ("", chain) and self.symbol.lower() in ("", symbol.lower())

    @property
    def text(self) -> str:
        return f"oracle:{self.protocol}{'@' + self.chain if self.chain else ''}{'/' + self.symbol if self.symbol else ''}=frozen"


@dataclass(frozen=True, slots=True)
class Shock:
    """What happens at once. `prices`, `volatilities`: multipliers by name as written; `rates`: additive, fractions a year."""

    prices: Mapping[str, Fraction] = field(default_factory=dict)
    volatilities: Mapping[str, Fraction] = field(default_factory=dict)
    rates: Mapping[str, Fraction] = field(default_factory=dict)
    frozen: frozenset[Freeze] = frozenset()
    bridges_down: frozenset[ChainId] = frozenset()

    def then(self, other: Shock) -> Shock:
        """Both together, in whichever order."""
        return Shock(
            _multiplied(self.prices, other.prices),
            _multiplied(self.volatilities, other.volatilities),
            {name: self.rates.get(name, Fraction(0)) + other.rates.get(name, Fraction(0)) for name in {**self.rates, **other.rates}},
            self.frozen | other.frozen,
            self.bridges_down | other.bridges_down,
        )

    @property
    def words(self) -> tuple[str, ...]:
        """As `parse_shock` reads them, sorted."""
        moves = [(name, "", move - 1) for name, move in self.prices.items()]
        moves += [(name, ":vol", move - 1) for name, move in self.volatilities.items()]
        moves += [(name, ":rate", shift) for name, shift in self.rates.items()]
        words = [f"{name}{what}={_percent_text(move)}" for name, what, move in moves]
        return tuple(sorted([*words, *(one.text for one in self.frozen), *(f"bridge:{chain}=down" for chain in self.bridges_down)]))


NO_SHOCK = Shock()


@dataclass(frozen=True, slots=True)
class Moves:
    """A shock by what it touches in one portfolio: multipliers of factors, single tokens, discounts and volatilities; rate shifts."""

    factors: Mapping[str, Fraction]
    tokens: Mapping[AssetId, Fraction]
    bases: Mapping[str, Fraction]
    volatilities: Mapping[str, Fraction]
    rates: Mapping[AssetId, Fraction]
    frozen: frozenset[Freeze] = frozenset()
    bridges_down: frozenset[ChainId] = frozenset()
    idle: tuple[str, ...] = ()
    """names that are known but touch nothing here"""

    @property
    def names(self) -> frozenset[str]:
        """Factors, tokens and discounts whose price moves."""
        return frozenset((*self.factors, *self.tokens, *self.bases))


def shock_of(texts: Iterable[str], chain: Callable[[str], ChainId] = parse_chain) -> Shock:
    """The composition of several shocks as written; InputError names what is wrong with one."""
    result = NO_SHOCK
    for text in texts:
        result = result.then(parse_shock(text, chain))
    return result


def parse_shock(text: str, chain: Callable[[str], ChainId] = parse_chain) -> Shock:
    """One shock. `chain` resolves a chain as people write it."""
    name, separator, value = (part.strip() for part in text.rpartition("="))
    if not separator or not name or not value:
        raise InputError(f"--shock {text!r}: expected {FORMS}")
    if name.startswith("oracle:"):
        return Shock(frozen=frozenset({_freeze(text, name.removeprefix("oracle:"), value, chain)}))
    if name.startswith("bridge:"):
        if value != "down":
            raise InputError(f"--shock {text!r}: a bridge can only be `down`")
        return Shock(bridges_down=frozenset({chain(name.removeprefix("bridge:"))}))
    change = parse_percent(value, f"--shock {text!r}")
    if name.endswith(":rate"):
        return Shock(rates={_named(text, name.removesuffix(":rate")): change})
    if change < -1:
        raise InputError(f"--shock {text!r}: nothing falls by more than 100 %")
    if change > LARGEST_MOVE:
        raise InputError(f"--shock {text!r}: more than a millionfold is not looked at")
    if name.endswith(":vol"):
        return Shock(volatilities={_named(text, name.removesuffix(":vol")): 1 + change})
    return Shock(prices={_named(text, name): 1 + change})


def parse_percent(text: str, what: str) -> Fraction:
    """`-30%` as −3/10, exactly; InputError for anything that is not a signed number with a per cent sign."""
    plain = text.replace("−", "-").replace(" ", "")
    if not _PERCENT.match(plain):
        raise InputError(f"{what}: {text[:40]!r} is not a change in per cent such as -30% or +12.5%")
    return Fraction(plain[:-1]) / 100


def resolve(
    shock: Shock,
    tokens: Mapping[AssetId, Token],
    factors: Iterable[str],
    bases: Iterable[str],
    known: Container[str] = frozenset(),
) -> Moves:
    """What the shock's names mean in a portfolio with these tokens, factors and discounts.

    A name is a factor, else a discount, else an asset id, else a token's symbol on whatever chain; `token:SYMBOL` is always the token.
    Capitals decide only where two names differ in nothing else. InputError for a name that means nothing, unless it is `known`.
    """
    names = _Names(tokens, tuple(factors), tuple(bases), known)
    moved: dict[str, dict[str, Fraction]] = {"factor": {}, "basis": {}, "token": {}}
    for name, move in shock.prices.items():
        kind, targets = names.price(name)
        for target in targets:
            moved[kind][target] = moved[kind].get(target, Fraction(1)) * move
    volatilities: dict[str, Fraction] = {}
    for name, move in shock.volatilities.items():
        for factor in names.factor(name, "a volatility belongs to a factor"):
            volatilities[factor] = volatilities.get(factor, Fraction(1)) * move
    rates: dict[AssetId, Fraction] = {}
    for name, shift in shock.rates.items():
        for asset in names.assets(name):
            rates[asset] = rates.get(asset, Fraction(0)) + shift
    assets = {AssetId(asset): move for asset, move in moved["token"].items()}
    return Moves(moved["factor"], assets, moved["basis"], volatilities, rates, shock.frozen, shock.bridges_down, tuple(sorted(names.idle)))


class _Names:
    """Names of one portfolio, and which of them were known but not there."""

    def __init__(self, tokens: Mapping[AssetId, Token], factors: tuple[str, ...], bases: tuple[str, ...], known: Container[str]) -> None:
        self.tokens, self.factors, self.bases, self.known = tokens, factors, bases, known
        self.idle: set[str] = set()

    def price(self, name: str) -> tuple[str, tuple[str, ...]]:
        if not name.startswith("token:"):
            for kind, there in (("factor", self.factors), ("basis", self.bases)):
                found = matching(name, there)
                if found is not None:
                    return kind, (found,)
        return "token", self._symbol(name.removeprefix("token:"), "moves with the market under this name")

    def factor(self, name: str, why: str) -> tuple[str, ...]:
        found = matching(name, self.factors)
        if found is None:
            return self._unknown(name, f"is a factor here; {why}")
        return (found,)

    def assets(self, name: str) -> tuple[AssetId, ...]:
        """Assets of a symbol, an asset id, or all that follow a factor."""
        factor = matching(name, self.factors)
        following = tuple(asset for asset, token in self.tokens.items() if token.factor == factor) if factor is not None else ()
        return following or tuple(AssetId(one) for one in self._symbol(name, "is held or owed under this name"))

    def _symbol(self, name: str, what: str) -> tuple[str, ...]:
        if _ASSET.match(name):
            asset = AssetId(name)
            return (asset,) if asset in self.tokens else self._unknown(name, what)
        vouched = {asset: token for asset, token in self.tokens.items() if token.kind is not TokenKind.UNKNOWN}
        for there in (vouched, self.tokens):
            symbol = matching(name, {token.symbol for token in there.values()})
            if symbol is not None:
                return tuple(sorted(asset for asset, token in there.items() if token.symbol == symbol))
        return self._unknown(name, what)

    def _unknown(self, name: str, what: str) -> tuple[str, ...]:
        if name in self.known:
            self.idle.add(name)
            return ()
        there = ", ".join([*self.factors[:12], *(["…"] if len(self.factors) > 12 else [])]) or "no factor at all"
        raise InputError(f"--shock: nothing here {what}: {name[:80]!r}; the portfolio follows {there}")


def matching(name: str, there: Iterable[str]) -> str | None:
    """The name itself, else the only one that differs in nothing but capitals."""
    names = set(there)
    if name in names:
        return name
    alike = [one for one in names if one.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _freeze(text: str, name: str, value: str, chain: Callable[[str], ChainId]) -> Freeze:
    if value != "frozen":
        raise InputError(f"--shock {text!r}: an oracle can only be `frozen`")
    where, _, symbol = name.partition("/")
    protocol, at, place = where.partition("@")
    if not protocol or (at and not place):
        raise InputError(f"--shock {text!r}: expected oracle:PROTOCOL[@CHAIN][/SYMBOL]=frozen, for example oracle:aave-v3=frozen")
    return Freeze(protocol, chain(place) if at else "", symbol)


def _named(text: str, name: str) -> str:
    if not name:
        raise InputError(f"--shock {text!r}: expected {FORMS}")
    return name


def _multiplied(one: Mapping[str, Fraction], other: Mapping[str, Fraction]) -> dict[str, Fraction]:
    return {name: one.get(name, Fraction(1)) * other.get(name, Fraction(1)) for name in {**one, **other}}


def _percent_text(move: Fraction) -> str:
    scaled = move * 100
    with localcontext(prec=120):
        return f"{Decimal(scaled.numerator) / Decimal(scaled.denominator):+f}%"
