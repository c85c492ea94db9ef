"""Calls written as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.localnet import abi
from aggregator.localnet.receipts import creation_address


def test_a_signature_has_selector_arguments_and_returns() -> None:
    function = abi.parse("balanceOf(address)(uint256)")
    assert function.selector.hex() == "70a08231"
    assert function.arguments == ("address",)
    assert function.returns == ("uint256",)


def test_nested_tuples_and_spaces() -> None:
    function = abi.parse("f((uint256, (address,bool)[])[], bytes)( (int24,int24), string )")
    assert function.arguments == ("(uint256,(address,bool)[])[]", "bytes")
    assert function.returns == ("(int24,int24)", "string")


@pytest.mark.parametrize("text", ["", "balanceOf", "f(", "f(uint256", "f(a,)", "(uint256)", "f(uint256)x", "f()(uint256)(bool)"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(abi.SignatureError):
        abi.parse(text)


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(abi.SignatureError, match="takes 1 arguments, 2 given"):
        abi.parse("f(uint256)").encode([1, 2])


def test_addresses_come_back_checksummed_at_any_depth() -> None:
    mixed = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    data = abi.encode(["(address,address[])"], [(mixed.lower(), [mixed.lower()])])
    assert abi.decode(["(address,address[])"], data) == ((mixed, (mixed,)),)


@given(st.integers(0, 2**256 - 1), st.binary(max_size=80))
def test_what_is_encoded_is_decoded(number: int, data: bytes) -> None:
    assert abi.decode(["uint256", "bytes"], abi.encode(["uint256", "bytes"], [number, data])) == (number, data)


def test_reasons_of_reverts() -> None:
    named = {bytes.fromhex("12345678"): "TooMuch(uint256)"}
    assert abi.revert_reason(b"") == "reverted without a reason"
    assert abi.revert_reason(abi.ERROR_SELECTOR + abi.encode(["string"], ["no"])) == "no"
    assert abi.revert_reason(abi.PANIC_SELECTOR + abi.encode(["uint256"], [17])) == "panic 17"
    assert abi.revert_reason(bytes.fromhex("12345678"), named) == "TooMuch(uint256)()"
    assert abi.revert_reason(bytes.fromhex("87654321")) == "custom error 0x87654321"


def test_creation_addresses_are_those_of_production() -> None:
    provider = "0x2f39d218133AFaB8F2B819B1066c7E434Ad94E9e"
    assert creation_address(provider, 1) == "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2"
    configurator = creation_address(provider, 2)
    assert configurator == "0x64b761D848206f447Fe2dd461b0c635Ec39EbB27"
    # nonces of one byte below and above 0x80, and of two
    assert creation_address("0x8164Cc65827dcFe994AB23944CBC90e0aa80bFcb", 0) != creation_address(provider, 0)
    assert len({creation_address(configurator, nonce) for nonce in (0, 1, 0x7F, 0x80, 0xFF, 0x100, 2**32)}) == 7
    assert creation_address(configurator, 103) == "0x5c647cE0Ae10658ec44FA4E11A51c96e94efd1Dd"
