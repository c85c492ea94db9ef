"""The shipped registry: complete, consistent, quick; and a bad file says in one line what is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from aggregator.model.errors import ConfigurationError, InputError
from aggregator.model.identifiers import Address, ChainId, asset_address, asset_chain, checksum, erc20
from aggregator.model.token import TokenKind
from aggregator.reading.registry import DATA_FOLDER, Registry, registry

ETHEREUM = ChainId("eip155:1")
TEN_CHAINS = {f"eip155:{number}" for number in (1, 10, 56, 100, 137, 8453, 42161, 43114, 59144, 534352)}
GOOD = """
chain: "eip155:1"
native: {symbol: ETH, decimals: 18, slip44: 60, factor: ETH, source: "SLIP-44"}
wrapped_native: "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
tokens:
  - {symbol: WETH, address: "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", decimals: 18, kind: wrapped-native, factor: ETH, source: "test"}
"""


def test_ten_chains_each_with_native_and_its_wrapper() -> None:
    shipped = registry()
    assert set(shipped.chains) == TEN_CHAINS
    for chain in shipped.chains:
        native, wrapped = shipped.native(chain), shipped.wrapped_native(chain)
        assert native.kind is TokenKind.NATIVE and native.address is None
        assert wrapped.kind is TokenKind.WRAPPED_NATIVE and wrapped.factor == native.factor and wrapped.decimals == native.decimals
        assert sum(token.kind is TokenKind.WRAPPED_NATIVE for token in shipped.tokens(chain).values()) == 1


def test_ids_addresses_and_look_ups_agree() -> None:
    shipped = registry()
    for chain in shipped.chains:
        assert shipped.token(shipped.native(chain).asset) == shipped.native(chain)
        for address, token in shipped.tokens(chain).items():
            assert address == address.lower() == asset_address(token.asset)
            assert asset_chain(token.asset) == chain
            assert shipped.token(token.asset) is token


def test_addresses_in_the_files_carry_their_checksum() -> None:
    for path in DATA_FOLDER.glob("*.yaml"):
        for entry in yaml.safe_load(path.read_text())["tokens"]:
            assert entry["address"] == checksum(Address(entry["address"].lower())), (path.name, entry["symbol"])


def test_symbols_are_unique_on_a_chain() -> None:
    for chain in registry().chains:
        symbols = [token.symbol.lower() for token in registry().tokens(chain).values()]
        assert len(symbols) == len(set(symbols)), chain


@pytest.mark.parametrize(
    ("symbol", "address", "decimals", "kind", "factor"),
    [
        ("WETH", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", 18, TokenKind.WRAPPED_NATIVE, "ETH"),
        ("stETH", "0xae7ab96520de3a18e5e111b5eaab095312d7fe84", 18, TokenKind.LST_REBASING, "ETH"),
        ("wstETH", "0x7f39c581f595b53c5cb19bd0b3f8da6c935e2ca0", 18, TokenKind.LST, "ETH"),
        ("USDC", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", 6, TokenKind.STABLE, "USDC"),
        ("WBTC", "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599", 8, TokenKind.WRAPPED_BTC, "BTC"),
        ("PAXG", "0x45804880de22913dafe09f4980848ece6ecbaf78", 18, TokenKind.RWA_GOLD, "XAU"),
        ("USTB", "0x43415eb6ff9db7e26a15b704e7a3edce97d31c4e", 6, TokenKind.RWA_TREASURY, "USTB"),
        ("BUIDL", "0x7712c34205737192402172409a8f7ccef8aa2aec", 6, TokenKind.RWA_MONEY_MARKET, "BUIDL"),
    ],
)
def test_well_known_tokens(symbol: str, address: str, decimals: int, kind: TokenKind, factor: str) -> None:
    token = registry().tokens(ETHEREUM)[Address(address)]
    assert (token.symbol, token.decimals, token.kind, token.factor) == (symbol, decimals, kind, factor)


def test_what_is_not_listed_is_none_or_named() -> None:
    shipped, nowhere = registry(), ChainId("eip155:31337")
    assert shipped.tokens(nowhere) == {}
    assert shipped.token(erc20(nowhere, Address("0x" + "11" * 20))) is None
    assert shipped.token(erc20(ETHEREUM, Address("0x" + "11" * 20))) is None
    with pytest.raises(InputError, match="eip155:31337"):
        shipped.native(nowhere)


def test_loading_is_quick() -> None:
    def seconds() -> float:
        started = time.process_time()
        Registry()
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 0.15


@pytest.mark.parametrize(
    ("change", "line", "field", "expected"),
    [
        (
            ('"0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", d', "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2, d"),
            6,
            "tokens.0.address",
            "quotes",
        ),
        (('address: "0xC02aaA39b2', 'address: "0xC02aaA39B2'), 6, "tokens.0.address", "checksum"),
        (("decimals: 18, kind", "decimals: -1, kind"), 6, "tokens.0.decimals", "greater than or equal to 0"),
        (("decimals: 18, kind", 'decimals: "18", kind'), 6, "tokens.0.decimals", "valid integer"),
        (("kind: wrapped-native", "kind: money"), 6, "tokens.0.kind", "wrapped-native"),
        (("symbol: WETH", "symbol: WETH, sorce: x"), 6, "tokens.0.sorce", "not permitted"),
        (
            ('wrapped_native: "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"', f'wrapped_native: "0x{"11" * 20}"'),
            4,
            "wrapped_native",
            "tokens",
        ),
        (('chain: "eip155:1"', 'chain: "mainnet"'), 2, "chain", "CAIP-2"),
    ],
)
def test_a_bad_file_gets_one_line(tmp_path: Path, change: tuple[str, str], line: int, field: str, expected: str) -> None:
    assert change[0] in GOOD
    file = tmp_path / "chain.yaml"
    file.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigurationError) as raised:
        Registry(tmp_path)
    assert (raised.value.path, raised.value.line, raised.value.field) == (str(file), line, field)
    assert expected in raised.value.expected
    assert "\n" not in str(raised.value)


def test_an_address_twice_and_a_chain_twice_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(GOOD + GOOD.strip().splitlines()[-1].replace("WETH", "Other") + "\n")
    with pytest.raises(ConfigurationError, match=r"each address once, .* both WETH and .*Other"):
        Registry(tmp_path)
    (tmp_path / "one.yaml").write_text(GOOD)
    (tmp_path / "two.yaml").write_text(GOOD)
    with pytest.raises(ConfigurationError, match="one file a chain"):
        Registry(tmp_path)
