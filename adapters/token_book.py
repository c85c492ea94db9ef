"""Tokens that positions name: asked for in the same round as the positions, learned once the addresses are known, remembered after.

book = TokenBook(scope)
asked = TokenReads.ask(scope, position.word(2))
...
await book.learn_all([(address, asked)])
token = book.find(address)
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.erc20 import TokenReads, decimals_remark, unlisted
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.outcome import Reason, Unknown
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token
from aggregator.reading.adapter import Scope

_MEMORY = "tokens"


class TokenBook:
    """Tokens of one chain, with the chain's own decimals. The zero address stands for the native currency."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        remembered: dict[Address, Token] = scope.memory.recall(_MEMORY, dict) or {}
        self._remembered = dict(remembered)
        self._now: dict[Address, Token] = {}
        self._found: dict[Address, Token] = {}

    def knows(self, address: Address) -> bool:
        """Whether nothing need be asked for this token."""
        return address == ZERO_ADDRESS or address in self._remembered or address in self._now

    async def learn_all(self, named: Iterable[tuple[Address, TokenReads | None]]) -> None:
        """Learn tokens from their answers. Unknown ones that were not asked (None) are asked now, all in one further round."""
        unasked: dict[Address, None] = {}
        for address, asked in named:
            if asked is None:
                unasked[address] = None
            elif not self.knows(address):
                await self._learn(address, asked)
        late = {address: TokenReads.ask(self._scope, address) for address in unasked if not self.knows(address)}
        for address, asked in late.items():
            await self._learn(address, asked)

    async def _learn(self, address: Address, asked: TokenReads) -> None:
        token = await asked.token(self._scope, address)
        outcome = await asked.decimals
        if not (isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT):
            self._remembered[address] = token
            self._scope.memory.keep(_MEMORY, self._remembered)
        else:
            # asked again next time: the fault was the endpoint's and not the token's
            self._now[address] = token

    def find(self, address: Address) -> Token:
        """The token; KeyError where it was never learned."""
        if address == ZERO_ADDRESS:
            return self._scope.native
        token = self._remembered.get(address) or self._now[address]
        self._found[address] = token
        return token

    @property
    def unlisted(self) -> tuple[Token, ...]:
        """Tokens found so far that the registry does not have, or has with other decimals, for `Holdings.tokens`."""
        return unlisted(self._scope, self._found.values())

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What is to be said of tokens found so far whose decimals are not the registry's."""
        return tuple(remark for token in self._found.values() for remark in decimals_remark(self._scope, token))
