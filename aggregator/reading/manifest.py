"""An adapter's manifest: data, checked when it is loaded. A fork of a known protocol is a manifest and no Python."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from aggregator.model.errors import ConfigurationError, InputError
from aggregator.model.identifiers import Address, ChainId, parse_address, parse_chain


def _quoted_address(value: Any) -> Address:
    if isinstance(value, int):
        raise ValueError("an unquoted hex address is an integer in YAML; put it in quotes")
    try:
        return parse_address(str(value))
    except InputError as error:
        raise ValueError(str(error)) from None


def _chain(value: Any) -> ChainId:
    try:
        return parse_chain(str(value))
    except InputError as error:
        raise ValueError(str(error)) from None


QuotedAddress = Annotated[Address, BeforeValidator(_quoted_address)]
Caip2 = Annotated[ChainId, BeforeValidator(_chain)]


class Data(BaseModel):
    """Base of everything that is read from a file: frozen, strict, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Support(StrEnum):
    EXACT = "exact"
    """equal to the protocol's own figure to the last unit"""
    PARTIAL = "partial"
    NONE = "none"


class Tier(StrEnum):
    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PLATINUM = "platinum"


class Capability(StrEnum):
    POSITIONS = "positions"
    HEALTH = "health"
    LIQUIDATION = "liquidation"
    LOOK_THROUGH = "look-through"
    FEES = "fees"
    TOTALS = "totals"


class Deployment(Data):
    """One instance of the protocol on one chain. `contracts` by role, as the family names them."""

    market: str = ""
    """label where a chain has several, for example `Core`, `Horizon`; empty for the only one"""
    contracts: dict[str, QuotedAddress]
    deployed_at: Annotated[int, Field(ge=0)] | None = None
    """block of deployment: where log searches begin"""
    holds: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """roles in `contracts` that are tokens whose balances this adapter reads, so that no other adapter reads them"""
    parameters: dict[str, str | int | bool] = {}
    """what else the family needs, by the names it documents"""
    source: str
    """where the addresses were taken from"""


class Manifest(Data):
    """One adapter: who, what, where."""

    slug: str
    """DefiLlama's slug"""
    name: str
    family: str
    """the slug of the folder whose code reads it; its own slug where it has code of its own"""
    documentation: str
    tier: Annotated[Tier, Field(strict=False)]
    capabilities: dict[Annotated[Capability, Field(strict=False)], Annotated[Support, Field(strict=False)]]
    reveals: str | None = None
    """the event that reveals accounts, as `Name(types)`"""
    deployments: dict[Caip2, tuple[Deployment, ...]] = Field(strict=False)


def load_data(path: Path, model: type[Any]) -> Any:
    """Parse a YAML file into a `Data` model; ConfigurationError with file, line, field and what was expected."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(path, None, "", f"cannot be read ({error.strerror})") from None
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
        raw = yaml.safe_load(text) if node is None else yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        raise ConfigurationError(path, line, "", f"not valid YAML: {error.problem}") from None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = tuple(first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigurationError(
            path, _line(node, location), ".".join(map(str, location)), f"{message}, got {_short(first['input'])}"
        ) from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _line(node: yaml.Node | None, location: tuple[Any, ...]) -> int | None:
    """Line of the deepest node on the way to `location`."""
    line = None
    for key in location:
        if node is None:
            break
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if match is None:
                return line
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line if line is not None else (node.start_mark.line + 1 if node is not None else None)
