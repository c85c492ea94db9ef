"""What Derive answers, as far as it is read here: one model for the shapes of both versions of its API.

The second version states a subaccount's `currency` as text, the third as a list, with risk universe, manager and delayed liquidation
beside it. `public/margin_watch` has neither averages nor open orders; what a subaccount's owner gets from `get_subaccount` has them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import BeforeValidator, Field, TypeAdapter

from aggregator.reading.abi import MalformedAnswer
from aggregator.reading.venue import VenueRefusal
from aggregator.reading.venue_answers import Answer, Name, Note, Number, Whole


def _currencies(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Position(Answer):
    """Margins are what the position adds to the account's, negative where it uses some. Greeks are of one unit."""

    kind: Literal["erc20", "option", "perp"] = Field(alias="instrument_type")
    name: Name = Field(alias="instrument_name")
    amount: Number
    mark_price: Number
    mark_value: Number
    index_price: Number
    maintenance_margin: Number
    initial_margin: Number
    delta: Number
    gamma: Number
    vega: Number
    theta: Number
    liquidation_price: Number | None = None
    average_price: Number | None = None
    leverage: Number | None = None


class Collateral(Answer):
    """Margins are the part of the value that counts; a negative amount is borrowed."""

    asset: Name = Field(alias="asset_name")
    amount: Number
    mark_price: Number
    mark_value: Number
    maintenance_margin: Number
    initial_margin: Number


class Subaccount(Answer):
    """`maintenance_margin` and `initial_margin` are what is left above the requirement: liquidation starts below zero."""

    number: Whole = Field(alias="subaccount_id")
    margin_type: Name
    currencies: Annotated[tuple[Name, ...], BeforeValidator(_currencies), Field(alias="currency", strict=False)]
    value: Number = Field(alias="subaccount_value")
    maintenance_margin: Number
    initial_margin: Number
    positions: tuple[Position, ...]
    collaterals: tuple[Collateral, ...]
    valued_at: Whole | None = Field(default=None, alias="valuation_timestamp")
    """seconds since the epoch"""
    under_liquidation: bool = Field(default=False, alias="is_under_liquidation")
    delayed_liquidation: bool = Field(default=False, alias="is_delayed_liquidation")
    failed: bool = Field(default=False, alias="failed_to_fetch")
    open_orders_margin: Number | None = None
    manager: Whole | None = Field(default=None, alias="manager_id")
    universe: Whole | None = Field(default=None, alias="risk_universe_id")
    maintenance_credits: Number | None = Field(default=None, alias="mm_credits")
    label: Note = ""


class OptionDetails(Answer):
    expiry: Whole
    """seconds since the epoch"""
    strike: Number
    kind: Literal["C", "P"] = Field(alias="option_type")


class ListedInstrument(Answer):
    name: Name = Field(alias="instrument_name")
    option: OptionDetails | None = Field(default=None, alias="option_details")


class Wallet(Answer):
    subaccounts: tuple[Whole, ...] = Field(alias="subaccount_ids")


class _Complaint(Answer):
    code: Whole = 0
    message: Note = ""


class _Envelope(Answer):
    error: _Complaint | None = None


_SUBACCOUNTS: TypeAdapter[tuple[Subaccount, ...]] = TypeAdapter(tuple[Subaccount, ...])
_INSTRUMENTS: TypeAdapter[tuple[ListedInstrument, ...]] = TypeAdapter(tuple[ListedInstrument, ...])


def _result(body: bytes) -> bytes:
    """What stands in the JSON-RPC envelope. VenueRefusal with the venue's words where that is an error."""
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedAnswer("not JSON") from None
    if not isinstance(envelope, dict) or not ({"result", "error"} & envelope.keys()):
        raise MalformedAnswer("neither a result nor an error")
    if envelope.get("result") is None:
        said = _Envelope.model_validate(envelope).error or _Complaint()
        raise VenueRefusal(f"{said.message or 'no reason given'} (code {said.code})")
    return orjson.dumps(envelope["result"])


def decode_wallet(body: bytes) -> Wallet:
    """`public/get_subaccounts`."""
    return Wallet.model_validate_json(_result(body))


def decode_subaccount(body: bytes) -> Subaccount:
    """`public/margin_watch`, `private/get_subaccount`."""
    return Subaccount.model_validate_json(_result(body))


def decode_portfolios(body: bytes) -> tuple[Subaccount, ...]:
    """`private/get_all_portfolios`."""
    return _SUBACCOUNTS.validate_json(_result(body))


def decode_instruments(body: bytes) -> tuple[ListedInstrument, ...]:
    """`public/get_instruments`; in pages or not."""
    inner = orjson.loads(_result(body))
    return _INSTRUMENTS.validate_python(inner.get("instruments", ()) if isinstance(inner, dict) else inner)
