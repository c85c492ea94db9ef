"""Wallets that sign in, as a browser's wallet writes its message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from eth_account import Account
from eth_account.messages import encode_defunct

from aggregator.model.identifiers import checksum, parse_address


@dataclass(frozen=True, slots=True)
class Wallet:
    key: bytes

    @property
    def address(self) -> str:
        return str(Account.from_key(self.key).address)

    def message(self, domain: str, nonce: str, now: float, *, extra: str = "", scheme: str = "") -> str:
        issued = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f"{scheme}{domain} wants you to sign in with your Ethereum account:\n{checksum(parse_address(self.address))}\n\n"
            f"Read my alerts.\n\nURI: http://{domain}/\nVersion: 1\nChain ID: 1\nNonce: {nonce}\nIssued At: {issued}{extra}"
        )

    def sign(self, message: str) -> str:
        return "0x" + bytes(Account.sign_message(encode_defunct(text=message), self.key).signature).hex()


ALICE, MALLORY = Wallet(b"\x11" * 32), Wallet(b"\x22" * 32)
