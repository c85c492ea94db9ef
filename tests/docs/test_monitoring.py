"""Alert rules and the dashboard ask for what `/metrics` shows, under labels that it has; the rules fire when they should."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from aggregator.api.collectors import Seen, resident_bytes
from aggregator.api.metrics import Metrics
from aggregator.api.readiness import Readiness
from aggregator.engine.live.chain import ChainState
from aggregator.engine.live.live import Live
from aggregator.model.identifiers import ChainId
from aggregator.model.snapshot import Block
from aggregator.store.outbox import Load

DOCKER = Path(__file__).resolve().parents[2] / "docker"
CHAIN = ChainId("eip155:1")
PROMTOOL = shutil.which("promtool")
OF_PROMETHEUS = {"up": {"job", "instance"}}
_FUNCTIONS = {"by", "changes", "deriv", "histogram_quantile", "increase", "le", "min_over_time", "rate", "sum"}
_SELECTOR = re.compile(r"\b([a-z_]{2,})\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def live(trouble: str = "", head: Block | None = None, complete: tuple[bool, ...] = (True,)) -> Live:
    """A loop with one chain, as far as metrics look at it."""
    state = ChainState(CHAIN, head, "asking", trouble, 3, 1.0)
    endpoints = {"https://rpc.example": SimpleNamespace(requests=7, failures=2)}
    network = SimpleNamespace(client=lambda _: SimpleNamespace(endpoint_statistics=endpoints))
    followed = {str(n): SimpleNamespace(watched=True, assessed=_assessed(one)) for n, one in enumerate(complete)}
    made = SimpleNamespace(
        chains=(CHAIN,),
        followed=followed,
        loops={CHAIN: SimpleNamespace(chain=CHAIN, state=state, reads=5)},
        hub=SimpleNamespace(subscribers=1),
        lag_listeners=[],
        engine=SimpleNamespace(network=network),
        silent_seconds=lambda _: 4.0,
    )
    return cast(Live, made)


def _assessed(complete: bool) -> SimpleNamespace:
    return SimpleNamespace(figures=SimpleNamespace(complete=complete))


HEAD = Block(number=12, hash="0x" + "1" * 64, timestamp=1_700_000_000)
WELL = Seen(Readiness(1.0, True, None), Load(2, 1_000_000, 1), 61_000_000)


def samples(metrics: Metrics, seen: Seen = WELL) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Value by name and labels."""
    families = text_string_to_metric_families(metrics.text(seen).decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


async def exposed() -> dict[str, set[str]]:
    """Label names by metric name, of a service that has answered something."""
    metrics = Metrics()
    metrics.observe(live(head=HEAD))
    metrics.answered("GET", "health", 200, 0.01)
    found: dict[str, set[str]] = {name: set(labels) for name, labels in OF_PROMETHEUS.items()}
    for name, labels in samples(metrics):
        found.setdefault(name, {"job", "instance"}).update(label for label, _ in labels)
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((DOCKER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((DOCKER / "grafana/dashboards/crossmargin.json").read_text()))


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with the text that shows its labels."""
    for rule in rules():
        yield rule["expr"], " ".join(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"], " ".join(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))


async def test_rules_and_dashboard_ask_for_metrics_and_labels_that_exist() -> None:
    known = await exposed()
    asked = 0
    for expression, shown in expressions():
        bare = re.sub(r"\bby \(([^)]*)\)", "", expression)
        used = {name: matchers for name, matchers in _SELECTOR.findall(re.sub(r"\[\w+\]", "", bare)) if name not in _FUNCTIONS}
        assert used and used.keys() <= known.keys(), expression
        for name, matchers in used.items():
            assert set(_MATCHER.findall(matchers)) <= known[name], expression
        grouped = [{label.strip() for label in labels.split(",")} for labels in re.findall(r"\bby \(([^)]*)\)", expression)]
        available = set[str]().union(*(known[name] for name in used))
        assert all(labels <= available for labels in grouped), expression
        assert set(shown.split()) <= (set.union(*grouped) if grouped else available), expression
        asked += 1
    assert asked > 30


def test_every_panel_is_drawn_once_and_from_the_provisioned_source() -> None:
    panels = dashboard()["panels"]
    source = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]["uid"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source}
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


async def test_what_is_not_known_is_not_shown_as_a_figure() -> None:
    metrics = Metrics()
    metrics.observe(live(complete=()))
    found = samples(metrics, Seen(Readiness(0.0, False, "the database does not answer"), None, 0))
    assert value(found, "crossmargin_coverage_ratio") is None
    assert value(found, "crossmargin_chain_head_block", chain=CHAIN) is None
    assert not [name for name, _ in found if name.startswith("crossmargin_alerts_")]
    assert value(found, "crossmargin_chain_up", chain=CHAIN) == 0
    assert value(found, "crossmargin_ready") == value(found, "crossmargin_database_up") == 0


async def test_what_is_known_is_shown() -> None:
    metrics = Metrics()
    watched = live(head=HEAD, complete=(True, True, False, True))
    metrics.observe(watched)
    found = samples(metrics)
    assert value(found, "crossmargin_coverage_ratio") == 0.75
    assert value(found, "crossmargin_chain_up", chain=CHAIN) == 1 and value(found, "crossmargin_chain_head_block", chain=CHAIN) == 12
    assert value(found, "crossmargin_alerts_oldest_waiting_seconds") == 60
    assert value(found, "crossmargin_alerts_waiting") == 2 and value(found, "crossmargin_alerts_abandoned") == 1
    assert value(found, "crossmargin_rpc_failures_total", chain=CHAIN, host="https://rpc.example") == 2
    # from the first look on: what begins later shows no increase
    assert value(found, "crossmargin_http_faults_total") == 0
    assert value(found, "crossmargin_http_throttled_total", limit="writes") == 0
    assert value(found, "crossmargin_publish_lag_seconds_count", chain=CHAIN) == 0
    metrics.answered("GET", "health", 500, 0.1)
    metrics.answered("GET", "health", 503, 0.1)
    watched.lag_listeners[0](CHAIN, 0.2)
    found = samples(metrics)
    assert value(found, "crossmargin_http_faults_total") == 1
    assert value(found, "crossmargin_publish_lag_seconds_count", chain=CHAIN) == 1


async def test_a_chain_whose_endpoints_fail_is_down_though_its_head_is_known() -> None:
    metrics = Metrics()
    metrics.observe(live(trouble="no endpoint answers", head=HEAD))
    found = samples(metrics)
    assert value(found, "crossmargin_chain_up", chain=CHAIN) == 0 and value(found, "crossmargin_chain_head_block", chain=CHAIN) == 12


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system has no /proc")
def test_memory_is_read_of_processes_that_are_there() -> None:
    own = resident_bytes(os.getpid())
    assert own is not None and own > 10_000_000
    assert resident_bytes(2**22 + 1) is None


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)")
@pytest.mark.parametrize("words", [("check", "config", "prometheus.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_promtool_finds_the_rules_good(words: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], cwd=DOCKER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [case for test in yaml.safe_load((DOCKER / "alerts_test.yaml").read_text())["tests"] for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names
