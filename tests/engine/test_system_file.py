"""Systems from files: every part reaches the simulation, and what is wrong is named in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aggregator.contagion.impact import ExponentialImpact
from aggregator.contagion.liquidations import Gate, Pairing
from aggregator.contagion.oracles import OracleKind
from aggregator.contagion.scenario import Scenario, shock_from_text
from aggregator.contagion.simulation import simulate
from aggregator.contagion.system import RunRule, System
from aggregator.engine.systemic.system_file import read_system
from aggregator.model.book import WHOLE, Book
from aggregator.model.errors import InputError
from tests.contagion.books import small_book


def _book() -> Book:
    wallets = [({"WETH": 10.0}, {"USDC": 20_000.0}), ({"vault": 10_000.0}, {"USDC": 8_500.0})]
    return small_book(wallets, {"WETH": 2500.0, "vault": 1.0, "USDC": 1.0}, threshold=0.9, bonus=0.0, rule=WHOLE)


def _document() -> dict[str, object]:
    return {
        "tokens": {
            "ETH": {"real_assets": 1e6},
            "USDC": {"real_assets": 1e6, "par": 1e6},
            "vault": {"real_assets": 20_000, "claimed": 20_000, "domains": ["curator:Alpha"]},
        },
        "holdings": [{"holder": "vault", "held": "ETH", "share": 0.0}],
        "assets": {"WETH": "ETH"},
        "depth": {"WETH": 1e7, "USDC": [[0, 1], [1e9, 0.9]]},
        "pools": [
            {
                "market": "pool 0x01",
                "asset": "USDC",
                "supplied": 50_000,
                "borrowed": 28_500,
                "reserve_fund": 500,
                "suppliers": {"vault": 0.4},
            }
        ],
        "bridges": [{"name": "Span", "token": "vault", "locked": 10, "minted": {"eip155:10": 10}, "tokens": {"eip155:10": "vault"}}],
        "oracles": [{"asset": "vault", "kind": "rate", "deviation": 0.005, "heartbeat": 86400}],
        "reactions": [{"source": "perpetuals", "asset": "WETH", "falls": [0, 0.5], "sold": [0, 1e6]}],
        "redeemable": {"USDC": [{"name": "cash", "worth": 1000}]},
        "liquidators": {"gas": 5, "auctions": 0.3, "pairing": "best-pair", "gated": False},
        "runs": {"share_per_tick": 0.5},
    }


def _read(tmp_path: Path, document: object) -> System:
    path = tmp_path / "system.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_system(path, _book(), ExponentialImpact(np.full(3, np.inf)))


def test_every_part_arrives(tmp_path: Path) -> None:
    system = _read(tmp_path, _document())
    assert system.asset_tokens == {0: "ETH", 1: "vault", 2: "USDC"}
    assert system.tokens is not None and system.tokens.domains[2] == ("curator:Alpha",)
    assert system.pools[0].suppliers == (("vault", 0.4),) and system.pools[0].reserve_fund_usd == 500.0
    assert system.oracles is not None and system.oracles.kind.tolist() == [OracleKind.SPOT, OracleKind.RATE, OracleKind.SPOT]
    assert system.oracles.heartbeat.tolist() == [np.inf, 86_400.0, np.inf]
    assert system.runs == RunRule(share_per_tick=0.5)
    assert system.terms.pairing is Pairing.BEST_PAIR and system.terms.gate is None
    sold = np.array([1e7, 1e7, 1e9])
    assert system.impact.factor(sold).tolist() == pytest.approx([np.exp(-1.0), 1.0, 0.9])
    assert system.impact.factor(np.array([1e7]), np.array([0])).tolist() == pytest.approx([np.exp(-1.0)])
    assert system.impact.marginal(np.zeros(3)).tolist() == pytest.approx([1e-7, 0.0, 1e-10])
    assert system.bridges[0].ledger.gap == 0.0 and system.redeemable["USDC"][0].worth == 1_000_000_000


def test_a_scenario_on_it_goes_round(tmp_path: Path) -> None:
    document = {**_document(), "depth": {}, "reactions": [], "liquidators": {"gas": 5, "auctions": 0.3}}
    system = _read(tmp_path, document)
    assert system.terms.gate == Gate(5.0, 0.3)
    found = simulate(system, Scenario("x", (shock_from_text("price:ETH=-50%"),)))
    assert found.cascade.rounds == 0, "without a bonus nobody pays for gas"
    free = simulate(_read(tmp_path, {**document, "liquidators": None, "oracles": []}), Scenario("x", (shock_from_text("price:ETH=-50%"),)))
    assert free.cascade.first_round.tolist() == [1, 2]
    assert free.pools[0].bore["reserve fund"] == 500_000_000


def test_an_oracle_that_follows_another_asset_under_a_ceiling(tmp_path: Path) -> None:
    system = _read(tmp_path, {"oracles": [{"asset": "vault", "market": "0x01", "follows": "USDC", "ceiling": 1.04}]})
    assert system.book.reserves.priced_by.tolist() == [0, 2, 2]
    found = simulate(system, Scenario("x", (shock_from_text("price:USDC=20%"), shock_from_text("price:vault=-50%"))))
    assert found.cascade.oracle_prices[-1].tolist() == pytest.approx([2500.0, 1.04, 1.2])


def test_an_empty_file_is_the_population_alone(tmp_path: Path) -> None:
    system = _read(tmp_path, {})
    assert system.tokens is None and system.asset_tokens == {} and system.pools == ()
    assert np.isinf(system.impact.factor(np.ones(3))).sum() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{", "not JSON"),
        ({"rain": 1}, "rain: Extra inputs are not permitted"),
        ({"tokens": {"a": {"real_assets": -1}}}, "tokens.a.real_assets"),
        ({"tokens": {"a": {"real_assets": "1"}}}, "tokens.a.real_assets"),
        ({"holdings": [{"holder": "a", "held": "b", "share": 2}]}, "holdings.0.share"),
        ({"tokens": {"a": {}}, "holdings": [{"holder": "a", "held": "b", "share": 0.2}]}, "b is not one of the 1 tokens"),
        ({"assets": {"DOGE": "a"}}, "assets: DOGE is not in the population"),
        ({"assets": {"WETH": "a"}}, "a is not one of the 0 tokens"),
        ({"depth": {"DOGE": 1}}, "DOGE is neither a token nor an asset"),
        ({"depth": {"WETH": 0}}, "depth of asset 0"),
        ({"depth": {"WETH": [[0, 1], [1, 2]]}}, "never in price"),
        ({"pools": [{"market": "x", "asset": "USDC", "supplied": 1, "borrowed": 0}]}, "x is no market"),
        ({"pools": [{"market": "0x01", "asset": "USDC", "supplied": 1, "borrowed": 2}]}, "a pool lends 2 of 1"),
        ({"oracles": [{"asset": "WETH", "kind": "magic"}]}, "expected one of spot, twap, rate, constant, composite"),
        ({"runs": {"share_per_tick": 2.0}}, "a share a tick"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: object, words: str) -> None:
    with pytest.raises(InputError) as caught:
        _read(tmp_path, change)
    assert words in str(caught.value) and "system.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.json"):
        read_system(tmp_path / "nothing.json", _book())
