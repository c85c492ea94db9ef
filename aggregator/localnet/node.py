"""`LocalChain`: one local chain, spoken to in the field's own words.

Every transaction is sent from an impersonated sender and costs nothing (base fee zero). A block holds one
transaction, unless several are sent inside ``async with chain.block():``. Block times follow from the genesis time
and the chain's own spacing, never from this machine's clock, so the same calls give the same block hashes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
from eth_utils.address import to_checksum_address

from aggregator.localnet import abi, anvil
from aggregator.localnet.anvil import AnvilProcess
from aggregator.localnet.receipts import Log, Receipt, creation_address

__all__ = ["DEPLOYER", "LocalChain", "LocalChainError", "Log", "Receipt", "creation_address"]

DEPLOYER = "0x00000000000000000000000000000000Dec0dE01"
BLOCK_SECONDS = {1: 12, 42161: 1, 8453: 2}
TRANSACTION_GAS = 30_000_000
LATEST = "latest"


class LocalChainError(RuntimeError):
    """A call or transaction failed; the message holds the revert reason or the node's own words."""


@dataclass(slots=True)
class LocalChain:
    """A client of one local node. Open it with ``LocalChain.start`` and end it with ``stop``."""

    chain_id: int
    process: AnvilProcess
    session: aiohttp.ClientSession
    errors: dict[bytes, str] = field(default_factory=dict)
    """Names of custom errors by selector, for readable messages; the world fills it from the artifacts it loads."""
    _queue: list[Receipt] | None = None
    _spent: dict[str, int] = field(default_factory=dict)  # native value queued by sender, not yet mined
    _ids: int = 0

    @classmethod
    async def start(
        cls, binary: Path, chain_id: int, *, port: int | None = None, state: Path | None = None, states: int = anvil.STATES_KEPT
    ) -> LocalChain:
        """Start a node; with ``state`` from a dump (one block is mined, as calls below a loaded head fail) and so many old states kept."""
        process = await anvil.start(binary, chain_id, port=port, state=state, states=states)
        session = aiohttp.ClientSession(json_serialize=lambda value: orjson.dumps(value).decode(), connector=aiohttp.TCPConnector(limit=32))
        chain = cls(chain_id, process, session)
        try:
            await chain.rpc("anvil_setBlockTimestampInterval", chain.spacing)
            if state is not None:
                # The node's own clock stands at the genesis again: the next block would lie before the loaded head.
                await chain.set_time(await chain.now() + chain.spacing)
        except BaseException:
            await chain.stop()
            raise
        return chain

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def spacing(self) -> int:
        """Seconds between two blocks that are mined without a time of their own."""
        return BLOCK_SECONDS.get(self.chain_id, 12)

    async def stop(self) -> None:
        await self.session.close()
        await self.process.stop()

    # -- JSON-RPC ---------------------------------------------------------------------------------------------------

    async def rpc(self, method: str, *params: object) -> object:
        """One JSON-RPC request; raises LocalChainError with the revert reason or the node's message."""
        self._ids += 1
        answer = await self._post({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": list(params)})
        return self._result(answer)

    async def batch(self, calls: Sequence[tuple[str, list[object]]]) -> list[object]:
        """Many requests in one round trip, answers in the order of ``calls``. For reads: the node may run them in
        any order."""
        if not calls:
            return []
        body = [{"jsonrpc": "2.0", "id": index, "method": method, "params": params} for index, (method, params) in enumerate(calls)]
        answers = await self._post(body)
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise LocalChainError(f"unexpected answer to a batch: {answers!r:.300}")
        return [self._result(answer) for answer in sorted(answers, key=lambda answer: int(answer["id"]))]

    async def _post(self, body: object) -> object:
        data = orjson.dumps(body, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
        headers = {"Content-Type": "application/json"}
        try:
            async with self.session.post(self.url, data=data, headers=headers) as response:
                return orjson.loads(await response.read())
        except (aiohttp.ClientError, orjson.JSONDecodeError) as error:
            raise LocalChainError(f"chain {self.chain_id} does not answer: {error}") from error

    def _result(self, answer: object) -> object:
        if not isinstance(answer, dict):
            raise LocalChainError(f"unexpected answer: {answer!r:.300}")
        if "error" in answer:
            error = answer["error"]
            data = error.get("data")
            if isinstance(data, str) and data.startswith("0x"):
                raise LocalChainError(abi.revert_reason(bytes.fromhex(data[2:]), self.errors))
            raise LocalChainError(str(error.get("message", error)))
        return answer.get("result")

    # -- reading ----------------------------------------------------------------------------------------------------

    async def call(
        self, to: str, signature: str, *arguments: object, sender: str | None = None, block: int | str = LATEST
    ) -> tuple[object, ...]:
        """``call(token, "balanceOf(address)(uint256)", owner)`` -> ``(123,)``. Addresses come back EIP-55.

        Raises LocalChainError when it reverts, or when there is no contract (an empty answer is never zero).
        """
        function = abi.parse(signature)
        transaction: dict[str, object] = {"to": to, "data": "0x" + function.encode(arguments).hex()}
        if sender is not None:
            transaction["from"] = sender
        try:
            answer = await self.rpc("eth_call", transaction, hex(block) if isinstance(block, int) else block)
        except LocalChainError as error:
            raise LocalChainError(f"{function.name} of {to}: {error}") from error
        data = _bytes(answer)
        if not data and function.returns:
            raise LocalChainError(f"{function.name} of {to}: empty answer, no contract there")
        return function.decode(data)

    async def calls(self, requests: Sequence[tuple[str, str, Sequence[object]]]) -> list[tuple[object, ...]]:
        """Many ``(to, signature, arguments)`` at the head in one round trip."""
        functions = [abi.parse(signature) for _, signature, _ in requests]
        answers = await self.batch(
            [
                ("eth_call", [{"to": to, "data": "0x" + function.encode(arguments).hex()}, LATEST])
                for function, (to, _, arguments) in zip(functions, requests, strict=True)
            ]
        )
        return [function.decode(_bytes(answer)) for function, answer in zip(functions, answers, strict=True)]

    async def code(self, address: str) -> bytes:
        return _bytes(await self.rpc("eth_getCode", address, LATEST))

    async def balance(self, address: str) -> int:
        """Native balance in wei."""
        return _integer(await self.rpc("eth_getBalance", address, LATEST))

    async def storage(self, address: str, slot: int) -> int:
        return _integer(await self.rpc("eth_getStorageAt", address, hex(slot), LATEST))

    async def now(self) -> int:
        """Timestamp of the head block."""
        block = await self.rpc("eth_getBlockByNumber", LATEST, False)
        assert isinstance(block, dict)
        return int(block["timestamp"], 16)

    async def head(self) -> int:
        return _integer(await self.rpc("eth_blockNumber"))

    # -- writing ----------------------------------------------------------------------------------------------------

    async def send(
        self,
        sender: str,
        to: str | None,
        signature_or_data: str | bytes,
        *arguments: object,
        value: int = 0,
        gas: int | None = None,
    ) -> Receipt:
        """A transaction from an impersonated ``sender``; mined at once, or with its block inside ``block()``.

        ``to`` None creates a contract from ``signature_or_data`` as bytes. ``value`` in wei is made available when
        the sender lacks it. Raises LocalChainError with the revert reason when it fails.
        """
        data = signature_or_data if isinstance(signature_or_data, bytes) else abi.parse(signature_or_data).encode(arguments)
        if value:
            self._spent[sender] = needed = self._spent.get(sender, 0) + value
            if await self.balance(sender) < needed:
                await self.set_balance(sender, needed)
        transaction: dict[str, object] = {
            "from": sender,
            "data": "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(gas or TRANSACTION_GAS),
            "gasPrice": "0x0",
        }
        if to is not None:
            transaction["to"] = to
        receipt = Receipt(str(await self.rpc("eth_sendTransaction", transaction)))
        if self._queue is not None:
            self._queue.append(receipt)
        else:
            self._spent.clear()
            await self.rpc("evm_mine")
            await self._fill([receipt])
        return receipt

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """Mine everything sent inside in ONE block, in the order sent; the receipts are filled on leaving.

        Raises LocalChainError for the first transaction that failed (the others stay mined).
        """
        if self._queue is not None:
            raise LocalChainError("a block is already open")
        queue: list[Receipt] = []
        self._queue = queue
        try:
            yield
        finally:
            self._queue = None
            self._spent.clear()
            # More than half of the gas limit raises the base fee to 1 wei; ours pay nothing.
            await self.rpc("anvil_setNextBlockBaseFeePerGas", "0x0")
            await self.rpc("evm_mine")
        await self._fill(queue)

    async def _fill(self, receipts: Sequence[Receipt]) -> None:
        answers = await self.batch([("eth_getTransactionReceipt", [one.transaction_hash]) for one in receipts])
        failed: str | None = None
        for receipt, answer in zip(receipts, answers, strict=True):
            if not isinstance(answer, dict):
                raise LocalChainError(f"transaction {receipt.transaction_hash} was not mined")
            receipt.block_number = int(answer["blockNumber"], 16)
            receipt.gas_used = int(answer["gasUsed"], 16)
            if answer.get("contractAddress"):
                receipt.contract_address = str(to_checksum_address(answer["contractAddress"]))
            receipt.logs = tuple(Log(str(to_checksum_address(log["address"])), tuple(log["topics"]), log["data"]) for log in answer["logs"])
            if int(answer["status"], 16) == 0 and failed is None:
                failed = receipt.transaction_hash
        if failed is not None:
            raise LocalChainError(await self._failure(failed))

    async def _failure(self, transaction_hash: str) -> str:
        trace = await self.rpc("debug_traceTransaction", transaction_hash, {"tracer": "callTracer"})
        assert isinstance(trace, dict)
        output = str(trace.get("output") or "0x")
        reason = abi.revert_reason(bytes.fromhex(output[2:]), self.errors)
        return f"{str(trace.get('input', ''))[:10]} of {trace.get('to')} from {trace.get('from')}: {reason}"

    async def deploy(
        self,
        creation_code: bytes,
        types: Sequence[str] = (),
        arguments: Sequence[object] = (),
        sender: str = DEPLOYER,
    ) -> str:
        """An ordinary CREATE; returns the address (known before the block is mined, so allowed in ``block()``)."""
        nonce = _integer(await self.rpc("eth_getTransactionCount", sender, "pending"))
        await self.send(sender, None, creation_code + abi.encode(types, arguments))
        return creation_address(sender, nonce)

    async def place(
        self,
        address: str,
        creation_code: bytes,
        types: Sequence[str] = (),
        arguments: Sequence[object] = (),
        sender: str = DEPLOYER,
    ) -> None:
        """Put a contract at a given ``address``, its constructor run there (storage and immutables are right).

        The init code is set as the code and called once to learn the runtime, once to write the storage.
        """
        if self._queue is not None:
            raise LocalChainError("place needs its own block")
        initial = "0x" + (creation_code + abi.encode(types, arguments)).hex()
        await self.rpc("anvil_setNonce", address, "0x1")
        await self.rpc("anvil_setCode", address, initial)
        try:
            runtime = await self.rpc("eth_call", {"from": sender, "to": address, "data": "0x"}, LATEST)
        except LocalChainError as error:
            raise LocalChainError(f"constructor of {address}: {error}") from error
        if not _bytes(runtime):
            raise LocalChainError(f"constructor of {address} returned no code")
        await self.send(sender, address, b"")
        await self.rpc("anvil_setCode", address, runtime)

    async def set_balance(self, address: str, wei: int) -> None:
        await self.rpc("anvil_setBalance", address, hex(wei))

    async def set_nonce(self, address: str, nonce: int) -> None:
        await self.rpc("anvil_setNonce", address, hex(nonce))

    # -- time -------------------------------------------------------------------------------------------------------

    async def mine(self, blocks: int = 1) -> None:
        await self.rpc("anvil_mine", hex(blocks))

    async def set_time(self, timestamp: int) -> None:
        """Mine one block at ``timestamp`` (after the head's). ``evm_increaseTime`` is silently ignored here."""
        await self.rpc("evm_setNextBlockTimestamp", hex(timestamp))
        await self.rpc("evm_mine")

    async def reorg(self, depth: int) -> None:
        """Replace the last ``depth`` blocks by empty ones. Snapshots taken before are gone afterwards."""
        await self.rpc("anvil_reorg", depth, [])

    async def snapshot(self) -> str:
        return str(await self.rpc("evm_snapshot"))

    async def revert(self, snapshot: str) -> None:
        if await self.rpc("evm_revert", snapshot) is not True:
            raise LocalChainError(f"snapshot {snapshot} is unknown (a reorganisation drops all of them)")


def _bytes(answer: object) -> bytes:
    if not isinstance(answer, str):
        raise LocalChainError(f"expected hex, got {answer!r:.100}")
    return bytes.fromhex(answer[2:])


def _integer(answer: object) -> int:
    if not isinstance(answer, str):
        raise LocalChainError(f"expected a hex number, got {answer!r:.100}")
    return int(answer, 16)
