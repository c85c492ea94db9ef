"""Data files: YAML, checked when loaded. What is wrong is said in one line with file, line, field and what was expected."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from aggregator.model.errors import ConfigurationError, InputError
from aggregator.model.identifiers import Address, ChainId, parse_address, parse_chain
from aggregator.reading.redaction import redact

T = TypeVar("T")
Location = tuple[int | str, ...]

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Data(BaseModel):
    """Base of everything that is read from a file: frozen, strict, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _quoted_address(value: Any) -> Address:
    if isinstance(value, int):
        raise ValueError('an address in quotes, "0x…": without them YAML makes it an integer')
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


def load_data(path: Path, model: type[T]) -> T:
    """Parse a YAML file into a `Data` model; ConfigurationError with file, line, field and what was expected.

    YAML's lists fill tuples and its strings fill enums, dates and decimals; nothing else is converted. A key that stands twice in one
    mapping is an error, as one of the two would be lost silently.
    """
    node, raw = _read(path)
    try:
        # Checked as JSON: strict validation then still takes an array for a tuple and a string for an enum.
        return TypeAdapter(model).validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        first = _most_telling(error.errors(include_url=False))
        location: Location = tuple(first["loc"])
        field = ".".join(str(key) for key in location if key != "[key]")
        raise ConfigurationError(path, _line(node, location), field, _expectation(model, location, first)) from None
    except (ValueError, RecursionError):
        raise ConfigurationError(path, None, "", "nested too deeply, or an alias that contains itself") from None


def _read(path: Path) -> tuple[yaml.Node | None, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(path, None, "", f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(path, None, "", "expected a text file in UTF-8") from None
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise ConfigurationError(path, None, "", "the file is empty")
            _no_key_twice(path, node)
            return node, loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigurationError(path, mark.line + 1 if mark is not None else None, "", f"not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        raise ConfigurationError(path, None, "", f"not valid YAML: {error.reason} at character {error.position}") from None
    except (ValueError, RecursionError) as error:
        # A scalar that looks like a date but is none, or nesting beyond what the parser takes.
        raise ConfigurationError(path, None, "", f"not valid YAML: {error}") from None


def _no_key_twice(path: Path, root: yaml.Node) -> None:
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        children: Iterable[yaml.Node] = ()
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise ConfigurationError(path, key.start_mark.line + 1, "", "expected a plain word as key")
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise ConfigurationError(path, line, key.value, f"stands twice in one mapping, first in line {lines[key.value]}")
                lines[key.value] = line
            children = (value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def _most_telling(errors: list[Any]) -> Any:
    """The first error; a misspelt field rather than the one that it leaves missing."""
    first = errors[0]
    if first["type"] == "missing":
        siblings = (error for error in errors if error["type"] == "extra_forbidden" and error["loc"][:-1] == first["loc"][:-1])
        return next(siblings, first)
    return first


def _expectation(model: Any, location: Location, error: Any) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        known = sorted(_fields_at(model, location[:-1]))
        return "field not permitted" + (f"; expected one of {', '.join(known)}" if known else "")
    if kind == "missing":
        return "required, and not there"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{message}, got {_short(value, location)}"


def _fields_at(model: Any, location: Location) -> set[str]:
    """Names of the fields that the mapping at `location` may have."""
    models = list(_models(model))
    for key in location:
        inner = [found for m in models if key in m.model_fields for found in _models(m.model_fields[str(key)].annotation)]
        # an index or a free key leads no deeper into the types: the models found already are those of the elements
        models = inner or models
    return {name for m in models for name in m.model_fields}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models(argument)


def _short(value: Any, location: Location) -> str:
    """A value for a message: short, and nothing of a URL but its host."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and ("://" in value or (location and location[-1] == "url")):
        return redact(value)
    text = hex(value) if isinstance(value, int) and value >= 1 << 64 else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _line(node: yaml.Node | None, location: Location) -> int | None:
    """Line of the deepest node on the way to `location`."""
    if node is None:
        return None
    line: int = node.start_mark.line + 1
    for key in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line
