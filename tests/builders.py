"""Small portfolios for tests: tokens, legs, positions, margin accounts, prices and histories in one line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from aggregator.model.composition import Composition, Part, look_through
from aggregator.model.identifiers import AccountId, Address, AssetId, ChainId, erc20, evm_chain
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import (
    Component,
    ConcentratedRange,
    Leg,
    MarginAccount,
    MarginAccountKind,
    MarginTerms,
    Position,
    Side,
)
from aggregator.model.price import Price, PriceBook, PriceQuality, PriceSeries
from aggregator.model.snapshot import Block, Gap, Remark, Snapshot, SnapshotStatus
from aggregator.model.token import Token, TokenKind
from aggregator.model.units import WAD

ETHEREUM, ARBITRUM, BASE = evm_chain(1), evm_chain(42161), evm_chain(8453)
OWNER = Address("0x" + "ab" * 20)


def token(symbol: str, kind: TokenKind, factor: str, decimals: int = 18, chain: ChainId = ETHEREUM, number: int | None = None) -> Token:
    """A token at an address made of its symbol, or of a number."""
    digits = f"{number:040x}" if number is not None else symbol.encode().hex()[:40].ljust(40, "0")
    return Token(erc20(chain, Address("0x" + digits)), symbol, decimals, kind, factor, "test")


WETH = token("WETH", TokenKind.WRAPPED_NATIVE, "ETH")
STETH = token("stETH", TokenKind.LST_REBASING, "ETH")
WSTETH = token("wstETH", TokenKind.LST, "ETH")
WBTC = token("WBTC", TokenKind.WRAPPED_BTC, "BTC", 8)
LINK = token("LINK", TokenKind.VOLATILE, "LINK")
USDC = token("USDC", TokenKind.STABLE, "USDC", 6)
DAI = token("DAI", TokenKind.STABLE, "DAI")
OUSG = token("OUSG", TokenKind.RWA_TREASURY, "OUSG")
VAULT = token("vUSDC", TokenKind.VAULT, "USDC")
PAIR = token("UNI-V2", TokenKind.PAIR, "pair")
SPAM_ADDRESS = Address("0x" + "5c" * 20)
SPAM = Token(erc20(ETHEREUM, SPAM_ADDRESS), "[bold]FREE\x1b[31m", 18, TokenKind.UNKNOWN, erc20(ETHEREUM, SPAM_ADDRESS), "discovered")

TOKENS = (WETH, STETH, WSTETH, WBTC, LINK, USDC, DAI, OUSG, VAULT, PAIR, SPAM)

PRICES = {
    WETH: "2000",
    STETH: "1998",
    WSTETH: "2400",
    WBTC: "60000",
    LINK: "15",
    USDC: "1",
    DAI: "1",
    OUSG: "110",
    VAULT: "1.05",
}

COMPOSITIONS: Mapping[AssetId, Composition] = {
    WSTETH.asset: Composition(WSTETH.asset, 10**18, (Part(STETH.asset, "stETH", 18, 1_201_201_201_201_201_201),), "rate"),
    VAULT.asset: Composition(VAULT.asset, 10**18, (Part(USDC.asset, "USDC", 6, 1_050_000),), "vault"),
    PAIR.asset: Composition(PAIR.asset, 10**18, (Part(WETH.asset, "WETH", 18, 10**18), Part(USDC.asset, "USDC", 6, 2_000_000_000)), "pair"),
}


def on(chain: ChainId, one: Token) -> Token:
    """The same token on another chain."""
    return Token(AssetId(f"{chain}/{one.asset.partition('/')[2]}"), one.symbol, one.decimals, one.kind, one.factor, one.source)


def price(one: Token, value: str | None, quality: PriceQuality = PriceQuality.FRESH, width: str = "0", age: int = 60) -> Price:
    """A price with symmetric relative bounds."""
    if value is None:
        return Price(one.asset, None, None, None, None, PriceQuality.MISSING, 0.0, (), "no feed lists it")
    middle, spread = Decimal(value), Decimal(width)
    return Price(one.asset, middle, middle * (1 - spread), middle * (1 + spread), age, quality, 0.9, ("test",))


def book(changes: Mapping[Token, str | None] | None = None, chains: Iterable[ChainId] = (ETHEREUM, ARBITRUM, BASE)) -> PriceBook:
    """Prices of the usual tokens on the usual chains, with changes; None removes one."""
    values: dict[Token, str | None] = {**PRICES, **(changes or {})}
    return {
        moved.asset: price(moved, value)
        for chain in chains
        for one, value in values.items()
        if value is not None
        for moved in (on(chain, one),)
    }


def raw(one: Token, amount: str | float) -> int:
    """Raw units of a decimal amount."""
    return int(Decimal(str(amount)).scaleb(one.decimals))


def leg(
    one: Token,
    amount: str | float,
    side: Side = Side.IDLE,
    terms: MarginTerms | None = None,
    fees: int = 0,
    redeemable: int | None = None,
    components: tuple[Component, ...] | None = None,
) -> Leg:
    """A leg, looked through with the usual compositions unless components are given."""
    units = raw(one, amount)
    inside = look_through(one.asset, units + fees, COMPOSITIONS) if components is None else components
    return Leg(one.asset, one.symbol, one.decimals, side, units, fees, inside, terms, redeemable)


def wallet(*legs: Leg, chain: ChainId = ETHEREUM) -> tuple[Position, ...]:
    """One wallet position per leg."""
    return tuple(Position(chain, "wallet", one.asset, OWNER, (one,)) for one in legs)


def supplied(one: Token, amount: str | float, threshold: str = "0.8", usd: str | None = None, bonus: str = "0.05") -> Leg:
    """Counted collateral whose oracle value is amount · price in USD."""
    return leg(one, amount, Side.COLLATERAL, _terms(one, amount, threshold, usd, bonus))


def borrowed(one: Token, amount: str | float, usd: str | None = None) -> Leg:
    """Debt whose oracle value is amount · price in USD."""
    return leg(one, amount, Side.DEBT, _terms(one, amount, "0", usd, "0"))


def _terms(one: Token, amount: str | float, threshold: str, usd: str | None, bonus: str) -> MarginTerms:
    unit = Decimal(PRICES.get(one, "0") if usd is None else usd)
    return MarginTerms(Decimal(str(amount)) * unit, Decimal(0), Decimal(threshold), Decimal(bonus), unit)


def account(
    *legs: Leg,
    chain: ChainId = ETHEREUM,
    protocol: str = "aave-v3",
    market: str = "core",
    owner: Address = OWNER,
    health_known: bool = True,
) -> MarginAccount:
    """A lending account whose health follows from its legs' terms."""
    values = [(one, one.terms.oracle_value if one.terms is not None else None) for one in legs]
    counted = sum((v * one.terms.liquidation_threshold for one, v in values if v and one.terms and one.side is Side.COLLATERAL), Decimal(0))
    collateral = sum((v for one, v in values if v and one.side is Side.COLLATERAL), Decimal(0))
    debt = sum((v for one, v in values if v and one.side is Side.DEBT), Decimal(0))
    health = int(counted / debt * WAD) if debt and health_known else None
    return MarginAccount(
        chain,
        protocol,
        market,
        owner,
        MarginAccountKind.LENDING,
        (Position(chain, protocol, market, owner, tuple(legs)),),
        health,
        debt == 0 and health_known,
        None if not health_known else counted < debt,
        "USD",
        collateral,
        debt,
        counted / collateral if collateral else None,
        Decimal("0.5"),
    )


def concentrated(
    first: Token,
    second: Token,
    lower: float,
    upper: float,
    now: float,
    liquidity: int,
    fees: tuple[int, int] = (0, 0),
    chain: ChainId = ETHEREUM,
) -> Position:
    """A range of first/second; prices are whole second tokens per whole first token. Amounts follow the range's own formula."""
    scale = 10.0 ** (second.decimals - first.decimals)

    def sqrt(value: float) -> int:
        return int((value * scale) ** 0.5 * 2**96)

    span = ConcentratedRange(liquidity, sqrt(now), sqrt(lower), sqrt(upper))
    inside = min(max(span.sqrt_price_x96, span.sqrt_lower_x96), span.sqrt_upper_x96)
    amount0 = liquidity * 2**96 * (span.sqrt_upper_x96 - inside) // span.sqrt_upper_x96 // inside
    amount1 = liquidity * (inside - span.sqrt_lower_x96) // 2**96
    legs = tuple(
        Leg(one.asset, one.symbol, one.decimals, Side.IDLE, amount, fee, look_through(one.asset, amount + fee, COMPOSITIONS))
        for one, amount, fee in ((first, amount0, fees[0]), (second, amount1, fees[1]))
    )
    return Position(chain, "uniswap-v3", "pool", OWNER, legs, {"token_id": "42"}, span)


def portfolio(
    accounts: Iterable[MarginAccount] = (),
    positions: Iterable[Position] = (),
    gaps: Iterable[Gap] = (),
    warnings: Iterable[Remark] = (),
    unreachable: Iterable[ChainId] = (),
    tokens: Iterable[Token] = (),
    chains: Iterable[ChainId] = (ETHEREUM, ARBITRUM),
) -> Portfolio:
    """A portfolio on the usual chains, read at block 100 unless unreachable."""
    down = set(unreachable)
    everywhere = {moved.asset: moved for chain in (ETHEREUM, ARBITRUM, BASE) for one in TOKENS for moved in (on(chain, one),)}
    return Portfolio(
        (AccountId(ETHEREUM, OWNER),),
        tuple(
            Snapshot(chain, None, SnapshotStatus.UNREACHABLE, "refused")
            if chain in down
            else Snapshot(chain, Block(100, "0x" + "11" * 32, 1_700_000_000), SnapshotStatus.OK)
            for chain in chains
        ),
        tuple(accounts),
        tuple(positions),
        tuple(gaps),
        tuple(warnings),
        {**everywhere, **{one.asset: one for one in tokens}},
        COMPOSITIONS,
    )


def walk(factor: str, daily: float, days: int, step: float = 86_400.0, start: float = 2000.0, seed: int = 7) -> PriceSeries:
    """A lognormal random walk with this daily volatility, one point every `step` seconds."""
    count = int(days * 86_400.0 / step) + 1
    returns = np.random.default_rng(seed).standard_normal(count - 1) * daily * np.sqrt(step / 86_400.0)
    prices: NDArray[np.float64] = np.asarray(start * np.exp(np.concatenate([[0.0], np.cumsum(returns)])), dtype=np.float64)
    times: NDArray[np.float64] = np.asarray(1_690_000_000.0 + step * np.arange(count), dtype=np.float64)
    return PriceSeries(factor, times, prices, "test")
