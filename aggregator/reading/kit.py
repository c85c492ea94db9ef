"""The shared test kit: reads that answer by script, and the laws that every adapter must keep whatever a chain answers.

Every adapter inherits these checks; the test run generates them for each folder of the catalogue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.model.position import Leg
from aggregator.model.snapshot import Block
from aggregator.reading.adapter import Adapter, Holdings, Memory, Scope
from aggregator.reading.manifest import Capability, Deployment, Manifest
from aggregator.reading.reads import BalanceRequest, LogsRequest, Read, Reads, Request, resolve_missing
from aggregator.reading.registry import registry

Script: TypeAlias = Callable[[Request], Outcome[Any]]
"""What a chain answers: raw bytes of a call, bytes of a balance, an integer of a slot, a list of logs"""

SOME_BLOCK = Block(number=25_000_000, hash="0x" + "5a" * 32, timestamp=1_770_000_000)
SOME_OWNER = Address("0x" + "0b" * 20)


class ScriptedReads(Reads):
    """Reads whose answers come from a function; inputs that have no value skip a read as a chain would."""

    def __init__(self, chain: ChainId, script: Script, block: Block = SOME_BLOCK) -> None:
        self.chain, self.block = chain, block
        self.count = 0
        self._script = script

    def submit(self, read: Read[Any]) -> None:
        self.count += 1
        asyncio.get_running_loop().call_soon(self._answer, read)

    def _answer(self, read: Read[Any]) -> None:
        if not resolve_missing(read):
            read.resolve(self._script(read.request))


def not_deployed(_: Request) -> Outcome[Any]:
    """Nothing is deployed anywhere."""
    return Absent(Reason.NO_CODE)


def nothing_there(request: Request) -> Outcome[Any]:
    """An empty chain: no code, no logs, no native balance."""
    if isinstance(request, LogsRequest):
        return Value([])
    if isinstance(request, BalanceRequest):
        return Value(bytes(32))
    return not_deployed(request)


def unreachable(_: Request) -> Outcome[Any]:
    """No endpoint answers."""
    return Unknown(Reason.ENDPOINT, "no endpoint answers")


def refusing(_: Request) -> Outcome[Any]:
    """Every contract reverts."""
    return Unknown(Reason.REVERTED)


def scope_of(
    adapter: Adapter,
    chain: ChainId,
    deployment: Deployment,
    reads: Reads,
    owners: tuple[Address, ...] = (SOME_OWNER,),
    *,
    memory: Memory | None = None,
    discover: bool = False,
) -> Scope:
    """Scope of one deployment as the engine makes it."""
    known = registry()
    return Scope(
        chain=chain,
        block=reads.block,
        deployment=deployment,
        owners=owners,
        reads=reads,
        tokens=known.tokens(chain),
        native=known.native(chain),
        memory=memory if memory is not None else Memory(),
        discover=discover,
    )


def deployments(adapter: Adapter) -> Iterator[tuple[ChainId, Deployment]]:
    """Every deployment of an adapter with its chain."""
    for chain, instances in adapter.manifest.deployments.items():
        for deployment in instances:
            yield chain, deployment


async def read_scripted(adapter: Adapter, script: Script, *, discover: bool = False) -> list[Holdings]:
    """Holdings of every deployment under a script."""
    return [
        await adapter.read(scope_of(adapter, chain, deployment, ScriptedReads(chain, script), discover=discover))
        for chain, deployment in deployments(adapter)
    ]


async def law_problems(adapter: Adapter) -> list[str]:
    """Every law that needs no chain, on one adapter; empty where it keeps them all."""
    problems = manifest_problems(adapter.manifest)
    for name, script, empty in (
        ("an empty chain", nothing_there, True),
        ("a silent chain", unreachable, True),
        ("refusals", refusing, False),
    ):
        for holdings in await read_scripted(adapter, script, discover=name == "refusals"):
            problems.extend(f"{name}: {problem}" for problem in broken_laws(holdings))
            if empty and (holdings.margin_accounts or holdings.positions):
                problems.append(f"{name} shows positions")
            if bool(holdings.gaps) != (script is unreachable) and empty:
                problems.append(f"{name}: {'an invented gap' if holdings.gaps else 'no gap names it'}")
    return problems


def broken_laws(holdings: Holdings) -> list[str]:
    """What is wrong with holdings whatever the chain said; empty where all is well."""
    problems = [f"{leg.symbol}: negative amount" for leg in _legs(holdings) if leg.amount < 0 or leg.fees < 0]
    for account in holdings.margin_accounts:
        owes = any(leg.side.sign < 0 and leg.amount for leg in account.legs)
        unknown = account.health_factor is None and not account.debt_free and account.liquidation_blocked is None
        if owes and account.debt_free:
            problems.append(f"{account.market}: owes and is called free of debt")
        if unknown and account.liquidatable is False:
            problems.append(f"{account.market}: called safe without a health factor")
        if unknown and not holdings.gaps:
            problems.append(f"{account.market}: an unknown health that no gap names")
    claimed = holdings.claims & {leg.asset for account in holdings.margin_accounts for leg in account.legs}
    problems.extend(f"{asset}: claimed and counted at once" for asset in sorted(claimed))
    problems.extend(
        f"{one.asset}: a composition that is none"
        for one in holdings.compositions
        if one.denominator <= 0 or any(part.numerator < 0 for part in one.parts)
    )
    return problems


def manifest_problems(manifest: Manifest) -> list[str]:
    """What a manifest promises and cannot keep; empty where all is well."""
    problems = []
    if not manifest.documentation.startswith("https://"):
        problems.append("documentation is not a link")
    if Capability.POSITIONS not in manifest.capabilities:
        problems.append("says nothing of positions")
    for chain, instances in manifest.deployments.items():
        labels = [deployment.market for deployment in instances]
        if len(set(labels)) != len(labels):
            problems.append(f"{chain}: two deployments with one label")
        problems.extend(f"{chain}: no source" for deployment in instances if not deployment.source.strip())
    return problems


def _legs(holdings: Holdings) -> Iterator[Leg]:
    for account in holdings.margin_accounts:
        yield from account.legs
    for position in holdings.positions:
        yield from position.legs
