"""JSON-RPC 2.0 on the wire: calls to bytes, bytes to answers, and what kind of refusal an error object is.

A refusal that another endpoint, or the same one a moment later, may not repeat has a class of its own. What a contract says in a revert
never decides the class: a token could otherwise make an endpoint look overloaded.

EndpointRefused            a plain no: bad parameters, an unknown method, a revert
├── RateLimited           too many requests, said inside HTTP 200
├── BlockUnavailable      the endpoint has not got this block, or not its state: it lags, or the block was reorganised away
├── RequestTooLarge       more bytes than the endpoint takes
├── AnswerTooLarge        more bytes than the endpoint gives, or than are read here
├── AccessDenied          the key, the plan or the address is not let in; also HTTP 401, 402, 403 and their like
└── BatchRefused          too many calls in one request, or none but single ones; never an answer, `Endpoint` splits
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from aggregator.model.errors import EndpointInvalid, EndpointRefused

RpcAnswer: TypeAlias = object
"""The result as parsed JSON, or an EndpointRefused in its place."""


class RateLimited(EndpointRefused):
    """The endpoint takes no more requests for now."""


class BlockUnavailable(EndpointRefused):
    """The endpoint does not have the block, or no longer its state."""


class RequestTooLarge(EndpointRefused):
    """One call alone is more than the endpoint takes; whoever built it may split it."""


class AnswerTooLarge(EndpointRefused):
    """One answer alone is more than the endpoint gives or than is read here; whoever asked may ask for less."""


class AccessDenied(EndpointRefused):
    """The endpoint does not serve us, whatever is asked."""


class BatchRefused(EndpointRefused):
    """The endpoint takes fewer calls in one request."""


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One JSON-RPC call; `params` must be JSON values."""

    method: str
    params: Sequence[object] = ()


_RATE = re.compile(
    r"rate.?limit|too many requests|requests? (?:per|limit)|throttl|compute units|capacity (?:exceeded|limit)"
    r"|exceeded .{0,40}capacity|quota",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"header (?:for hash )?not found|unknown block|block .{0,80}not (?:found|available)|(?:could not|cannot) find block|missing trie node"
    r"|not (?:currently )?canonical|historical state|state .{0,80}(?:not available|unavailable)|resource not found"
    r"|ahead of (?:the )?(?:head|latest)|blockoutofrange",
    re.IGNORECASE,
)
_SIZE = re.compile(r"(?:request|body|payload|entity|content|message).{0,30}(?:too (?:large|big)|exceeds?|limit)", re.IGNORECASE)
_ANSWER_SIZE = re.compile(r"(?:response|answer|result).{0,30}(?:too (?:large|big)|size exceed)", re.IGNORECASE)
_DENIED = re.compile(
    r"unauthori[sz]ed|forbidden|api.?key|access denied|authenticat|invalid (?:project|token)|payment required|project id|subscription",
    re.IGNORECASE,
)
_BATCH = re.compile(r"batch", re.IGNORECASE)
_LONGEST_MESSAGE = 300


def classified(code: int, message: str, data: object = None) -> EndpointRefused:
    """The refusal of a JSON-RPC error object, as the most telling class there is for it."""
    if code == 3 or "revert" in message.lower():
        return EndpointRefused(code, message, data)
    kind: type[EndpointRefused] = EndpointRefused
    if _BATCH.search(message):
        kind = BatchRefused
    elif code == 429 or _RATE.search(message):
        kind = RateLimited
    elif code in (-32001, -39001) or _BLOCK.search(message):
        kind = BlockUnavailable
    elif _DENIED.search(message):
        kind = AccessDenied
    elif _ANSWER_SIZE.search(message):
        kind = AnswerTooLarge
    elif _SIZE.search(message):
        kind = RequestTooLarge
    return kind(code, message, data)


def encode_call(call: RpcCall, identifier: int) -> bytes:
    """One JSON-RPC request object; TypeError where a parameter is no JSON value."""
    return orjson.dumps({"jsonrpc": "2.0", "id": identifier, "method": call.method, "params": call.params})


def join_calls(encoded: Sequence[bytes]) -> bytes:
    """The body of one HTTP request: a single object, or an array of several."""
    return encoded[0] if len(encoded) == 1 else b"[" + b",".join(encoded) + b"]"


def parse_body(body: bytes) -> object:
    """JSON of an HTTP body; EndpointInvalid says what it was instead."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    start = body[:64].lstrip().lower()
    if not start:
        raise EndpointInvalid("the answer is empty")
    if start.startswith(b"<"):
        raise EndpointInvalid("the answer is a web page, not JSON-RPC")
    if start.startswith((b"{", b"[")):
        raise EndpointInvalid(f"the answer is broken or truncated JSON ({len(body)} bytes)")
    raise EndpointInvalid("the answer is not JSON")


def match_answers(parsed: object, identifiers: Sequence[int]) -> list[RpcAnswer]:
    """Answers in the order of `identifiers`, matched by id and by nothing else.

    EndpointInvalid where one is missing, stands twice, was not asked for, or is no JSON-RPC answer; an EndpointRefused where the
    request as a whole was refused.
    """
    if isinstance(parsed, Mapping):
        if len(identifiers) == 1 and _is(parsed.get("id"), identifiers[0]):
            answer = _answer(parsed)
            if isinstance(answer, AccessDenied):
                raise answer
            return [answer]
        if "error" in parsed:
            raise _refusal(parsed["error"])
        raise EndpointInvalid("one answer with another id" if len(identifiers) == 1 else f"one answer to {len(identifiers)} calls")
    if not isinstance(parsed, list):
        raise EndpointInvalid("the answer is JSON, but not JSON-RPC")
    if len(identifiers) == 1:
        raise EndpointInvalid("an array of answers to a single call")
    waiting = set(identifiers)
    answers: dict[int, RpcAnswer] = {}
    refused: EndpointRefused | None = None
    for item in parsed:
        if not isinstance(item, Mapping):
            raise EndpointInvalid("the answer is JSON, but not JSON-RPC")
        identifier = item.get("id")
        if type(identifier) is int and identifier in waiting:
            waiting.remove(identifier)
            answers[identifier] = _answer(item)
        elif type(identifier) is int and identifier in answers:
            raise EndpointInvalid(f"two answers with id {identifier}")
        elif identifier is None and item.get("error") is not None:
            refused = _refusal(item["error"])
        else:
            raise EndpointInvalid("an answer with an id that was not asked for")
    if refused is not None or waiting:
        # Some nodes refuse a batch with one error object in an array, under the first call's id or none.
        only = next(iter(answers.values())) if len(answers) == 1 else None
        refused = refused or (only if isinstance(only, EndpointRefused) else None)
        raise refused or EndpointInvalid(f"{len(waiting)} of {len(identifiers)} answers are missing")
    for kind in (BatchRefused, AccessDenied):
        refusals = [answer for answer in answers.values() if isinstance(answer, kind)]
        if len(refusals) == len(identifiers):
            raise refusals[0]
    return [answers[identifier] for identifier in identifiers]


def _is(identifier: object, expected: int) -> bool:
    return type(identifier) is int and identifier == expected


def _answer(item: Mapping[str, object]) -> RpcAnswer:
    error = item.get("error")
    if error is not None:
        return _refusal(error)
    if "result" not in item:
        raise EndpointInvalid("an answer with neither result nor error")
    return item["result"]


def _refusal(error: object) -> EndpointRefused:
    if not isinstance(error, Mapping):
        return classified(0, _short(error))
    code = error.get("code")
    return classified(code if type(code) is int else 0, _short(error.get("message", "no message")), error.get("data"))


def _short(message: object) -> str:
    """An endpoint's message on one line and of bounded length."""
    text = " ".join(str(message).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
