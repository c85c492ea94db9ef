"""One token that no registry lists, asked everything at once: balance, name, and whether it is a vault, of what, and how deep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.erc20 import BALANCE_OF, TokenReads
from adapters.rates import Ratio
from adapters.vaults import CONVERT_TO_ASSETS, MAX_REDEEM, VaultReads
from adapters.wallet.vouching import PROBE_GAS, BackingReads
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Value
from aggregator.model.token import Token, TokenKind
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, Word

MAXIMUM_LEVELS = 4
"""vaults inside one another that are looked through; deeper ones stay what they are"""
BALANCE_GAS = 200_000
CONVERSION_GAS = 1_000_000


@dataclass(frozen=True, slots=True)
class Level:
    """One vault on the way down, and what backs it; `backing` None where that is asked later."""

    address: Address | Word
    vault: VaultReads
    backing: BackingReads | None


@dataclass(frozen=True, slots=True)
class Step:
    """A vault that answered: `ratio` raw assets a raw share."""

    token: Token
    asset: Token
    ratio: Ratio
    level: Level


@dataclass(frozen=True, slots=True)
class Probe:
    """All reads about one token and the owners who received it."""

    address: Address
    balances: dict[Address, Read[Any]]
    token: TokenReads
    levels: tuple[Level, ...]
    conversions: dict[Address, tuple[Read[Any], ...]]
    """by owner: the balance in assets of each level, each from the one before"""
    redeemable: dict[Address, Read[Any]]

    @classmethod
    def ask(cls, scope: Scope, address: Address, owners: Sequence[Address], *, depth: int, with_backing: bool) -> Probe:
        """Ask in this round. `depth` vaults are looked for inside one another; calls that have nothing to ask are skipped."""
        reads = scope.reads
        balances = {owner: reads.call(address, BALANCE_OF, owner, gas=BALANCE_GAS) for owner in owners}
        # a lone owner without a balance has nothing to know about the token
        when = balances[owners[0]].word(0) if len(owners) == 1 else None
        token = TokenReads.ask(scope, address, when=when, gas=PROBE_GAS)
        levels: list[Level] = []
        vault: Address | Word = address
        for _ in range(depth):
            asked = VaultReads.ask(scope, vault, gas=CONVERSION_GAS, when=when if not levels else None)
            asset = asked.asset.word(0)
            levels.append(Level(vault, asked, BackingReads.ask(scope, vault, asset) if with_backing else None))
            vault = asset
        conversions, redeemable = {}, {}
        for owner in owners if levels else ():
            conversions[owner] = _conversions(scope, levels, balances[owner].word(0))
            first = levels[0].vault.asset.word(0)
            redeemable[owner] = reads.call(address, MAX_REDEEM, owner, gas=CONVERSION_GAS, when=first)
        return cls(address, balances, token, tuple(levels), conversions, redeemable)

    async def described(self, scope: Scope, kind: TokenKind = TokenKind.UNKNOWN, factor: str = "") -> Token:
        """The token itself."""
        return await self.token.token(scope, self.address, kind=kind, factor=factor)

    async def steps(self, scope: Scope, vouched: frozenset[Address]) -> tuple[Step, ...]:
        """The vaults from this token down to one that somebody vouches for; empty where it is no vault, or leads to no such token."""
        chain: list[tuple[Address, Ratio, Level]] = []
        address, seen = self.address, {self.address}
        for level in self.levels:
            asset, ratio = await level.vault.asset, await level.vault.ratio()
            if not isinstance(asset, Value) or not isinstance(ratio, Value) or asset.value in seen:
                return ()
            chain.append((asset.value, ratio.value, level))
            address = asset.value
            seen.add(address)
            if address in vouched:
                return await self._tokens(scope, chain)
        return ()

    async def _tokens(self, scope: Scope, chain: list[tuple[Address, Ratio, Level]]) -> tuple[Step, ...]:
        listed = scope.tokens.get(chain[-1][0])
        factor = listed.factor if listed is not None else ""
        token, steps = await self.described(scope, TokenKind.VAULT, factor), []
        for address, ratio, level in chain:
            asset = await level.vault.asset_token.token(scope, address, kind=TokenKind.VAULT, factor=factor)
            steps.append(Step(token, asset, ratio, level))
            token = asset
        return tuple(steps)

    async def amounts(self, owner: Address, depth: int) -> list[Outcome[int]]:
        """The owner's balance in the assets of each of the first `depth` levels."""
        return [await read for read in self.conversions[owner][:depth]]


def _conversions(scope: Scope, levels: Sequence[Level], shares: Word) -> tuple[Read[Any], ...]:
    found = []
    for level in levels:
        read = scope.reads.call(level.address, CONVERT_TO_ASSETS, shares, gas=CONVERSION_GAS, when=level.vault.asset.word(0))
        found.append(read)
        shares = read.word(0)
    return tuple(found)
