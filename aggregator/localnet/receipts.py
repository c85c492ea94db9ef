"""What a mined transaction left behind, and where a contract that it created lies."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from aggregator.localnet import abi


@dataclass(frozen=True, slots=True)
class Log:
    """One event: ``topics`` and ``data`` as 0x-hex, as the node gives them."""

    address: str
    topics: tuple[str, ...]
    data: str


@dataclass(slots=True)
class Receipt:
    """A mined transaction. One sent inside ``block()`` is empty (block_number -1) until the block is mined."""

    transaction_hash: str
    contract_address: str | None = None
    block_number: int = -1
    gas_used: int = 0
    logs: tuple[Log, ...] = ()

    def events(self, event: str, address: str | None = None) -> list[Log]:
        """The logs of ``event`` (``"Transfer(address,address,uint256)"``), optionally of one contract only."""
        wanted = abi.topic(event)
        return [
            log
            for log in self.logs
            if log.topics and log.topics[0] == wanted and (address is None or log.address.lower() == address.lower())
        ]


def creation_address(sender: str, nonce: int) -> str:
    """Where an ordinary CREATE by ``sender`` at ``nonce`` lands."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    # RLP of [20 bytes, integer]: a one-byte integer below 0x80 stands for itself.
    encoded = number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(sender[2:]) + encoded
    return str(to_checksum_address(keccak(bytes([0xC0 + len(body)]) + body)[12:]))
