"""The functions that are read. Every one of them answers in the same shape from 3.0 to 3.7, or is missing in whole generations.

Sources, by path: `contracts/interfaces/IPool.sol` of aave/aave-v3-core and `src/contracts/interfaces/{IPool,IAaveOracle,
IPoolAddressesProvider,IPriceOracleSentinel}.sol` of aave-dao/aave-v3-origin. `getReserveData` has 15 words in all of them: 3.1 kept
the old struct for it when the stored one grew.
"""

from __future__ import annotations

from aggregator.reading.abi import Function

# PoolAddressesProvider
GET_POOL = Function("getPool()(address)")
GET_PRICE_ORACLE = Function("getPriceOracle()(address)")
GET_SENTINEL = Function("getPriceOracleSentinel()(address)")

# Pool
POOL_REVISION = Function("POOL_REVISION()(uint256)")
RESERVES_LIST = Function("getReservesList()(address[])")
RESERVE_DATA = Function(
    "getReserveData(address)(uint256,uint128,uint128,uint128,uint128,uint128,uint40,uint16,address,address,address,address,"
    "uint128,uint128,uint128)"
)
VIRTUAL_BALANCE = Function("getVirtualUnderlyingBalance(address)(uint128)")
"""since 3.1"""
GRACE_PERIOD = Function("getLiquidationGracePeriod(address)(uint40)")
"""since 3.1"""
USER_CONFIGURATION = Function("getUserConfiguration(address)(uint256)")
USER_E_MODE = Function("getUserEMode(address)(uint256)")
USER_ACCOUNT = Function("getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)")
E_MODE_DATA = Function("getEModeCategoryData(uint8)((uint16,uint16,uint16,address,string))")
E_MODE_COLLATERAL = Function("getEModeCategoryCollateralBitmap(uint8)(uint128)")
"""since 3.2"""
E_MODE_ZERO_LTV = Function("getEModeCategoryLtvzeroBitmap(uint8)(uint128)")
"""since 3.6"""
E_MODE_ISOLATED = Function("getIsEModeCategoryIsolated(uint8)(bool)")
"""since 3.7"""

# AaveOracle
BASE_CURRENCY = Function("BASE_CURRENCY()(address)")
BASE_UNIT = Function("BASE_CURRENCY_UNIT()(uint256)")
ASSET_PRICE = Function("getAssetPrice(address)(uint256)")
ASSET_SOURCE = Function("getSourceOfAsset(address)(address)")

# PriceOracleSentinel, to 3.6
LIQUIDATION_ALLOWED = Function("isLiquidationAllowed()(bool)")

# tokens
BALANCE = Function("balanceOf(address)(uint256)")
SYMBOL = Function("symbol()()")

# words of getReserveData's answer
CONFIGURATION_WORD, ID_WORD, SUPPLY_TOKEN_WORD, STABLE_TOKEN_WORD, VARIABLE_TOKEN_WORD = 0, 7, 8, 9, 10
SUPPLY_RATE_WORD, VARIABLE_RATE_WORD = 2, 4
"""a year, rays"""
LIST_WORD = 2
"""of getReservesList's answer: where the elements begin"""
E_MODE_PRICE_SOURCE_WORD = 4
"""of getEModeCategoryData's answer: offset, LTV, threshold, bonus, price source"""

ACCOUNT_GAS = 4_000_000
"""a user of twenty reserves with composed price feeds needs about half of it"""
LIST_GAS = 1_000_000
"""128 reserves, each a cold slot and twice through the proxy"""
PRICE_GAS = 800_000
"""capped and composed feeds ask several contracts"""
