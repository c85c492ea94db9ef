"""Solidity of the attestation room and of its tests, compiled; as a program it writes the shipped file anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson

from aggregator.localnet.compiling import Artifact, Compiler, SourceTree, Unit
from aggregator.localnet.packages import PackageStore, cache_directory
from aggregator.publish.attestation.contract import CONTRACTS, SHIPPED

COMPILER = "0.8.28"
_SETTINGS: dict[str, object] = {"optimizer": {"enabled": True, "runs": 10_000}, "viaIR": True, "evmVersion": "cancun"}


async def compiled() -> dict[str, Artifact]:
    """The verifying contract, and the desk of the tests that asks it."""
    packages = PackageStore(cache_directory())
    tree = SourceTree(
        {
            "attestation/": CONTRACTS,
            "tests/": Path(__file__).parent,
            "@openzeppelin/contracts/": await packages.directory("@openzeppelin/contracts"),
        }
    )
    wanted = {"attestation/MarginScores.sol": ("MarginScores",), "tests/CreditDesk.sol": ("CreditDesk",)}
    unit = Unit("margin-scores", COMPILER, tree.gather(list(wanted)), wanted, _SETTINGS)
    return await Compiler(cache_directory(), packages).compile(unit)


def shipped(artifact: Artifact) -> bytes:
    """What `MarginScores.json` has to hold."""
    document = {"abi": list(artifact.abi), "bytecode": "0x" + artifact.code.hex(), "compiler": COMPILER}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    SHIPPED.write_bytes(shipped(asyncio.run(compiled())["MarginScores"]))
