"""Contract wallets for the tests: a Safe as it is published, an account of OpenZeppelin's library, and hostile ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from eth_abi.abi import encode
from eth_hash.auto import keccak

from aggregator.localnet.compiling import Artifact, Compiler, SourceTree, Unit, read_artifact
from aggregator.localnet.node import LocalChain
from aggregator.localnet.packages import Package, PackageStore, cache_directory
from aggregator.model.identifiers import ZERO_ADDRESS
from aggregator.publish.attestation.signer import KeySigner
from tests.api.wallets import Wallet

_SAFE = Package(
    "@safe-global/safe-contracts",
    "1.4.1",
    "sha512-fP1jewywSwsIniM04NsqPyVRFKPMAuirC3ftA/TA4X3Zc5EnwQp/UCJUU2PL/37/z/jMo8UUaJ+pnFNWmMU7dQ==",
    tuple(
        f"build/artifacts/contracts/{folder}{name}.sol/{name}.json"
        for folder, name in (("", "Safe"), ("proxies/", "SafeProxy"), ("handler/", "CompatibilityFallbackHandler"))
    ),
)
_SETTINGS: dict[str, object] = {"optimizer": {"enabled": True, "runs": 200}, "viaIR": True, "evmVersion": "cancun"}
_NESTED = keccak(b"PersonalSign(bytes prefixed)")
_DOMAIN = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")


async def compiled() -> dict[str, Artifact]:
    """The contracts of `Accounts.sol`."""
    packages = PackageStore(cache_directory())
    roots = {"tests/": Path(__file__).parent, "@openzeppelin/contracts/": await packages.directory("@openzeppelin/contracts")}
    wanted = {"tests/Accounts.sol": ("KeyAccount", "HostileAccount")}
    unit = Unit("accounts", "0.8.28", SourceTree(roots).gather(list(wanted)), wanted, _SETTINGS)
    return await Compiler(cache_directory(), packages).compile(unit)


@dataclass(frozen=True, slots=True)
class Safes:
    """The shared contracts of Safe 1.4.1 on one chain."""

    chain: LocalChain
    singleton: str
    handler: str
    proxy: bytes

    @staticmethod
    async def on(chain: LocalChain) -> Safes:
        directory = await PackageStore(cache_directory()).directory(_SAFE)
        singleton, proxy, handler = (read_artifact(name, orjson.loads((directory / name).read_bytes())) for name in _SAFE.files)
        return Safes(chain, await chain.deploy(singleton.code), await chain.deploy(handler.code), proxy.code)

    async def create(self, owners: Sequence[Wallet], threshold: int) -> str:
        """A new Safe; its address is the same on every chain where as much was deployed before."""
        made = await self.chain.deploy(self.proxy, ["address"], [self.singleton])
        setup = "setup(address[],uint256,address,bytes,address,address,uint256,address)"
        given = ([one.address for one in owners], threshold, ZERO_ADDRESS, b"", self.handler, ZERO_ADDRESS, 0, ZERO_ADDRESS)
        await self.chain.send(owners[0].address, made, setup, *given)
        return made

    async def inner(self, safe: str, digest: bytes) -> bytes:
        """The Safe's own hash over a message's."""
        (found,) = await self.chain.call(self.handler, "getMessageHashForSafe(address,bytes)(bytes32)", safe, digest)
        assert isinstance(found, bytes)
        return found

    async def signature(self, safe: str, digest: bytes, keys: Sequence[Wallet]) -> str:
        """What these keys sign for the Safe: a hash that names the chain and the Safe too."""
        inner = await self.inner(safe, digest)
        ordered = sorted(keys, key=lambda one: one.address.lower())
        return "0x" + b"".join(KeySigner.of(one.key).sign_digest(inner) for one in ordered).hex()


def signed_message_slot(inner: bytes) -> str:
    """Where a Safe keeps that it signed a hash on chain: `signedMessages`, the eighth of its storage."""
    return "0x" + keccak(inner + (7).to_bytes(32, "big")).hex()


def nested_signature(chain_id: int, account: str, digest: bytes, key: Wallet) -> str:
    """The signature of a message for a KeyAccount (ERC-7739, PersonalSign)."""
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"], [_DOMAIN, keccak(b"KeyAccount"), keccak(b"1"), chain_id, account]
    )
    nested = keccak(b"\x19\x01" + keccak(domain) + keccak(_NESTED + digest))
    return "0x" + KeySigner.of(key.key).sign_digest(nested).hex()


def wrapped(signature: str) -> str:
    """As a wallet that is not deployed yet would send it (ERC-6492)."""
    body = encode(["address", "bytes", "bytes"], [ZERO_ADDRESS, b"deploy", bytes.fromhex(signature[2:])])
    return "0x" + (body + bytes.fromhex("6492" * 16)).hex()
