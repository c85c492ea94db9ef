"""Facts by owner are bounded, and the owners who are read again and again are not the ones forgotten."""

from __future__ import annotations

from aggregator.model.identifiers import Address
from aggregator.reading.adapter import Memory
from aggregator.reading.owner_facts import OwnerFacts


def owner(number: int) -> Address:
    return Address(f"0x{number:040x}")


def test_strangers_without_end_take_the_room_of_strangers() -> None:
    facts = OwnerFacts[int](10)
    for number in range(1_000):
        facts.put(owner(number), number)
        facts.put(owner(0), number)
    assert len(facts) == 10
    assert facts.get(owner(0)) == 999 and facts.get(owner(999)) == 999
    assert facts.get(owner(5)) is None


def test_a_fact_is_one_and_may_be_dropped() -> None:
    facts = OwnerFacts[int]()
    facts.put(owner(1), 0)
    facts.put(owner(1), 7)
    assert facts.get(owner(1)) == 7 and len(facts) == 1
    facts.drop(owner(1))
    facts.drop(owner(1))
    assert facts.get(owner(1)) is None and len(facts) == 0


def test_a_memory_gives_the_same_facts_each_time_under_each_name() -> None:
    memory = Memory()
    memory.of_owners("counts").put(owner(1), 3)
    assert memory.of_owners("counts").get(owner(1)) == 3
    assert memory.of_owners("found").get(owner(1)) is None
