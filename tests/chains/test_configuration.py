"""chains.yaml: what is shipped, and what is said of a file that is wrong."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from aggregator.chains.configuration import ChainConfiguration, load_chains, shipped_chains_file
from aggregator.chains.urls import EndpointUrl, UnsetVariable
from aggregator.model.errors import ConfigurationError, InputError
from aggregator.model.identifiers import ChainId, evm_reference
from aggregator.reading.registry import registry

SHIPPED = load_chains()
SHORT_NAMES = {
    "eip155:1": "eth",
    "eip155:42161": "arb1",
    "eip155:8453": "base",
    "eip155:10": "oeth",
    "eip155:137": "pol",
    "eip155:43114": "avax",
    "eip155:56": "bnb",
    "eip155:100": "gno",
    "eip155:534352": "scr",
    "eip155:59144": "linea",
}

ONE = """
chains:
  "eip155:1":
    name: Ethereum
    short_name: eth
    native: {symbol: ETH, decimals: 18, slip44: 60, factor: ETH}
    block_time_seconds: 12
    finality: {tag: finalized}
    endpoints:
      - {url: "https://rpc.example/"}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "chains.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file_has_the_ten_chains() -> None:
    assert {str(chain): SHIPPED[chain].short_name for chain in SHIPPED.ids()} == SHORT_NAMES
    assert shipped_chains_file().name == "chains.yaml"


@pytest.mark.parametrize("chain", list(SHIPPED.ids()))
def test_every_fact_that_is_shipped_has_a_source(chain: ChainId) -> None:
    entry = SHIPPED[chain]
    for field in ChainConfiguration.model_fields:
        given = field in entry.model_fields_set
        if given and field not in ("aliases", "sources"):
            assert SHIPPED.source(chain, field), f"{field} has no source"


@pytest.mark.parametrize("chain", list(SHIPPED.ids()))
def test_the_shipped_chains_are_complete_and_agree_with_the_token_registry(chain: ChainId) -> None:
    entry = SHIPPED[chain]
    assert evm_reference(chain) > 0
    assert len(entry.endpoints) >= 2 and len({endpoint.url for endpoint in entry.endpoints}) == len(entry.endpoints)
    assert entry.multicall3_address == "0xca11bde05977b3631167028862be2a173976ca11"
    assert entry.log_range_blocks >= 1_000
    native = SHIPPED.native_token(chain)
    tokens = registry()
    assert (native.asset, native.symbol, native.decimals, native.factor) == (
        (listed := tokens.native(chain)).asset,
        listed.symbol,
        listed.decimals,
        listed.factor,
    )
    assert entry.wrapped_native in tokens.tokens(chain)


def test_what_differs_between_the_shipped_chains() -> None:
    assert [chain for chain in SHIPPED.ids() if SHIPPED[chain].block_number_opcode_is_l1] == ["eip155:42161"]
    assert [chain for chain in SHIPPED.ids() if SHIPPED[chain].ens_registry] == ["eip155:1"]
    assert {c for c in SHIPPED.ids() if SHIPPED[c].sequencer_uptime_feed} == {"eip155:42161", "eip155:8453", "eip155:10", "eip155:534352"}
    assert {c: SHIPPED[c].finality.depth for c in SHIPPED.ids() if SHIPPED[c].finality.depth} == {"eip155:137": 500, "eip155:59144": 600}


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("short_name: eth", "short_nam: eth", 5, "chains.eip155:1.short_nam", "expected one of aliases"),
        ("short_name: eth", "short_name: ETH!", 5, "chains.eip155:1.short_name", "pattern"),
        ('"eip155:1"', '"bip122:000000000019d6689c085ae165831e93"', 2, "chains", "EVM chains"),
        ('"eip155:1"', "1", 3, "chains.1", "CAIP-2"),
        ("{tag: finalized}", "{tag: final}", 8, "chains.eip155:1.finality.tag", "'finalized' or 'safe'"),
        ("{tag: finalized}", "{tag: safe, depth: 3}", 8, "chains.eip155:1.finality", "expected one of tag"),
        ("{tag: finalized}", "{}", 8, "chains.eip155:1.finality", "expected one of tag"),
        ("block_time_seconds: 12", "block_time_seconds: 0", 7, "chains.eip155:1.block_time_seconds", "greater than 0"),
        ("slip44: 60", "slip44: '60'", 6, "chains.eip155:1.native.slip44", "integer"),
        ("https://rpc.example/", "ftp://rpc.example/secret-secret", 10, "chains.eip155:1.endpoints.0.url", "http:// or https://"),
        ("https://rpc.example/", "rpc.example/secret-secret", 10, "chains.eip155:1.endpoints.0.url", "http:// or https://"),
        ("https://rpc.example/", "https://rpc.example/${secret-secret", 10, "chains.eip155:1.endpoints.0.url", "${NAME}"),
        ('{url: "https://rpc.example/"}', '{url: "https://rpc.example/", rps: 3}', 10, "chains.eip155:1.endpoints.0.rps", "maximum_batch"),
        ('{url: "https://rpc.example/"}', "{url: 3}", 10, "chains.eip155:1.endpoints.0.url", "http:// or https://"),
        (
            "    finality",
            "    multicall3: 0xcA11bde05977b3631167028862bE2a173976CA11\n    finality",
            8,
            "chains.eip155:1.multicall3",
            "object",
        ),
        (
            "    finality",
            "    wrapped_native: 0xcA11bde05977b3631167028862bE2a173976CA11\n    finality",
            8,
            "chains.eip155:1.wrapped_native",
            "in quotes",
        ),
        ("    finality", "    sources: {finalty: me}\n    finality", 8, "chains.eip155:1.sources", "finalty is none"),
        ("    name: Ethereum", "    name: Ethereum\n    name: Ether", 5, "name", "twice"),
        ("chains:", "chain:", 2, "chain", "expected one of chains, sources"),
        ("    short_name: eth\n", "", 3, "chains.eip155:1.short_name", "required"),
    ],
)
def test_a_wrong_file_gets_one_line(tmp_path: Path, old: str, new: str, line: int, field: str, words: str) -> None:
    assert old in ONE
    with pytest.raises(ConfigurationError) as caught:
        load_chains(write(tmp_path, ONE.replace(old, new)))
    assert (caught.value.line, caught.value.field) == (line, field)
    assert words in str(caught.value) and "\n" not in str(caught.value) and "secret-secret" not in str(caught.value)


def test_names_must_tell_chains_apart(tmp_path: Path) -> None:
    second = ONE.split("chains:\n")[1].replace("eip155:1", "eip155:2").replace("short_name: eth", "short_name: etc\n    aliases: [eth]")
    with pytest.raises(ConfigurationError, match="eth names eip155:1 and eip155:2"):
        load_chains(write(tmp_path, ONE + second))


def test_a_chain_that_is_not_configured_is_bad_input() -> None:
    with pytest.raises(InputError, match="eip155:5 is not among the configured chains"):
        _ = SHIPPED[ChainId("eip155:5")]


def test_environment_variables_fill_urls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = ONE + '      - {url: "https://other.example/v3/${RPC_KEY}"}\n      - {url: "${WHOLE_URL}", maximum_batch: 3}\n'
    entry = load_chains(write(tmp_path, text))[ChainId("eip155:1")]
    assert [str(endpoint.url) for endpoint in entry.endpoints] == ["https://rpc.example", "https://other.example", "${WHOLE_URL}"]
    environment = {"RPC_KEY": "0123456789abcdef", "WHOLE_URL": "https://u:p@whole.example/k"}
    resolved = entry.resolved_endpoints(environment)
    assert [endpoint.url.reveal() for endpoint in resolved] == [
        "https://rpc.example/",
        "https://other.example/v3/0123456789abcdef",
        "https://u:p@whole.example/k",
    ]
    assert resolved[2].maximum_batch == 3
    assert "0123456789abcdef" not in repr(resolved) and "u:p" not in repr(resolved)
    with caplog.at_level(logging.WARNING):
        assert len(entry.resolved_endpoints({"WHOLE_URL": "secret not a url"})) == 1
    assert "RPC_KEY is not set" in caplog.text and "secret" not in caplog.text and caplog.text.count("left out") == 2


def test_a_chain_whose_every_endpoint_wants_an_unset_variable_says_which(tmp_path: Path) -> None:
    entry = load_chains(write(tmp_path, ONE.replace("https://rpc.example/", "https://rpc.example/${RPC_KEY}")))[ChainId("eip155:1")]
    with pytest.raises(InputError, match=r"RPC_KEY is not set.*--rpc eth=URL"):
        entry.resolved_endpoints({"RPC_KEY": " "})
    with pytest.raises(InputError, match="lists none"):
        entry.model_copy(update={"endpoints": ()}).resolved_endpoints({})


def test_own_endpoints_replace_the_shipped_ones() -> None:
    entry = SHIPPED[ChainId("eip155:1")].with_endpoints(["http://127.0.0.1:8545", "https://rpc.example/key"])
    assert [endpoint.url.reveal() for endpoint in entry.endpoints] == ["http://127.0.0.1:8545", "https://rpc.example/key"]
    assert entry.log_range_blocks == 1_000_000
    assert [endpoint.requests_per_second for endpoint in entry.endpoints] == [1_000, 50]
    with pytest.raises(InputError, match=r"^Ethereum: expected an http:// or https:// URL"):
        SHIPPED[ChainId("eip155:1")].with_endpoints(["ws://127.0.0.1:8545"])


@pytest.mark.parametrize("url", ["", "http://", "https:///path", "http://a b", "http://h\n", "//h", "http://h:99999", "http://[::1", "${A"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="expected an http"):
        EndpointUrl(url)


def test_a_url_compares_and_hashes_by_what_it_hides() -> None:
    assert EndpointUrl("https://h/a") == EndpointUrl("https://h/a") != EndpointUrl("https://h/b")
    assert len({EndpointUrl("https://h/a"), EndpointUrl("https://h/a"), EndpointUrl("https://h/b")}) == 2
    assert f"{EndpointUrl('https://h/a-secret-key')!r}" == "EndpointUrl('https://h')"
    with pytest.raises(UnsetVariable, match="KEY"):
        EndpointUrl("https://h/${KEY}").expanded({})
    with pytest.raises(ValueError, match="expected"):
        EndpointUrl("${KEY}").expanded({"KEY": "${OTHER}"})
