"""`crossmargin verify` as a user runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.cli.main import main
from aggregator.model.identifiers import Address, checksum
from aggregator.publish.attestation.document import attest, attestation
from aggregator.publish.attestation.epoch import seal
from aggregator.publish.attestation.statement import UNKNOWN, Domain
from tests.publish.attestation.examples import NOW, OWNER, SCORE, SIGNER, STRANGER, VERIFIER

DOMAIN = Domain(1, VERIFIER)
SIGNED_BY = ("--signer", SIGNER.address, "--at", str(NOW))


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    _, signature = await attest(SIGNER, DOMAIN, SCORE)
    epoch = seal(4, [SCORE, replace(SCORE, owner=Address("0x" + "01" * 20))])
    document = attestation(SIGNER.address, DOMAIN, SCORE, signature, await epoch.inclusion(SIGNER, DOMAIN, OWNER))
    written = tmp_path / "score.json"
    written.write_text(document.model_dump_json(by_alias=True))
    return written


def test_a_good_score_is_shown_and_holds(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(file), *SIGNED_BY]) == 0
    shown = capsys.readouterr().out
    for part in ("81.23", checksum(OWNER), "2.3456", "1.1000", "0.090%", "21000000", "inclusion"):
        assert part in shown
    assert "FAILS" not in shown


def test_json_only_on_stdout(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(file), *SIGNED_BY, "--json", "--verifier", f"eip155:1:{VERIFIER}"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["good"] is True and {one["what"] for one in said["findings"]} >= {"signature", "domain", "coverage", "inclusion"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--signer", STRANGER.address, "--at", str(NOW)), "not trusted"),
        (("--signer", SIGNER.address, "--at", "2026-01-01T00:00:00Z"), "expired"),
        ((*SIGNED_BY, "--verifier", f"10:{VERIFIER}"), "domain"),
        ((*SIGNED_BY, "--verifier", "mainnet"), "expected CHAIN:ADDRESS"),
        ((*SIGNED_BY, "--minimum-coverage", "101"), "percentage"),
        ((*SIGNED_BY, "--minimum-coverage", "NaN"), "percentage"),
        (("--signer", SIGNER.address, "--at", "2026-01-01T00:00:00"), "time zone"),
        (("--signer", SIGNER.address, "--at", "noon"), "expected a time"),
        (("--signer", "0x12"), "0x12"),
    ],
)
def test_what_is_not_good_is_one_line(file: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str) -> None:
    assert main(["verify", str(file), *options]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_changed_figure_is_found(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(file.read_text())
    document["statement"]["score"] += 1
    file.write_text(json.dumps(document))
    assert main(["verify", str(file), *SIGNED_BY]) == 2
    assert "signature" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON"),
        ("[]", "object"),
        ('{"schema":"crossmargin/score/2"}', "schema"),
        ('{"domain":1}', "domain"),
        ("x" * 1_000_001, "larger"),
    ],
)
def test_a_file_that_is_no_score_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    written = tmp_path / "score.json"
    written.write_text(text)
    assert main(["verify", str(written), *SIGNED_BY]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and ("score.json" in said)
    assert message.lower() in said.lower()


def test_no_file_and_no_signer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "/nowhere.json", *SIGNED_BY]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main(["verify", "/nowhere.json"]) == 2
    assert "--signer" in capsys.readouterr().err


async def test_what_is_not_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, _ = await attest(SIGNER, DOMAIN, replace(SCORE, margin_ratio=UNKNOWN, model="\x1b[2J\u202e"))
    written = tmp_path / "score.json"
    written.write_text(document.model_dump_json(by_alias=True))
    assert main(["verify", str(written), *SIGNED_BY]) == 0
    shown = capsys.readouterr().out
    assert "not known" in shown and "\x1b" not in shown and "\u202e" not in shown
