"""What an adapter is given and what it must give.

An adapter gets a `Scope` (one deployment, one pinned block, the owners) and returns `Holdings`. It raises nothing for what a chain
may answer: what could not be read becomes a `Gap` with its reason, and what was read stays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from aggregator.model.composition import Composition
from aggregator.model.identifiers import Address, AssetId, ChainId
from aggregator.model.instrument import VenueAccount
from aggregator.model.position import MarginAccount, Position
from aggregator.model.snapshot import Block, Gap, Remark
from aggregator.model.token import Token
from aggregator.reading.depth import PoolDepth
from aggregator.reading.manifest import Deployment, Manifest
from aggregator.reading.owner_facts import OwnerFacts
from aggregator.reading.reads import Reads

if TYPE_CHECKING:
    from aggregator.reading.population import Population

T = TypeVar("T")


class Memory:
    """Structural facts of one deployment that outlive a snapshot: addresses, lists of markets, token ids.

    Never amounts, prices or thresholds: those are read at every block. What is remembered is a hint that the same round verifies.
    """

    __slots__ = ("_facts",)

    def __init__(self) -> None:
        self._facts: dict[str, object] = {}

    def recall(self, name: str, kind: type[T]) -> T | None:
        """The fact kept under `name`, None where there is none of this type."""
        fact = self._facts.get(name)
        return fact if isinstance(fact, kind) else None

    def keep(self, name: str, fact: object) -> None:
        self._facts[name] = fact

    def of_owners(self, name: str) -> OwnerFacts[Any]:
        """What is remembered of each owner under `name`, to be read and changed in place."""
        facts = self._facts.get(name)
        if not isinstance(facts, OwnerFacts):
            facts = self._facts[name] = OwnerFacts()
        return facts


def _nobody_listens(_: Iterable[Address]) -> None:
    """Where nothing is made of expectations."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One deployment at one block for some owners."""

    chain: ChainId
    block: Block
    deployment: Deployment
    owners: tuple[Address, ...]
    reads: Reads
    tokens: Mapping[Address, Token]
    """registry tokens of this chain by address"""
    native: Token
    memory: Memory
    discover: bool = False
    """also search logs for what no registry lists"""
    expect: Callable[[Iterable[Address]], None] = _nobody_listens
    """to be told of tokens that will probably be met in a later round, so that what else is asked of them need not wait for it"""

    def contract(self, role: str) -> Address:
        """Address of a role in the deployment; KeyError is a mistake in the manifest, which the test kit catches."""
        return self.deployment.contracts[role]


@dataclass(frozen=True, slots=True)
class OracleQuote:
    """A protocol oracle's USD price of one whole token, kept beside the market price."""

    asset: AssetId
    price_usd: Decimal
    protocol: str
    oracle: Address
    source: Address | None = None
    """the feed behind it, where the oracle names one"""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What was found. Every leg's asset must be in `tokens` or in the registry."""

    margin_accounts: tuple[MarginAccount, ...] = ()
    positions: tuple[Position, ...] = ()
    gaps: tuple[Gap, ...] = ()
    remarks: tuple[Remark, ...] = ()
    tokens: tuple[Token, ...] = ()
    """tokens met that the registry does not list, decimals from the chain"""
    compositions: tuple[Composition, ...] = ()
    """what tokens are made of at this block; used to look through collateral of any protocol"""
    quotes: tuple[OracleQuote, ...] = ()
    claims: frozenset[AssetId] = frozenset()
    """receipt tokens whose value is counted here already, so that no other adapter counts them"""
    venue_accounts: tuple[VenueAccount, ...] = ()
    """margin accounts at a trading venue"""


class Adapter(ABC):
    """One protocol family. Stateless: everything it needs is in the manifest and the scope."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    @property
    def slug(self) -> str:
        return self.manifest.slug

    @abstractmethod
    async def read(self, scope: Scope) -> Holdings:
        """Positions and margin accounts of `scope.owners`, in as few dependent rounds as the protocol allows."""

    async def population(self, scope: Scope) -> Population | None:
        """All margin accounts of the deployment, whoever owns them; None where the protocol's logs do not tell.

        What was learnt stays in `scope.memory`, so that the next reading takes the logs since then and no account again.
        """
        return None

    async def depths(self, scope: Scope, tokens: tuple[Address, ...]) -> tuple[PoolDepth, ...]:
        """Where the tokens can be sold on this venue at the block; empty for what is no venue. What cannot be read is no pool."""
        return ()

    def gap(self, scope: Scope, what: str, why: str, *, vouched: bool = True) -> Gap:
        """A gap of this protocol on this chain; `vouched` False where it is only about tokens that nobody listed."""
        return Gap(scope.chain, self.slug, what, why, vouched)
