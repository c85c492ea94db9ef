"""Answers that are calculated when they are asked for, from an owner's present picture. Run in workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from aggregator.engine.margin import margin_document
from aggregator.engine.margin_input import margin_input_of
from aggregator.engine.snapshot import Picture
from aggregator.engine.what_if import WhatIfRequest, run_what_if
from aggregator.engine.what_if_document import what_if_document
from aggregator.model.errors import InputError
from aggregator.model.identifiers import ChainId
from aggregator.risk.action import parse_action
from aggregator.risk.margin.registry import model
from aggregator.risk.shock import shock_of


@dataclass(frozen=True, slots=True)
class WhatIfQuestion:
    """As written; see the command line's `what-if`."""

    shocks: tuple[str, ...]
    actions: tuple[str, ...] = ()
    restore: str | None = None
    methods: tuple[str, ...] = ()

    def request(self, resolve: Callable[[str], ChainId]) -> WhatIfRequest:
        """InputError for what cannot be understood."""
        if not (self.shocks or self.actions or self.restore):
            raise InputError("nothing to look at: expected shocks, actions or restore")
        for name in self.methods:
            model(name)
        return WhatIfRequest(
            shock=shock_of(self.shocks, resolve),
            actions=tuple(parse_action(text, resolve) for text in self.actions),
            health=Fraction(self.restore) if self.restore is not None else None,
            methods=tuple(dict.fromkeys(self.methods)),
        )


def what_if_json(picture: Picture, request: WhatIfRequest) -> bytes:
    """The what-if document as JSON. InputError for names and actions that make no sense for this portfolio."""
    return what_if_document(run_what_if(picture, request)).model_dump_json(by_alias=True).encode()


def margin_json(picture: Picture, methods: tuple[str, ...]) -> bytes:
    """The margin document as JSON, by the named methods or by all. InputError for an unknown name."""
    for name in methods:
        model(name)
    return margin_document(margin_input_of(picture), methods).model_dump_json(by_alias=True).encode()
