"""What people write for chains, endpoints, blocks and owners."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.chains.arguments import (
    OwnerAddress,
    OwnerName,
    parse_block_pin,
    parse_owner,
    parse_rpc_override,
    resolve_chain,
    rpc_overrides,
)
from aggregator.chains.configuration import load_chains
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, Address, ChainId

CHAINS = load_chains()
ADDRESS = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
LOWER = Address(ADDRESS.lower())


@pytest.mark.parametrize("text", ["eip155:1", "1", "eth", "ETH", " eth ", "ethereum", "mainnet", "01"])
def test_a_chain_is_known_by_id_number_and_name(text: str) -> None:
    assert resolve_chain(text, CHAINS) == "eip155:1"


@pytest.mark.parametrize(
    ("text", "chain"), [("matic", "eip155:137"), ("pol", "eip155:137"), ("arb1", "eip155:42161"), ("bsc", "eip155:56")]
)
def test_short_names_and_aliases(text: str, chain: str) -> None:
    assert resolve_chain(text, CHAINS) == chain


@pytest.mark.parametrize("text", ["", "eip155:5", "5", "ether", "eip155:", "solana:mainnet", "²", "0x1", "1.0", "-1"])
def test_an_unknown_chain_is_answered_with_the_known_ones(text: str) -> None:
    with pytest.raises(InputError, match=r"unknown chain .*eth \(eip155:1\), arb1") as caught:
        resolve_chain(text, CHAINS)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_whatever_is_written_is_answered_with_one_line_or_taken(text: str) -> None:
    for parse in (resolve_chain, parse_rpc_override, parse_block_pin, parse_owner):
        try:
            parse(text, CHAINS)
        except InputError as error:
            assert len(str(error).splitlines()) == 1


def test_rpc_overrides() -> None:
    assert parse_rpc_override("eth=http://127.0.0.1:8545", CHAINS) == ("eip155:1", "http://127.0.0.1:8545")
    assert parse_rpc_override("42161=https://h.example/v3/key?a=b", CHAINS) == ("eip155:42161", "https://h.example/v3/key?a=b")
    assert parse_rpc_override("eth=${ETH_RPC}", CHAINS) == ("eip155:1", "${ETH_RPC}")
    assert rpc_overrides(["eth=http://a.example", "base=http://b.example", "1=http://c.example"], CHAINS) == {
        "eip155:1": ("http://a.example", "http://c.example"),
        "eip155:8453": ("http://b.example",),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://127.0.0.1:8545/secret-secret", "expected CHAIN=URL"),
        ("https://h.example/?key=secret-secret", "expected CHAIN=URL"),
        ("eth", "expected CHAIN=URL"),
        ("eth=", "expected an http:// or https:// URL"),
        ("eth=secret-secret", "expected an http:// or https:// URL"),
        ("eth=ws://h.example/secret-secret", "expected an http:// or https:// URL"),
        ("eth=${ETH_RPC", "expected an http:// or https:// URL"),
        ("ether=http://h.example/secret-secret", "unknown chain"),
    ],
)
def test_a_wrong_override_is_said_without_the_url(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        parse_rpc_override(text, CHAINS)
    assert "secret-secret" not in str(caught.value)


def test_block_pins() -> None:
    assert parse_block_pin("eth=21000000", CHAINS) == ("eip155:1", 21_000_000)
    assert parse_block_pin("1=0x10", CHAINS) == ("eip155:1", 16)
    for text in ("eth", "eth=", "eth=latest", "eth=-1", "eth=1.5", "eth=1_000", "eth=0x", f"eth={1 << 64}", "eth=٣"):
        with pytest.raises(InputError, match="block"):
            parse_block_pin(text, CHAINS)


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        (ADDRESS, None),
        (LOWER, None),
        (f"0X{ADDRESS[2:].upper()}", None),
        (f"eip155:1:{ADDRESS}", "eip155:1"),
        (f"eth:{ADDRESS}", "eip155:1"),
        (f"base:{LOWER}", "eip155:8453"),
        (f"42161:{LOWER}", "eip155:42161"),
    ],
)
def test_owners_by_address(text: str, chain: str | None) -> None:
    assert parse_owner(text, CHAINS) == OwnerAddress(LOWER, None if chain is None else ChainId(chain))


@pytest.mark.parametrize(
    ("text", "name", "chain"),
    [
        ("vitalik.eth", "vitalik.eth", None),
        ("arb1:a.b.example.eth", "a.b.example.eth", "eip155:42161"),
        ("faß.eth", "faß.eth", None),
        ("👍.eth", "👍.eth", None),
        ("0xabc.eth", "0xabc.eth", None),
    ],
)
def test_owners_by_name(text: str, name: str, chain: str | None) -> None:
    assert parse_owner(text, CHAINS) == OwnerName(name, None if chain is None else ChainId(chain))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0x123", "0x and 40 hex digits"),
        (ADDRESS + "00", "0x and 40 hex digits"),
        (ADDRESS.replace("d8dA", "d8da"), "checksum"),
        ("vitalik", "not an owner"),
        ("", "not an owner"),
        ("a..eth", "not an owner"),
        (".eth", "not an owner"),
        ("eth.", "not an owner"),
        ("a b.eth", "not an owner"),
        (f"ether:{ADDRESS}", "unknown chain"),
        (f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{ADDRESS}", "unknown chain"),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "not an owner"),
    ],
)
def test_what_is_no_owner(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_owner(text, CHAINS)


def test_accounts_of_an_owner() -> None:
    chains = [ChainId("eip155:1"), ChainId("eip155:10")]
    assert OwnerAddress(LOWER).accounts(chains) == tuple(AccountId(chain, LOWER) for chain in chains)
    assert OwnerAddress(LOWER, chains[1]).accounts(chains) == (AccountId(chains[1], LOWER),)
    assert OwnerAddress(LOWER, ChainId("eip155:137")).accounts(chains) == ()
