"""The shipped feed files: valid, known to the registry, and enough to price every native currency."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from aggregator.model.errors import ConfigurationError
from aggregator.model.identifiers import Address, ChainId, checksum
from aggregator.prices.feeds import DATA_FOLDER, USD, FeedKind, FeedShape, chain_feeds, load_feeds
from aggregator.reading.registry import registry

FILES = sorted(DATA_FOLDER.glob("*.yaml"))
GOOD = """
chain: "eip155:1"
feeds:
  - {address: "0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419", base: "ETH", quote: "USD", kind: market, heartbeat_seconds: 3600,
     cadence: directory, deviation: "0.005", volatility: "0.8", source: "test"}
"""


def names() -> set[str]:
    """Symbols and factors that feeds may speak of."""
    shipped = registry()
    tokens = [t for chain in shipped.chains for t in (*shipped.tokens(chain).values(), shipped.native(chain))]
    return {t.symbol for t in tokens} | {t.factor for t in tokens} | {USD}


def test_every_chain_of_the_registry_has_a_file() -> None:
    assert {yaml.safe_load(path.read_text())["chain"] for path in FILES} == set(registry().chains)
    assert chain_feeds(ChainId("eip155:31337")).feeds == ()


def test_addresses_in_the_files_carry_their_checksum() -> None:
    for path in FILES:
        raw = yaml.safe_load(path.read_text())
        for entry in (*raw["feeds"], *([raw["sequencer"]] if "sequencer" in raw else [])):
            assert entry["address"] == checksum(Address(entry["address"].lower())), (path.name, entry)


def test_feeds_speak_of_what_the_registry_knows() -> None:
    known = names()
    for chain in registry().chains:
        for feed in chain_feeds(chain).feeds:
            assert feed.base in known and feed.quote in known and feed.base != feed.quote, feed.label
            assert feed.source


def test_one_feed_a_pair_kind_and_chain_except_funds() -> None:
    for chain in registry().chains:
        pairs = [(feed.pair, feed.kind) for feed in chain_feeds(chain).feeds if feed.kind is not FeedKind.NAV]
        assert len(pairs) == len(set(pairs)), chain


def test_every_native_currency_and_every_quote_has_a_way_to_usd() -> None:
    everywhere = {feed.base for chain in registry().chains for feed in chain_feeds(chain).feeds if feed.quote == USD}
    for chain in registry().chains:
        feeds = chain_feeds(chain).feeds
        here = {feed.base for feed in feeds if feed.quote == USD and feed.kind is FeedKind.MARKET}
        assert registry().native(chain).factor in here, chain
        assert {feed.quote for feed in feeds} - {USD} <= everywhere, chain


def test_stated_figures_are_plausible() -> None:
    for chain in registry().chains:
        for feed in chain_feeds(chain).feeds:
            assert 600 <= feed.heartbeat_seconds <= 2 * 86_400, feed.label
            assert feed.deviation <= Decimal("0.05"), feed.label
            assert 0 < feed.volatility <= 2, feed.label
            assert (feed.shape is FeedShape.ASSET_PRICE) is (feed.asset is not None)


def test_sequencer_feeds_are_those_of_the_chains_file() -> None:
    chains = yaml.safe_load((Path(__file__).parents[2] / "chains.yaml").read_text())["chains"]
    for chain in registry().chains:
        stated = chains[chain].get("sequencer_uptime_feed")
        sequencer = chain_feeds(chain).sequencer
        assert (sequencer.address if sequencer is not None else None) == (stated.lower() if stated else None), chain


def test_native_currencies_are_those_of_the_chains_file() -> None:
    chains = yaml.safe_load((Path(__file__).parents[2] / "chains.yaml").read_text())["chains"]
    for chain in registry().chains:
        native, stated = registry().native(chain), chains[chain]["native"]
        assert (native.symbol, native.decimals, native.factor) == (stated["symbol"], stated["decimals"], stated["factor"])
        assert native.asset == f"{chain}/slip44:{stated['slip44']}"
        assert registry().wrapped_native(chain).address == chains[chain]["wrapped_native"].lower()


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        (('deviation: "0.005"', "deviation: 0.005"), "feeds.0.deviation", "in quotes"),
        (('deviation: "0.005"', 'deviation: "-1"'), "feeds.0.deviation", "not negative"),
        (('deviation: "0.005"', 'deviation: "many"'), "feeds.0.deviation", "in quotes"),
        (("kind: market", "kind: guess"), "feeds.0.kind", "exchange-rate"),
        (("heartbeat_seconds: 3600", "heartbeat_seconds: 0"), "feeds.0.heartbeat_seconds", "0"),
        (("kind: market", "kind: market, shape: asset-price"), "feeds", "asset"),
        (('base: "ETH"', 'base: "ETH", hearbeat: 3'), "feeds.0.hearbeat", ""),
    ],
)
def test_a_bad_file_gets_one_line(tmp_path: Path, change: tuple[str, str], field: str, expected: str) -> None:
    assert change[0] in GOOD
    file = tmp_path / "chain.yaml"
    file.write_text(GOOD)
    assert len(load_feeds(tmp_path)[ChainId("eip155:1")].feeds) == 1
    file.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigurationError) as raised:
        load_feeds(tmp_path)
    assert raised.value.field == field
    assert raised.value.line is not None
    assert expected in raised.value.expected
    assert "\n" not in str(raised.value)
