"""Pair tokens of Uniswap v2 and its forks.

Pairs cannot be enumerated per owner, but their addresses follow from their tokens: the pairs of every listed token with the chain's main
tokens are asked for the owner's balance, and only those he holds for their state. Which pairs exist is remembered, so that later rounds
ask those alone. With discovery, pairs of other tokens are found as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapters.erc20 import BALANCE_OF, TOTAL_SUPPLY, TokenReads, idle_leg
from adapters.token_book import TokenBook
from adapters.uniswap_v2 import discovery
from adapters.uniswap_v2.maths import PairState
from adapters.uniswap_v2.pairs import Pair, candidates, each_once
from adapters.uniswap_v2.state import FEE_TO, StateReads, ask_state, state_of
from aggregator.model.composition import Composition, Part, look_through
from aggregator.model.identifiers import Address, erc20
from aggregator.model.outcome import Absent, Outcome, Unknown, Value
from aggregator.model.position import Position
from aggregator.model.snapshot import Gap
from aggregator.model.token import Token, TokenKind
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.depth import PoolDepth
from aggregator.reading.reads import Log, Read, why

DECIMALS = 18
"""of every pair token, fixed in the pair's code"""
DIRECT_PROBES = 1_500
"""balances that are asked for before it is known which pairs exist; with more, existence is asked first"""
RECHECK_SECONDS = 3_600
"""how long the list of existing pairs is believed complete"""

Balances: TypeAlias = dict[tuple[Pair, Address], Read[Any]]


@dataclass(frozen=True, slots=True)
class Known:
    """Which pairs exist, and when that was last asked of all candidates, in seconds since the epoch."""

    pairs: tuple[Pair, ...]
    checked_at: int


class UniswapV2(Adapter):
    """Constant-product pairs: one position a pair, one leg in the pair's token, looked through to what a burn pays.

    Contracts: `factory`. Parameters: `init_code_hash` of the pairs, `bases` (symbols of the chain's main tokens), `symbol` of the pair
    tokens for people.
    """

    async def depths(self, scope: Scope, tokens: tuple[Address, ...]) -> tuple[PoolDepth, ...]:
        """What can be sold into pairs with the chain's main tokens; see `depth.py`."""
        from adapters.uniswap_v2.depth import pair_depths

        return await pair_depths(scope, tokens)

    async def read(self, scope: Scope) -> Holdings:
        gaps: list[Gap] = []
        fee_to = scope.reads.call(scope.contract("factory"), FEE_TO)
        known = self._known(scope)
        pairs = known.pairs if known is not None else self._candidates(scope)
        direct = known is not None or len(pairs) * len(scope.owners) <= DIRECT_PROBES
        probes = {} if direct else {pair: scope.reads.call(pair.address, TOTAL_SUPPLY) for pair in pairs}
        balances = self._ask_balances(scope, pairs) if direct else {}
        held = scope.memory.recall("held", frozenset) or frozenset()
        states = {pair: ask_state(scope, pair.address, pair.token0, pair.token1) for pair in pairs if pair in held}
        search = discovery.search(scope) if scope.discover else None

        if isinstance(await fee_to, Absent):
            return Holdings()
        received = await search if search is not None else None
        if direct:
            pairs = each_once([pair for (pair, _), balance in balances.items() if not isinstance(await balance, Absent)])
            wanted = each_once([pair for (pair, _), balance in balances.items() if _positive(await balance)])
        else:
            pairs = wanted = await self._existing(scope, probes, gaps)
            balances = self._ask_balances(scope, pairs)
        strangers = self._strangers(scope, received, pairs, gaps) if received is not None else {}
        for pair in wanted:
            if pair not in states:
                states[pair] = ask_state(scope, pair.address, pair.token0, pair.token1)
        book = TokenBook(scope)
        named = dict.fromkeys(token for pair in wanted for token in (pair.token0, pair.token1) if not book.knows(token))
        asked = [(token, TokenReads.ask(scope, token)) for token in named]

        await book.learn_all(asked)
        recognised = await self._recognise(scope, strangers, book, gaps)
        for pair, (state, own) in recognised.items():
            states[pair] = state
            balances.update({(pair, owner): balance for owner, balance in own.items()})
        checked_at = known.checked_at if known is not None else scope.block.timestamp
        scope.memory.keep("pairs", Known(each_once((*pairs, *recognised)), checked_at))
        return await self._holdings(scope, balances, states, await fee_to, book, gaps)

    async def _holdings(
        self,
        scope: Scope,
        balances: Balances,
        states: Mapping[Pair, StateReads],
        fee_to: Outcome[Any],
        book: TokenBook,
        gaps: list[Gap],
    ) -> Holdings:
        """Positions of all balances above zero; what could not be read goes to `gaps`."""
        amounts: dict[tuple[Pair, Address], int] = {}
        unread: dict[Address, list[str]] = {}
        for (pair, owner), balance in balances.items():
            match await balance:
                case Value(amount) if amount > 0:
                    amounts[pair, owner] = amount
                case Unknown() as unknown:
                    unread.setdefault(owner, []).append(why(unknown))
        gaps += [self.gap(scope, f"{len(reasons)} pair balances of {owner}", reasons[0]) for owner, reasons in unread.items()]
        held = each_once(pair for pair, _ in amounts)
        await book.learn_all((token, None) for pair in held for token in (pair.token0, pair.token1))

        made_of: dict[Pair, tuple[Token, Composition]] = {}
        for pair in held:
            state = await state_of(states[pair], fee_to)
            if isinstance(state, str):
                gaps.append(self.gap(scope, f"pair {pair.address}", state))
            else:
                made_of[pair] = self._made_of(scope, pair, (book.find(pair.token0), book.find(pair.token1)), state)
        scope.memory.keep("held", (scope.memory.recall("held", frozenset) or frozenset()) | frozenset(held))
        return Holdings(
            positions=tuple(
                self._position(scope, pair, owner, amount, *made_of[pair]) for (pair, owner), amount in amounts.items() if pair in made_of
            ),
            gaps=tuple(gaps),
            remarks=book.remarks,
            tokens=(*(token for token, _ in made_of.values()), *book.unlisted),
            compositions=tuple(composition for _, composition in made_of.values()),
            claims=frozenset(token.asset for token, _ in made_of.values()),
        )

    @staticmethod
    def _made_of(scope: Scope, pair: Pair, tokens: tuple[Token, Token], state: PairState) -> tuple[Token, Composition]:
        """The pair's own token, and what its whole supply is made of at the next burn."""
        asset = erc20(scope.chain, pair.address)
        symbol = f"{scope.deployment.parameters['symbol']} {tokens[0].symbol}/{tokens[1].symbol}"
        parts = tuple(
            Part(token.asset, token.symbol, token.decimals, balance)
            for token, balance in zip(tokens, (state.balance0, state.balance1), strict=True)
        )
        source = f"pair of factory {scope.contract('factory')}"
        return Token(asset, symbol, DECIMALS, TokenKind.PAIR, asset, source), Composition(asset, state.supply_at_burn, parts, "pair")

    def _position(self, scope: Scope, pair: Pair, owner: Address, amount: int, token: Token, composition: Composition) -> Position:
        parts = look_through(token.asset, amount, {token.asset: composition})
        leg = idle_leg(token, amount, look_through=parts)
        return Position(scope.chain, self.slug, pair.address, owner, (leg,), {"pair": pair.address}, constant_product=True)

    @staticmethod
    def _known(scope: Scope) -> Known | None:
        """The pairs that exist, None where all candidates should be asked again."""
        known = scope.memory.recall("pairs", Known)
        fresh = known is not None and 0 <= scope.block.timestamp - known.checked_at < RECHECK_SECONDS
        return known if fresh else None

    @staticmethod
    def _candidates(scope: Scope) -> tuple[Pair, ...]:
        """Pairs of listed tokens, and those that were discovered once."""
        pairs = scope.memory.recall("candidates", tuple)
        if pairs is None:
            parameters = scope.deployment.parameters
            init_code_hash = bytes.fromhex(str(parameters["init_code_hash"])[2:])
            bases = frozenset(str(parameters["bases"]).split())
            pairs = candidates(scope.contract("factory"), init_code_hash, bases, scope.tokens)
            scope.memory.keep("candidates", pairs)
        known = scope.memory.recall("pairs", Known)
        return each_once((*pairs, *(known.pairs if known is not None else ())))

    @staticmethod
    def _ask_balances(scope: Scope, pairs: Iterable[Pair]) -> Balances:
        return {(pair, owner): scope.reads.call(pair.address, BALANCE_OF, owner) for pair in pairs for owner in scope.owners}

    async def _existing(self, scope: Scope, probes: Mapping[Pair, Read[Any]], gaps: list[Gap]) -> tuple[Pair, ...]:
        """Pairs that answered; those of which nothing is known are a gap for all owners."""
        outcomes = {pair: await probe for pair, probe in probes.items()}
        unknown = [outcome for outcome in outcomes.values() if isinstance(outcome, Unknown)]
        if unknown:
            gaps.append(self.gap(scope, f"{len(unknown)} pairs", why(unknown[0])))
        return each_once(pair for pair, outcome in outcomes.items() if isinstance(outcome, Value))

    def _strangers(
        self, scope: Scope, outcome: Outcome[tuple[Log, ...]], pairs: Iterable[Pair], gaps: list[Gap]
    ) -> dict[discovery.Stranger, dict[Address, Read[Any]]]:
        """Ask every unlisted token that the owners received whether it is a pair, and for the owners' balances."""
        received = discovery.met(scope, outcome, {pair.address for pair in pairs})
        if received.incomplete is not None:
            gaps.append(self.gap(scope, "pairs of tokens that are not listed", received.incomplete))
        else:
            discovery.remember(scope)
        return {
            discovery.ask(scope, address): {owner: scope.reads.call(address, BALANCE_OF, owner) for owner in scope.owners}
            for address in received.addresses
        }

    async def _recognise(
        self, scope: Scope, strangers: Mapping[discovery.Stranger, dict[Address, Read[Any]]], book: TokenBook, gaps: list[Gap]
    ) -> dict[Pair, tuple[StateReads, dict[Address, Read[Any]]]]:
        """The strangers that are pairs of this factory, with their state and the owners' balances."""
        recognised: dict[Pair, tuple[StateReads, dict[Address, Read[Any]]]] = {}
        for stranger, balances in strangers.items():
            match await discovery.recognised(stranger):
                case Pair() as pair:
                    await book.learn_all(zip((pair.token0, pair.token1), stranger.tokens, strict=True))
                    recognised[pair] = stranger.state, balances
                case Unknown() as unknown:
                    discovery.forget(scope)
                    gaps.append(self.gap(scope, f"whether {stranger.address} is a pair", why(unknown)))
        return recognised


def _positive(outcome: Outcome[Any]) -> bool:
    return isinstance(outcome, Value) and outcome.value > 0


ADAPTER = UniswapV2
