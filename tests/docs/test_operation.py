"""What the service is run with: compose, dashboards and alert rules name metrics that exist; locks are hashed; logs hold no secret."""

from __future__ import annotations

import json
import logging
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from aggregator.api.metrics import Metrics, _LiveCollector
from aggregator.cli.service_log import JsonLines, Redaction

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
_METRIC = re.compile(r"\bcrossmargin_[a-z_]+")


class _NoLoops:
    """A service that follows nothing yet."""

    followed: dict[str, object] = {}  # noqa: RUF012
    loops: dict[str, object] = {}  # noqa: RUF012

    class hub:  # noqa: N801
        subscribers = 0


def names() -> set[str]:
    metrics = Metrics()
    metrics.registry.register(_LiveCollector(_NoLoops()))  # type: ignore[arg-type]  # what the collector looks at
    found: set[str] = set()
    for family in text_string_to_metric_families(metrics.text().decode()):
        found |= {family.name, f"{family.name}_total", f"{family.name}_bucket"}
    return found


def loaded(path: str) -> Any:
    return yaml.safe_load((DOCKER / path).read_text())


def test_rules_and_dashboard_name_metrics_that_exist() -> None:
    known = names()
    dashboard = json.loads((DOCKER / "grafana/dashboards/crossmargin.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += [rule["expr"] for group in loaded("alerts.yaml")["groups"] for rule in group["rules"]]
    used = {name for expression in expressions for name in _METRIC.findall(expression)}
    assert used and used - known == set()
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {
        loaded("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]["uid"]
    }
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_compose_runs_without_privileges_and_mounts_what_is_there() -> None:
    compose = loaded("compose.yaml")
    services = compose["services"]
    assert set(services) == {"service", "database", "prometheus", "grafana"}
    assert services["service"]["read_only"] and services["service"]["cap_drop"] == ["ALL"]
    for name, one in services.items():
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ())), name
        for volume in one.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in compose["volumes"], volume
        assert "latest" not in one.get("image", "")
    targets = loaded("prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"service:{services['service']['command'][-1]}"]


def test_the_image_runs_as_somebody_without_privileges() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root)", last, re.MULTILINE) and "--require-hashes" in text and ":latest" not in text
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / one).exists() for one in source.split())


@pytest.mark.parametrize("name", ["build", "runtime", "development", "node"])
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    lock = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [one for one in re.split(r"\n(?=[a-zA-Z0-9])", lock) if one.strip() and not one.startswith("#")]
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert not re.search(r"https?://|--index|--find-links", lock)


def test_every_dependency_that_is_declared_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    locks = "".join((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("runtime", "development")).lower()
    for one in wanted:
        name = re.split(r"[\[<>=!~; ]", one)[0].lower().replace("_", "-")
        assert re.search(rf"^{re.escape(name)}==", locks, re.MULTILINE), one


def test_a_log_line_is_json_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSMARGIN_SIGNING_KEY", "ab" * 32)
    lines = JsonLines(Redaction.of_environment("postgresql://user:hunter2hunter2@db/x"))
    secrets = [
        "ab" * 32,
        "postgresql://user:hunter2hunter2@db/x",
        "https://user:pass@rpc.example/v2/0123456789abcdef0123",
        "wss://rpc.example/key/0123456789abcdef",
        "cm_0123456789abcdef_" + "f" * 64,
        "cs_" + "0" * 64,
        "Authorization: Bearer anything-at-all",
        "mailto://someone:letmein@mail.example",
    ]
    try:
        raise ValueError(secrets[2])
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "f", 1, "told %s\n\x1b[2J", (" ".join(secrets),), sys.exc_info())
    line = lines.format(record)
    assert "\n" not in line and "\x1b" not in line
    read = json.loads(line)
    assert read["level"] == "error" and "rpc.example" in read["message"] and "ValueError" in read["error"]
    for hidden in ("ab" * 32, "hunter2", "0123456789abcdef0123", "/key/", "f" * 64, "0" * 64, "anything-at-all", "letmein", "pass@"):
        assert hidden not in line, hidden
