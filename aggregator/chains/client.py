"""Asking a chain: the best endpoint first, the others when it fails, all of them again after a while, and never beyond the deadline."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import TypeAlias

from aggregator.chains.configuration import ChainConfiguration
from aggregator.chains.endpoint import Endpoint
from aggregator.chains.policy import Policy
from aggregator.chains.rpc import (
    AccessDenied,
    AnswerTooLarge,
    BatchRefused,
    BlockUnavailable,
    RateLimited,
    RequestTooLarge,
    RpcAnswer,
    RpcCall,
)
from aggregator.chains.transport import BodyTooLarge, EndpointTimedOut, HostUnknown, Statistics
from aggregator.model.errors import EndpointError, EndpointInvalid, EndpointOverloaded, EndpointRefused
from aggregator.model.identifiers import ChainId

__all__ = [
    "AccessDenied",
    "AnswerTooLarge",
    "BatchRefused",
    "BlockUnavailable",
    "ChainClient",
    "EndpointTimedOut",
    "RateLimited",
    "RequestTooLarge",
    "RpcAnswer",
    "RpcCall",
    "Statistics",
]

log = logging.getLogger(__name__)

Accept: TypeAlias = Callable[[int, RpcAnswer], None]
"""raises EndpointInvalid for an answer that cannot be believed"""

_STAY_FACTOR, _STAY_SECONDS = 1.5, 0.05
"""another endpoint is preferred only when it is better than the present one by this much: two nodes have two heads"""
_MOST_TIMEOUTS = 2
"""of one endpoint in one `batch`: what it could not do in time twice it will not do the third time"""


class ChainClient:
    """Asks one chain. Made by `Network`, which owns the session behind it."""

    def __init__(
        self,
        chain: ChainId,
        configuration: ChainConfiguration,
        endpoints: Sequence[Endpoint],
        policy: Policy,
        chance: random.Random,
    ) -> None:
        self.chain = chain
        self.configuration = configuration
        """with the endpoints that are really asked, where `--rpc` replaced the shipped ones"""
        self._endpoints = tuple(endpoints)
        self._policy = policy
        self._chance = chance
        self._preferred: Endpoint | None = None

    @property
    def statistics(self) -> Statistics:
        """Totals over all endpoints: HTTP requests, calls, bytes, retries."""
        return reduce(add, (endpoint.statistics for endpoint in self._endpoints), Statistics())

    @property
    def endpoint_statistics(self) -> Mapping[str, Statistics]:
        """The same by endpoint, which is named by scheme and host."""
        totals: dict[str, Statistics] = {}
        for endpoint in self._endpoints:
            totals[endpoint.shown] = totals.get(endpoint.shown, Statistics()) + endpoint.statistics
        return totals

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self.statistics.requests

    @property
    def has_alternatives(self) -> bool:
        """Whether there is more than one endpoint to ask."""
        return len(self._endpoints) > 1

    @property
    def preferred(self) -> Endpoint | None:
        """The endpoint that answered last."""
        return self._preferred

    def doubt(self, endpoint: Endpoint | None) -> None:
        """What this endpoint said proved useless afterwards: others come before it for a while."""
        if endpoint is None:
            return
        endpoint.standing.failed(asyncio.get_running_loop().time())
        if self._preferred is endpoint:
            self._preferred = None

    async def batch(self, calls: Sequence[RpcCall], *, deadline: float | None = None, accept: Accept | None = None) -> list[RpcAnswer]:
        """Answers in the order of `calls`, from one HTTP request to the best endpoint where its limits allow that.

        An answer is the result as parsed JSON or, in its place, an EndpointRefused: the JSON-RPC error of that call. A refusal that
        another endpoint may not repeat (rate limit, block not there yet, too large) is first tried elsewhere and again.
        Raises EndpointError when no endpoint gave anything usable, after retries. `deadline` is a time of the running event loop's
        clock (`loop.time() + seconds`); without one the policy's applies. `accept` looks at each answer with its place in `calls` and
        raises EndpointInvalid for one that cannot be believed: the endpoint has then failed, and another is asked.
        """
        if not calls:
            return []
        clock = asyncio.get_running_loop().time
        limit = clock() + self._policy.deadline_seconds if deadline is None else deadline
        work = _Work(calls)
        try:
            async with asyncio.timeout_at(limit):
                await self._complete(work, limit, accept)
        except TimeoutError:
            if not work.settle():
                detail = f"; before that: {work.summary(self.chain)}" if work.failures else ""
                raise EndpointTimedOut(f"{self.chain}: no answer before the deadline{detail}") from None
        return work.answers

    async def _complete(self, work: _Work, limit: float, accept: Accept | None) -> None:
        clock = asyncio.get_running_loop().time
        for round_number in range(self._policy.rounds):
            if round_number:
                pause = self._pause(round_number, work, clock())
                if pause is None or clock() + pause >= limit:
                    break
                await asyncio.sleep(pause)
            for endpoint in self._candidates(work, clock()):
                await self._try(endpoint, work, accept)
                if not work.pending:
                    return
            if not work.worth_another_round(round_number + 1, self._policy.rounds):
                break
        if not work.settle():
            raise work.summary(self.chain)

    async def _try(self, endpoint: Endpoint, work: _Work, accept: Accept | None) -> None:
        if work.failures or work.refusals:
            endpoint.statistics.retries += 1
        pending = work.pending
        try:
            answers = await endpoint.batch([work.calls[position] for position in pending])
            if accept is not None:
                _believe(endpoint, accept, pending, answers)
        except EndpointError as error:
            log.debug("%s: %s", self.chain, error)
            work.fail(endpoint, error)
            return
        self._preferred = endpoint
        work.take(pending, answers)

    def _candidates(self, work: _Work, now: float) -> list[Endpoint]:
        """Endpoints to try now, the best first. One that denied access lately is tried only where there is no other."""
        usable = [e for e in self._endpoints if e not in work.given_up and e.standing.out is None]
        if not usable:
            # Those that are out say why.
            return [e for e in self._endpoints if e not in work.failures]
        ready = [e for e in usable if e.standing.waiting_until <= now]
        welcome = [e for e in ready if e.standing.barred_until <= now] or ready
        return sorted(welcome, key=lambda e: self._rank(e, now))

    def _rank(self, endpoint: Endpoint, now: float) -> float:
        score = endpoint.standing.score(now)
        return (score - _STAY_SECONDS) / _STAY_FACTOR if endpoint is self._preferred else score

    def _pause(self, round_number: int, work: _Work, now: float) -> float | None:
        """Seconds until the next round; None where no endpoint is worth waiting for."""
        usable = [e for e in self._endpoints if e not in work.given_up and e.standing.out is None]
        if not usable:
            return None
        patience = min(max(0.0, e.standing.waiting_until - now) for e in usable)
        if patience > self._policy.longest_wait_seconds:
            return None
        return max(patience, self._policy.backoff(round_number, self._chance))


class _Work:
    """What is left of one `batch`: calls without an answer, what was refused so far, and which endpoints failed."""

    def __init__(self, calls: Sequence[RpcCall]) -> None:
        self.calls = calls
        self.answers: list[RpcAnswer] = [None] * len(calls)
        self.pending: list[int] = list(range(len(calls)))
        self.refusals: dict[int, EndpointRefused] = {}
        self.failures: dict[Endpoint, EndpointError] = {}
        self.given_up: set[Endpoint] = set()
        self._timeouts: Counter[Endpoint] = Counter()

    def take(self, pending: list[int], answers: list[RpcAnswer]) -> None:
        """Keep what is final; what another endpoint may answer better stays pending."""
        for position, answer in zip(tuple(pending), answers, strict=True):
            if isinstance(answer, RateLimited | BlockUnavailable | AnswerTooLarge | RequestTooLarge) or self._limits_logs(position, answer):
                assert isinstance(answer, EndpointRefused)
                self.refusals[position] = answer
            else:
                self.answers[position] = answer
                self.refusals.pop(position, None)
                self.pending.remove(position)

    def _limits_logs(self, position: int, answer: RpcAnswer) -> bool:
        """Whether logs were refused: endpoints differ in how many blocks and logs they serve, and each words it in its own way."""
        return isinstance(answer, EndpointRefused) and self.calls[position].method == "eth_getLogs"

    def fail(self, endpoint: Endpoint, error: EndpointError) -> None:
        self.failures[endpoint] = error
        self._timeouts[endpoint] += isinstance(error, EndpointTimedOut)
        if isinstance(error, EndpointRefused | BodyTooLarge | HostUnknown) or self._timeouts[endpoint] >= _MOST_TIMEOUTS:
            self.given_up.add(endpoint)

    def worth_another_round(self, rounds_done: int, rounds: int) -> bool:
        """Whether time may help: not against size or range, a little where a block may still arrive, and against everything else."""

        def patience(position: int) -> int:
            match self.refusals.get(position):
                case BlockUnavailable():
                    return 2
                case None | RateLimited():
                    return rounds
                case _:
                    return 1

        return any(rounds_done < patience(position) for position in self.pending)

    def settle(self) -> bool:
        """Let the refusals stand as answers. False where that would leave a call without one, or nothing but rate limits."""
        if any(position not in self.refusals for position in self.pending):
            return False
        if len(self.pending) == len(self.calls) and all(isinstance(refusal, RateLimited) for refusal in self.refusals.values()):
            return False
        for position in self.pending:
            self.answers[position] = self.refusals[position]
        self.pending = []
        return True

    def summary(self, chain: ChainId) -> EndpointError:
        """One error for all endpoints: theirs where they agree in kind."""
        errors = list(self.failures.values())
        limited = next((refusal for refusal in self.refusals.values() if isinstance(refusal, RateLimited)), None)
        if limited is not None:
            errors.append(EndpointOverloaded(limited.reason))
        if not errors:
            return EndpointOverloaded(f"{chain}: every endpoint asked to be left alone for a while")
        if len(errors) == 1:
            return errors[0]
        message = f"{chain}: no endpoint answered: " + "; ".join(dict.fromkeys(_words(error) for error in errors))
        kinds = {type(error) for error in errors}
        kind = kinds.pop() if len(kinds) == 1 else EndpointError
        if issubclass(kind, EndpointRefused):
            first = errors[0]
            return kind(first.code if isinstance(first, EndpointRefused) else 0, message)
        return kind(message)


def _believe(endpoint: Endpoint, accept: Accept, pending: Sequence[int], answers: Sequence[RpcAnswer]) -> None:
    """EndpointInvalid, with the endpoint's name, for an answer that cannot be believed."""
    try:
        for position, answer in zip(pending, answers, strict=True):
            accept(position, answer)
    except EndpointInvalid as error:
        raise EndpointInvalid(f"{endpoint.shown}: {error}") from None


def _words(error: EndpointError) -> str:
    return error.reason if isinstance(error, EndpointRefused) else str(error)
