"""Whose a reading's parts are, and who is concerned by what a block names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.assemble import Found
from aggregator.engine.chain import ChainReading
from aggregator.engine.live.blocks import Touches
from aggregator.engine.live.owner import Concerned, Followed, kept_though_silent, of_owner, owner_key, shared_gaps
from aggregator.engine.snapshot import picture
from aggregator.model.identifiers import AccountId, Address
from aggregator.model.position import Position
from aggregator.model.snapshot import Block, Gap, Remark, Snapshot, SnapshotStatus
from aggregator.reading.adapter import Holdings
from aggregator.reading.catalogue import adapters
from aggregator.reading.registry import registry
from tests.builders import ETHEREUM, leg

ALICE, BOB = Address("0x" + "a1" * 20), Address("0x" + "b0" * 20)
SLUG = "uniswap-v3"
WETH = next(token for token in registry().tokens(ETHEREUM).values() if token.symbol == "WETH")
BLOCK = Block(7, "0x" + "7" * 64, 1)
SNAPSHOT = Snapshot(ETHEREUM, BLOCK, SnapshotStatus.OK)


def nft(owner: Address, number: int) -> Position:
    return Position(ETHEREUM, SLUG, "pool", owner, (leg(WETH, 1),), {"token_id": str(number)})


def gap(what: str, protocol: str = SLUG) -> Gap:
    return Gap(ETHEREUM, protocol, what, "reverted")


def reading(*positions: Position, gaps: tuple[Gap, ...] = (), remarks: tuple[str, ...] = ()) -> ChainReading:
    found = Holdings(positions=positions, gaps=gaps, remarks=tuple(Remark("note", text) for text in remarks))
    return ChainReading(SNAPSHOT, found=(Found(SLUG, found),))


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        (f"positions of {ALICE}", "alice"),
        (f"positions of {BOB.upper().replace('X', 'x')}", "bob"),
        ("position 11 on eip155:1: hook", "alice"),
        ("position 1 on eip155:1: hook", "bob"),
        ("position 12 on eip155:1: hook", "both"),
        ("3 pairs", "both"),
        ("the whole market", "both"),
    ],
)
def test_what_is_missing_belongs_to_whom_it_names(text: str, whose: str) -> None:
    both = reading(nft(ALICE, 11), nft(BOB, 1), gaps=(gap(text),), remarks=(text,))
    for name, owner in (("alice", ALICE), ("bob", BOB)):
        (found,) = of_owner(both, owner, (ALICE, BOB)).found
        mine = whose in (name, "both")
        assert (len(found.holdings.gaps), len(found.holdings.remarks)) == (mine, mine)
        assert [one.owner for one in found.holdings.positions] == [owner]
    assert of_owner(both, ALICE, (ALICE,)) is both


def test_what_names_nobody_has_each_read_alone() -> None:
    assert shared_gaps(reading(gaps=(gap("3 pairs"),)), (ALICE, BOB))
    assert not shared_gaps(reading(gaps=(gap(f"positions of {ALICE}"),)), (ALICE, BOB))
    # a whole chain that does not answer is everybody's, however they are read
    assert not shared_gaps(replace(reading(), gaps=(gap("everything on this chain", "*"),)), (ALICE, BOB))


def test_a_silent_chain_leaves_what_was_read_with_its_age() -> None:
    silent = ChainReading(Snapshot(ETHEREUM, None, SnapshotStatus.UNREACHABLE, "refused"))
    kept = kept_though_silent(reading(nft(ALICE, 11)), silent)
    assert kept.snapshot == Snapshot(ETHEREUM, BLOCK, SnapshotStatus.STALE, "not reached since: refused")
    assert kept.found == reading(nft(ALICE, 11)).found


def followed(owner: Address, *positions: Position) -> Followed:
    one = Followed(OwnerAddress(owner), watched=True)
    one.picture = picture((AccountId(ETHEREUM, owner),), (reading(*positions),), {})
    return one


def word(value: int | Address) -> str:
    return f"{value:064x}" if isinstance(value, int) else value[2:].rjust(64, "0")


def test_who_is_named_by_logs_by_identifiers_and_by_prices() -> None:
    (contract, *_) = next(
        list(one.contracts.values()) for adapter in adapters() if adapter.slug == SLUG for one in adapter.manifest.deployments[ETHEREUM]
    )
    concerned = Concerned()
    concerned.follow(alice := followed(ALICE, nft(ALICE, 11)))
    concerned.follow(followed(BOB))
    assert concerned.touched(ETHEREUM, Touches(words=frozenset([word(BOB), word(5)]))) == {BOB}
    assert concerned.touched(ETHEREUM, Touches(topics=frozenset([(contract, word(11))]))) == {ALICE}
    stranger = Address("0x" + "ee" * 20)
    assert concerned.touched(ETHEREUM, Touches(words=frozenset([word(11)]), topics=frozenset([(stranger, word(11))]))) == set()
    assert concerned.exposed(["ETH"]) == concerned.exposed(["WETH", "LINK"]) == {ALICE}
    alice.picture = followed(ALICE).picture
    concerned.follow(alice)
    assert concerned.exposed(["ETH"]) == set()
    concerned.leave(ALICE)
    assert concerned.touched(ETHEREUM, Touches(words=frozenset([word(ALICE), word(BOB)]))) == {BOB}


def test_an_owner_on_one_chain_is_somebody_else() -> None:
    assert owner_key(OwnerAddress(ALICE)) != owner_key(OwnerAddress(ALICE, ETHEREUM)) == f"eip155:1:{ALICE}"
