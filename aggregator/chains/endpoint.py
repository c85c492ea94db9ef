"""One endpoint: turns, batch limits learnt from refusals, the chain it serves, and what its answers mean."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import count
from typing import Any, TypeAlias, TypeVar

import aiohttp
import orjson

from aggregator.chains.configuration import EndpointConfiguration
from aggregator.chains.dispatcher import Dispatcher
from aggregator.chains.policy import Policy
from aggregator.chains.rpc import (
    AccessDenied,
    AnswerTooLarge,
    BatchRefused,
    RateLimited,
    RequestTooLarge,
    RpcAnswer,
    RpcCall,
    encode_call,
    join_calls,
    match_answers,
    parse_body,
)
from aggregator.chains.standing import Standing
from aggregator.chains.transport import BodyTooLarge, ConnectionLost, EndpointTimedOut, HttpAnswer, Statistics, Transport
from aggregator.model.errors import EndpointError, EndpointInvalid, EndpointOverloaded, EndpointRefused
from aggregator.model.identifiers import ChainId, evm_reference

log = logging.getLogger(__name__)

T = TypeVar("T")
Item: TypeAlias = tuple[int, bytes]
"""id and encoded call"""

_DENYING = (401, 402, 403, 407)
"""HTTP statuses that are about us; other 4xx are about this one request"""
_CHAIN_ID = RpcCall("eth_chainId")
_LARGE_BODY_BYTES = 256 * 1024
"""a body above this that is refused without a reason, or that makes the connection break, is taken for too large"""


class Endpoint:
    """Sends calls to one URL in as few HTTP requests as the endpoint's limits allow.

    `batch` gives the answers in the order of its calls, each a result or, in its place, an EndpointRefused. EndpointError means that the
    endpoint gave nothing usable; the message names it by scheme and host.
    """

    def __init__(
        self,
        chain: ChainId,
        configuration: EndpointConfiguration,
        session: Callable[[], aiohttp.ClientSession],
        policy: Policy,
    ) -> None:
        self.chain = chain
        self.shown = str(configuration.url)
        self.standing = Standing()
        self.statistics = Statistics()
        self._url = configuration.url
        self._policy = policy
        self._dispatcher = Dispatcher(configuration.requests_per_second, configuration.concurrency)
        self._transport = Transport(configuration.url, session, policy, self.statistics)
        self._maximum_batch = configuration.maximum_batch
        self._maximum_bytes = configuration.maximum_request_bytes
        self._identifiers = count(1)
        self._verified = False
        self._single_calls_served = False
        """known once a batch was refused as a whole without a reason: then it was for being a batch"""

    def __repr__(self) -> str:
        return f"Endpoint({self.chain}, {self.shown})"

    @property
    def maximum_batch(self) -> int:
        """Calls in one request, as configured or as learnt since."""
        return self._maximum_batch

    async def batch(self, calls: Sequence[RpcCall]) -> list[RpcAnswer]:
        """Answers to `calls`. Until the endpoint has said which chain it serves, that question travels along."""
        if self.standing.out is not None:
            raise EndpointInvalid(f"{self.shown}: {self.standing.out}")
        asked = calls if self._verified else [_CHAIN_ID, *calls]
        items = [(identifier := next(self._identifiers), encode_call(call, identifier)) for call in asked]
        try:
            # A single poisonous answer is found in log2(n) halvings; an endpoint that never stops talking fails them all.
            answers = await self._exchange(items, _Cuts(len(items).bit_length() + 1))
            if asked is not calls:
                self._verify(answers.pop(0))
        except EndpointError as error:
            raise self._named(error) from None
        return [self._scrubbed(answer) if isinstance(answer, EndpointRefused) else answer for answer in answers]

    def _verify(self, answer: RpcAnswer) -> None:
        """Believe the endpoint from now on, or never again."""
        if isinstance(answer, RateLimited):
            raise EndpointOverloaded(answer.reason)
        if isinstance(answer, AnswerTooLarge):
            raise BodyTooLarge(f"too large an answer to eth_chainId ({answer.reason})")
        if isinstance(answer, EndpointRefused):
            raise EndpointInvalid(f"does not say which chain it serves ({answer.reason})")
        try:
            served = int(answer, 16) if isinstance(answer, str) else -1
        except ValueError:
            served = -1
        if served < 0:
            raise EndpointInvalid("does not say which chain it serves")
        if served != evm_reference(self.chain):
            self.standing.out = f"serves eip155:{served} and not {self.chain}"
            log.warning("%s is not used: it %s", self.shown, self.standing.out)
            raise EndpointInvalid(self.standing.out)
        self._verified = True

    async def _exchange(self, items: Sequence[Item], cuts: _Cuts) -> list[RpcAnswer]:
        """Answers to any number of items, in chunks that the known limits allow, all under way at once."""
        chunks = list(self._chunks(items)) if items else []
        if len(chunks) == 1:
            return await self._send(chunks[0], cuts)
        return [answer for part in await _together([self._send(chunk, cuts) for chunk in chunks]) for answer in part]

    def _chunks(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        start = size = 0
        for position, (_, encoded) in enumerate(items):
            if position > start and (position - start >= self._maximum_batch or size + len(encoded) > self._maximum_bytes):
                yield items[start:position]
                start, size = position, 0
            size += len(encoded) + 1
        yield items[start:]

    async def _send(self, items: Sequence[Item], cuts: _Cuts, *, trial: bool = False) -> list[RpcAnswer]:
        """One HTTP request, or several where the endpoint refuses it as a whole.

        `trial`: a single call sent to see whether it was the batch that was refused; if it is refused too, it was not.
        """
        body = join_calls([encoded for _, encoded in items])
        alone = len(items) == 1
        first = len(items) // 2
        try:
            return await self._without_large_answers(items, await self._request(body, [identifier for identifier, _ in items]), cuts)
        except RequestTooLarge as refusal:
            if alone:
                return [refusal]
            self._maximum_bytes = min(self._maximum_bytes, len(body) // 2)
        except AnswerTooLarge as refusal:
            if alone:
                return [refusal]
        except BodyTooLarge as refusal:
            cuts.count(refusal)
            if alone:
                return [AnswerTooLarge(0, str(refusal))]
        except ConnectionLost:
            if alone or len(body) <= _LARGE_BODY_BYTES:
                raise
            self._maximum_bytes = min(self._maximum_bytes, max(_LARGE_BODY_BYTES, len(body) // 2))
        except BatchRefused as refusal:
            if alone:
                return [EndpointRefused(refusal.code, refusal.reason, refusal.data)]
            self._maximum_batch = min(self._maximum_batch, 1 if "support" in refusal.reason.lower() else first)
        except RateLimited as refusal:
            raise EndpointOverloaded(refusal.reason) from None
        except AccessDenied:
            raise
        except EndpointRefused as refusal:
            if alone and not trial:
                return [refusal]
            if alone:
                raise AccessDenied(refusal.code, refusal.reason, refusal.data) from None
            answers = [] if self._single_calls_served else await self._send(items[:1], cuts, trial=True)
            self._single_calls_served = True
            self._maximum_batch = min(self._maximum_batch, first)
            return answers + await self._split(items[len(answers) :], first, cuts)
        return await self._split(items, first, cuts)

    async def _split(self, items: Sequence[Item], first: int, cuts: _Cuts) -> list[RpcAnswer]:
        """The first part alone, which lowers the limits until they are right, then the rest within them."""
        first = min(first, len(next(self._chunks(items))))
        return await self._send(items[:first], cuts) + await self._exchange(items[first:], cuts)

    async def _without_large_answers(self, items: Sequence[Item], answers: list[RpcAnswer], cuts: _Cuts) -> list[RpcAnswer]:
        """Ask again, in a smaller request, for answers that found no more room in this one."""
        cut = [position for position, answer in enumerate(answers) if isinstance(answer, AnswerTooLarge)]
        if not cut or len(items) == 1:
            return answers
        if len(cut) == len(items):
            raise AnswerTooLarge(0, "all answers are too large")
        again = await self._exchange([items[position] for position in cut], cuts)
        for position, answer in zip(cut, again, strict=True):
            answers[position] = answer
        return answers

    async def _request(self, body: bytes, identifiers: list[int]) -> list[RpcAnswer]:
        """One HTTP request in its turn; the endpoint's standing follows from what came of it."""
        clock = asyncio.get_running_loop().time
        async with self._dispatcher.turn():
            started = clock()
            self.statistics.calls += len(identifiers)
            try:
                answers = _interpret(await self._transport.post(body), identifiers, len(body))
            except (RequestTooLarge, AnswerTooLarge, BatchRefused):
                raise
            except EndpointError as error:
                self.statistics.failures += 1
                self.standing.failed(clock())
                if isinstance(error, EndpointOverloaded) and error.retry_after_seconds is not None:
                    self.standing.waiting_until = clock() + error.retry_after_seconds
                elif isinstance(error, AccessDenied) and (error.code in _DENYING or not 400 <= error.code < 500):
                    self.standing.barred_until = clock() + self._policy.barred_seconds
                raise
        if any(isinstance(answer, RateLimited) for answer in answers):
            self.standing.failed(clock())
        else:
            self.standing.succeeded(clock() - started, clock())
        return answers

    def _named(self, error: EndpointError) -> EndpointError:
        """The same error with the endpoint's name before it and without the URL's keys."""
        text = self._url.scrub(error.reason if isinstance(error, EndpointRefused) else str(error))
        message = f"{self.shown}: {text}"
        if isinstance(error, EndpointRefused):
            return type(error)(error.code, message)
        if isinstance(error, EndpointOverloaded):
            return type(error)(message, error.retry_after_seconds)
        return type(error)(message)

    def _scrubbed(self, refusal: EndpointRefused) -> EndpointRefused:
        """The same refusal without the URL's keys, should the endpoint have repeated them."""
        data = refusal.data if refusal.data is None else orjson.loads(self._url.scrub(orjson.dumps(refusal.data).decode()))
        return type(refusal)(refusal.code, self._url.scrub(refusal.reason), data)

    async def close(self) -> None:
        await self._dispatcher.close()


class _Cuts:
    """How often an answer may still be cut off before the endpoint itself is to blame."""

    def __init__(self, allowed: int) -> None:
        self._left = allowed

    def count(self, refusal: BodyTooLarge) -> None:
        self._left -= 1
        if self._left < 0:
            raise refusal


def _interpret(answer: HttpAnswer, identifiers: list[int], body_bytes: int) -> list[RpcAnswer]:
    """Answers of an HTTP answer, or the error it stands for."""
    status = answer.status
    words = f"HTTP {answer.shown_status}"
    if 300 <= status < 400:
        raise EndpointInvalid(f"redirects elsewhere ({words})")
    if status == 429:
        raise EndpointOverloaded(words, answer.retry_after_seconds)
    if status == 413:
        raise RequestTooLarge(status, words)
    if status == 408:
        raise EndpointTimedOut(words)
    try:
        answers = match_answers(parse_body(answer.body), identifiers)
    except EndpointInvalid:
        if status < 300:
            raise
        refusal: EndpointRefused | None = None
    except EndpointRefused as error:
        refusal = error
        if status < 300 or isinstance(error, BatchRefused | RequestTooLarge):
            if type(refusal) is EndpointRefused and body_bytes > _LARGE_BODY_BYTES:
                refusal = RequestTooLarge(refusal.code, refusal.reason)
            raise refusal from None
    else:
        # Some gateways send JSON-RPC errors with HTTP 400 or 404; a 5xx is the server's trouble whatever it holds.
        if status < 300 or (status < 500 and status not in _DENYING):
            return answers
        refusal = next((a for a in answers if isinstance(a, EndpointRefused)), None)
    words = f"{words}: {refusal.reason}" if refusal is not None else words
    if status >= 500:
        raise EndpointOverloaded(words, answer.retry_after_seconds)
    if status == 400 and len(identifiers) > 1:
        # Perhaps it is the array that a gateway does not understand.
        raise EndpointRefused(status, words)
    raise AccessDenied(status, words)


async def _together(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    """Results in order; when one fails the others are cancelled and awaited, and its error alone is raised."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
