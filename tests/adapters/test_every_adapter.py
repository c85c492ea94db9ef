"""The suite that every adapter inherits: generated from the catalogue, one set of tests a folder."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.adapter import Adapter
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import Script, broken_laws, manifest_problems, nothing_there, read_scripted, refusing, unreachable
from aggregator.reading.reads import BalanceRequest, CallRequest, KeccakRequest, LogsRequest, Request

every_adapter = pytest.mark.parametrize("adapter", adapters(), ids=lambda adapter: adapter.slug)


@every_adapter
def test_the_manifest_keeps_its_promises(adapter: Adapter) -> None:
    assert manifest_problems(adapter.manifest) == []


@every_adapter
async def test_an_address_without_code_is_not_deployed_and_no_gap(adapter: Adapter) -> None:
    for holdings in await read_scripted(adapter, nothing_there):
        assert (holdings.margin_accounts, holdings.positions, holdings.gaps) == ((), (), ())


@every_adapter
async def test_a_silent_chain_is_named_and_shows_nothing(adapter: Adapter) -> None:
    for holdings in await read_scripted(adapter, unreachable, discover=True):
        assert holdings.gaps
        assert (holdings.margin_accounts, holdings.positions) == ((), ())


@every_adapter
async def test_contracts_that_refuse_break_no_law(adapter: Adapter) -> None:
    for holdings in await read_scripted(adapter, refusing, discover=True):
        assert broken_laws(holdings) == []


@every_adapter
@pytest.mark.parametrize("seed", range(12))
async def test_hostile_answers_break_no_law(adapter: Adapter, seed: int) -> None:
    for holdings in await read_scripted(adapter, hostile_script(seed), discover=bool(seed % 2)):
        assert broken_laws(holdings) == []


def hostile_script(seed: int) -> Script:
    """Answers of any shape: right sizes with odd values, wrong sizes, refusals, nothing."""
    dice = random.Random(seed)

    def word() -> bytes:
        kind = dice.randrange(6)
        value = (0, 1, dice.randrange(32), dice.getrandbits(64), dice.getrandbits(160), dice.getrandbits(256))[kind]
        return value.to_bytes(32, "big")

    def script(request: Request) -> Outcome[Any]:
        if isinstance(request, LogsRequest):
            return dice.choice((Value([]), Unknown(Reason.RANGE, "too many blocks")))
        if isinstance(request, KeccakRequest | BalanceRequest):
            return Value(word())
        if not isinstance(request, CallRequest):
            return Value(dice.getrandbits(256))
        match dice.randrange(12):
            case 0:
                return Unknown(Reason.REVERTED)
            case 1:
                return Unknown(Reason.OUT_OF_GAS)
            case 2:
                return Absent(Reason.NO_CODE)
            case 3:
                return Value(b"")
            case 4:
                return Value(dice.randbytes(dice.randrange(1, 100)))
            case _:
                return Value(b"".join(word() for _ in range(dice.choice((1, 1, 1, 2, 3, 5, 8, 12, 15, 40)))))

    return script
