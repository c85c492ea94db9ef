"""A history's format: what is taken, and that whatever is wrong gives one line that names the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aggregator.engine.replay.file import read_history
from aggregator.model.errors import ConfigurationError, InputError
from aggregator.publish.alerts.instant import parse_instant, show_instant, show_span
from aggregator.publish.alerts.observations import BridgeObserved, MarketObserved, PriceObserved, WalletObserved

T = "2026-01-05T00:00:00Z"
GOOD: dict[str, object] = {"t": T, "kind": "price", "asset": "aUSD", "usd": 1.0}


def written(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "history.jsonl"
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines), encoding="utf-8")
    return path


def test_every_kind_is_taken(tmp_path: Path) -> None:
    account: dict[str, object] = {"chain": "eip155:1", "protocol": "aave-v3", "market": "core", "kind": "lending", "health_factor": "1.25"}
    account |= {"collateral_usd": "5000.5", "debt_usd": "3000", "liquidation": {"liquidatable": False, "prices": [{"move": "-0.2"}]}}
    rows: list[dict[str, object]] = [
        {"t": T, "kind": "market", "protocol": "aave-v3", "chain": "eip155:1", "market": "0xaa", "collateral": "aUSD", "loan": "USDC"}
        | {"supply_usd": 5, "borrow_usd": 2.5},
        GOOD | {"source": "oracle", "venue": "somewhere", "block": 7},
        {"t": T, "kind": "allocation", "vault": "V", "chain": "eip155:1", "market": "0xaa", "usd": 0, "curator": "C"},
        {"t": T, "kind": "backing", "token": "aUSD", "shares": {"USDC": 0.5, "bUSD": 0.5}},
        {"t": T, "kind": "bridge", "token": "rETH", "bridge": "b", "locked": {"eip155:1": 3, "eip155:10": 1}, "minted": {"eip155:8453": 4}},
        {"t": T, "kind": "protocol", "protocol": "aave-v3", "tvl_usd": 1e10},
        {"t": T, "kind": "wallet", "owner": "eip155:1:0xabc", "margin_account": account},
        {"t": T, "kind": "wallet", "owner": "0xabc", "collateral_usd": "1000", "debt_usd": "500", "liquidation_threshold": "0.8"},
    ]
    history = read_history(written(tmp_path, *rows))
    market, price, _, _, bridge, _, wallet, flat = history
    assert isinstance(market, MarketObserved) and market.supply_usd == 5.0
    assert isinstance(price, PriceObserved) and price.block == 7
    assert isinstance(bridge, BridgeObserved) and bridge.locked == 4.0
    assert isinstance(wallet, WalletObserved) and (wallet.health_factor, wallet.distance, wallet.collateral_usd) == (1.25, 0.2, 5000.5)
    assert isinstance(flat, WalletObserved) and flat.health_factor == pytest.approx(1.6)


def test_what_is_not_known_is_left_out_or_null(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"t": T, "kind": "market", "market": "0xaa"}, {"t": T, "kind": "price", "asset": "aUSD", "usd": None}]
    rows.append({"t": T, "kind": "bridge", "token": "r", "bridge": "b", "locked": {"a": 1, "b": None}, "minted": {"c": None}})
    market, price, bridge = read_history(written(tmp_path, *rows))
    assert isinstance(market, MarketObserved) and market.supply_usd is None and market.collateral == ""
    assert isinstance(price, PriceObserved) and price.usd is None
    assert isinstance(bridge, BridgeObserved) and bridge.locked is None and bridge.minted == {"c": None}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{not json", "not JSON"),
        ("[1, 2]", "a JSON object"),
        ('"text"', "a JSON object"),
        (GOOD | {"kind": "rumour"}, "kind: expected one of market, price"),
        ({"t": T, "asset": "aUSD", "usd": 1}, "kind"),
        (GOOD | {"colour": "red"}, "colour: unknown field"),
        ({"t": T, "kind": "price", "usd": 1}, "asset: is missing"),
        (json.dumps(GOOD).replace("1.0", "NaN"), "NaN is not a number"),
        (json.dumps(GOOD).replace("1.0", "-Infinity"), "-Infinity is not a number"),
        (json.dumps(GOOD).replace("1.0", "1e999"), "usd"),
        (GOOD | {"usd": -0.5}, "usd: Input should be greater than or equal to 0"),
        (GOOD | {"usd": "1.0"}, "usd"),
        (GOOD | {"usd": True}, "usd"),
        (GOOD | {"asset": ""}, "asset"),
        (GOOD | {"asset": "x" * 301}, "asset"),
        (GOOD | {"t": "2026-01-05T00:00:00"}, "t: expected RFC 3339 in UTC"),
        (GOOD | {"t": "2026-01-05T00:00:00+02:00"}, "t: expected RFC 3339 in UTC"),
        (GOOD | {"t": "2026-02-30T00:00:00Z"}, "t: no such day"),
        (GOOD | {"t": 1767571200}, "t: Input should be a valid string"),
        (GOOD | {"t": "2026-01-04T00:00:00Z"}, "t: goes back to 2026-01-04T00:00:00Z after 2026-01-05T00:00:00Z"),
        ('{"t": "2026-01-05T00:00:00Z", "kind": "price", "asset": "a", "asset": "b"}', "a field stands twice"),
        ({"t": T, "kind": "backing", "token": "a", "shares": {"b": -0.1}}, "shares.b"),
        ({"t": T, "kind": "bridge", "token": "a", "bridge": "b", "locked": 1, "minted": {"c": -1}}, "minted.c"),
        ({"t": T, "kind": "wallet", "owner": "0x", "health_factor": "-1"}, "negative"),
        ({"t": T, "kind": "wallet", "owner": "0x", "health_factor": "nan"}, "health_factor"),
        ({"t": T, "kind": "wallet", "owner": "0x", "hf": "1"}, "hf: unknown field"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, line: object, says: str) -> None:
    path = written(tmp_path, GOOD, GOOD, line, GOOD)
    with pytest.raises(ConfigurationError) as caught:
        read_history(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_empty_and_absent_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"history.jsonl:1: the history is empty"):
        read_history(written(tmp_path))
    with pytest.raises(ConfigurationError, match="the history is empty"):
        read_history(written(tmp_path, "", "  "))
    with pytest.raises(InputError, match="No such file"):
        read_history(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="directory"):
        read_history(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\xff\xfe\n")
    with pytest.raises(ConfigurationError, match=":2: not UTF-8"):
        read_history(path)
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n")
    assert len(read_history(path)) == 1


def test_moments_and_spans() -> None:
    for text in ("2026-01-05T00:00:00Z", "2026-01-05T00:00:00.250000Z", "1969-12-31T23:59:59Z"):
        assert show_instant(parse_instant(text)) == text
    assert parse_instant("2026-01-05t01:02:03.5z") == parse_instant("2026-01-05T01:02:03.500+00:00")
    assert [show_span(one * 1_000_000) for one in (86_400, 172_800, 21_600, 5_400, 90)] == ["24 h", "2 d", "6 h", "90 min", "90 s"]
