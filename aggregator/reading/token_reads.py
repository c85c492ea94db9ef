"""Symbol and decimals of tokens that no registry lists, read from the chain beside whatever named them.

An adapter asks for them in the same round, through a word of another answer, and learns them once the addresses are known:

    book = TokenBook(scope)
    asked = token_reads(scope.reads, position.word(2))
    ...
    await book.learn_all([(address, asked)])
    token = book.find(address)          # None: its decimals could not be read, `book.reason(address)` says why
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aggregator.model.identifiers import ZERO_ADDRESS, Address, erc20
from aggregator.model.outcome import Value
from aggregator.model.token import Token, TokenKind
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, Reads, Word, why
from aggregator.reading.text import clean_text

SYMBOL = Function("symbol()()")
"""undecoded: a string, or a bytes32 in tokens older than the standard's final form"""
DECIMALS = Function("decimals()(uint8)")
SYMBOL_LIMIT = 256
MAXIMUM_DECIMALS = 77
"""10^77 is the largest power of ten that a uint256 holds; more is no unit that anything could be counted in"""
DISCOVERED = "discovered"
_MEMORY = "tokens"


@dataclass(frozen=True, slots=True)
class TokenReads:
    """The two answers that make a `Token`."""

    symbol: Read[Any]
    decimals: Read[Any]


def token_reads(reads: Reads, target: Address | Word, when: Word | None = None) -> TokenReads:
    """Ask a token, known or yet to be known, for its symbol and decimals."""
    return TokenReads(reads.call(target, SYMBOL, limit=SYMBOL_LIMIT, when=when), reads.call(target, DECIMALS, limit=32, when=when))


class TokenBook:
    """Tokens of one chain: the registry's, the ones remembered from the chain, and the ones learned now.

    The zero address stands for the native currency, as Uniswap v4 has it.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        remembered: dict[Address, Token] = scope.memory.recall(_MEMORY, dict) or {}
        self._remembered = dict(remembered)
        self._reasons: dict[Address, str] = {}
        self._met: dict[Address, Token] = {}

    def knows(self, address: Address) -> bool:
        """Whether nothing need be asked for this token."""
        return address == ZERO_ADDRESS or address in self._scope.tokens or address in self._remembered

    async def learn(self, address: Address, asked: TokenReads) -> None:
        """Take a token from its answers, unless it is known already."""
        if self.knows(address):
            return
        decimals = await asked.decimals
        symbol = await asked.symbol
        if not isinstance(decimals, Value):
            self._reasons[address] = f"decimals are not known ({why(decimals)})"
        elif decimals.value > MAXIMUM_DECIMALS:
            self._reasons[address] = f"claims {decimals.value} decimals"
        else:
            text = clean_text(symbol.value) if isinstance(symbol, Value) else ""
            asset = erc20(self._scope.chain, address)
            self._remembered[address] = Token(
                asset, text or f"{address[:6]}…{address[-4:]}", decimals.value, TokenKind.UNKNOWN, asset, DISCOVERED
            )
            self._scope.memory.keep(_MEMORY, self._remembered)

    async def learn_all(self, named: Iterable[tuple[Address, TokenReads | None]]) -> None:
        """Learn many. Tokens that nothing knows and that were not asked (None) are asked now, all in one further round."""
        unasked: dict[Address, None] = {}
        for address, asked in named:
            if asked is not None:
                await self.learn(address, asked)
            else:
                unasked[address] = None
        late = {address: token_reads(self._scope.reads, address) for address in unasked if not self.knows(address)}
        for address, asked in late.items():
            await self.learn(address, asked)

    def find(self, address: Address) -> Token | None:
        """The token, None where it is not known; what is found here and is not the registry's belongs to `met`."""
        if address == ZERO_ADDRESS:
            return self._scope.native
        listed = self._scope.tokens.get(address)
        if listed is not None:
            return listed
        token = self._remembered.get(address)
        if token is not None:
            self._met[address] = token
        return token

    def reason(self, address: Address) -> str:
        """Why `find` gives nothing for this token."""
        return f"token {address}: {self._reasons.get(address, 'was not asked')}"

    @property
    def met(self) -> tuple[Token, ...]:
        """Tokens found so far that the registry does not list, for `Holdings.tokens`."""
        return tuple(self._met.values())
