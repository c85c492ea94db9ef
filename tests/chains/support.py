"""What the tests of this room share: a network with little patience, and calls that are told apart by their answers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aggregator.chains.client import ChainClient, RpcCall
from aggregator.chains.configuration import ChainConfiguration, ChainsConfiguration, EndpointConfiguration, Finality, NativeCurrency
from aggregator.chains.network import Network
from aggregator.chains.policy import Policy
from aggregator.chains.urls import EndpointUrl
from aggregator.model.identifiers import ChainId

CHAIN = ChainId("eip155:1")

HASTY = Policy(
    backoff_base_seconds=0.001,
    backoff_cap_seconds=0.004,
    connect_timeout_seconds=1.0,
    read_timeout_seconds=1.0,
    request_timeout_seconds=1.0,
    deadline_seconds=5.0,
    longest_wait_seconds=0.5,
    maximum_answer_bytes=1_000_000,
)


def one_chain(
    *urls: str,
    maximum_batch: int = 1_000,
    requests_per_second: float = 10_000.0,
    concurrency: int = 32,
    maximum_request_bytes: int = 1_000_000,
) -> ChainsConfiguration:
    """Ethereum, reached through `urls`."""
    endpoints = tuple(
        EndpointConfiguration(
            url=EndpointUrl(url),
            requests_per_second=requests_per_second,
            concurrency=concurrency,
            maximum_batch=maximum_batch,
            maximum_request_bytes=maximum_request_bytes,
        )
        for url in urls
    )
    chain = ChainConfiguration(
        name="Ethereum",
        short_name="eth",
        native=NativeCurrency(symbol="ETH", decimals=18, slip44=60, factor="ETH"),
        block_time_seconds=12.0,
        finality=Finality(tag="finalized"),
        endpoints=endpoints,
    )
    return ChainsConfiguration(chains={CHAIN: chain})


@asynccontextmanager
async def client_of(configuration: ChainsConfiguration, **changes: float) -> AsyncIterator[ChainClient]:
    """A client of Ethereum; `changes` are of the hasty policy."""
    policy = replace(HASTY, **changes)  # type: ignore[arg-type]  # whole numbers are given for the whole-number fields
    async with Network(configuration, policy=policy, environment={}, chance=random.Random(1)) as network:
        yield network.client(CHAIN)


def calls(count: int) -> list[RpcCall]:
    """Calls that an echoing endpoint answers with 0, 1, 2 …"""
    return [RpcCall("test_echo", (number,)) for number in range(count)]
