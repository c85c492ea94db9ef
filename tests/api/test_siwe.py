"""Sign-In with Ethereum: against eth-account's signatures, and every way to be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api.siwe import message_digest, read_message, signer_of
from aggregator.model.errors import InputError
from tests.api.wallets import ALICE, MALLORY

DOMAIN, NONCE, NOW = "margin.example:8080", "a1b2c3d4e5f6a7b8", 1_750_000_000.0


def test_a_good_message_says_whose_it_is() -> None:
    message = ALICE.message(DOMAIN, NONCE, NOW)
    said = read_message(message, DOMAIN, NOW)
    assert (said.address, said.chain, said.nonce, said.expires) == (ALICE.address.lower(), "eip155:1", NONCE, None)
    for versions in (0, 27):
        signature = bytearray.fromhex(ALICE.sign(message)[2:])
        signature[64] += versions - 27
        assert signer_of(message_digest(message), bytes(signature)) == said.address
    assert signer_of(message_digest(message), bytes.fromhex(MALLORY.sign(message)[2:])) == MALLORY.address.lower()


def test_every_optional_line_is_understood() -> None:
    extra = (
        "\nExpiration Time: 2025-06-15T16:00:00.123456789Z\nNot Before: 2025-06-15T14:00:00+00:00\nRequest ID: 7\nResources:\n"
        "- https://margin.example/a\n- ipfs://b"
    )
    assert read_message(ALICE.message(DOMAIN, NONCE, NOW, extra=extra), DOMAIN, NOW).expires == 1_750_003_200.123456
    assert read_message(ALICE.message(DOMAIN, NONCE, NOW, scheme="https://"), DOMAIN, NOW).nonce == NONCE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(f"{DOMAIN} wants", "evil.example wants"), "for evil.example"),
        (lambda text: text.replace(f"URI: http://{DOMAIN}/", "URI: http://evil.example/"), "URI"),
        (lambda text: text.replace(f"URI: http://{DOMAIN}/", f"URI: http://{DOMAIN}@evil.example/"), "URI"),
        (lambda text: text.replace("Version: 1", "Version: 2"), "version"),
        (lambda text: text.replace(ALICE.address, ALICE.address.lower()), "checksum"),
        (lambda text: text + "\nExpiration Time: 2025-06-15T15:06:39Z", "expired"),
        (lambda text: text + "\nNot Before: 2025-06-15T15:06:41Z", "future"),
        (lambda text: text.replace("2025-06-15", "2025-06-13"), "expired"),
        (lambda text: text.replace("2025-06-15", "2025-06-16"), "future"),
        (lambda text: text.replace("2025-06-15", "2025-13-15"), "time"),
        (lambda text: text.replace(NONCE, "short"), "form"),
        (lambda text: text + "\nAnything: else", "form"),
        (lambda text: text + "\n", "form"),
        (lambda text: "x" * 5_000, "form"),
    ],
)
def test_what_is_wrong_with_a_message(change: object, words: str) -> None:
    assert callable(change)
    with pytest.raises(InputError, match=words):
        read_message(change(ALICE.message(DOMAIN, NONCE, NOW)), DOMAIN, NOW)


@pytest.mark.parametrize("signature", ["", "00" * 65, "ff" * 65, "11" * 64, "11" * 66, "11" * 64 + "1d"])
def test_what_no_key_signs(signature: str) -> None:
    assert signer_of(message_digest("text"), bytes.fromhex(signature)) is None


def test_the_other_signature_of_the_same_text_is_refused() -> None:
    message = ALICE.message(DOMAIN, NONCE, NOW)
    raw = bytes.fromhex(ALICE.sign(message)[2:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin = raw[:32] + (order - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big") + bytes([55 - raw[64]])
    assert signer_of(message_digest(message), twin) is None


@given(st.text(max_size=400))
def test_strangers_text_is_refused_and_never_breaks_anything(text: str) -> None:
    with pytest.raises(InputError):
        read_message(text, DOMAIN, NOW)
