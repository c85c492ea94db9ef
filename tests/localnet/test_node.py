"""One local chain and its process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aggregator.localnet import anvil
from aggregator.localnet.anvil import GENESIS_TIME, AnvilError
from aggregator.localnet.node import DEPLOYER, LocalChain, LocalChainError, Receipt
from aggregator.localnet.packages import PackageStore, cache_directory
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet

OWNER, OTHER = "0x" + "11" * 20, "0x" + "22" * 20
# Init code that returns the ten bytes after its first twelve.
INIT = bytes.fromhex("600a600c600039600a6000f3")
ANSWERS_42 = INIT + bytes.fromhex("602a60005260206000f3")
REVERTS = INIT + bytes.fromhex("60006000fd0000000000")
ANSWER = "answer()(uint256)"


@pytest.fixture(scope="module")
async def binary() -> Path:
    return await PackageStore(cache_directory()).anvil()


@pytest.fixture
async def chain(binary: Path) -> AsyncIterator[LocalChain]:
    started = await LocalChain.start(binary, 8453)
    yield started
    await started.stop()


async def test_a_transaction_is_a_block_at_the_chains_own_spacing(chain: LocalChain) -> None:
    assert await chain.now() == GENESIS_TIME
    address = await chain.deploy(ANSWERS_42)
    assert await chain.call(address, ANSWER) == (42,)
    receipt = await chain.send(OWNER, address, "answer()")
    assert (receipt.block_number, await chain.head(), await chain.now()) == (2, 2, GENESIS_TIME + 4)


async def test_a_block_holds_what_is_sent_inside_it_in_order(chain: LocalChain) -> None:
    async with chain.block():
        receipts = [await chain.send(OWNER, OTHER, b"", value=10**18) for _ in range(3)]
        receipts += [await chain.send(OTHER, None, ANSWERS_42)]
        address = await chain.deploy(ANSWERS_42, sender=OTHER)
        assert receipts[0].block_number == -1
    assert {receipt.block_number for receipt in receipts} == {1}
    block = await chain.rpc("eth_getBlockByNumber", "0x1", False)
    assert isinstance(block, dict)
    assert block["transactions"][:4] == [receipt.transaction_hash for receipt in receipts]
    assert receipts[3].contract_address not in (None, address)
    assert await chain.call(address, ANSWER) == (42,)
    assert await chain.balance(OTHER) == 3 * 10**18
    assert await chain.balance(OWNER) == 0, "only what was missing is made available, and gas costs nothing"


async def test_a_failure_names_its_reason(chain: LocalChain) -> None:
    address = await chain.deploy(REVERTS)
    with pytest.raises(LocalChainError, match="reverted without a reason"):
        await chain.send(OWNER, address, "answer()")
    with pytest.raises(LocalChainError, match=f"answer of {address}: reverted"):
        await chain.call(address, ANSWER)
    receipts: list[Receipt] = []
    with pytest.raises(LocalChainError, match="reverted"):
        async with chain.block():
            receipts.append(await chain.send(OWNER, address, "answer()"))
            receipts.append(await chain.send(OWNER, OTHER, b"", value=1))
    assert receipts[1].block_number == receipts[0].block_number > 0, "the rest of the block stays mined"


async def test_nothing_there_is_not_zero(chain: LocalChain) -> None:
    with pytest.raises(LocalChainError, match="no contract there"):
        await chain.call(OTHER, ANSWER)


async def test_blocks_do_not_nest(chain: LocalChain) -> None:
    async with chain.block():
        with pytest.raises(LocalChainError, match="already open"):
            async with chain.block():
                pass
        with pytest.raises(LocalChainError, match="own block"):
            await chain.place(OTHER, ANSWERS_42)


async def test_time_snapshots_and_reorganisations(chain: LocalChain) -> None:
    await chain.set_time(GENESIS_TIME + 5_000)
    await chain.mine(3)
    assert (await chain.head(), await chain.now()) == (4, GENESIS_TIME + 5_006)
    taken = await chain.snapshot()
    address = await chain.deploy(ANSWERS_42)
    await chain.revert(taken)
    assert await chain.code(address) == b""
    assert await chain.head() == 4
    await chain.deploy(ANSWERS_42)
    before = await chain.rpc("eth_getBlockByNumber", "latest", False)
    await chain.reorg(2)
    after = await chain.rpc("eth_getBlockByNumber", "latest", False)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert before["number"] == after["number"]
    assert before["hash"] != after["hash"]
    assert await chain.code(address) == b""
    with pytest.raises(LocalChainError):
        await chain.revert(taken)


async def test_many_calls_in_one_round_trip_keep_their_order(chain: LocalChain) -> None:
    addresses = [await chain.deploy(INIT + bytes.fromhex(f"60{number:02x}60005260206000f3")) for number in range(5)]
    assert await chain.calls([(address, ANSWER, ()) for address in addresses]) == [(number,) for number in range(5)]
    assert await chain.batch([]) == []


async def test_a_placed_contract_ran_its_constructor_there(deployed: World) -> None:
    chain = deployed.chains[1]
    factory = "0x1F98431c8aD98523631AE4a59f267346ea31F984"
    manager = "0xC36442b4a4522E871399CD717aBDD847Ab11FE88"
    assert await chain.call(factory, "owner()(address)") == (DEPLOYER,), "storage"
    assert await chain.call(manager, "factory()(address)") == (factory,), "immutables"


async def test_the_process_ends_with_stop_and_leaves_no_directory(binary: Path) -> None:
    process = await anvil.start(binary, 1)
    pid, before = process.process.pid, _directories()
    assert process.home in before
    assert _alive(pid)
    await process.stop()
    await process.stop()
    assert not _alive(pid)
    assert process.home not in _directories()


async def test_a_taken_port_is_said(binary: Path) -> None:
    first = await anvil.start(binary, 1)
    try:
        with pytest.raises(AnvilError, match="in use"):
            await anvil.start(binary, 1, port=first.port)
    finally:
        await first.stop()


_STARTER = """
import asyncio, sys
from pathlib import Path
from aggregator.localnet import anvil

async def main():
    process = await anvil.start(Path(sys.argv[1]), 1)
    print(process.process.pid, flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        await process.stop()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_node_dies_with_us(binary: Path, how: signal.Signals) -> None:
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _STARTER, str(binary)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert starter.stdout is not None
    node = int(await starter.stdout.readline())
    os.kill(node, 0)
    starter.send_signal(how)
    await starter.wait()
    for _ in range(100):
        if not _alive(node):
            break
        await asyncio.sleep(0.05)
    assert not _alive(node)
    # What a killed program could not clear away goes when the next one starts a node.
    following = await anvil.start(binary, 1)
    await following.stop()
    assert not [path for path in _directories() if f"crossmargin-anvil-{starter.pid}-" in path]


def _directories() -> set[str]:
    return {str(path) for path in Path(tempfile.gettempdir()).glob("crossmargin-anvil-*")}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
