"""What can be sold into pairs: their reserves. One round, because a pair's address follows from its tokens."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.uniswap_v2.pairs import pair_of
from adapters.uniswap_v2.state import GET_RESERVES
from aggregator.model.identifiers import Address, erc20
from aggregator.model.outcome import Value
from aggregator.reading.adapter import Scope
from aggregator.reading.depth import PoolDepth

FEE = 0.003


async def pair_depths(scope: Scope, tokens: Sequence[Address]) -> tuple[PoolDepth, ...]:
    """Depth of every pair of a token with a base, for those of the tokens that can be sold into it. What cannot be read is no pair."""
    parameters = scope.deployment.parameters
    factory, init_code_hash = scope.contract("factory"), bytes.fromhex(str(parameters["init_code_hash"])[2:])
    symbols = frozenset(str(parameters["bases"]).split())
    bases = [address for address, token in scope.tokens.items() if token.symbol in symbols]
    pairs = sorted({pair_of(factory, init_code_hash, token, base) for token in tokens for base in bases if token != base})
    asked = [(pair, scope.reads.call(pair.address, GET_RESERVES)) for pair in pairs]
    result: list[PoolDepth] = []
    for pair, read in asked:
        outcome = await read
        if isinstance(outcome, Value):
            for token, reserve in zip((pair.token0, pair.token1), outcome.value, strict=True):
                if token in tokens and reserve:
                    result.append(PoolDepth(erc20(scope.chain, token), pair.address, FEE, (1.0, 0.0), (float(reserve),)))
    return tuple(result)
