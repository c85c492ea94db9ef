"""`crossmargin verify FILE --signer ADDRESS`: whether a signed score is good, and its proof, without any chain or service."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.common import add_json_option, console
from aggregator.model.errors import InputError
from aggregator.model.identifiers import parse_address

if TYPE_CHECKING:
    from aggregator.publish.attestation.document import Finding, ScoreAttestation
    from aggregator.publish.attestation.statement import Domain, MarginScore

LARGEST_FILE_BYTES = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a signed score as JSON, crossmargin/score/1; - for standard input")
    parser.add_argument("--signer", metavar="ADDRESS", action="append", required=True, help="a signer that you trust (repeatable)")
    parser.add_argument("--verifier", metavar="CHAIN:ADDRESS", help="it must be for this contract, for example eip155:1:0x…")
    parser.add_argument(
        "--minimum-coverage", metavar="PERCENT", default="100", help="how much it must cover (default: 100, nothing missing)"
    )
    parser.add_argument("--at", metavar="TIME", help="as of this time instead of now: RFC 3339, or unix seconds")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    from aggregator.publish.attestation.document import verify

    document = _read(arguments.file)
    trusted = [parse_address(one) for one in arguments.signer]
    expected = _domain(arguments.verifier) if arguments.verifier is not None else None
    findings = verify(document, _time(arguments.at), trusted, _basis_points(arguments.minimum_coverage), expected)
    good = all(finding.holds for finding in findings)
    if arguments.json:
        rows = [{"what": one.what, "holds": one.holds, "detail": one.detail} for one in findings]
        json.dump({"schema": "crossmargin/verification/1", "good": good, "findings": rows}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        sys.stdout.flush()
    else:
        _show(document, findings)
    if not good:
        raise InputError("this score is not good: " + "; ".join(f"{one.what}: {one.detail}" for one in findings if not one.holds))
    return 0


def _read(name: str) -> ScoreAttestation:
    from pydantic import ValidationError

    from aggregator.publish.attestation.document import ScoreAttestation

    try:
        if name == "-":
            raw = sys.stdin.buffer.read(LARGEST_FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from None
    if len(raw) > LARGEST_FILE_BYTES:
        raise InputError(f"{name}: larger than {LARGEST_FILE_BYTES} bytes, which no signed score is")
    try:
        return ScoreAttestation.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name}: {where + ': ' if where else ''}{first['msg']}") from None


def _domain(text: str) -> Domain:
    from aggregator.publish.attestation.statement import Domain

    match = re.fullmatch(r"(?:eip155:)?([0-9]{1,18}):(0x[0-9a-fA-F]{40})", text)
    if match is None:
        raise InputError(f"--verifier {text}: expected CHAIN:ADDRESS, for example eip155:1:0x…")
    return Domain(int(match[1]), parse_address(match[2]))


def _basis_points(text: str) -> int:
    try:
        value = Decimal(text) * 100
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value <= 10_000:
        raise InputError(f"--minimum-coverage {text}: expected a percentage from 0 to 100")
    return int(value.to_integral_value(rounding="ROUND_CEILING"))


def _time(text: str | None) -> int:
    if text is None:
        return int(time.time())
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--at {text}: expected a time such as 2026-01-31T12:00:00Z, or unix seconds") from None
    if parsed.tzinfo is None:
        raise InputError(f"--at {text}: has no time zone; add Z for UTC")
    return int(parsed.timestamp())


def _show(document: ScoreAttestation, findings: tuple[Finding, ...]) -> None:
    from rich.table import Table

    from aggregator.model.identifiers import checksum
    from aggregator.publish.attestation.document import statement_of

    score = statement_of(document.statement)
    out = console()
    out.print(f"Margin score {score.score / 100:.2f} of {checksum(score.owner)}")
    for name, value in _facts(score):
        out.print(f"  {name:24} {value}")
    table = Table(box=None, pad_edge=False, show_header=False)
    for overflow in ("ellipsis", "ellipsis", "fold"):
        table.add_column(overflow=overflow)
    for finding in findings:
        table.add_row("holds" if finding.holds else "FAILS", finding.what, finding.detail)
    out.print()
    out.print(table)


def _facts(score: MarginScore) -> list[tuple[str, str]]:
    from aggregator.publish.attestation.document import shown
    from aggregator.publish.attestation.statement import WAD

    def ratio(value: int) -> str:
        return str((Decimal(value) / WAD).quantize(Decimal("1e-4"), ROUND_FLOOR)) if abs(value) < 10**30 * WAD else "beyond all measure"

    chances = (score.probability_hour, score.probability_day, score.probability_week)
    return [
        ("liquidated within", " · ".join(f"{name} {value / WAD:.3%}" for name, value in zip(("1 h", "1 d", "7 d"), chances, strict=True))),
        ("margin ratio", shown(score.margin_ratio, ratio)),
        ("lowest health factor", shown(score.lowest_health_factor, ratio)),
        ("as of", f"{datetime.fromtimestamp(score.as_of, UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("blocks", " · ".join(f"eip155:{one.chain_id} {one.number}" for one in score.blocks)),
        ("model", "".join(c if c.isprintable() else "?" for c in score.model)),
    ]
