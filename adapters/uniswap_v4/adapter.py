"""Positions of Uniswap v4 that the PositionManager keeps as NFTs.

These NFTs cannot be enumerated: ids come from `Transfer` logs to the owner, and `ownerOf` confirms each. `balanceOf` says how many there
must be, so a log search that an endpoint refuses is a gap only for owners who have positions beyond those found. From an id on, one round
is enough: the pool's id is the hash of its key, computed beside the calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.erc20 import BALANCE_OF, TokenReads
from adapters.token_book import TokenBook
from adapters.uniswap_v4.hooks import influence_on_withdrawal
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.model.position import ConcentratedRange, Leg, Position, Side
from aggregator.model.snapshot import Gap, Remark
from aggregator.reading.abi import Event, Function
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.concentrated import MAX_TICK, MIN_TICK, Pair, fees_since, sqrt_ratio_at_tick, withdrawal
from aggregator.reading.owner_facts import OwnerFacts
from aggregator.reading.reads import Log, Read, why

TRANSFER = Event("Transfer(address indexed,address indexed,uint256 indexed)")
OWNER_OF = Function("ownerOf(uint256)(address)")
POOL_AND_POSITION = Function("getPoolAndPositionInfo(uint256)(address,address,uint24,int24,address,uint256)")
CURRENCY0, CURRENCY1, FEE, TICK_SPACING, HOOKS, INFO = range(6)
"""words of the answer: the pool's key, then poolId bytes25 | tickUpper int24 | tickLower int24 | hasSubscriber uint8"""
LOWER_SHIFT, UPPER_SHIFT, TICK_BITS = 8, 32, 24
SLOT0 = Function("getSlot0(bytes32)(uint160,int24,uint24,uint24)")
FEE_GROWTH_INSIDE = Function("getFeeGrowthInside(bytes32,int24,int24)(uint256,uint256)")
POSITION = Function("getPositionInfo(bytes32,address,int24,int24,bytes32)(uint128,uint256,uint256)")
DYNAMIC_FEE = 0x800000

OWNERS_A_SEARCH = 500
REORGANISATION_BLOCKS = 128
"""searched again each time, as a reorganisation may have moved a transfer"""
MAXIMUM_NFTS = 2_000
"""ids of one owner, past and present; the newest are taken, and `balanceOf` tells what is missing"""


@dataclass(frozen=True, slots=True)
class NftReads:
    """All that one NFT's worth depends on."""

    token_id: int
    holder: Read[Any]
    key: Read[Any]
    pool: Read[bytes]
    slot: Read[Any]
    inside: Read[Any]
    state: Read[Any]
    tokens: tuple[TokenReads, TokenReads] | None
    """None where the tokens are expected to be known"""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one owner's ids: kept between snapshots as a hint, verified each time."""

    token_ids: frozenset[int]
    scanned_to: int


class UniswapV4(Adapter):
    """Concentrated liquidity in the singleton, one position an NFT, one leg a token.

    Contracts: `position_manager`, `state_view`. Amounts and fees equal what removing all liquidity pays in a pool whose hook, if it has
    one, takes nothing; other hooks are named in a remark.
    """

    async def read(self, scope: Scope) -> Holdings:
        manager = scope.contract("position_manager")
        counted = {owner: scope.reads.call(manager, BALANCE_OF, owner) for owner in scope.owners}
        found: OwnerFacts[Found] = scope.memory.of_owners("found")
        before = {owner: fact for owner in scope.owners if (fact := found.get(owner)) is not None}
        # what a later block taught says nothing of an earlier one
        known = {owner: fact for owner, fact in before.items() if fact.scanned_to <= scope.block.number}
        searches = self._search(scope, known)
        remembered = {token_id for owner in scope.owners if owner in known for token_id in known[owner].token_ids}
        nfts = {token_id: self._ask(scope, token_id, with_tokens=False) for token_id in sorted(remembered)}

        counts: dict[Address, int] = {}
        gaps: list[Gap] = []
        for owner in scope.owners:
            match await counted[owner]:
                case Value(count):
                    counts[owner] = count
                case Absent():
                    return Holdings()
                case Unknown() as unknown:
                    gaps.append(self.gap(scope, f"positions of {owner}", why(unknown)))
        received, refusals = await self._received(searches)
        candidates = {
            owner: sorted(received.get(owner, set()) | (known[owner].token_ids if owner in known else set()))[-MAXIMUM_NFTS:]
            for owner, count in counts.items()
            if count
        }
        for token_id in sorted({token_id for ids in candidates.values() for token_id in ids}):
            if token_id not in nfts:
                nfts[token_id] = self._ask(scope, token_id, with_tokens=True)

        book = TokenBook(scope)
        await book.learn_all(await self._named(nfts.values()))
        positions: list[Position] = []
        remarks: list[Remark] = []
        complete: dict[Address, Found] = {}
        for owner, count in counts.items():
            held = await self._held(scope, owner, candidates.get(owner, ()), nfts, gaps)
            for token_id in held:
                position, remark = await self._position(scope, nfts[token_id], owner, book)
                if isinstance(position, Gap):
                    gaps.append(position)
                elif position is not None:
                    positions.append(position)
                    remarks += [remark] if remark is not None else []
            if len(held) < count:
                missing = f"{count - len(held)} of {count} positions of {owner}"
                gaps.append(self.gap(scope, missing, refusals.get(owner, "their ids are in no log that was found")))
            else:
                # complete by the contract's own count, however the ids were found: from here on new logs are enough
                complete[owner] = Found(frozenset(held), scope.block.number)
        for owner in scope.owners:
            found.drop(owner)
            if owner in complete:
                found.put(owner, complete[owner])
        return Holdings(positions=tuple(positions), gaps=tuple(gaps), remarks=(*remarks, *book.remarks), tokens=book.unlisted)

    @staticmethod
    def _search(scope: Scope, known: Mapping[Address, Found]) -> list[tuple[tuple[Address, ...], Read[tuple[Log, ...]]]]:
        """Searches for NFTs received: new owners from the deployment on, known ones from where the last search ended."""
        start = scope.deployment.deployed_at or 0
        if start > scope.block.number:
            # a local network that has the contract at its usual address, but not the chain's usual height
            start = 0
        old = [owner for owner in scope.owners if owner in known]
        new = [owner for owner in scope.owners if owner not in known]
        resumed = max(start, min((known[owner].scanned_to for owner in old), default=0) - REORGANISATION_BLOCKS)
        return [
            (
                tuple(owners[first : first + OWNERS_A_SEARCH]),
                scope.reads.logs(
                    scope.contract("position_manager"),
                    (TRANSFER.topic, None, [f"0x{int(owner, 16):064x}" for owner in owners[first : first + OWNERS_A_SEARCH]]),
                    block,
                ),
            )
            for owners, block in ((old, resumed), (new, start))
            for first in range(0, len(owners), OWNERS_A_SEARCH)
        ]

    @staticmethod
    async def _received(
        searches: Iterable[tuple[tuple[Address, ...], Read[tuple[Log, ...]]]],
    ) -> tuple[dict[Address, set[int]], dict[Address, str]]:
        """Ids that each owner ever received, and why nothing could be learned for some owners."""
        received: dict[Address, set[int]] = {}
        refusals: dict[Address, str] = {}
        for owners, search in searches:
            outcome = await search
            if not isinstance(outcome, Value):
                refusals.update(dict.fromkeys(owners, why(outcome)))
                continue
            for log in outcome.value:
                if len(log.topics) == 4:
                    receiver, token_id = (int(topic, 16) for topic in log.topics[2:])
                    received.setdefault(Address(f"0x{receiver:040x}"), set()).add(token_id)
        return received, refusals

    @staticmethod
    def _ask(scope: Scope, token_id: int, *, with_tokens: bool) -> NftReads:
        """Build the chain of calls from the id to the pool's fee growth."""
        reads, manager, view = scope.reads, scope.contract("position_manager"), scope.contract("state_view")
        key = reads.call(manager, POOL_AND_POSITION, token_id)
        lower = key.word(INFO, shift=LOWER_SHIFT, bits=TICK_BITS, signed=True)
        upper = key.word(INFO, shift=UPPER_SHIFT, bits=TICK_BITS, signed=True)
        pool = reads.keccak(*(key.word(index) for index in range(INFO)))
        pool_id = pool.word(0)
        return NftReads(
            token_id,
            reads.call(manager, OWNER_OF, token_id),
            key,
            pool,
            reads.call(view, SLOT0, pool_id),
            reads.call(view, FEE_GROWTH_INSIDE, pool_id, lower, upper),
            reads.call(view, POSITION, pool_id, manager, lower, upper, token_id.to_bytes(32, "big")),
            (TokenReads.ask(scope, key.word(CURRENCY0)), TokenReads.ask(scope, key.word(CURRENCY1))) if with_tokens else None,
        )

    @staticmethod
    async def _named(nfts: Iterable[NftReads]) -> list[tuple[Address, TokenReads | None]]:
        """The tokens that the positions name, with what was asked of them."""
        named: list[tuple[Address, TokenReads | None]] = []
        for nft in nfts:
            outcome = await nft.key
            if isinstance(outcome, Value):
                named += zip(outcome.value[CURRENCY0 : CURRENCY1 + 1], nft.tokens or (None, None), strict=True)
        return named

    async def _held(
        self, scope: Scope, owner: Address, token_ids: Iterable[int], nfts: Mapping[int, NftReads], gaps: list[Gap]
    ) -> list[int]:
        """The ids that are the owner's at this block; what cannot be told goes to `gaps`."""
        held: list[int] = []
        for token_id in token_ids:
            outcome = await nfts[token_id].holder
            if isinstance(outcome, Value):
                held += [token_id] if outcome.value == owner else []
            # a burned NFT has no owner, and the contract refuses to name one
            elif isinstance(outcome, Unknown) and outcome.reason is not Reason.REVERTED:
                gaps.append(self.gap(scope, f"owner of position {token_id}", why(outcome)))
        return held

    async def _position(self, scope: Scope, nft: NftReads, owner: Address, book: TokenBook) -> tuple[Position | Gap | None, Remark | None]:
        """The position of one NFT and what is to be said of its hook; a gap where it could not be read, None where it holds nothing."""
        what = f"position {nft.token_id}"
        answers: list[Outcome[Any]] = [await read for read in (nft.key, nft.pool, nft.state, nft.slot, nft.inside)]
        unknown = next((outcome for outcome in answers if not isinstance(outcome, Value)), None)
        if unknown is not None:
            return self.gap(scope, what, why(unknown)), None
        key, pool, state, slot, inside = (outcome.value for outcome in answers if isinstance(outcome, Value))
        currency0, currency1, fee, spacing, hook, info = key
        liquidity, last0, last1 = state
        price, tick = slot[:2]
        if liquidity == 0:
            return None, None
        lower, upper = (_signed_tick(info >> shift) for shift in (LOWER_SHIFT, UPPER_SHIFT))
        if not MIN_TICK <= lower < upper <= MAX_TICK:
            return self.gap(scope, what, f"malformed: ticks {lower} and {upper} are no range"), None
        bounds = sqrt_ratio_at_tick(lower), sqrt_ratio_at_tick(upper)
        amounts = withdrawal(liquidity, price, *bounds)
        fees = fees_since(Pair(*inside), Pair(last0, last1), liquidity)
        identifiers = {
            "token_id": str(nft.token_id),
            "pool": "0x" + pool.hex(),
            "fee": "dynamic" if fee == DYNAMIC_FEE else str(fee),
            "tick_spacing": str(spacing),
            "tick_lower": str(lower),
            "tick_upper": str(upper),
            "in_range": str(lower <= tick < upper).lower(),
        }
        remark = None
        if hook != ZERO_ADDRESS:
            identifiers["hooks"] = hook
            remark = Remark(
                "unknown-hook", f"{self.slug} position {nft.token_id} on {scope.chain}: hook {hook} {influence_on_withdrawal(hook)}"
            )
        legs = tuple(
            Leg(token.asset, token.symbol, token.decimals, Side.IDLE, amount, fees=fee_amount)
            for token, amount, fee_amount in zip((book.find(currency0), book.find(currency1)), amounts, fees, strict=True)
        )
        reach = ConcentratedRange(liquidity, price, *bounds)
        return Position(scope.chain, self.slug, identifiers["pool"], owner, legs, identifiers, reach), remark


def _signed_tick(bits: int) -> int:
    """The int24 in the low bits."""
    return (bits & (1 << TICK_BITS) - 1 ^ 1 << TICK_BITS - 1) - (1 << TICK_BITS - 1)


ADAPTER = UniswapV4
