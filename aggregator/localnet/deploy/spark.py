"""SparkLend: Aave v3.0.2 at the production provider and pool on Ethereum.

The generation before the current one: stable and variable debt side by side, one e-mode category an asset with an
optional price of its own, health computed from a truncated average threshold. Oracle, data providers and tokens are
read from the provider, so they lie at ordinary addresses.
"""

from __future__ import annotations

from aggregator.localnet import abi
from aggregator.localnet.deploy.lending import LendingReserve, SparkMarket, lend_out
from aggregator.localnet.deploy.lending_oracles import place_oracles
from aggregator.localnet.deploy.lending_terms import EMode, Reserve
from aggregator.localnet.deploy.spark_market import SPARK
from aggregator.localnet.node import DEPLOYER, creation_address
from aggregator.localnet.world import World, WorldError

CHAIN = 1
BASE_CURRENCY_UNIT = 10**8
LIQUIDATION_PROTOCOL_FEE = 1_000
_RAY_BASIS_POINT = 10**23
_NONCES = 100
# Stable rates: both slopes, offset over the variable rate, extra above the wanted share, the wanted share itself.
_STABLE_TERMS = (50, 6_000, 100, 800, 2_000)
_LIBRARIES = ("BorrowLogic", "BridgeLogic", "EModeLogic", "LiquidationLogic", "PoolLogic", "SupplyLogic")
_INIT = "initReserves((address,address,address,uint8,address,address,address,address,string,string,string,string,string,string,bytes)[])"
# The e-mode's price is asked of the oracle under an "asset" of its own.
_PRICE_SOURCE_ASSET = "0x000000000000000000000000000000000000e0DE"


async def deploy(world: World) -> None:
    """Deploy with the house's liquidity; records a ``SparkMarket`` under chain 1.

    The tokens, feeds, staking tokens and vaults that it lists must be there.
    """
    chain = world.chains[CHAIN]
    sources = await place_oracles(world, CHAIN, SPARK.reserves)
    configurator = await _core(world)
    oracle, data_provider = await _oracle(world, sources)
    reserves = await _reserves(world, configurator, data_provider, sources)
    async with chain.block():
        for reserve in SPARK.reserves:
            for signature, *arguments in _settings(reserve):
                asset = reserves[reserve.symbol].asset
                await chain.send(DEPLOYER, configurator, str(signature), asset, *arguments)
    for one in SPARK.e_modes:
        await _e_mode(world, one, configurator, oracle)
    (acl_manager,) = await chain.call(SPARK.provider, "getACLManager()(address)")
    market = SparkMarket(
        chain_id=CHAIN,
        provider=SPARK.provider,
        pool=SPARK.pool,
        configurator=configurator,
        oracle=oracle,
        data_provider=data_provider,
        ui_data_provider=SPARK.ui_data_provider,
        acl_manager=str(acl_manager),
        sentinel="",
        admin=DEPLOYER,
        reserves=reserves,
        e_modes={one.label: one.number for one in SPARK.e_modes},
        ltv_zero=(),
    )
    world.record(CHAIN, market)
    await lend_out(world, market, SPARK.reserves, 1_000)


def _code(world: World, path: str, libraries: dict[str, str] | None = None) -> bytes:
    file = f"artifacts/contracts/{path}.sol/{path.rsplit('/', 1)[1]}.json"
    return world.artifact("@aave/core-v3", file).linked(libraries or {})


async def _core(world: World) -> str:
    """Provider, roles, pool and configurator; returns the configurator's address."""
    chain, provider = world.chains[CHAIN], SPARK.provider
    code = _code(world, "protocol/configuration/PoolAddressesProvider")
    await chain.place(provider, code, ["string", "address"], [SPARK.identifier, DEPLOYER])
    await chain.send(DEPLOYER, provider, "setACLAdmin(address)", DEPLOYER)
    logic = "protocol/libraries/logic"
    libraries = {name: await chain.deploy(_code(world, f"{logic}/{name}")) for name in _LIBRARIES}
    libraries["FlashLoanLogic"] = await chain.deploy(_code(world, f"{logic}/FlashLoanLogic", libraries))
    libraries["ConfiguratorLogic"] = await chain.deploy(_code(world, f"{logic}/ConfiguratorLogic"))
    acl = await chain.deploy(_code(world, "protocol/configuration/ACLManager"), ["address"], [provider])
    pool = await chain.deploy(_code(world, "protocol/pool/Pool", libraries), ["address"], [provider])
    configurator = await chain.deploy(_code(world, "protocol/pool/PoolConfigurator", libraries))
    async with chain.block():
        await chain.send(DEPLOYER, provider, "setACLManager(address)", acl)
        for role in ("addPoolAdmin", "addEmergencyAdmin", "addRiskAdmin"):
            await chain.send(DEPLOYER, acl, f"{role}(address)", DEPLOYER)
        await chain.send(DEPLOYER, provider, "setPoolImpl(address)", pool)
        await chain.send(DEPLOYER, provider, "setPoolConfiguratorImpl(address)", configurator)
    (pool_proxy,) = await chain.call(provider, "getPool()(address)")
    (configurator_proxy,) = await chain.call(provider, "getPoolConfigurator()(address)")
    if pool_proxy != SPARK.pool or configurator_proxy != creation_address(provider, 2):
        raise WorldError(f"the pool of {SPARK.identifier} lies at {pool_proxy}, not at {SPARK.pool}")
    return str(configurator_proxy)


async def _oracle(world: World, sources: dict[str, str]) -> tuple[str, str]:
    """Price oracle and protocol data provider; the data provider for interfaces lies at its production address."""
    chain = world.chains[CHAIN]
    assets = [world.token(CHAIN, symbol).address for symbol in sources]
    oracle = await chain.deploy(
        _code(world, "misc/AaveOracle"),
        ["address", "address[]", "address[]", "address", "address", "uint256"],
        [SPARK.provider, assets, list(sources.values()), abi.ZERO_ADDRESS, abi.ZERO_ADDRESS, BASE_CURRENCY_UNIT],
    )
    data_provider = await chain.deploy(_code(world, "misc/AaveProtocolDataProvider"), ["address"], [SPARK.provider])
    ether = world.feed(CHAIN, "ETH / USD").proxies[0]
    ui_code = world.artifact(
        "@aave/deploy-v3",
        "artifacts/@aave/periphery-v3/contracts/misc/UiPoolDataProviderV3.sol/UiPoolDataProviderV3.json",
    ).code
    await chain.place(SPARK.ui_data_provider, ui_code, ["address", "address"], [ether, ether])
    async with chain.block():
        await chain.send(DEPLOYER, SPARK.provider, "setPriceOracle(address)", oracle)
        await chain.send(DEPLOYER, SPARK.provider, "setPoolDataProvider(address)", data_provider)
    return oracle, data_provider


async def _reserves(world: World, configurator: str, data_provider: str, sources: dict[str, str]) -> dict[str, LendingReserve]:
    chain = world.chains[CHAIN]
    kinds = ("AToken", "StableDebtToken", "VariableDebtToken")
    tokens = [await chain.deploy(_code(world, f"protocol/tokenization/{kind}"), ["address"], [SPARK.pool]) for kind in kinds]
    strategy_code = _code(world, "protocol/pool/DefaultReserveInterestRateStrategy")
    nonces = {creation_address(configurator, nonce): nonce for nonce in range(1, _NONCES)}
    made: dict[str, LendingReserve] = {}
    for reserve in SPARK.reserves:
        token, symbol = world.token(CHAIN, reserve.symbol), reserve.symbol
        terms = [value * _RAY_BASIS_POINT for value in (*reserve.rates, *_STABLE_TERMS)]
        strategy = await chain.deploy(strategy_code, ["address", *["uint256"] * 9], [SPARK.provider, *terms])
        entry = (
            *(*tokens, token.decimals, strategy, token.address, SPARK.treasury, abi.ZERO_ADDRESS),
            *(f"Spark {symbol}", f"sp{symbol}"),
            *(f"Spark Variable Debt {symbol}", f"variableDebt{symbol}"),
            *(f"Spark Stable Debt {symbol}", f"stableDebt{symbol}", b""),
        )
        await chain.set_nonce(configurator, nonces[reserve.a_token])
        await chain.send(DEPLOYER, configurator, _INIT, [entry])
        signature = "getReserveTokensAddresses(address)(address,address,address)"
        a_token, stable_debt, variable_debt = await chain.call(data_provider, signature, token.address)
        if a_token != reserve.a_token:
            raise WorldError(f"sp{symbol} lies at {a_token}, not at {reserve.a_token}")
        made[symbol] = LendingReserve(
            *(symbol, token.address, str(a_token), str(variable_debt), str(stable_debt)),
            *(sources[symbol], reserve.closed),
        )
    return made


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
    if reserve.stable_rate:
        settings.append(("setReserveStableRateBorrowing(address,bool)", True))
    if reserve.ceiling:
        settings.append(("setDebtCeiling(address,uint256)", reserve.ceiling * 100))
    if reserve.siloed:
        settings.append(("setSiloedBorrowing(address,bool)", True))
    if reserve.in_isolation:
        settings.append(("setBorrowableInIsolation(address,bool)", True))
    return settings


async def _e_mode(world: World, one: EMode, configurator: str, oracle: str) -> None:
    """A category and its members; a price of its own becomes the oracle's source for an asset that is none."""
    chain = world.chains[CHAIN]
    source = abi.ZERO_ADDRESS
    if one.price_source is not None:
        arguments = [f"{one.label} e-mode", one.price_source.price]
        adapter = await chain.deploy(world.own("FixedPriceAdapter"), ["string", "int256"], arguments)
        source = _PRICE_SOURCE_ASSET
        await chain.send(DEPLOYER, oracle, "setAssetSources(address[],address[])", [source], [adapter])
    async with chain.block():
        signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
        await chain.send(DEPLOYER, configurator, signature, one.number, *one.terms, source, one.label)
        for symbol in one.collateral:
            asset = world.token(CHAIN, symbol).address
            await chain.send(DEPLOYER, configurator, "setAssetEModeCategory(address,uint8)", asset, one.number)
