"""Faults that only show when blocks are pinned, calls overridden and logs searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import Exchange, Fault, Json


def _refused(
    exchange: Exchange, answers: list[dict[str, Json]], which: Callable[[dict[str, Json]], bool], code: int, message: str
) -> list[Json]:
    bad = {call["id"] for call in exchange.calls if which(call)}
    error = {"code": code, "message": message}
    return [{"jsonrpc": "2.0", "id": answer["id"], "error": error} if answer["id"] in bad else answer for answer in answers]


@dataclass(frozen=True)
class AnotherBlock(Fault):
    """State is told of block `number`, whatever block is asked about."""

    number: int

    def calls(self, calls: list[dict[str, Json]]) -> list[dict[str, Json]]:
        def changed(parameter: Json) -> Json:
            return hex(self.number) if isinstance(parameter, dict) and "blockHash" in parameter else parameter

        return [call | {"params": [changed(one) for one in call.get("params", [])]} for call in calls]


@dataclass(frozen=True)
class NoOverrides(Fault):
    """`eth_call` with a third parameter is an error, as on nodes that know no state overrides."""

    message: str = "too many arguments, want at most 2"

    def answers(self, exchange: Exchange, answers: list[dict[str, Json]]) -> list[Json]:
        return _refused(exchange, answers, lambda call: call["method"] == "eth_call" and len(call["params"]) > 2, -32602, self.message)


@dataclass(frozen=True)
class IgnoredOverrides(Fault):
    """The third parameter of `eth_call` is dropped without a word, so that calls of an empty address succeed with nothing."""

    def calls(self, calls: list[dict[str, Json]]) -> list[dict[str, Json]]:
        return [call | {"params": call["params"][:2]} if call["method"] == "eth_call" else call for call in calls]


@dataclass(frozen=True)
class LogSpan(Fault):
    """Log searches over more than `blocks` blocks are refused."""

    blocks: int

    def answers(self, exchange: Exchange, answers: list[dict[str, Json]]) -> list[Json]:
        def too_wide(call: dict[str, Json]) -> bool:
            if call["method"] != "eth_getLogs":
                return False
            query = call["params"][0]
            return int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= self.blocks

        return _refused(exchange, answers, too_wide, -32005, "query exceeds max block range")


@dataclass(frozen=True)
class CallsTo(Fault):
    """`eth_call`s of one address are refused."""

    address: str

    def answers(self, exchange: Exchange, answers: list[dict[str, Json]]) -> list[Json]:
        def concerned(call: dict[str, Json]) -> bool:
            return bool(call["method"] == "eth_call" and call["params"][0].get("to", "").lower() == self.address.lower())

        return _refused(exchange, answers, concerned, -32000, "method handler crashed")
