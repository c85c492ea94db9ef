"""chains.yaml: what the program has to know of a chain before it can ask it anything. One chain is about 25 lines of data."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from aggregator.chains.urls import EndpointUrl, UnsetVariable
from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address, ChainId
from aggregator.model.identifiers import native as native_asset
from aggregator.model.token import Token, TokenKind
from aggregator.reading.data import Caip2, Data, QuotedAddress, load_data

log = logging.getLogger(__name__)

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class EndpointConfiguration(Data):
    """One JSON-RPC endpoint and what it may be asked for. A limit that proves too high is lowered at run time when it is refused."""

    url: EndpointUrl
    requests_per_second: Annotated[float, Field(gt=0)] = 10.0
    """HTTP requests, not calls"""
    concurrency: Count = 8
    """HTTP requests under way at once"""
    maximum_batch: Count = 50
    """calls in one HTTP request; 1 where batches are not served"""
    maximum_request_bytes: Annotated[int, Field(ge=10_000)] = 1_000_000
    log_range_blocks: Count = 10_000
    """blocks that one eth_getLogs may span"""


def _named_by_field(model: type[Data], sources: dict[str, str]) -> dict[str, str]:
    unknown = [name for name in sources if name not in model.model_fields]
    if unknown:
        raise ValueError(f"expected names of a chain's fields, {unknown[0]} is none")
    return sources


def overriding_endpoint(url: str) -> EndpointConfiguration:
    """An endpoint that the user named: it is asked for much, one on this machine for more, and learns its limits when it refuses.

    ValueError where it is no URL.
    """
    endpoint = EndpointUrl(url)
    rate = 1_000.0 if endpoint.is_local else 50.0
    return EndpointConfiguration(url=endpoint, requests_per_second=rate, concurrency=16, maximum_batch=1_000, log_range_blocks=1_000_000)


class NativeCurrency(Data):
    """The currency fees are paid in; `slip44` is its coin type in CAIP-19 ids, `factor` the risk factor its price follows."""

    symbol: Name
    decimals: Annotated[int, Field(ge=0, le=77)]
    slip44: Annotated[int, Field(ge=0)]
    factor: Name


class Contract(Data):
    """A contract and the block it was created in."""

    address: QuotedAddress
    created_at: Annotated[int, Field(ge=0)]


class Finality(Data):
    """Which block can no longer be replaced: the one with a `tag`, or the one `depth` blocks below the head."""

    tag: Literal["finalized", "safe"] | None = None
    depth: Count | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Finality:
        if (self.tag is None) == (self.depth is None):
            raise ValueError("expected one of tag (finalized or safe) and depth (blocks)")
        return self


class ChainConfiguration(Data):
    """One EVM chain."""

    name: Name
    short_name: Label
    """of EIP-3770, as in `eth:0x…`"""
    aliases: tuple[Label, ...] = ()
    """other words that people use for it"""
    native: NativeCurrency
    wrapped_native: QuotedAddress | None = None
    block_time_seconds: Annotated[float, Field(gt=0)]
    finality: Finality
    multicall3: Contract | None = None
    sequencer_uptime_feed: QuotedAddress | None = None
    """Chainlink feed that says whether the rollup's sequencer is up; None where the chain has none"""
    ens_registry: QuotedAddress | None = None
    gas_cap: Annotated[int, Field(ge=1_000_000)] = 50_000_000
    """gas that endpoints allow one eth_call; geth's default"""
    block_number_opcode_is_l1: bool = False
    """True where the NUMBER opcode gives the parent chain's block, as in Arbitrum's contracts"""
    endpoints: tuple[EndpointConfiguration, ...] = ()
    """in order of preference"""
    sources: dict[str, str] = Field(default_factory=dict)
    """where each fact was taken from, by field, where the file's own `sources` do not say it"""

    @field_validator("sources")
    @classmethod
    def _of_fields(cls, sources: dict[str, str]) -> dict[str, str]:
        return _named_by_field(cls, sources)

    @property
    def multicall3_address(self) -> Address | None:
        return self.multicall3.address if self.multicall3 is not None else None

    @property
    def log_range_blocks(self) -> int:
        """Blocks that every endpoint of the chain serves in one eth_getLogs."""
        return min((endpoint.log_range_blocks for endpoint in self.endpoints), default=1)

    def with_endpoints(self, urls: Sequence[str]) -> ChainConfiguration:
        """The same chain reached through other URLs; InputError where one is no URL."""
        try:
            return self.model_copy(update={"endpoints": tuple(overriding_endpoint(url) for url in urls)})
        except ValueError as error:
            raise InputError(f"{self.name}: {error}") from None

    def resolved_endpoints(self, environment: Mapping[str, str]) -> tuple[EndpointConfiguration, ...]:
        """Endpoints with their environment variables filled in.

        One whose variable is not set is left out with a warning in the log; InputError where none is left.
        """
        resolved: list[EndpointConfiguration] = []
        reasons: list[str] = []
        for endpoint in self.endpoints:
            try:
                resolved.append(endpoint.model_copy(update={"url": endpoint.url.expanded(environment)}))
            except UnsetVariable as error:
                reasons.append(f"{endpoint.url}: {error}")
            except ValueError as error:
                reasons.append(f"{endpoint.url}: after its environment variables were filled in: {error}")
        if not resolved:
            detail = "; ".join(reasons) or "chains.yaml lists none"
            raise InputError(f"{self.name} has no usable endpoint ({detail}); set the variable or give --rpc {self.short_name}=URL")
        for reason in reasons:
            log.warning("%s: endpoint left out: %s", self.name, reason)
        return tuple(resolved)


class ChainsConfiguration(Data):
    """The whole file: chains by CAIP-2 id, in the file's order."""

    sources: dict[str, str] = Field(default_factory=dict)
    """where the facts of all chains were taken from, by field"""
    chains: Annotated[dict[Caip2, ChainConfiguration], Field(min_length=1)]

    @field_validator("sources")
    @classmethod
    def _of_fields(cls, sources: dict[str, str]) -> dict[str, str]:
        return _named_by_field(ChainConfiguration, sources)

    @field_validator("chains")
    @classmethod
    def _names_are_unambiguous(cls, chains: dict[ChainId, ChainConfiguration]) -> dict[ChainId, ChainConfiguration]:
        taken: dict[str, ChainId] = {}
        for chain, configuration in chains.items():
            if not (chain.startswith("eip155:") and chain[7:].isdigit()):
                raise ValueError(f"expected EVM chains such as eip155:1, {chain} is none")
            for label in (configuration.short_name, *configuration.aliases):
                if label in taken:
                    raise ValueError(f"expected each short name and alias once, {label} names {taken[label]} and {chain}")
                taken[label] = chain
        return chains

    def __getitem__(self, chain: ChainId) -> ChainConfiguration:
        """The chain's entry; InputError for a chain that is not configured."""
        try:
            return self.chains[chain]
        except KeyError:
            raise InputError(f"{chain} is not among the configured chains ({', '.join(self.chains)})") from None

    def __contains__(self, chain: object) -> bool:
        return chain in self.chains

    def ids(self) -> Iterator[ChainId]:
        """Chain ids in the file's order."""
        return iter(self.chains)

    def source(self, chain: ChainId, field: str) -> str | None:
        """Where a fact of a chain was taken from, None where the file does not say it."""
        return self[chain].sources.get(field, self.sources.get(field))

    def native_token(self, chain: ChainId) -> Token:
        """The chain's native currency as a token."""
        native = self[chain].native
        asset = native_asset(chain, native.slip44)
        source = self.source(chain, "native") or "chains.yaml"
        return Token(asset, native.symbol, native.decimals, TokenKind.NATIVE, native.factor, source)


def shipped_chains_file() -> Path:
    """The chains.yaml that is shipped: beside the packages in a checkout, inside the package when installed from a wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "chains.yaml"
    return inside if inside.is_file() else package.parent / "chains.yaml"


def load_chains(path: Path | None = None) -> ChainsConfiguration:
    """chains.yaml, the shipped one by default. ConfigurationError with file, line, field and what was expected."""
    path = path if path is not None else shipped_chains_file()
    return load_data(path, ChainsConfiguration)
