"""Who holds a token, and what is asked of its holders only.

Few owners are asked everything at once, with calls that a zero balance skips; of many, only those who held before are asked at once, and
new holders in a further round. So one wallet costs one round, and a hundred wallets cost a hundred balances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from adapters.erc20 import Missing, ask_balances, held
from aggregator.model.identifiers import Address
from aggregator.model.token import Token
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, Word

FEW = 8
"""owners that are all asked everything at once"""

Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True)
class Holder(Generic[Asked]):
    """An owner with a balance (raw, positive), and what was asked about it."""

    owner: Address
    amount: int
    asked: Asked


class HolderReads(Generic[Asked]):
    """Balances of all owners under way, and questions to the holders.

    `ask(owner, balance)` makes the reads about one holder; `balance` is a word of the balance's answer, to be used as argument and as
    condition (`when=`), so that nothing is asked of who holds nothing.
    """

    def __init__(self, scope: Scope, token: Address, ask: Callable[[Address, Word], Asked]) -> None:
        self._scope, self._ask, self._key = scope, ask, f"holders of {token}"
        self._balances: Mapping[Address, Read[Any]] = ask_balances(scope, token)
        known = scope.memory.recall(self._key, frozenset) or frozenset()
        at_once = scope.owners if len(scope.owners) <= FEW else tuple(owner for owner in scope.owners if owner in known)
        self._asked = {owner: ask(owner, self._balances[owner].word(0)) for owner in at_once}

    async def holders(self, token: Token, missing: Missing) -> list[Holder[Asked]]:
        """Everybody with a balance; balances that could not be read are noted. New holders are asked here, all together."""
        found = await held(dict(self._balances), token, missing)
        for owner, _ in found:
            if owner not in self._asked:
                self._asked[owner] = self._ask(owner, self._balances[owner].word(0))
        known = self._scope.memory.recall(self._key, frozenset) or frozenset()
        self._scope.memory.keep(self._key, (known - set(self._scope.owners)) | {owner for owner, _ in found})
        return [Holder(owner, amount, self._asked[owner]) for owner, amount in found]
