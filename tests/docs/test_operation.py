"""What the service is run with: image and compose are made of what is there; locks are hashed; logs hold no secret."""

from __future__ import annotations

import json
import logging
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.cli.service_log import JsonLines, Redaction
from aggregator.engine.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"


def loaded(path: str) -> Any:
    return yaml.safe_load((DOCKER / path).read_text())


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
    image = (DOCKER / "Dockerfile").read_text()
    (port,) = re.findall(r"^EXPOSE (\d+)$", image, re.MULTILINE)
    assert f'CMD ["serve", "--host", "0.0.0.0", "--port", "{port}"]' in image and f"127.0.0.1:{port}/healthz" in image
    assert loaded("prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"] == [f"service:{port}"]
    # what the image declares to outlive the container is kept under a name
    (kept,) = re.findall(r"^VOLUME (\S+)$", image, re.MULTILINE)
    assert services["service"]["volumes"] == [f"state:{kept}"] and "command" not in services["service"]


def test_compose_sets_what_is_a_setting_and_pins_what_it_pulls() -> None:
    services = loaded("compose.yaml")["services"]
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(services["service"]["environment"]) <= known
    images = [one["image"] for one in services.values() if "image" in one]
    assert len(images) == 3 and all(re.fullmatch(r"[a-z/]+:v?\d+[\w.-]*", image) for image in images), images


def test_the_image_runs_as_somebody_without_privileges_and_is_made_of_what_is_there() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    # a number, so that who starts it can tell without the image that it is not root
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 2 and all(re.fullmatch(r"python:3\.\d+(\.\d+)?-slim-[a-z]+", base) for base in bases)
    for line in re.findall(r"pip\b.* install .*-r .*", text):
        assert "--require-hashes" in line
    copied = [one for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for one in sources.split()]
    allowed = [one[1:].removesuffix("/*.txt") for one in (ROOT / ".dockerignore").read_text().splitlines() if one.startswith("!")]
    assert sorted(copied) == sorted(allowed) and all((ROOT / one).exists() for one in copied)
    arguments = re.findall(r"^ARG REQUIREMENTS=(\S+)$", text, re.MULTILINE)
    locks = [*arguments, *re.findall(r"--build-arg REQUIREMENTS=(\w+)", text), *re.findall(r"requirements/(\w+)\.txt", text)]
    assert arguments and all((ROOT / "requirements" / f"{name}.txt").is_file() for name in locks)


def test_only_what_the_image_is_made_of_goes_to_the_builder() -> None:
    rules = [one for one in (ROOT / ".dockerignore").read_text().splitlines() if one and not one.startswith("#")]
    assert rules[0] == "*" and {"**/__pycache__", "**/*.pyc"} <= set(rules)


def test_settings_with_keys_are_neither_committed_nor_built_in() -> None:
    (file,) = loaded("compose.yaml")["services"]["service"]["env_file"]
    assert f"docker/{file['path']}" in (ROOT / ".gitignore").read_text().splitlines()
    assert not any("docker" in rule for rule in (ROOT / ".dockerignore").read_text().splitlines())


def test_the_image_has_the_versions_that_are_tested() -> None:
    """What the service needs is a part of what every command needs, release by release."""
    runtime, service = (_pins((ROOT / "requirements" / f"{name}.txt").read_text()) for name in ("runtime", "service"))
    assert service <= runtime
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {_name(one) for one in declared} <= {pin.partition("==")[0] for pin in service}


def _pins(lock: str) -> set[str]:
    return {line.split()[0].lower() for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)}


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("name", ["build", "runtime", "service", "development", "node"])
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
        assert re.search(rf"^{re.escape(_name(one))}==", locks, re.MULTILINE), one


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


def test_a_log_line_still_tells_which_endpoint_it_was() -> None:
    redaction = Redaction(())
    assert redaction("eip155:1: https://rpc.example:8545/v2/0123456789abcdef: refused") == "eip155:1: https://rpc.example:8545: refused"
