"""One round of reads: planned into jobs, packed into few HTTP requests, and followed up until every read has an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from eth_hash.auto import keccak

from aggregator.chains.client import ChainClient, EndpointTimedOut, RpcAnswer, RpcCall
from aggregator.chains.jobs import LensJob, MulticallJob, SingleJob, WitnessJob
from aggregator.chains.lens.encoding import MAXIMUM_STEPS, step_size
from aggregator.chains.log_jobs import LogSearch
from aggregator.chains.plain import components, known_piece
from aggregator.chains.work import Abilities, Job, Place, Settled
from aggregator.model.errors import EndpointError
from aggregator.model.outcome import Absent, Reason, Unknown, Value
from aggregator.model.snapshot import Block
from aggregator.reading.reads import KeccakRequest, LogsRequest, Read, StorageRequest, resolve_missing

MAXIMUM_BODY_BYTES = 440_000
"""of one HTTP request, well under the 500 kB that endpoints commonly take"""
MAXIMUM_PROGRAM_BYTES = 200_000
"""of one lens program; twice that as hex"""
GAS_SHARE = 0.6
"""of the endpoint's gas cap that a chunk is planned to use; what costs more than expected goes into the next request"""
MULTICALL_READS = 400
MAXIMUM_CUTS = 4
"""times that work is cut smaller because an endpoint took too long: enough to set one slow contract apart, and no endless waiting"""


class RoundRunner:
    """Runs rounds of reads on one pinned block."""

    def __init__(self, client: ChainClient, block: Block, abilities: Abilities) -> None:
        configuration = client.configuration
        self._client = client
        self._log_span = configuration.log_range_blocks
        self._cuts_left = MAXIMUM_CUTS
        self._told = False
        self._failure = ""
        self.place = Place(
            client.chain,
            block,
            abilities,
            configuration.gas_cap,
            configuration.multicall3_address,
            configuration.block_number_opcode_is_l1,
        )

    async def run(self, reads: Sequence[Read[Any]]) -> None:
        """Resolve every read. Never raises for what endpoints or contracts do."""
        await self._run(reads)
        for outcome in (read.raw for read in reads if not isinstance(read.request, LogsRequest | KeccakRequest)):
            if isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT:
                self._failure = self._failure or outcome.detail
            elif not isinstance(outcome, Absent | Unknown) or outcome.reason is not Reason.SKIPPED:
                self._told = True

    @property
    def silence(self) -> str:
        """Why nothing at all was told of the block's state; empty where something was, or nothing was asked."""
        return "" if self._told else self._failure

    async def _run(self, reads: Sequence[Read[Any]]) -> None:
        own = {id(read) for read in reads}
        foreign = [word.read for read in reads for word in read.words if id(word.read) not in own and not word.read.done]
        for read in foreign:
            await read
        waiting = [read for read in reads if not isinstance(read.request, LogsRequest | StorageRequest)]
        jobs: list[Job] = [SingleJob(read) for read in reads if isinstance(read.request, StorageRequest)]
        for read in reads:
            if isinstance(read.request, LogsRequest):
                jobs.extend(LogSearch(read).jobs(self.place, self._log_span))
        plainly: set[int] = set()
        while waiting or jobs:
            planned, waiting = self._plan(waiting, plainly)
            jobs.extend(planned)
            settled = await self._send(jobs)
            jobs = [job for outcome in settled for job in outcome.jobs]
            for outcome in settled:
                waiting.extend(outcome.again)
                waiting.extend(outcome.plainly)
                plainly.update(id(read) for read in outcome.plainly)
            if self.place.orphaned:
                for job in jobs:
                    job.fail(self.place.orphaned)
                for read in waiting:
                    SingleJob(read).fail(self.place.orphaned)
                return

    def _plan(self, waiting: Iterable[Read[Any]], plainly: set[int]) -> tuple[list[Job], list[Read[Any]]]:
        """Jobs for what can go now, and the reads that must wait for an answer first."""
        through_lens: list[Read[Any]] = []
        ready: list[Read[Any]] = []
        later: list[Read[Any]] = []
        taken: set[int] = set()
        for read in waiting:
            if read.words and resolve_missing(read):
                continue
            unknown = [word for word in read.words if word.read.raw is None]
            if isinstance(read.request, KeccakRequest) and not unknown:
                read.resolve(Value(keccak(b"".join(known_piece(piece) for piece in read.request.pieces))))
            elif self.place.abilities.lens is not False and id(read) not in plainly and all(id(word.read) in taken for word in unknown):
                through_lens.append(read)
                taken.add(id(read))
            elif unknown:
                later.append(read)
            else:
                ready.append(read)
        jobs, rest = self._lens_chunks(through_lens)
        return [*jobs, *self._plain_jobs(ready)], [*rest, *later]

    def _lens_chunks(self, reads: list[Read[Any]]) -> tuple[list[Job], list[Read[Any]]]:
        """Chunks that keep dependent reads together; a group larger than a chunk leaves its tail for the next round."""
        gas_budget = int(self.place.gas_cap * GAS_SHARE)
        chunks: list[list[Read[Any]]] = []
        rest: list[Read[Any]] = []
        gas = size = 0
        for group in components(reads):
            costs = [self.place.abilities.expected_gas(read) for read in group]
            sizes = [step_size(read) for read in group]
            if not chunks or gas + sum(costs) > gas_budget or size + sum(sizes) > MAXIMUM_PROGRAM_BYTES:
                chunks.append([])
                gas = size = 0
            for index, (read, cost, bytes_) in enumerate(zip(group, costs, sizes, strict=True)):
                full = gas + cost > gas_budget or size + bytes_ > MAXIMUM_PROGRAM_BYTES or len(chunks[-1]) == MAXIMUM_STEPS
                if chunks[-1] and full:
                    # what follows may depend on this one, so it waits too
                    rest.extend(group[index:])
                    break
                chunks[-1].append(read)
                gas, size = gas + cost, size + bytes_
        return [LensJob(chunk) for chunk in chunks if chunk], rest

    def _plain_jobs(self, reads: list[Read[Any]]) -> list[Job]:
        if self.place.multicall3 is None or self.place.abilities.multicall is False or len(reads) < 2:
            return [SingleJob(read) for read in reads]
        return [MulticallJob(reads[i : i + MULTICALL_READS]) for i in range(0, len(reads), MULTICALL_READS)]

    async def _send(self, jobs: list[Job]) -> list[Settled]:
        """All jobs in as few HTTP requests as their sizes allow."""
        requests: list[list[tuple[Job, RpcCall]]] = []
        room = 0
        for job in jobs:
            call = job.call(self.place)
            size = len(orjson.dumps(call.params)) + 80
            if not requests or size > room:
                requests.append([])
                room = MAXIMUM_BODY_BYTES
            requests[-1].append((job, call))
            room -= size
        for request in requests:
            if self.place.multicall3 is not None and not any(self._tells_block(job) for job, _ in request):
                witness = WitnessJob()
                request.append((witness, witness.call(self.place)))
        return [outcome for part in await asyncio.gather(*map(self._send_one, requests)) for outcome in part]

    def _tells_block(self, job: Job) -> bool:
        """Whether an answer of another block would show."""
        return isinstance(job, MulticallJob) or (isinstance(job, LensJob) and bool(self.place.abilities.lens))

    async def _send_one(self, request: list[tuple[Job, RpcCall]]) -> list[Settled]:
        def accept(position: int, answer: RpcAnswer) -> None:
            request[position][0].accept(answer, self.place)

        try:
            answers = await self._client.batch([call for _, call in request], accept=accept)
        except EndpointTimedOut as error:
            return [self._slower(job, str(error)) for job, _ in request]
        except EndpointError as error:
            for job, _ in request:
                job.fail(str(error))
            return []
        return [job.settle(answer, self.place) for (job, _), answer in zip(request, answers, strict=True)]

    def _slower(self, job: Job, reason: str) -> Settled:
        """What is left of a job that took an endpoint too long: smaller pieces, a bounded number of times."""
        halves = job.halves() if self._cuts_left > 0 else []
        if halves:
            self._cuts_left -= 1
        else:
            job.fail(reason)
        return Settled(jobs=halves)
