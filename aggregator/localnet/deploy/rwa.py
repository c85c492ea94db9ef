"""Tokenised funds on Ethereum: permissioned tokens at their production addresses, and where their prices come from.

Prices, each at the address that its publisher documents:

* BUIDL, USTB, TBILL, USYC: Chainlink-shaped NAV feeds, one round a business day, so hours to days old.
* USDY: Ondo's daily-accrual oracle, ``getPrice()`` and ``getPriceData()`` (whose time is always now), 1e18.
* OUSG: Ondo's oracle for all its tokens, ``getAssetPrice(token)``, 1e18 and without a time; and its predecessor with
  ``rwaPrice()``, ``priceTimestamp()`` and ``getPriceData()``, set by hand.

Nobody may receive such a token before the issuer lists him (USDY: unless the issuer blocks him); ``issue`` does both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import cast

from aggregator.localnet.anvil import GENESIS_TIME
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import Token, World

CHAIN = 1
DAY = 86_400
RAY = 10**27
PUBLISHING_HOUR = 22  # UTC, after the US close
PAST_BUSINESS_DAYS = 90
FIRST_HOLDER = "0x000000000000000000000000000000000000f0dd"

# Ondo's published addresses (docs.ondo.finance/addresses).
ACCRUAL_ORACLE = "0xA0219AA5B31e65Bc920B5b6DFb8EdF0988121De0"
ASSET_ORACLE = "0x9Cad45a8BF0Ed41Ff33074449B357C7a1fAb4094"
MANUAL_ORACLE = "0x0502c5ae08E7CD64fe1AEDA7D6e229413eCC6abe"
ACCRUAL_RANGE_DAYS = 365


@dataclass(frozen=True, slots=True)
class Fund:
    """``feed``: address of the NAV feed, whose rounds ``aggregator`` holds, or "" when an oracle of the issuer gives
    the price. The feed is none of ``World.feeds``: nobody refreshes it, so it keeps its age."""

    symbol: str
    address: str
    decimals: int
    oracle: str
    feed: str = ""
    aggregator: str = ""
    feed_decimals: int = 0


@dataclass(frozen=True, slots=True)
class _Product:
    name: str
    address: str
    decimals: int
    price: str
    yearly_growth: str
    supply: int  # whole tokens
    feed: str = ""
    feed_address: str = ""
    feed_decimals: int = 8
    feed_age_days: int = 0  # business days by which the newest round lags
    oracle: str = ""
    open_unless_blocked: bool = False


# Token and feed addresses: the registry of tokens and Chainlink's directory; decimals as the tokens have them.
_PRODUCTS = MappingProxyType(
    {
        "BUIDL": _Product(
            name="BlackRock USD Institutional Digital Liquidity Fund",
            address="0x7712c34205737192402172409a8F7ccef8aA2AEc",
            decimals=6,
            price="1",
            yearly_growth="0",
            supply=120_000_000,
            feed="BUIDL NAV",
            feed_address="0x6029F53A5Df21E5e70C460F5E4c9Aad20427B090",
        ),
        "USTB": _Product(
            name="Superstate Short Duration US Government Securities Fund",
            address="0x43415eB6ff9DB7E26A15b704e7A3eDCe97d31C4e",
            decimals=6,
            price="10.9134",
            yearly_growth="0.041",
            supply=30_000_000,
            feed="USTB NAV per Share",
            feed_address="0x289B5036cd942e619E1Ee48670F98d214E745AAC",
            feed_decimals=6,
        ),
        "TBILL": _Product(
            name="OpenEden T-Bills",
            address="0xdd50C053C096CB04A3e3362E2b622529EC5f2e8a",
            decimals=6,
            price="1.1487",
            yearly_growth="0.04",
            supply=50_000_000,
            feed="TBILL NAV",
            feed_address="0xAbE7a3643615Ed32d3431e11E0Ee5A486Cb27d48",
            feed_age_days=2,
        ),
        "USYC": _Product(
            name="US Yield Coin",
            address="0x136471a34f6ef19fE571EFFC1CA711fdb8E49f2b",
            decimals=6,
            price="1.1098",
            yearly_growth="0.038",
            supply=90_000_000,
            feed="USYC NAV",
            feed_address="0xE8E65Fb9116875012F5990Ecaab290B3531DbeB9",
        ),
        "OUSG": _Product(
            name="Ondo Short-Term U.S. Government Bond Fund",
            address="0x1B19C19393e2d034D8Ff31ff34c81252FcBbee92",
            decimals=18,
            price="113.82",
            yearly_growth="0.04",
            supply=2_000_000,
            oracle=ASSET_ORACLE,
        ),
        "USDY": _Product(
            name="Ondo U.S. Dollar Yield",
            address="0x96F6eF951840721AdBF46Ac996b59E0235CB985C",
            decimals=18,
            price="1.1214",
            yearly_growth="0.042",
            supply=80_000_000,
            oracle=ACCRUAL_ORACLE,
            open_unless_blocked=True,
        ),
    }
)


async def deploy(world: World) -> None:
    """Deploy tokens and price sources, issue a first supply, and record a ``Fund`` by (chain, symbol)."""
    chain = world.chains[CHAIN]
    await _deploy_issuer_oracles(world)
    for symbol, product in _PRODUCTS.items():
        types = ["string", "string", "uint8", "address", "bool"]
        arguments = [product.name, symbol, product.decimals, DEPLOYER, product.open_unless_blocked]
        await chain.place(product.address, world.own("PermissionedToken"), types, arguments)
        world.add_token(Token(CHAIN, symbol, product.address, product.decimals))
        world.prices[symbol] = Decimal(product.price)
        made = Fund(symbol, product.address, product.decimals, product.oracle)
        if product.feed:
            aggregator = await _deploy_feed(world, product)
            made = replace(made, feed=product.feed_address, aggregator=aggregator, feed_decimals=product.feed_decimals)
        world.record((CHAIN, symbol), made)
        await issue(world, symbol, FIRST_HOLDER, raw(product.supply, product.decimals))


async def _deploy_issuer_oracles(world: World) -> None:
    chain = world.chains[CHAIN]
    usdy, ousg = _PRODUCTS["USDY"], _PRODUCTS["OUSG"]
    end = GENESIS_TIME + ACCRUAL_RANGE_DAYS * DAY
    types = ["address", "uint256", "uint256", "uint256", "uint256"]
    arguments = [DEPLOYER, GENESIS_TIME, end, daily_rate(Decimal(usdy.yearly_growth)), raw(usdy.price, 18)]
    await chain.place(ACCRUAL_ORACLE, world.own("DailyAccrualOracle"), types, arguments)
    price = raw(ousg.price, 18)
    arguments = [DEPLOYER, "Manually set price of OUSG", price]
    await chain.place(MANUAL_ORACLE, world.own("ManualPriceOracle"), ["address", "string", "int256"], arguments)
    await chain.place(ASSET_ORACLE, world.own("AssetPriceOracle"), ["address"], [DEPLOYER])
    async with chain.block():
        await chain.send(DEPLOYER, ASSET_ORACLE, "setAssetPrice(address,uint256)", ousg.address, price)
        await chain.send(DEPLOYER, ASSET_ORACLE, "setAssetSource(address,address)", usdy.address, ACCRUAL_ORACLE)


async def _deploy_feed(world: World, product: _Product) -> str:
    """A proxy at the feed's address before an aggregator with the past business days' rounds; returns the latter."""
    chain = world.chains[CHAIN]
    unit = 10**product.feed_decimals
    types = ["string", "uint8", "int192", "int192", "address"]
    arguments = [product.feed, product.feed_decimals, 1, 1_000_000 * unit, DEPLOYER]
    aggregator = await chain.deploy(world.own("PriceAggregator"), types, arguments)
    times = publishing_times(GENESIS_TIME, PAST_BUSINESS_DAYS + product.feed_age_days)[:PAST_BUSINESS_DAYS]
    price, growth = Decimal(product.price), Decimal(product.yearly_growth)
    rounds = [(time, int(price * (1 - growth * (times[-1] - time) / (365 * DAY)) * unit)) for time in times]
    packed = [time << 192 | answer for time, answer in rounds]
    await chain.send(DEPLOYER, aggregator, "append(uint256[])", packed)
    await chain.place(product.feed_address, world.own("AggregatorProxy"), ["address[]", "address"], [[aggregator], DEPLOYER])
    return aggregator


def daily_rate(yearly_growth: Decimal) -> int:
    """A growth a year as the daily factor that compounds to it, 1e27."""
    return int((1 + yearly_growth) ** (Decimal(1) / 365) * RAY)


def publishing_times(before: int, count: int) -> list[int]:
    """The last ``count`` times before ``before`` at which a fund publishes (Monday to Friday), oldest first."""
    day = datetime.fromtimestamp(before, UTC).replace(hour=PUBLISHING_HOUR, minute=0, second=0, microsecond=0)
    times: list[int] = []
    while len(times) < count:
        if day.timestamp() < before and day.weekday() < 5:
            times.append(int(day.timestamp()))
        day -= timedelta(days=1)
    return times[::-1]


def fund(world: World, symbol: str) -> Fund:
    """What ``deploy`` recorded for a fund."""
    return world.recorded(Fund)[CHAIN, symbol]


async def issue(world: World, symbol: str, owner: str, amount: int) -> None:
    """Admit ``owner`` and issue raw ``amount`` to him."""
    if not _PRODUCTS[symbol].open_unless_blocked:
        await set_listed(world, symbol, [owner], True)
    await world.mint(CHAIN, symbol, owner, amount)


async def set_listed(world: World, symbol: str, accounts: Sequence[str], listed: bool) -> None:
    """Put accounts on the allow list (USDY: the block list), or take them off: their tokens stay and cannot move."""
    address = fund(world, symbol).address
    await world.chains[CHAIN].send(DEPLOYER, address, "setListed(address[],bool)", list(accounts), listed)


async def set_paused(world: World, symbol: str, paused: bool) -> None:
    """Stop or allow all transfers."""
    await world.chains[CHAIN].send(DEPLOYER, fund(world, symbol).address, "setPaused(bool)", paused)


async def publish_price(world: World, symbol: str, price: Decimal) -> None:
    """The fund's next price, wherever it is published. USDY's follows its announced rate and cannot be set."""
    chain, made = world.chains[CHAIN], fund(world, symbol)
    if made.feed:
        await chain.send(DEPLOYER, made.aggregator, "transmit(int192)", raw(price, made.feed_decimals))
    elif symbol == "OUSG":
        async with chain.block():
            await chain.send(DEPLOYER, ASSET_ORACLE, "setAssetPrice(address,uint256)", made.address, raw(price, 18))
            await chain.send(DEPLOYER, MANUAL_ORACLE, "setPrice(int256)", raw(price, 18))
    else:
        raise ValueError(f"the price of {symbol} accrues by its announced rate")
    world.prices[symbol] = price


async def issuer_price(world: World, symbol: str) -> int:
    """OUSG's or USDY's price as Ondo's oracle gives it, 1e18."""
    address = fund(world, symbol).address
    (price,) = await world.chains[CHAIN].call(ASSET_ORACLE, "getAssetPrice(address)(uint256)", address)
    return cast(int, price)


def next_price(world: World, symbol: str) -> Decimal:
    """The price one business day after the present one, by the fund's growth a year."""
    product = _PRODUCTS[symbol]
    daily = (1 + Decimal(product.yearly_growth)) ** (Decimal(7) / 5 / 365)
    places = product.feed_decimals if product.feed else 18
    return (world.prices[symbol] * daily).quantize(Decimal(1).scaleb(-places))


def publishing_lag(symbol: str) -> int:
    """By how many business days the fund's newest published price lags."""
    return _PRODUCTS[symbol].feed_age_days
