"""An Aave pool in Python for the adapter to read: any generation, any fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from adapters.aave_v3.maths import EfficiencyMode, Generation, Holding, ReserveConfiguration, account_data
from aggregator.model.identifiers import ZERO_ADDRESS, Address, evm_chain
from aggregator.model.outcome import Reason
from aggregator.model.position import MarginAccount
from aggregator.model.snapshot import Block
from aggregator.model.units import WAD
from aggregator.reading.adapter import Adapter, Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import broken_laws, scope_of
from tests.adapters.scripted import Chain, Contract, Refuses, Reverts, RoundReads, text

NOW = 1_770_000_000
BLOCK = Block(24_000_000, "0x" + "ab" * 32, NOW)
OWNER, OTHER = (Address("0x" + pair * 20) for pair in ("b1", "b2"))
ORACLE, SENTINEL, FEED = (Address("0x" + pair * 20) for pair in ("0a", "05", "fe"))
REVISIONS = {Generation.V3_0: 1, Generation.V3_1: 4, Generation.V3_2: 6, Generation.V3_3: 7, Generation.V3_4: 8, Generation.V3_5: 9}
REVISIONS |= {Generation.V3_6: 10, Generation.V3_7: 11}
ACTIVE, FROZEN, PAUSED, SILOED = 1 << 56, 1 << 57, 1 << 60, 1 << 62


def found(slug: str) -> Adapter:
    return next(adapter for adapter in adapters() if adapter.slug == slug)


def configuration(threshold: int = 8_000, decimals: int = 18, flags: int = ACTIVE, category: int = 0, ceiling: int = 0) -> int:
    """A configuration word with an LTV 500 basis points under the threshold and a bonus of 5 %."""
    return max(threshold - 500, 0) | threshold << 16 | 10_500 << 32 | decimals << 48 | flags | category << 168 | ceiling << 212


@dataclass
class ScriptedReserve:
    """One reserve; `price` None where its feed reverts."""

    number: int
    symbol: str
    word: int = field(default_factory=configuration)
    price: int | None = 10**8
    liquidity: int = 10**30
    grace_until: int = 0
    supplied: dict[str, int] = field(default_factory=dict)
    variable: dict[str, int] = field(default_factory=dict)
    stable: dict[str, int] = field(default_factory=dict)
    raw_symbol: bytes | None = None
    broken_balance: Reason | None = None
    token_version: int = 0
    """which supply and debt tokens it has"""

    def address(self, kind: int = 0) -> Address:
        """0 the underlying, 1 the supply token, 2 the variable, 3 the stable debt token."""
        version = self.token_version if kind else 0
        return Address(f"0x{0xA5 << 152 | version << 96 | kind << 64 | self.number + 1:040x}")


@dataclass
class ScriptedPool:
    """A pool with its provider, oracle and tokens, put onto a scripted chain."""

    slug: str = "aave-v3"
    chain_number: int = 42161
    generation: Generation = Generation.V3_6
    revision: int | None = None
    silent_revision: bool = False
    reserves: list[ScriptedReserve] = field(default_factory=list)
    collateral: dict[str, set[int]] = field(default_factory=dict)
    modes: dict[int, EfficiencyMode] = field(default_factory=dict)
    mode_of: dict[str, int] = field(default_factory=dict)
    allowed: bool | None = None
    """what a sentinel says; None where there is none"""
    base_currency: str = ZERO_ADDRESS
    views: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """overrides of getUserAccountData"""
    chain: Chain = field(default_factory=Chain)
    named_pool: str = ""

    def __post_init__(self) -> None:
        self.adapter = found(self.slug)
        self.deployment = self.adapter.manifest.deployments[evm_chain(self.chain_number)][0]
        self.memory = Memory()
        self.rounds = 0

    def reserve(self, symbol: str, **settings: Any) -> ScriptedReserve:
        self.reserves.append(ScriptedReserve(len(self.reserves), symbol, **settings))
        return self.reserves[-1]

    def supply(self, reserve: ScriptedReserve, amount: int, owner: str = OWNER, enabled: bool = True) -> None:
        reserve.supplied[owner] = amount
        if enabled:
            self.collateral.setdefault(owner, set()).add(reserve.number)

    async def read(self, *owners: Address) -> Holdings:
        """What the adapter makes of it, `rounds` saying how often it had to wait."""
        self._deploy()
        reads = RoundReads(self.chain, BLOCK, f"eip155:{self.chain_number}")
        holdings = await self.adapter.read(
            scope_of(self.adapter, evm_chain(self.chain_number), self.deployment, reads, owners or (OWNER,), memory=self.memory)
        )
        self.rounds = reads.rounds
        return holdings

    def user_word(self, owner: str) -> int:
        word = sum(2 << 2 * number for number in self.collateral.get(owner, ()))
        return word | sum(1 << 2 * one.number for one in self.reserves if one.variable.get(owner) or one.stable.get(owner))

    # -- contracts ---------------------------------------------------------------------------------------------------------

    def _deploy(self) -> None:
        pool, provider = self.deployment.contracts["pool"], self.deployment.contracts["pool_addresses_provider"]
        contracts = self.chain.contracts
        contracts[provider] = Contract(
            {
                "getPool()(address)": self.named_pool or pool,
                "getPriceOracle()(address)": ORACLE,
                "getPriceOracleSentinel()(address)": ZERO_ADDRESS if self.allowed is None else SENTINEL,
            }
        )
        contracts[SENTINEL] = Contract({"isLiquidationAllowed()(bool)": self.allowed})
        contracts[pool] = self._pool()
        contracts[ORACLE] = Contract(
            {
                "BASE_CURRENCY()(address)": self.base_currency,
                "BASE_CURRENCY_UNIT()(uint256)": 10**8,
                "getAssetPrice(address)(uint256)": self._price,
                "getSourceOfAsset(address)(address)": FEED,
            }
        )
        for one in self.reserves:
            contracts[one.address()] = Contract(
                {
                    "symbol()()": one.raw_symbol if one.raw_symbol is not None else text(one.symbol),
                    "balanceOf(address)(uint256)": one.liquidity,
                }
            )
            contracts[one.address(1)] = Contract({"balanceOf(address)(uint256)": self._balance(one, one.supplied)})
            contracts[one.address(2)] = Contract({"balanceOf(address)(uint256)": self._balance(one, one.variable)})
            if self.generation < Generation.V3_2:
                contracts[one.address(3)] = Contract({"balanceOf(address)(uint256)": self._balance(one, one.stable)})

    def _pool(self) -> Contract:
        functions: dict[str, Any] = {
            "POOL_REVISION()(uint256)": REVISIONS[self.generation] if self.revision is None else self.revision,
            "getReservesList()(address[])": [one.address() for one in self.reserves],
            "getReserveData(address)(uint256,uint128,uint128,uint128,uint128,uint128,uint40,uint16,address,address,address,address,"
            "uint128,uint128,uint128)": lambda asset: self._data(self._by(asset)),
            "getUserConfiguration(address)(uint256)": self.user_word,
            "getUserEMode(address)(uint256)": lambda owner: self.mode_of.get(owner, 0),
            "getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)": self._view,
            "getEModeCategoryData(uint8)((uint16,uint16,uint16,address,string))": self._mode,
        }
        if self.silent_revision:
            del functions["POOL_REVISION()(uint256)"]
        if self.generation >= Generation.V3_1:
            functions["getVirtualUnderlyingBalance(address)(uint128)"] = lambda asset: self._by(asset).liquidity
            functions["getLiquidationGracePeriod(address)(uint40)"] = lambda asset: self._by(asset).grace_until
        if self.generation >= Generation.V3_2:
            functions["getEModeCategoryCollateralBitmap(uint8)(uint128)"] = lambda number: self.modes[number].collateral_bitmap
        if self.generation >= Generation.V3_6:
            functions["getEModeCategoryLtvzeroBitmap(uint8)(uint128)"] = lambda number: self.modes[number].zero_ltv_bitmap
        if self.generation >= Generation.V3_7:
            functions["getIsEModeCategoryIsolated(uint8)(bool)"] = lambda number: self.modes[number].isolated
        return Contract(functions)

    def _by(self, asset: str) -> ScriptedReserve:
        return next(one for one in self.reserves if one.address() == asset)

    @staticmethod
    def _balance(one: ScriptedReserve, held: dict[str, int]) -> Any:
        def balance(owner: str) -> int:
            if one.broken_balance is not None:
                raise Refuses(one.broken_balance)
            return held.get(owner, 0)

        return balance

    @staticmethod
    def _data(one: ScriptedReserve) -> tuple[Any, ...]:
        tokens = (one.address(1), one.address(3), one.address(2))
        return (one.word, 10**27, 0, 10**27, 0, 0, NOW, one.number, *tokens, ZERO_ADDRESS, 0, 0, 0)

    def _price(self, asset: str) -> int:
        if asset == FEED:
            return next(mode.price for mode in self.modes.values() if mode.price)
        price = self._by(asset).price
        if price is None:
            raise Reverts
        return price

    def _mode(self, number: int) -> tuple[Any, ...]:
        mode = self.modes[number]
        source = FEED if mode.price else ZERO_ADDRESS
        return mode.loan_to_value, mode.liquidation_threshold, mode.liquidation_bonus, source, mode.label

    def _view(self, owner: str) -> tuple[int, ...]:
        if owner in self.views:
            return self.views[owner]
        word = self.user_word(owner)
        used = [one for one in self.reserves if word >> 2 * one.number & 3]
        holdings = [
            Holding(
                reserve_id=one.number,
                configuration=ReserveConfiguration.decode(one.word),
                price=self._price(one.address()),
                supplied=one.supplied.get(owner, 0),
                variable_debt=one.variable.get(owner, 0),
                stable_debt=one.stable.get(owner, 0),
                is_collateral=word >> 2 * one.number + 1 & 1 == 1,
                is_borrowed=word >> 2 * one.number & 1 == 1,
            )
            for one in used
        ]
        data = account_data(self.generation, holdings, self.modes.get(self.mode_of.get(owner, 0)))
        named = (data.collateral, data.debt, data.available_borrows)
        return (*named, data.liquidation_threshold, data.loan_to_value, data.health_factor)


ETHER_PRICE = 2_000 * 10**8
MODE = EfficiencyMode(3, 9_000, 9_300, 10_100, "Ether\x1b[31m correlated", collateral_bitmap=1)


def borrower(generation: Generation = Generation.V3_6, debt: int = 4_000 * 10**6, slug: str = "aave-v3") -> ScriptedPool:
    """Three ether supplied, USDC borrowed."""
    pool = ScriptedPool(slug, 1 if slug == "spark" else 42161, generation)
    ether = pool.reserve("ETHX", price=ETHER_PRICE)
    dollar = pool.reserve("USDX", word=configuration(7_800, 6))
    pool.supply(ether, 3 * WAD)
    dollar.variable[OWNER] = debt
    return pool


def only(holdings: Holdings) -> MarginAccount:
    assert broken_laws(holdings) == []
    (account,) = holdings.margin_accounts
    return account
