"""Keys from every place, and what is said when they are not usable. No message ever holds a key."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from aggregator.publish.attestation.signer import (
    COMMAND,
    KEY,
    KEY_FILE,
    MOST_COMMANDS,
    PASSWORD,
    CommandSigner,
    KeySigner,
    SignerError,
    recover,
    signer_from,
)
from aggregator.publish.attestation.statement import Domain
from aggregator.publish.attestation.typed_data import digest, hash_score
from tests.publish.attestation.examples import SCORE, SIGNER, VERIFIER

SECRET = "00" * 31 + "07"
DOMAIN = Domain(1, VERIFIER)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@given(st.binary(min_size=32, max_size=32), st.integers(1, ORDER - 1))
def test_signatures_are_eth_accounts(value: bytes, secret: int) -> None:
    signer = KeySigner.of(secret.to_bytes(32, "big"))
    assert signer.sign_digest(value) == bytes(Account.unsafe_sign_hash(value, secret.to_bytes(32, "big")).signature)
    assert recover(value, signer.sign_digest(value)) == signer.address == Account.from_key(secret.to_bytes(32, "big")).address.lower()


def test_the_twin_of_a_signature_is_nobodys() -> None:
    value = b"\x05" * 32
    signature = SIGNER.sign_digest(value)
    other = ORDER - int.from_bytes(signature[32:64], "big")
    assert recover(value, signature[:32] + other.to_bytes(32, "big") + bytes([55 - signature[64]])) is None


@pytest.mark.parametrize("signature", [b"", bytes(65), b"\xff" * 64 + b"\x1b", bytes(64), bytes(64) + b"\x01"])
def test_what_is_no_signature_is_nobodys(signature: bytes) -> None:
    assert recover(b"\x05" * 32, signature) is None


async def test_a_key_from_the_environment() -> None:
    signer = await signer_from({KEY: "0x" + SECRET})
    assert signer is not None and signer.address == SIGNER.address
    assert SECRET not in repr(signer)


async def test_no_setting_is_no_signer() -> None:
    assert await signer_from({}) is None


async def test_a_key_file_must_be_private(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")
    file.chmod(0o644)
    with pytest.raises(SignerError, match="chmod 600"):
        await signer_from({KEY_FILE: str(file)})
    file.chmod(0o600)
    signer = await signer_from({KEY_FILE: str(file)})
    assert signer is not None and signer.address == SIGNER.address


async def test_an_encrypted_keystore(tmp_path: Path) -> None:
    file = tmp_path / "keystore.json"
    file.write_text(json.dumps(Account.encrypt(bytes.fromhex(SECRET), "open", kdf="pbkdf2", iterations=2)))
    file.chmod(0o600)
    with pytest.raises(SignerError, match=PASSWORD):
        await signer_from({KEY_FILE: str(file)})
    with pytest.raises(SignerError, match="cannot be decrypted"):
        await signer_from({KEY_FILE: str(file), PASSWORD: "wrong"})
    signer = await signer_from({KEY_FILE: str(file), PASSWORD: "open"})
    assert signer is not None and signer.address == SIGNER.address


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({KEY: "zz" + SECRET[2:]}, "not hex"),
        ({KEY: "00" * 32}, "not a secp256k1 key"),
        ({KEY: SECRET + "07"}, "not a secp256k1 key"),
        ({KEY: SECRET, COMMAND: "true"}, "more than one signer"),
        ({KEY_FILE: "/nowhere/key"}, "cannot be read"),
        ({COMMAND: "/nowhere/sign"}, "could not be started"),
        ({COMMAND: f"{sys.executable} -c pass"}, "did not print"),
        ({COMMAND: f"{sys.executable} -c exit(3)"}, "status 3"),
    ],
)
async def test_one_line_says_what_is_wrong_without_the_key(settings: dict[str, str], message: str) -> None:
    with pytest.raises(SignerError, match=message) as caught:
        await signer_from(settings)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_command_signs_what_it_is_shown(tmp_path: Path) -> None:
    """A wallet's own program: it gets the typed data and knows nothing of ours."""
    script = tmp_path / "sign.py"
    script.write_text(
        "import json, sys\nfrom eth_account import Account\n"
        f"signed = Account.sign_typed_data('0x{SECRET}', full_message=json.load(sys.stdin))\nprint(signed.signature.hex())\n"
    )
    signer = await signer_from({COMMAND: f"{sys.executable} {script}"})
    assert signer is not None and signer.address == SIGNER.address
    signature = await signer.sign(DOMAIN, SCORE)
    assert recover(digest(DOMAIN, hash_score(SCORE)), signature) == SIGNER.address
    assert script.name not in repr(signer)


async def test_a_command_is_started_once_a_statement_and_few_at_a_time(tmp_path: Path) -> None:
    script, log = tmp_path / "sign.py", tmp_path / "log"
    log.mkdir()
    script.write_text(
        "import json, os, pathlib, sys, time\nfrom aggregator.publish.attestation.signer import KeySigner\n"
        "from eth_account.messages import encode_typed_data\nfrom eth_account import Account\n"
        f"folder = pathlib.Path({str(log)!r})\n"
        "mine = folder / str(os.getpid())\nmine.write_text(str(sum(not p.suffix for p in folder.iterdir())))\n"
        f"signed = Account.sign_typed_data('0x{SECRET}', full_message=json.load(sys.stdin))\nprint(signed.signature.hex())\n"
        "mine.rename(mine.with_suffix('.done'))\n"
    )
    signer = await signer_from({COMMAND: f"{sys.executable} {script}"})
    assert isinstance(signer, CommandSigner)
    statements = [replace(SCORE, score=number) for number in range(MOST_COMMANDS + 2)]
    signatures = await asyncio.gather(*(signer.sign(DOMAIN, one) for one in statements))
    assert await asyncio.gather(*(signer.sign(DOMAIN, one) for one in statements)) == signatures
    running = [int(one.read_text()) for one in log.iterdir()]
    assert len(running) == 1 + len(statements), "the probe, and each statement once"
    assert max(running) < MOST_COMMANDS
