"""One rate token a deployment: its balances, and what it is worth in its underlying by the protocol's own rate.

A protocol that is not deployed on the chain is asked through a feed of the rate. One round cold and warm.
"""

from __future__ import annotations

from adapters.erc20 import Missing, TokenReads, ask_balances, decimals_remark, held, idle_leg, unlisted
from adapters.rates import DAY, ask_rate, staleness
from aggregator.model.outcome import Unknown, Value
from aggregator.model.position import Position
from aggregator.model.token import TokenKind
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.reads import why


class RateTokens(Adapter):
    """The family of rate tokens.

    Contracts: `token`; `underlying` (the native currency where there is none); `rate` or `rate_feed` as `adapters.rates.ask_rate` says,
    with its parameters. Parameter `heartbeat_seconds` of a feed, a day where it says nothing.
    """

    async def read(self, scope: Scope) -> Holdings:
        missing = Missing()
        contracts, source = scope.deployment.contracts, scope.deployment.source
        address, underlying_address = contracts["token"], contracts.get("underlying")
        token_reads, balances = TokenReads.ask(scope, address), ask_balances(scope, address)
        underlying_reads = TokenReads.ask(scope, underlying_address) if underlying_address is not None else None
        rate_reads = ask_rate(scope, address)
        underlying = scope.native
        if underlying_reads is not None and underlying_address is not None:
            underlying = await underlying_reads.token(scope, underlying_address, source=source)
        token = await token_reads.token(scope, address, kind=TokenKind.LST, factor=underlying.factor, source=source)
        rate = await rate_reads.ratio(scope, token, underlying)
        ratio = rate.value if isinstance(rate, Value) else None
        # a token that is not there needs no rate; one that is and has none cannot be looked through, which is said
        if ratio is None and (isinstance(rate, Unknown) or isinstance(await token_reads.decimals, Value)):
            missing.note(f"rate of {token.symbol}", why(rate))
        positions = []
        for owner, amount in await held(balances, token, missing):
            leg = idle_leg(token, amount, look_through=ratio.look_through(amount, underlying) if ratio is not None else ())
            positions.append(Position(scope.chain, self.slug, address, owner, (leg,)))
        heartbeat = int(scope.deployment.parameters.get("heartbeat_seconds", DAY))
        return Holdings(
            positions=tuple(positions),
            gaps=missing.gaps(self, scope),
            remarks=(*decimals_remark(scope, token), *(staleness(token, ratio, heartbeat) if ratio is not None else ())),
            tokens=unlisted(scope, (token, underlying)),
            compositions=(ratio.composition(token, underlying),) if ratio is not None else (),
        )


ADAPTER = RateTokens
