"""One HTTP session per process, and a client for each chain on top of it."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from types import MappingProxyType, TracebackType

import aiohttp

from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import ChainsConfiguration
from aggregator.chains.endpoint import Endpoint
from aggregator.chains.policy import Policy
from aggregator.model.identifiers import ChainId

_USER_AGENT = "crossmargin"
_NO_OVERRIDES: Mapping[ChainId, tuple[str, ...]] = MappingProxyType({})


class Network:
    """Use as an async context manager: leaving it, also by cancellation, closes every connection and ends every task.

    `rpc_overrides` replace a chain's endpoints; `environment` fills in `${NAME}` of the others' URLs.
    """

    def __init__(
        self,
        configuration: ChainsConfiguration,
        *,
        rpc_overrides: Mapping[ChainId, tuple[str, ...]] = _NO_OVERRIDES,
        policy: Policy | None = None,
        environment: Mapping[str, str] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.configuration = configuration
        self.policy = policy if policy is not None else Policy()
        self._overrides = rpc_overrides
        self._environment = os.environ if environment is None else environment
        self._chance = chance if chance is not None else random.Random()
        self._clients: dict[ChainId, ChainClient] = {}
        self._endpoints: list[Endpoint] = []
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, opened when it is first needed; only inside a running event loop."""
        if self._closed:
            raise RuntimeError("the network is closed")
        if self._session is None:
            # Endpoints limit their own concurrency; a second limit here would let a slow one hold up the others.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": _USER_AGENT},
            )
        return self._session

    def client(self, chain: ChainId) -> ChainClient:
        """The client of a chain; InputError where it is not configured or has no usable endpoint."""
        known = self._clients.get(chain)
        if known is not None:
            return known
        configuration = self.configuration[chain]
        if chain in self._overrides:
            configuration = configuration.with_endpoints(self._overrides[chain])
        endpoints = [Endpoint(chain, e, lambda: self.session, self.policy) for e in configuration.resolved_endpoints(self._environment)]
        self._endpoints.extend(endpoints)
        client = ChainClient(chain, configuration, endpoints, self.policy, self._chance)
        self._clients[chain] = client
        return client

    async def __aenter__(self) -> Network:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close everything, for good; may be called twice."""
        self._closed = True
        try:
            await asyncio.gather(*(endpoint.close() for endpoint in self._endpoints))
        finally:
            session, self._session = self._session, None
            if session is not None:
                await session.close()
