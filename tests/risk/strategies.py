"""Random portfolios for the laws: several chains, hedged and looped accounts, pairs, ranges, unpriced tokens."""

from __future__ import annotations

from hypothesis import strategies as st

from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, MarginAccount, Position
from aggregator.model.token import Token
from aggregator.risk.policy import Policy
from tests.builders import (
    ARBITRUM,
    DAI,
    ETHEREUM,
    LINK,
    OUSG,
    PAIR,
    PRICES,
    SPAM,
    USDC,
    VAULT,
    WBTC,
    WETH,
    WSTETH,
    account,
    borrowed,
    concentrated,
    leg,
    on,
    portfolio,
    supplied,
    wallet,
)

QUICK = Policy(draws=128)
"""few draws: laws hold for every number of them"""

CHAINS = st.sampled_from((ETHEREUM, ARBITRUM))
PRICED: tuple[Token, ...] = (WETH, WSTETH, WBTC, LINK, USDC, DAI, OUSG, VAULT)
USD = st.integers(1, 200_000)


def _units(token: Token, usd: int) -> str:
    return f"{usd / float(PRICES[token]):.6f}"


@st.composite
def collateral(draw: st.DrawFn, tokens: tuple[Token, ...] = PRICED) -> Leg:
    token = draw(st.sampled_from(tokens))
    threshold = draw(st.sampled_from(("0", "0.5", "0.8", "0.93")))
    return supplied(token, _units(token, draw(USD)), threshold)


@st.composite
def debt(draw: st.DrawFn, tokens: tuple[Token, ...] = (WETH, WBTC, LINK, USDC, DAI)) -> Leg:
    token = draw(st.sampled_from(tokens))
    return borrowed(token, _units(token, draw(USD)))


@st.composite
def margin_account(draw: st.DrawFn) -> MarginAccount:
    """Collateral only, debt only and anything between; liquidatable ones too."""
    legs = draw(st.lists(collateral(), max_size=3)) + draw(st.lists(debt(), max_size=2))
    if not legs:
        legs = [supplied(WETH, "1")]
    chain = draw(CHAINS)
    moved = tuple(_on(chain, one) for one in legs)
    return account(*moved, chain=chain, market=draw(st.sampled_from(("core", "prime", "horizon"))))


def _on(chain: str, one: Leg) -> Leg:
    from dataclasses import replace

    from aggregator.model.identifiers import AssetId

    return replace(one, asset=AssetId(f"{chain}/{one.asset.partition('/')[2]}"))


@st.composite
def free_position(draw: st.DrawFn) -> Position:
    chain = draw(CHAINS)
    if draw(st.booleans()):
        token = draw(st.sampled_from((*PRICED, SPAM)))
        amount = "1000" if token is SPAM else _units(token, draw(USD))
        return wallet(leg(on(chain, token), amount, redeemable=draw(st.sampled_from((None, 0, 10**18)))), chain=chain)[0]
    if draw(st.booleans()):
        return wallet(leg(PAIR, draw(st.integers(1, 50))), chain=ETHEREUM)[0]
    lower = draw(st.integers(500, 2500))
    return concentrated(WETH, USDC, lower, lower * draw(st.sampled_from((1.02, 1.5, 4.0))), 2000, 10**15 * draw(st.integers(1, 30)))


@st.composite
def portfolios(draw: st.DrawFn, accounts: int = 3, positions: int = 4) -> Portfolio:
    return portfolio(draw(st.lists(margin_account(), max_size=accounts)), draw(st.lists(free_position(), max_size=positions)))
