"""Morpho Blue: suppliers, and accounts of collateral and debt, in every market that is known.

Rounds: cold two (which markets, then everything about those in use), warm one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from adapters.erc20 import Missing, unlisted
from adapters.morpho_blue import accounts, markets
from adapters.morpho_blue.accounts import Market
from adapters.morpho_blue.surface import MarketReads, Pair, PositionReads, RawPosition, fee_recipient
from aggregator.model.identifiers import Address, address_of_word
from aggregator.model.outcome import Absent, Outcome, Unknown, Value
from aggregator.model.position import MarginAccount, Position
from aggregator.model.token import Token
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.owner_facts import OwnerFacts
from aggregator.reading.reads import why

if TYPE_CHECKING:
    from aggregator.reading.population import Population

BLIND_MARKETS = 48
"""newly found markets that are read whole before anybody is known to use them; more are asked for positions first"""

_IN_USE = "markets in use"


class MorphoBlue(Adapter):
    """The family of Morpho Blue. Contracts: `morpho`. Parameters: `markets`, the name of a file in `markets/`."""

    async def read(self, scope: Scope) -> Holdings:
        missing = Missing()
        snapshot = _Snapshot(scope, missing)
        recipient = await snapshot.gather()
        if isinstance(recipient, Absent):
            return Holdings()
        fee_taker = address_of_word(int.from_bytes(recipient.value[0], "big")) if isinstance(recipient, Value) else None
        if not isinstance(recipient, Value):
            missing.note("fee recipient", why(recipient))
        accounts_, positions, tokens = [], [], []
        for pair, raw in snapshot.in_use():
            market = await snapshot.market(pair[0])
            if market is None:
                continue
            account, supply = self._of_user(scope, market, pair[1], raw, fee_taker, missing)
            accounts_ += [account] if account is not None else []
            positions += [supply] if supply is not None else []
            tokens += [market.loan, *([market.collateral] if market.collateral is not None else [])]
        return Holdings(
            margin_accounts=tuple(accounts_),
            positions=tuple(positions),
            gaps=missing.gaps(self, scope),
            tokens=unlisted(scope, _each_once(tokens)),
        )

    async def population(self, scope: Scope) -> Population | None:
        """Every borrower of every market, from the logs; see `population.py`."""
        from adapters.morpho_blue.population import read_population

        return await read_population(self, scope)

    def _of_user(
        self, scope: Scope, market: Market, owner: Address, raw: RawPosition, fee_taker: Address | None, missing: Missing
    ) -> tuple[MarginAccount | None, Position | None]:
        shares = raw.supply_shares + (market.pending_fee_shares if owner == fee_taker else 0)
        supply = accounts.supply_position(scope, self.slug, market, owner, shares) if shares else None
        if not raw.borrow_shares and not raw.collateral:
            return None, supply
        return accounts.margin_account(scope, self.slug, market, owner, raw, missing), supply


class _Snapshot:
    """Positions and markets of one scope, gathered in as few rounds as possible."""

    def __init__(self, scope: Scope, missing: Missing) -> None:
        self._scope, self._missing = scope, missing
        self._morpho = scope.contract("morpho")
        self._positions: dict[Pair, RawPosition] = {}
        self._reads: dict[bytes, MarketReads] = {}
        self._markets: dict[bytes, Market | None] = {}
        self._used: OwnerFacts[tuple[bytes, ...]] = scope.memory.of_owners(_IN_USE)

    async def gather(self) -> Outcome[tuple[bytes]]:
        """Ask; the outcome of the fee recipient's slot says whether Morpho is deployed."""
        scope, known = self._scope, markets.known_markets(self._scope)
        recipient_read = fee_recipient(scope, self._morpho)
        logs_read = None
        if known.search_from is not None:
            logs_read = scope.reads.logs(self._morpho, [markets.CREATE_MARKET.topic], known.search_from)
        position_reads = self._ask_positions(known.ids)
        self._ask_markets(market for owner in scope.owners for market in self._used.get(owner) or ())
        recipient: Outcome[tuple[bytes]] = await recipient_read
        if isinstance(recipient, Absent):
            return recipient
        new: tuple[bytes, ...] = ()
        if logs_read is not None:
            logs = await logs_read
            if isinstance(logs, Value):
                found = markets.created(logs.value)
                markets.remember(scope.memory, found, scope.block.number)
                new = tuple(market for market in found if market not in set(known.ids))
                if 0 < len(new) <= BLIND_MARKETS:
                    scope.expect(markets.tokens(logs.value))
            else:
                self._missing.note(f"markets created since block {known.search_from}", why(logs))
        await self._take(position_reads)
        self._ask_markets(market for (market, _), _ in self.in_use())
        position_reads = self._ask_positions(new)
        if len(new) <= BLIND_MARKETS:
            self._ask_markets(new)
        await self._take(position_reads)
        self._ask_markets(market for (market, _), _ in self.in_use())
        self._remember_use()
        return recipient

    def in_use(self) -> Iterable[tuple[Pair, RawPosition]]:
        """Positions that are not empty."""
        return self._positions.items()

    async def market(self, market: bytes) -> Market | None:
        """A market in use; None, with the reason noted, where it cannot be known."""
        if market not in self._markets:
            self._markets[market] = await accounts.settle(self._scope, market, self._reads[market], self._missing)
        return self._markets[market]

    def _ask_positions(self, ids: Iterable[bytes]) -> PositionReads:
        pairs = [(market, owner) for owner in self._scope.owners for market in ids]
        return PositionReads(self._scope, self._morpho, pairs)

    def _ask_markets(self, ids: Iterable[bytes]) -> None:
        for market in ids:
            if market not in self._reads:
                self._reads[market] = MarketReads.ask(self._scope, self._morpho, market)

    async def _take(self, reads: PositionReads) -> None:
        for (market, owner), outcome in (await reads.outcomes()).items():
            if isinstance(outcome, Value) and not outcome.value.is_empty:
                self._positions[market, owner] = outcome.value
            elif isinstance(outcome, Unknown):
                self._missing.note(f"positions of {owner}", why(outcome))

    def _remember_use(self) -> None:
        for owner in self._scope.owners:
            self._used.put(owner, tuple(market for market, user in self._positions if user == owner))


def _each_once(tokens: Iterable[Token]) -> list[Token]:
    return list({token.asset: token for token in tokens}.values())


ADAPTER = MorphoBlue
