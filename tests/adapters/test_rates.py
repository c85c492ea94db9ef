"""Rates between tokens: exact in raw units whatever the decimals, refused when senseless; and every rate token of the manifest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rate_tokens.adapter import RateTokens
from adapters.rates import SAMPLE, Ratio, ViewReads
from aggregator.model.composition import look_through
from aggregator.model.identifiers import Address, ChainId, erc20, evm_chain
from aggregator.model.outcome import Outcome, Unknown, Value
from aggregator.model.snapshot import Block
from aggregator.model.token import Token, TokenKind
from aggregator.model.units import WAD
from aggregator.reading.adapter import Holdings
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import deployments, scope_of
from aggregator.reading.manifest import Deployment
from aggregator.reading.registry import registry
from tests.adapters.scripted import Chain, Contract, RoundReads, token

NOW = 1_700_000_000
BLOCK = Block(25_000_000, "0x" + "bb" * 32, NOW)
OWNER, OTHER = Address("0x" + "1" * 40), Address("0x" + "2" * 40)
RATE = 1_156_300_000_000_000_001


def adapter() -> RateTokens:
    found = next(a for a in adapters() if a.slug == "rate-tokens")
    assert isinstance(found, RateTokens)
    return found


EVERY = pytest.mark.parametrize(
    ("chain", "deployment"), list(deployments(adapter())), ids=lambda value: value.market if isinstance(value, Deployment) else value
)


def scripted(deployment: Deployment, amount: int, rate: int = RATE, age: int = 60) -> Chain:
    """The deployment's contracts, with a rate of `rate` wad."""
    at, decimals = deployment.contracts, 6 if deployment.market == "syrupUSDC" else 18
    chain = Chain({at["token"]: token(deployment.market, decimals, {OWNER: amount})})
    if "underlying" in at:
        chain.contracts[at["underlying"]] = token("UNDER", decimals)
    how, function = deployment.parameters["rate"], deployment.parameters.get("function")
    if how == "feed":
        latest = (1, rate, 0, NOW - age, 1)
        chain.contracts[at["rate_feed"]] = Contract(
            {"decimals()(uint8)": 18, "latestRoundData()(uint80,int256,uint256,uint256,uint80)": latest}
        )
    else:
        contract = chain.contracts.setdefault(at.get("rate", at["token"]), Contract())
        if how == "conversion":
            contract.put(f"{function}(uint256)(uint256)", lambda value: value * rate // WAD)
        else:
            contract.put(f"{function}()(uint256)", rate)
    return chain


async def read(chain: ChainId, deployment: Deployment, script: Chain) -> Holdings:
    reads = RoundReads(script, BLOCK, chain)
    holdings = await adapter().read(scope_of(adapter(), chain, deployment, reads, (OWNER, OTHER)))
    assert reads.rounds == 1
    return holdings


@EVERY
async def test_every_rate_token_is_looked_through_to_the_unit(chain: ChainId, deployment: Deployment) -> None:
    amount = 12_345_678_901_234_567_890
    holdings = await read(chain, deployment, scripted(deployment, amount))
    ((leg,),) = (position.legs for position in holdings.positions)
    assert (leg.asset, leg.amount) == (erc20(chain, deployment.contracts["token"]), amount)
    underlying = deployment.contracts.get("underlying")
    expected = registry().native(chain).asset if underlying is None else erc20(chain, underlying)
    assert [(c.asset, c.amount) for c in leg.look_through] == [(expected, amount * RATE // WAD)]
    assert look_through(leg.asset, amount, {c.asset: c for c in holdings.compositions}) == leg.look_through
    assert (holdings.gaps, holdings.remarks) == ((), ())


@EVERY
def test_every_rate_token_is_in_the_registry(chain: ChainId, deployment: Deployment) -> None:
    known = registry().tokens(chain)
    assert deployment.contracts["token"] in known
    assert deployment.contracts.get("underlying") in (None, *known)


async def test_a_rate_that_is_missing_or_zero_is_named_and_the_balance_stays() -> None:
    chain, deployment = next((c, d) for c, d in deployments(adapter()) if d.market == "ezETH" and c == evm_chain(1))
    missing = scripted(deployment, 5)
    del missing.contracts[deployment.contracts["rate"]]
    for script, why in ((missing, "no-code"), (scripted(deployment, 5, rate=0), "malformed: a rate of 0")):
        holdings = await read(chain, deployment, script)
        assert [(gap.what, gap.why) for gap in holdings.gaps] == [("rate of ezETH", why)]
        assert holdings.positions[0].legs[0].look_through == ()
        assert holdings.compositions == ()


async def test_an_old_feed_is_remarked_upon() -> None:
    chain, deployment = next((c, d) for c, d in deployments(adapter()) if d.parameters["rate"] == "feed")
    holdings = await read(chain, deployment, scripted(deployment, 5, age=49 * 3_600))
    assert [remark.code for remark in holdings.remarks] == ["rate-stale"]
    assert "49 hours" in holdings.remarks[0].detail


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 10**24), st.integers(0, 10**30))
async def test_whole_rates_become_raw_ratios_for_any_decimals(own: int, under: int, rate: int, amount: int) -> None:
    ratio = await _view_ratio(rate, own, under)
    assert isinstance(ratio, Value)
    assert ratio.value.of(amount) == amount * rate * 10**under // (WAD * 10**own)


@given(st.integers(0, 10**27), st.integers(1, 10**27))
def test_looking_through_never_gives_more_than_the_ratio(amount: int, numerator: int) -> None:
    ratio = Ratio(numerator, SAMPLE)
    assert ratio.of(amount) * SAMPLE <= amount * numerator < (ratio.of(amount) + 1) * SAMPLE


async def test_a_rate_that_is_not_positive_is_no_rate() -> None:
    assert isinstance(await _view_ratio(0, 18, 18), Unknown)


async def _view_ratio(rate: int, own: int, under: int) -> Outcome[Ratio]:
    contract, chain = Address("0x" + "9" * 40), evm_chain(1)
    reads = RoundReads(Chain({contract: Contract({"rate()(uint256)": rate})}), BLOCK)
    scope = scope_of(adapter(), chain, adapter().manifest.deployments[chain][0], reads)
    return await ViewReads.ask(scope, contract, "rate").ratio(scope, _token(own, "a"), _token(under, "b"))


def _token(decimals: int, digit: str) -> Token:
    asset = erc20(evm_chain(1), Address("0x" + digit * 40))
    return Token(asset, digit.upper(), decimals, TokenKind.UNKNOWN, asset, "discovered")
