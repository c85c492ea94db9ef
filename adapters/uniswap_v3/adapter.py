"""Positions of Uniswap v3 that the NonfungiblePositionManager keeps as NFTs.

An owner's NFTs can be enumerated, and everything that an NFT's worth depends on hangs on its id: id → position → pool → price, fee
growth, ticks. For one owner the chain of calls for the first indices is built before their number is known, so one round is enough; what
lies beyond goes into a second one. Ownership is read anew every time, only the number of NFTs is remembered as a hint of how far to go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapters.erc20 import BALANCE_OF, TokenReads
from adapters.token_book import TokenBook
from adapters.uniswap_v3.maths import uncollected
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.outcome import Absent, Value
from aggregator.model.position import ConcentratedRange, Leg, Position, Side
from aggregator.model.snapshot import Gap
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.concentrated import MAX_TICK, MIN_TICK, Pair, fee_growth_inside, sqrt_ratio_at_tick, withdrawal
from aggregator.reading.depth import PoolDepth
from aggregator.reading.owner_facts import OwnerFacts
from aggregator.reading.reads import Read, Word, why

TOKEN_OF_OWNER_BY_INDEX = Function("tokenOfOwnerByIndex(address,uint256)(uint256)")
POSITIONS = Function("positions(uint256)(uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128)")
TOKEN0, TOKEN1, FEE, TICK_LOWER, TICK_UPPER = range(2, 7)
"""words of `positions`"""
GET_POOL = Function("getPool(address,address,uint24)(address)")
SLOT0 = Function("slot0()(uint160,int24)")
FEE_GROWTH_GLOBAL_0 = Function("feeGrowthGlobal0X128()(uint256)")
FEE_GROWTH_GLOBAL_1 = Function("feeGrowthGlobal1X128()(uint256)")
TICKS = Function("ticks(int24)(uint128,int128,uint256,uint256)")

SPECULATION = 16
"""NFTs that are asked for before anybody's number of NFTs is known, shared between the owners"""
MAXIMUM_NFTS = 5_000
"""of one owner; more is named as a gap, so that nobody's snapshot can be drowned in dust sent to him"""
PLAUSIBLE_NFTS = 1_000_000
"""of one owner; whatever says more is not believed to be counting"""


@dataclass(frozen=True, slots=True)
class NftReads:
    """All that one NFT's worth depends on."""

    owner: Address
    index: int
    token_id: Read[Any]
    position: Read[Any]
    pool: Read[Any]
    slot: Read[Any]
    growth: tuple[Read[Any], Read[Any]]
    ticks: tuple[Read[Any], Read[Any]]
    tokens: tuple[TokenReads, TokenReads] | None
    """None where the tokens are expected to be known"""


class UniswapV3(Adapter):
    """Concentrated liquidity, one position an NFT, one leg a token.

    Contracts: `position_manager`, `factory`. Amounts and fees equal what a full `decreaseLiquidity` and `collect` would pay.
    """

    async def depths(self, scope: Scope, tokens: tuple[Address, ...]) -> tuple[PoolDepth, ...]:
        """What can be sold into pools with the chain's main tokens; see `depth.py`."""
        from adapters.uniswap_v3.depth import pool_depths

        return await pool_depths(scope, tokens)

    async def read(self, scope: Scope) -> Holdings:
        counted = {owner: scope.reads.call(scope.contract("position_manager"), BALANCE_OF, owner) for owner in scope.owners}
        hints: OwnerFacts[int] = scope.memory.of_owners("counts")
        depths = {owner: self._depth(scope, hints.get(owner)) for owner in scope.owners}
        asked = {
            owner: [self._speculate(scope, owner, index, counted[owner], hints.get(owner) or 0) for index in range(depths[owner])]
            for owner in scope.owners
        }
        counts = {owner: await count for owner, count in counted.items()}
        if any(isinstance(count, Absent) for count in counts.values()):
            return Holdings()
        gaps: list[Gap] = []
        nfts: list[NftReads] = []
        for owner, outcome in counts.items():
            count = outcome.value if isinstance(outcome, Value) else 0
            if not isinstance(outcome, Value) or count > PLAUSIBLE_NFTS:
                gaps.append(self.gap(scope, f"positions of {owner}", f"malformed: a count of {count}" if count else why(outcome)))
                continue
            hints.put(owner, count)
            reached = min(count, MAXIMUM_NFTS)
            rest = range(depths[owner], reached)
            nfts += asked[owner][:reached] + [self._ask(scope, owner, index, None, with_tokens=True) for index in rest]
            if count > reached:
                gaps.append(self.gap(scope, f"{count - reached} of {count} positions of {owner}", "more than one snapshot reads"))
        book = TokenBook(scope)
        await book.learn_all(await self._named(nfts))
        positions: list[Position] = []
        for nft in nfts:
            found = await self._position(scope, nft, book)
            if isinstance(found, Gap):
                gaps.append(found)
            elif found is not None:
                positions.append(found)
        return Holdings(positions=tuple(positions), gaps=tuple(gaps), remarks=book.remarks, tokens=book.unlisted)

    @staticmethod
    def _depth(scope: Scope, hint: int | None) -> int:
        """How many NFTs to ask for before the owner's count is known: one more than last time, where that costs little."""
        if hint is None:
            return SPECULATION // len(scope.owners)
        return min(hint + (len(scope.owners) <= SPECULATION), MAXIMUM_NFTS)

    def _speculate(self, scope: Scope, owner: Address, index: int, counted: Read[Any], expected: int) -> NftReads:
        """Ask for an NFT that is expected to be there, or that costs next to nothing where the owner has none."""
        if index < expected:
            return self._ask(scope, owner, index, None, with_tokens=False)
        return self._ask(scope, owner, index, counted.word(0), with_tokens=True)

    @staticmethod
    def _ask(scope: Scope, owner: Address, index: int, when: Word | None, *, with_tokens: bool) -> NftReads:
        """Build the chain of calls from the owner's index to the pool's ticks."""
        reads, manager = scope.reads, scope.contract("position_manager")
        token_id = reads.call(manager, TOKEN_OF_OWNER_BY_INDEX, owner, index, when=when)
        position = reads.call(manager, POSITIONS, token_id.word(0))
        token0, token1 = position.word(TOKEN0), position.word(TOKEN1)
        pool = reads.call(scope.contract("factory"), GET_POOL, token0, token1, position.word(FEE))
        address = pool.word(0)
        return NftReads(
            owner,
            index,
            token_id,
            position,
            pool,
            reads.call(address, SLOT0),
            (reads.call(address, FEE_GROWTH_GLOBAL_0), reads.call(address, FEE_GROWTH_GLOBAL_1)),
            (reads.call(address, TICKS, position.word(TICK_LOWER)), reads.call(address, TICKS, position.word(TICK_UPPER))),
            (TokenReads.ask(scope, token0), TokenReads.ask(scope, token1)) if with_tokens else None,
        )

    @staticmethod
    async def _named(nfts: Iterable[NftReads]) -> list[tuple[Address, TokenReads | None]]:
        """The tokens that the positions name, with what was asked of them."""
        named: list[tuple[Address, TokenReads | None]] = []
        for nft in nfts:
            outcome = await nft.position
            if isinstance(outcome, Value):
                named += zip(outcome.value[TOKEN0 : TOKEN1 + 1], nft.tokens or (None, None), strict=True)
        return named

    async def _position(self, scope: Scope, nft: NftReads, book: TokenBook) -> Position | Gap | None:
        """The position of one NFT, the reason why there is none, or None for an NFT that is worth nothing any more."""
        token_id, held = await nft.token_id, await nft.position
        if not (isinstance(token_id, Value) and isinstance(held, Value)):
            unread = token_id if not isinstance(token_id, Value) else held
            return self.gap(scope, f"position number {nft.index} of {nft.owner}", why(unread))
        _, _, token0, token1, fee, lower, upper, liquidity, last0, last1, owed0, owed1 = held.value
        owed = Pair(owed0, owed1)
        if liquidity == 0 and owed == (0, 0):
            return None
        what = f"position {token_id.value}"
        if not MIN_TICK <= lower < upper <= MAX_TICK:
            return self.gap(scope, what, f"malformed: ticks {lower} and {upper} are no range")
        if await nft.pool == Value(ZERO_ADDRESS):
            return self.gap(scope, what, "the factory names no pool for it")
        state = [await read for read in (nft.pool, nft.slot, *nft.growth, *nft.ticks)]
        unknown = next((outcome for outcome in state if not isinstance(outcome, Value)), None)
        if unknown is not None:
            return self.gap(scope, what, why(unknown))
        pool, (price, tick), growth0, growth1, at_lower, at_upper = (outcome.value for outcome in state if isinstance(outcome, Value))
        bounds = sqrt_ratio_at_tick(lower), sqrt_ratio_at_tick(upper)
        amounts = withdrawal(liquidity, price, *bounds)
        inside = fee_growth_inside(tick, lower, upper, Pair(growth0, growth1), Pair(*at_lower[2:]), Pair(*at_upper[2:]))
        fees = uncollected(owed, inside, Pair(last0, last1), liquidity)
        return Position(
            scope.chain,
            self.slug,
            pool,
            nft.owner,
            tuple(
                Leg(token.asset, token.symbol, token.decimals, Side.IDLE, amount, fees=fee_amount)
                for token, amount, fee_amount in zip((book.find(token0), book.find(token1)), amounts, fees, strict=True)
            ),
            {
                "token_id": str(token_id.value),
                "pool": pool,
                "fee": str(fee),
                "tick_lower": str(lower),
                "tick_upper": str(upper),
                "in_range": str(lower <= tick < upper).lower(),
            },
            ConcentratedRange(liquidity, price, *bounds),
        )


ADAPTER = UniswapV3
