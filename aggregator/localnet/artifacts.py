"""Every contract that can be deployed: published artifacts by path, compiled sources by name.

``prepare`` fetches and compiles all of it at the same time; afterwards ``get`` reads from the cache without waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import cast

import orjson

from aggregator.localnet import abi
from aggregator.localnet.compiling import Artifact, Compiler, Json, SourceTree, Unit, read_artifact
from aggregator.localnet.packages import PACKAGES, PackageStore, cache_directory
from aggregator.localnet.progress import Progress, silent
from aggregator.localnet.together import together

CONTRACTS = Path(__file__).parent / "contracts"
OWN = "localnet"
AAVE = "@aave-dao/aave-v3-origin"
MORPHO = "@morpho-org/morpho-blue"

_AAVE_WANTED = MappingProxyType(
    {
        "helpers": ("AaveProtocolDataProvider", "UiPoolDataProviderV3"),
        "instances": ("ATokenInstance", "L2PoolInstance", "PoolConfiguratorInstance", "PoolInstance", "VariableDebtTokenInstance"),
        "misc": ("AaveOracle", "DefaultReserveInterestRateStrategyV2", "PriceOracleSentinel"),
        "protocol/configuration": ("ACLManager", "PoolAddressesProvider"),
        "protocol/libraries/helpers": ("Errors",),
        "protocol/libraries/logic": ("BorrowLogic", "ConfiguratorLogic", "FlashLoanLogic", "LiquidationLogic", "PoolLogic", "SupplyLogic"),
    }
)


@dataclass(slots=True)
class Artifacts:
    """The library of contracts, kept below ``root``."""

    root: Path = field(default_factory=cache_directory)
    progress: Progress = silent
    packages: PackageStore = field(init=False)
    _directories: dict[str, Path] = field(default_factory=dict)
    _compiled: dict[str, dict[str, Artifact]] = field(default_factory=dict)
    _read: dict[tuple[str, str], Artifact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.packages = PackageStore(self.root, self.progress)

    async def prepare(self) -> Path:
        """Fetch every package and compile every source; returns the node's binary."""
        # The longest way first: Aave's sources and their compiler.
        names = sorted(PACKAGES, key=lambda name: not name.startswith("solc-0.8.27"))
        await together(
            *(self._compile_aave(), self._compile_morpho(), self._compile_own()),
            *(self._fetch(name) for name in names),
            self._fetch_node(),
        )
        return await self.packages.anvil()

    def get(self, package: str, name: str) -> Artifact:
        """``get("localnet", "ManagedToken")`` or ``get("@uniswap/v3-core", "artifacts/…/UniswapV3Factory.json")``.

        Raises KeyError for an unknown contract.
        """
        if package in self._compiled:
            return self._compiled[package][name]
        key = (package, name)
        if key not in self._read:
            path = self._directories[package] / name
            if not path.is_file():
                raise KeyError(f"{package} has no file {name}")
            self._read[key] = read_artifact(path.name.split(".")[0], orjson.loads(path.read_bytes()))
        return self._read[key]

    def error_names(self) -> dict[bytes, str]:
        """Names of the custom errors that compiled contracts declare, by selector."""
        names: dict[bytes, str] = {}
        for contracts in self._compiled.values():
            for artifact in contracts.values():
                names.update(_errors(artifact.abi))
        return names

    def text(self, package: str, name: str) -> str:
        """A file of a package as it is."""
        return (self._directories[package] / name).read_text(encoding="utf-8")

    async def _fetch(self, name: str) -> None:
        self._directories[name] = await self.packages.directory(name)

    async def _fetch_node(self) -> None:
        await self.packages.anvil()

    async def _compile_aave(self) -> None:
        aave, openzeppelin, solidity_utils = await together(
            *(self.packages.directory(name) for name in (AAVE, "@openzeppelin/contracts", "@bgd-labs/solidity-utils"))
        )
        tree = SourceTree(
            {"src/": aave / "src", "@openzeppelin/contracts/": openzeppelin, "solidity-utils/": solidity_utils / "src"},
            {"openzeppelin-contracts/contracts/": "@openzeppelin/contracts/"},
        )
        unit = await asyncio.to_thread(_aave_unit, tree)
        self._compiled[AAVE] = await self._compiler().compile(unit)

    async def _compile_morpho(self) -> None:
        directory = await self.packages.directory(MORPHO)
        settings = {"optimizer": {"enabled": True, "runs": 999_999}, "viaIR": True, "evmVersion": "paris"}
        sources = await asyncio.to_thread(SourceTree({"src/": directory / "src"}).gather, ["src/Morpho.sol"])
        unit = Unit("morpho-blue", "0.8.19", sources, {"src/Morpho.sol": ("Morpho",)}, settings)
        self._compiled[MORPHO] = await self._compiler().compile(unit)

    async def _compile_own(self) -> None:
        openzeppelin = await self.packages.directory("@openzeppelin/contracts")
        tree = SourceTree({"contracts/": CONTRACTS, "@openzeppelin/contracts/": openzeppelin})
        units = await asyncio.to_thread(own_units, tree)
        contracts: dict[str, Artifact] = {}
        for compiled in await self._compiler().compile_all(units):
            contracts.update(compiled)
        self._compiled[OWN] = contracts

    def _compiler(self) -> Compiler:
        return Compiler(self.root, self.packages, self.progress)


def _errors(entries: Iterable[Json]) -> dict[bytes, str]:
    return {abi.parse(signature).selector: signature for signature in (_signature(entry) for entry in entries if entry["type"] == "error")}


def _signature(entry: Json) -> str:
    inputs = cast(Sequence[Mapping[str, str]], entry["inputs"])
    return f"{entry['name']}({','.join(one['type'] for one in inputs)})"


def _aave_unit(tree: SourceTree) -> Unit:
    wanted = {f"src/contracts/{folder}/{name}.sol": (name,) for folder, names in _AAVE_WANTED.items() for name in names}
    settings: dict[str, object] = {
        "optimizer": {"enabled": True, "runs": 200},
        "evmVersion": "shanghai",
        "remappings": tree.solc_remappings(),
    }
    return Unit("aave-v3-origin", "0.8.27", tree.gather(list(wanted)), wanted, settings)


def own_units(tree: SourceTree) -> list[Unit]:
    """One unit a file of ``contracts/``, so that a change compiles only what it touches."""
    settings: dict[str, object] = {"optimizer": {"enabled": True, "runs": 200}, "evmVersion": "cancun"}
    files = sorted(f"contracts/{path.name}" for path in CONTRACTS.glob("*.sol"))
    return [Unit(f"own-{file[10:-4]}", "0.8.28", tree.gather([file]), {file: ("*",)}, settings) for file in files]
