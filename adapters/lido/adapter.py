"""Lido on Ethereum, and bridged wstETH elsewhere.

stETH is counted as stETH and wstETH as wstETH, each once; both are looked through to ether at the protocol's own rate, in the
contract's integers. One round cold and warm, a second one for owners with more withdrawal requests than were guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapters.erc20 import Missing, TokenReads, ask_balances, component, decimals_remark, held, idle_leg, unlisted
from adapters.lido.queue import QueueReads
from adapters.rates import DAY, SAMPLE, FeedReads, Ratio, staleness
from aggregator.model.composition import Composition, Part
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.model.position import Component, Position
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token, TokenKind
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.reads import Read, why

TOTAL_ETHER = Function("getTotalPooledEther()(uint256)")
TOTAL_SHARES = Function("getTotalShares()(uint256)")
ETHER_OF_SHARES = Function("getPooledEthByShares(uint256)(uint256)")


@dataclass(frozen=True, slots=True)
class ShareRateReads:
    """Ether a share, from the totals and from a sample that checks them."""

    ether: Read[Any]
    shares: Read[Any]
    sample: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, steth: Address) -> ShareRateReads:
        reads = scope.reads
        return cls(reads.call(steth, TOTAL_ETHER), reads.call(steth, TOTAL_SHARES), reads.call(steth, ETHER_OF_SHARES, SAMPLE))

    async def ratio(self) -> Outcome[Ratio]:
        """The exact fraction that the contract multiplies with.

        Where the contract's own conversion is not the quotient of the totals (shares minted against external vaults), the sample's.
        """
        ether, shares, sample = await self.ether, await self.shares, await self.sample
        if not isinstance(sample, Value):
            return sample
        if isinstance(ether, Value) and isinstance(shares, Value) and shares.value > 0:
            totals = Ratio(ether.value, shares.value)
            if totals.of(SAMPLE) == sample.value > 0:
                return Value(totals)
        return Value(Ratio.sampled(sample.value)) if sample.value > 0 else Unknown(Reason.MALFORMED, "a share is worth nothing")


class Lido(Adapter):
    """The family of Lido. Contracts: `wsteth`; with `steth` and `withdrawal_queue` where the protocol lives, `rate_feed` elsewhere, and
    `ether` (a token) on chains whose native currency is another. Parameter `heartbeat_seconds` of the feed."""

    async def read(self, scope: Scope) -> Holdings:
        if "steth" in scope.deployment.contracts:
            return await self._at_home(scope)
        return await self._bridged(scope)

    async def _at_home(self, scope: Scope) -> Holdings:
        missing = Missing()
        steth_address, wsteth_address = scope.contract("steth"), scope.contract("wsteth")
        rate_reads = ShareRateReads.ask(scope, steth_address)
        steth_reads, wsteth_reads = TokenReads.ask(scope, steth_address), TokenReads.ask(scope, wsteth_address)
        steth_balances, wsteth_balances = ask_balances(scope, steth_address), ask_balances(scope, wsteth_address)
        queue = QueueReads(scope, scope.contract("withdrawal_queue"))
        rate = await rate_reads.ratio()
        share_rate = rate.value if isinstance(rate, Value) else None
        if isinstance(rate, Unknown):
            missing.note("ether a share of stETH", why(rate))
        source = scope.deployment.source
        steth = await steth_reads.token(scope, steth_address, kind=TokenKind.LST_REBASING, factor=scope.native.factor, source=source)
        wsteth = await wsteth_reads.token(scope, wsteth_address, kind=TokenKind.LST, factor=scope.native.factor, source=source)

        def unwrapped(amount: int) -> tuple[Component, ...]:
            if share_rate is None:
                return ()
            inner = share_rate.of(amount)
            return (component(steth, inner, (component(scope.native, inner),)),)

        def staked(amount: int) -> tuple[Component, ...]:
            return (component(scope.native, amount),)

        positions = [
            *[
                Position(scope.chain, self.slug, steth_address, owner, (idle_leg(steth, amount, look_through=staked(amount)),))
                for owner, amount in await held(steth_balances, steth, missing)
            ],
            *[
                Position(scope.chain, self.slug, wsteth_address, owner, (idle_leg(wsteth, amount, look_through=unwrapped(amount)),))
                for owner, amount in await held(wsteth_balances, wsteth, missing)
            ],
            *await queue.positions(self.slug, share_rate, missing),
        ]
        compositions = [Composition(steth.asset, 1, (Part(scope.native.asset, scope.native.symbol, scope.native.decimals, 1),), "pegged")]
        if share_rate is not None:
            compositions.append(share_rate.composition(wsteth, steth))
        return self._holdings(scope, positions, missing, (steth, wsteth), compositions)

    async def _bridged(self, scope: Scope) -> Holdings:
        missing = Missing()
        address, ether_address = scope.contract("wsteth"), scope.deployment.contracts.get("ether")
        token_reads, balances = TokenReads.ask(scope, address), ask_balances(scope, address)
        ether_reads = TokenReads.ask(scope, ether_address) if ether_address is not None else None
        feed = FeedReads.ask(scope, scope.contract("rate_feed"))
        source = scope.deployment.source
        token = await token_reads.token(scope, address, kind=TokenKind.LST, factor="ETH", source=source)
        ether = scope.native
        if ether_reads is not None and ether_address is not None:
            ether = await ether_reads.token(scope, ether_address, kind=TokenKind.VOLATILE, factor="ETH", source=source)
        rate = await feed.ratio(scope, token, ether)
        balances_held = await held(balances, token, missing)
        deployed = isinstance(await token_reads.decimals, Value)
        ratio = rate.value if isinstance(rate, Value) else None
        if ratio is None and (deployed or isinstance(rate, Unknown)):
            missing.note(f"rate of {token.symbol}", why(rate))
        positions = [
            Position(scope.chain, self.slug, address, owner, (leg,))
            for owner, amount in balances_held
            for leg in (idle_leg(token, amount, look_through=ratio.look_through(amount, ether) if ratio is not None else ()),)
        ]
        compositions = [ratio.composition(token, ether)] if ratio is not None else []
        heartbeat = int(scope.deployment.parameters.get("heartbeat_seconds", DAY))
        remarks = staleness(token, ratio, heartbeat) if ratio is not None else ()
        return self._holdings(scope, positions, missing, (token, ether), compositions, remarks)

    def _holdings(
        self,
        scope: Scope,
        positions: Iterable[Position],
        missing: Missing,
        tokens: tuple[Token, ...],
        compositions: Iterable[Composition],
        remarks: tuple[Remark, ...] = (),
    ) -> Holdings:
        return Holdings(
            positions=tuple(positions),
            gaps=missing.gaps(self, scope),
            remarks=(*remarks, *(remark for token in tokens for remark in decimals_remark(scope, token))),
            tokens=unlisted(scope, tokens),
            compositions=tuple(compositions),
        )


ADAPTER = Lido
