"""ENS names on a real node: the registry's and the resolvers' answers come from small contracts placed at known addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.chains.configuration import load_chains
from aggregator.chains.ens import namehash, normalised, registry_chain, resolve_name
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.localnet.node import LocalChain
from aggregator.model.errors import IncompleteError, InputError
from aggregator.model.identifiers import Address, ChainId, evm_chain
from tests.chains.support import HASTY
from tests.faults import Status
from tests.faulty_endpoint import FaultyEndpoint

CHAINS = load_chains()
CHAIN, REGISTRY = registry_chain(CHAINS)
ALICE = Address("0x" + "a1" * 20)
PLAIN = Address("0x" + "c1" * 20)
"""a resolver of the first kind: `addr(node)` reads storage"""
EXTENDED = Address("0x" + "c2" * 20)
"""ENSIP-10: `resolve` answers for every name"""
OFFCHAIN = Address("0x" + "c3" * 20)
"""ENSIP-10 with OffchainLookup"""
OLD_OFFCHAIN = Address("0x" + "c4" * 20)
"""reverts with OffchainLookup whatever it is asked"""
REFUSES = Address("0x" + "c5" * 20)

LOAD = "60043554600052602060" + "00f3"
"""return storage[first argument]"""
OFFCHAIN_LOOKUP = "63556f18306000526004601cfd"


def extended(resolve: str) -> str:
    """`supportsInterface` says true, everything else does `resolve`."""
    head = "60003560e01c806301ffc9a71460"
    target = len(head) // 2 + 2 + len(resolve) // 2
    return f"{head}{target:02x}57{resolve}5b60016000526020" + "6000f3"


CODE = {
    REGISTRY: LOAD,
    PLAIN: LOAD,
    EXTENDED: extended(f"602060005260206020527{'3'}{ALICE[2:]}6040526060" + "6000f3"),
    OFFCHAIN: extended(OFFCHAIN_LOOKUP),
    OLD_OFFCHAIN: OFFCHAIN_LOOKUP,
    REFUSES: "60006000fd",
}
RESOLVERS = {
    "alice.eth": PLAIN,
    "empty.eth": PLAIN,
    "faß.eth": PLAIN,
    "wild.eth": EXTENDED,
    "off.eth": OFFCHAIN,
    "oldoff.eth": OLD_OFFCHAIN,
    "refuses.eth": REFUSES,
    "nowhere.eth": Address("0x" + "cc" * 20),
}


@pytest.fixture(scope="module")
async def chain(bare_chain: LocalChain) -> LocalChain:
    for address, code in CODE.items():
        await bare_chain.rpc("anvil_setCode", address, "0x" + code)
    for name, resolver in RESOLVERS.items():
        await store(bare_chain, REGISTRY, namehash(name), resolver)
    await store(bare_chain, PLAIN, namehash("alice.eth"), ALICE)
    await store(bare_chain, PLAIN, namehash("faß.eth"), ALICE)
    await bare_chain.mine(1)
    return bare_chain


async def store(chain: LocalChain, contract: Address, slot: bytes, value: Address) -> None:
    await chain.rpc("anvil_setStorageAt", contract, "0x" + slot.hex(), "0x" + value[2:].rjust(64, "0"))


@pytest.fixture
async def reads(chain: LocalChain) -> AsyncIterator[PinnedReads]:
    async with Network(CHAINS, rpc_overrides={CHAIN: (chain.url,)}) as network:
        client = network.client(CHAIN)
        async with PinnedReads(client, await pin_block(client)) as reads:
            yield reads


@pytest.mark.localnet
@pytest.mark.parametrize("name", ["alice.eth", "ALICE.eth", "faß.eth", "wild.eth", "anyone.wild.eth", "a.b.wild.eth"])
async def test_a_name_has_its_address_in_one_round(reads: PinnedReads, name: str) -> None:
    assert await resolve_name(reads, REGISTRY, name) == ALICE
    assert reads.rounds == 1


@pytest.mark.localnet
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody.eth", "not registered or has no resolver"),
        ("sub.alice.eth", "not registered or has no resolver"),
        ("empty.eth", "has no address"),
        ("off.eth", "CCIP-read"),
        ("someone.off.eth", "CCIP-read"),
        ("oldoff.eth", "CCIP-read"),
        ("refuses.eth", "gave no address"),
        ("nowhere.eth", "no ENS contract at 0xcc"),
        ("a..eth", "not a valid ENS name"),
        ("under_score_not_first.eth", "not a valid ENS name"),
        ("x" * 300 + ".eth", "not a valid ENS name"),
    ],
)
async def test_a_name_without_an_address_says_why(reads: PinnedReads, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        await resolve_name(reads, REGISTRY, name)
    assert "\n" not in str(caught.value)


@pytest.mark.localnet
async def test_a_chain_without_the_registry_contract_says_so(reads: PinnedReads) -> None:
    with pytest.raises(InputError, match="no ENS contract at 0xdd"):
        await resolve_name(reads, Address("0x" + "dd" * 20), "alice.eth")


@pytest.mark.localnet
async def test_a_name_is_read_at_the_pinned_block(chain: LocalChain, reads: PinnedReads) -> None:
    await chain.mine(1)
    await store(chain, PLAIN, namehash("empty.eth"), ALICE)
    await chain.mine(1)
    try:
        with pytest.raises(InputError, match="has no address"):
            await resolve_name(reads, REGISTRY, "empty.eth")
    finally:
        await store(chain, PLAIN, namehash("empty.eth"), Address("0x" + "00" * 20))
        await chain.mine(1)


@pytest.mark.localnet
async def test_an_endpoint_that_fails_is_no_proof_that_a_name_is_free(chain: LocalChain) -> None:
    async with (
        FaultyEndpoint(upstream=chain.url) as proxy,
        Network(CHAINS, rpc_overrides={CHAIN: (proxy.url,)}, policy=HASTY) as network,
    ):
        client = network.client(CHAIN)
        async with PinnedReads(client, await pin_block(client)) as reads:
            proxy.inject(Status(503))
            with pytest.raises(IncompleteError, match="could not be resolved"):
                await resolve_name(reads, REGISTRY, "alice.eth")


def test_the_registry_is_the_one_of_the_configuration() -> None:
    assert CHAIN == "eip155:1"
    assert registry_chain(CHAINS) == (evm_chain(1), "0x00000000000c2e074ec69a0dfb2997ba6c7d2e1e")
    without = CHAINS.model_copy(update={"chains": {ChainId("eip155:10"): CHAINS.chains[ChainId("eip155:10")]}})
    with pytest.raises(InputError, match="no chain has an ens_registry"):
        registry_chain(without)


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9_.\-\u200d\ufe0f\U0001f6b4\u0430]{0,20}", fullmatch=True))
def test_any_text_is_a_name_or_bad_input(text: str) -> None:
    try:
        assert normalised(normalised(text)) == normalised(text)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


def test_names_are_hashed_as_eip_137_says() -> None:
    assert namehash("eth").hex() == "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"
    assert namehash("foo.eth").hex() == "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"
    assert normalised("Nick.ETH") == "nick.eth"
    assert normalised("RaFFY🚴‍♂️.eTh") == "raffy🚴‍♂.eth"
