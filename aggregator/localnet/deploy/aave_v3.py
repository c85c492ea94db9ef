"""Aave v3.6: the pool, configurator, oracle and data providers at their production addresses on every chain.

The pool and the configurator are the provider's first children, the aTokens the configurator's: with the provider in
place and the creator's nonce set, each lands where it lies in production, which is asserted. Variable-debt tokens do
not: this version creates them one nonce earlier than the production reserves' did.
"""

from __future__ import annotations

from aggregator.localnet import abi
from aggregator.localnet.artifacts import AAVE as PACKAGE
from aggregator.localnet.deploy.aave_markets import AAVE
from aggregator.localnet.deploy.feed_listings import SEQUENCER_FEEDS
from aggregator.localnet.deploy.lending import AaveMarket, LendingReserve, lend_out
from aggregator.localnet.deploy.lending_oracles import place_oracles
from aggregator.localnet.deploy.lending_terms import EMode, Market, Reserve
from aggregator.localnet.node import DEPLOYER, creation_address
from aggregator.localnet.together import together
from aggregator.localnet.world import World, WorldError

BASE_CURRENCY_UNIT = 10**8
FLASH_LOAN_PREMIUM = 5  # basis points
LIQUIDATION_PROTOCOL_FEE = 1_000  # basis points of the bonus
SENTINEL_GRACE = 3_600
_POOL_LIBRARIES = ("BorrowLogic", "LiquidationLogic", "PoolLogic", "SupplyLogic")
_NO_REWARDS = abi.ZERO_ADDRESS
_NONCES = 400
_INIT = "initReserves((address,address,address,string,string,string,string,bytes,bytes)[])"


async def deploy(world: World) -> None:
    """Deploy on every chain, with the house's liquidity; records an ``AaveMarket`` by chain id.

    The tokens, feeds and staking tokens that it lists must be there.
    """
    await together(*(_deploy(world, chain_id) for chain_id in world.chains))


async def _deploy(world: World, chain_id: int) -> None:
    listed = AAVE[chain_id]
    sources = await place_oracles(world, chain_id, listed.reserves)
    configurator = await _core(world, chain_id, listed)
    await _oracle(world, chain_id, listed, sources)
    reserves = await _reserves(world, chain_id, listed, configurator, sources)
    await _parameters(world, chain_id, listed, configurator)
    await _e_modes(world, chain_id, listed.e_modes, configurator)
    (acl_manager,) = await world.chains[chain_id].call(listed.provider, "getACLManager()(address)")
    market = AaveMarket(
        chain_id=chain_id,
        provider=listed.provider,
        pool=listed.pool,
        configurator=configurator,
        oracle=listed.oracle,
        data_provider=listed.data_provider,
        ui_data_provider=listed.ui_data_provider,
        acl_manager=str(acl_manager),
        sentinel=listed.sentinel,
        admin=DEPLOYER,
        reserves=reserves,
        e_modes={one.label: one.number for one in listed.e_modes},
        ltv_zero=tuple((one.number, symbol) for one in listed.e_modes for symbol in one.ltv_zero),
    )
    world.record(chain_id, market)
    await lend_out(world, market, listed.reserves, 1)


async def _core(world: World, chain_id: int, listed: Market) -> str:
    """Provider, roles, pool and configurator; returns the configurator's address."""
    chain = world.chains[chain_id]
    await chain.place(
        listed.provider,
        world.artifact(PACKAGE, "PoolAddressesProvider").code,
        ["string", "address"],
        [listed.identifier, DEPLOYER],
    )
    await chain.send(DEPLOYER, listed.provider, "setACLAdmin(address)", DEPLOYER)
    libraries = {name: await chain.deploy(world.artifact(PACKAGE, name).code) for name in _POOL_LIBRARIES}
    libraries["FlashLoanLogic"] = await chain.deploy(world.artifact(PACKAGE, "FlashLoanLogic").linked(libraries))
    libraries["ConfiguratorLogic"] = await chain.deploy(world.artifact(PACKAGE, "ConfiguratorLogic").code)
    acl = await chain.deploy(world.artifact(PACKAGE, "ACLManager").code, ["address"], [listed.provider])
    rates = world.artifact(PACKAGE, "DefaultReserveInterestRateStrategyV2").code
    strategy = await chain.deploy(rates, ["address"], [listed.provider])
    instance = "PoolInstance" if chain_id == 1 else "L2PoolInstance"
    pool = await chain.deploy(world.artifact(PACKAGE, instance).linked(libraries), ["address", "address"], [listed.provider, strategy])
    configurator = await chain.deploy(world.artifact(PACKAGE, "PoolConfiguratorInstance").linked(libraries))
    async with chain.block():
        await chain.send(DEPLOYER, listed.provider, "setACLManager(address)", acl)
        for role in ("addPoolAdmin", "addEmergencyAdmin", "addRiskAdmin"):
            await chain.send(DEPLOYER, acl, f"{role}(address)", DEPLOYER)
        await chain.send(DEPLOYER, listed.provider, "setPoolImpl(address)", pool)
        await chain.send(DEPLOYER, listed.provider, "setPoolConfiguratorImpl(address)", configurator)
    (pool_proxy,) = await chain.call(listed.provider, "getPool()(address)")
    (configurator_proxy,) = await chain.call(listed.provider, "getPoolConfigurator()(address)")
    if pool_proxy != listed.pool or configurator_proxy != creation_address(listed.provider, 2):
        raise WorldError(f"the pool of {listed.identifier} lies at {pool_proxy}, not at {listed.pool}")
    signature = "updateFlashloanPremium(uint128)"
    await chain.send(DEPLOYER, str(configurator_proxy), signature, FLASH_LOAN_PREMIUM)
    return str(configurator_proxy)


async def _oracle(world: World, chain_id: int, listed: Market, sources: dict[str, str]) -> None:
    """Price oracle, data providers and, on the rollups, the sentinel, all known to the provider."""
    chain = world.chains[chain_id]
    assets = [world.token(chain_id, symbol).address for symbol in sources]
    await chain.place(
        listed.oracle,
        world.artifact(PACKAGE, "AaveOracle").code,
        ["address", "address[]", "address[]", "address", "address", "uint256"],
        [listed.provider, assets, list(sources.values()), abi.ZERO_ADDRESS, abi.ZERO_ADDRESS, BASE_CURRENCY_UNIT],
    )
    data_provider = world.artifact(PACKAGE, "AaveProtocolDataProvider").code
    await chain.place(listed.data_provider, data_provider, ["address"], [listed.provider])
    ether = world.feed(chain_id, "ETH / USD").proxies[0]
    ui_data_provider = world.artifact(PACKAGE, "UiPoolDataProviderV3").code
    await chain.place(listed.ui_data_provider, ui_data_provider, ["address", "address"], [ether, ether])
    if listed.sentinel:
        await chain.place(
            listed.sentinel,
            world.artifact(PACKAGE, "PriceOracleSentinel").code,
            ["address", "address", "uint256"],
            [listed.provider, SEQUENCER_FEEDS[chain_id], SENTINEL_GRACE],
        )
    async with chain.block():
        await chain.send(DEPLOYER, listed.provider, "setPriceOracle(address)", listed.oracle)
        await chain.send(DEPLOYER, listed.provider, "setPoolDataProvider(address)", listed.data_provider)
        if listed.sentinel:
            await chain.send(DEPLOYER, listed.provider, "setPriceOracleSentinel(address)", listed.sentinel)


async def _reserves(world: World, chain_id: int, listed: Market, configurator: str, sources: dict[str, str]) -> dict[str, LendingReserve]:
    """Initialise the reserves, each aToken at its production address."""
    chain = world.chains[chain_id]
    a_token = world.artifact(PACKAGE, "ATokenInstance").code
    arguments = [listed.pool, _NO_REWARDS, listed.treasury]
    a_token_code = await chain.deploy(a_token, ["address", "address", "address"], arguments)
    debt_token = world.artifact(PACKAGE, "VariableDebtTokenInstance").code
    debt_token_code = await chain.deploy(debt_token, ["address", "address"], [listed.pool, _NO_REWARDS])
    nonces = {creation_address(configurator, nonce): nonce for nonce in range(1, _NONCES)}
    made: dict[str, LendingReserve] = {}
    for reserve in listed.reserves:
        asset = world.token(chain_id, reserve.symbol).address
        await chain.set_nonce(configurator, nonces[reserve.a_token])
        name, short = f"{listed.identifier.split()[1]} {reserve.symbol}", f"{listed.prefix}{reserve.symbol}"
        entry = (
            *(a_token_code, debt_token_code, asset, f"Aave {name}", f"a{short}"),
            *(f"Aave {name} Variable Debt", f"variableDebt{short}", b""),
            abi.encode(["uint16", "uint32", "uint32", "uint32"], reserve.rates),
        )
        await chain.send(DEPLOYER, configurator, _INIT, [entry])
        signature = "getReserveTokensAddresses(address)(address,address,address)"
        a_token_at, _, debt_at = await chain.call(listed.data_provider, signature, asset)
        if a_token_at != reserve.a_token:
            raise WorldError(f"a{short} lies at {a_token_at}, not at {reserve.a_token}")
        oracle = sources[reserve.symbol]
        made[reserve.symbol] = LendingReserve(reserve.symbol, asset, str(a_token_at), str(debt_at), "", oracle, reserve.closed)
    return made


async def _parameters(world: World, chain_id: int, listed: Market, configurator: str) -> None:
    chain = world.chains[chain_id]
    async with chain.block():
        for reserve in listed.reserves:
            asset = world.token(chain_id, reserve.symbol).address
            for signature, *arguments in _settings(reserve):
                await chain.send(DEPLOYER, configurator, str(signature), asset, *arguments)


def _settings(reserve: Reserve) -> list[tuple[object, ...]]:
    supply_cap, borrow_cap = reserve.caps
    settings: list[tuple[object, ...]] = [
        ("setReserveFactor(address,uint256)", reserve.factor),
        ("setReserveFlashLoaning(address,bool)", True),
        ("setLiquidationProtocolFee(address,uint256)", LIQUIDATION_PROTOCOL_FEE),
        ("setSupplyCap(address,uint256)", supply_cap),
    ]
    if any(reserve.collateral):
        settings.append(("configureReserveAsCollateral(address,uint256,uint256,uint256)", *reserve.collateral))
    if borrow_cap:
        settings.append(("setReserveBorrowing(address,bool)", True))
        settings.append(("setBorrowCap(address,uint256)", borrow_cap))
    if reserve.ceiling:
        settings.append(("setDebtCeiling(address,uint256)", reserve.ceiling * 100))
    if reserve.siloed:
        settings.append(("setSiloedBorrowing(address,bool)", True))
    if reserve.in_isolation:
        settings.append(("setBorrowableInIsolation(address,bool)", True))
    return settings


async def _e_modes(world: World, chain_id: int, e_modes: tuple[EMode, ...], configurator: str) -> None:
    chain = world.chains[chain_id]
    async with chain.block():
        for one in e_modes:
            signature = "setEModeCategory(uint8,uint16,uint16,uint16,string)"
            await chain.send(DEPLOYER, configurator, signature, one.number, *one.terms, one.label)
            for kind, symbols in (("Collateral", one.collateral), ("Borrowable", one.borrowable)):
                setter = f"setAsset{kind}InEMode(address,uint8,bool)"
                for symbol in symbols:
                    asset = world.token(chain_id, symbol).address
                    await chain.send(DEPLOYER, configurator, setter, asset, one.number, True)
