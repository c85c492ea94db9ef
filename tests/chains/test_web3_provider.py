"""web3.py through our client, on a real node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from web3 import AsyncWeb3
from web3.exceptions import ContractLogicError, OffchainLookup, Web3RPCError

from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.chains.web3_provider import ChainProvider, web3_of
from aggregator.localnet.node import LocalChain
from aggregator.model.errors import EndpointError
from aggregator.model.identifiers import evm_chain
from tests.chains.support import HASTY
from tests.faults import Status
from tests.faulty_endpoint import FaultyEndpoint

pytestmark = pytest.mark.localnet

CHAIN = evm_chain(1)
ECHO = "0x" + "e1" * 20
REVERTS = "0x" + "e2" * 20
OFFCHAIN = "0x" + "e3" * 20
ABI: list[dict[str, Any]] = [
    {
        "name": "echo",
        "type": "function",
        "stateMutability": "view",
        "inputs": [{"name": "value", "type": "uint256"}],
        "outputs": [{"name": "", "type": "uint256"}],
    }
]
# OffchainLookup(address,string[],bytes,bytes4,bytes) of the contract itself with one URL, all else empty
_LOOKUP = (
    "556f1830"
    + OFFCHAIN[2:].rjust(64, "0")
    + "".join(f"{word:064x}" for word in (0xA0, 0x120, 0, 0x140, 1, 0x20, 0x13))
    + b"http://127.0.0.1:1/".hex().ljust(64, "0")
    + "0" * 128
)


@pytest.fixture(scope="module")
async def proxy(bare_chain: LocalChain) -> AsyncIterator[FaultyEndpoint]:
    reverts = bytes.fromhex("08c379a0" + f"{0x20:064x}{6:064x}" + b"no way".hex().ljust(64, "0"))
    for address, code in (
        (ECHO, "60043560005260206000f3"),
        (REVERTS, _revert_with(reverts)),
        (OFFCHAIN, _revert_with(bytes.fromhex(_LOOKUP))),
    ):
        await bare_chain.rpc("anvil_setCode", address, "0x" + code)
    async with FaultyEndpoint(upstream=bare_chain.url) as proxy:
        yield proxy


def _revert_with(data: bytes) -> str:
    """Code that copies what follows it into memory and reverts with it."""
    return f"61{len(data):04x}80600c6000396000fd{data.hex()}"


@pytest.fixture
async def client(proxy: FaultyEndpoint) -> AsyncIterator[ChainClient]:
    proxy.heal()
    proxy.record.clear()
    async with Network(load_chains(), rpc_overrides={CHAIN: (proxy.url,)}, policy=HASTY) as network:
        yield network.client(CHAIN)


@pytest.fixture
def web3(client: ChainClient) -> AsyncWeb3[ChainProvider]:
    return web3_of(client)


async def test_a_contract_call_is_one_request(proxy: FaultyEndpoint, web3: AsyncWeb3[ChainProvider]) -> None:
    contract = web3.eth.contract(address=web3.to_checksum_address(ECHO), abi=ABI)
    for number in range(3):
        assert await contract.functions.echo(number).call() == number
    assert [entry.methods for entry in proxy.record] == [("eth_chainId", "eth_call"), ("eth_call",), ("eth_call",)]


async def test_blocks_and_batches(proxy: FaultyEndpoint, web3: AsyncWeb3[ChainProvider]) -> None:
    block = await web3.eth.get_block("latest")
    assert block["number"] == await web3.eth.block_number
    async with web3.batch_requests() as batch:
        batch.add(web3.eth.get_block(block["number"]))
        batch.add(web3.eth.get_balance(web3.to_checksum_address(ECHO)))
        answers: list[Any] = list(await batch.async_execute())
    same, balance = answers
    assert same["hash"] == block["hash"] and balance == 0
    assert proxy.record[-1].methods == ("eth_getBlockByNumber", "eth_getBalance")
    assert await web3.eth.get_block(block["hash"]) == block


async def test_a_revert_is_web3s_own_error(web3: AsyncWeb3[ChainProvider]) -> None:
    contract = web3.eth.contract(address=web3.to_checksum_address(REVERTS), abi=ABI)
    with pytest.raises(ContractLogicError, match="no way"):
        await contract.functions.echo(1).call()
    with pytest.raises(Web3RPCError):
        await web3.manager.coro_request("eth_noSuchMethod", [])  # type: ignore[arg-type]


async def test_ccip_read_is_not_followed(proxy: FaultyEndpoint, web3: AsyncWeb3[ChainProvider]) -> None:
    contract = web3.eth.contract(address=web3.to_checksum_address(OFFCHAIN), abi=ABI)
    with pytest.raises(OffchainLookup):
        await contract.functions.echo(1).call()
    assert proxy.requests == 1


async def test_retries_and_failures_are_the_clients(proxy: FaultyEndpoint, client: ChainClient, web3: AsyncWeb3[ChainProvider]) -> None:
    proxy.inject(Status(503), times=2)
    assert await web3.eth.chain_id == 1
    assert client.statistics.retries >= 1
    assert await web3.is_connected()
    proxy.inject(Status(503))
    with pytest.raises(EndpointError, match="503"):
        await web3.eth.block_number
    assert not await web3.is_connected()
    with pytest.raises(EndpointError):
        await web3.is_connected(show_traceback=True)
