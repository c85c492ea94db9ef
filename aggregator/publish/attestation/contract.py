"""The verifying contract as it is shipped.

`contracts/` is its source, `MarginScores.json` what solc makes of it (a test compiles it again).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson
from eth_abi.abi import encode

from aggregator.model.identifiers import Address

CONTRACTS = Path(__file__).parent / "contracts"
SHIPPED = Path(__file__).parent / "MarginScores.json"


@dataclass(frozen=True, slots=True)
class VerifyingContract:
    """`abi` as solc writes it, `creation_code` without constructor arguments."""

    abi: tuple[dict[str, object], ...]
    creation_code: bytes
    compiler: str

    def deployment(self, admin: Address, signer: Address, gateways: tuple[str, ...]) -> bytes:
        """Data of the transaction that creates it. `gateways`: URL templates of ERC-3668 with {sender} and {data}."""
        return self.creation_code + encode(["address", "address", "string[]"], [admin, signer, list(gateways)])


@lru_cache(maxsize=1)
def verifying_contract() -> VerifyingContract:
    """The shipped contract."""
    read = orjson.loads(SHIPPED.read_bytes())
    return VerifyingContract(tuple(read["abi"]), bytes.fromhex(read["bytecode"][2:]), read["compiler"])
