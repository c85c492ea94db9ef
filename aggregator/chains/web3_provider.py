"""web3.py on top of a `ChainClient`, so that throttle, batches, retry and failover apply to it: contract objects and all that is not hot.

Importing this module imports web3, which takes most of a second: import it where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from web3 import AsyncWeb3
from web3.middleware import AttributeDictMiddleware
from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from aggregator.chains.client import ChainClient, RpcAnswer, RpcCall
from aggregator.model.errors import EndpointError, EndpointRefused


class ChainProvider(AsyncJSONBaseProvider):
    """A web3.py provider that sends through a client. A JSON-RPC error reaches web3 as such; EndpointError is raised as it is.

    CCIP-read is off: a hostile contract could otherwise make the process fetch any URL.
    """

    global_ccip_read_enabled = False

    def __init__(self, client: ChainClient) -> None:
        super().__init__()
        self._client = client

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        (answer,) = await self._client.batch([_call(method, params)])
        return _response(1, answer)

    async def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        answers = await self._client.batch([_call(method, params) for method, params in requests])
        return [_response(number, answer) for number, answer in enumerate(answers, start=1)]

    async def is_connected(self, show_traceback: bool = False) -> bool:
        try:
            await self._client.batch([RpcCall("eth_chainId")])
        except EndpointError:
            if show_traceback:
                raise
            return False
        return True


def web3_of(client: ChainClient) -> AsyncWeb3[ChainProvider]:
    """An AsyncWeb3 that reads through `client`.

    It has no validation middleware, which would ask for the chain id before every call: the client has verified it. Names are no
    addresses here; `ens.resolve_name` resolves them at a pinned block.
    """
    return AsyncWeb3(ChainProvider(client), middleware=[(AttributeDictMiddleware, "attrdict")])


def _call(method: RPCEndpoint, params: Any) -> RpcCall:
    return RpcCall(str(method), [_json(parameter) for parameter in params or ()])


def _json(value: Any) -> object:
    """web3's own types as JSON: bytes as hex, mappings and sequences of any kind as objects and arrays."""
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    return value


def _response(number: int, answer: RpcAnswer) -> RPCResponse:
    response: dict[str, object] = {"jsonrpc": "2.0", "id": number}
    if isinstance(answer, EndpointRefused):
        error: dict[str, object] = {"code": answer.code, "message": answer.reason}
        if answer.data is not None:
            error["data"] = answer.data
        response["error"] = error
    else:
        response["result"] = answer
    return cast(RPCResponse, response)
