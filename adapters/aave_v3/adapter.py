"""The `aave-v3` family: Aave v3.0 to v3.7, and forks of any of them through a manifest alone.

A manifest names per deployment `pool_addresses_provider` and `pool`, and may say in `parameters`: `reserves`, how many to expect before
the pool was ever read; `generation` (`"3.0"` … `"3.7"`), for a fork whose POOL_REVISION counts its own upgrades.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from adapters.aave_v3 import portfolio
from adapters.aave_v3.market import Market, MarketReading, Structure, structure_of
from adapters.aave_v3.maths import Generation
from adapters.aave_v3.owners import Account, ModeReading, OwnerReading
from adapters.aave_v3.surface import GET_POOL, ID_WORD
from aggregator.model.composition import Composition, Part
from aggregator.model.identifiers import ZERO_ADDRESS, AssetId, erc20
from aggregator.model.outcome import Absent, Value
from aggregator.model.snapshot import Gap, Remark
from aggregator.reading.adapter import Adapter, Holdings, Scope
from aggregator.reading.reads import value_or

if TYPE_CHECKING:
    from aggregator.reading.population import Population

SLOTS_TO_SPARE = 2
"""reserves beyond the expected number that the first round makes room for; still more cost a second round"""
SLOTS_UNKNOWN = 16
"""expected reserves of a deployment that says nothing"""
EAGER_BALANCES = 1_500
"""balances up to which all are asked for at once; with more owners a second round asks only for the debts that their bitmaps show"""
EAGER_BALANCES_UNSEEN = 400
"""the same before the pool was ever read, when every balance hangs on the list of reserves"""

_LAST_CATEGORY = 255
"""e-modes are numbered by a byte"""

_STRUCTURE, _ABSENT = "structure", "absent"


class AaveV3(Adapter):
    """One pool, all owners, in one round while the market is as remembered and the owners are few."""

    async def read(self, scope: Scope) -> Holdings:
        if scope.memory.recall(_ABSENT, bool) and not await self._appeared(scope):
            return Holdings()
        structure = scope.memory.recall(_STRUCTURE, Structure)
        fixed = _fixed_generation(scope)
        reading = MarketReading(scope, fixed, structure, len(structure.reserves) if structure else _expected(scope))
        owners = [OwnerReading(scope, owner, reading.oracle.word(0)) for owner in scope.owners]
        eager = 2 * len(owners) * len(reading.reserves) <= (EAGER_BALANCES if structure else EAGER_BALANCES_UNSEEN)
        if eager:
            for owner in owners:
                owner.read_everything(reading.reserves, with_stable_debt=_has_stable_debt(reading.expected))
        if not await reading.is_deployed():
            scope.memory.keep(_ABSENT, True)
            return Holdings()
        if (objection := await reading.objection()) is not None:
            return Holdings(gaps=(self._gap(scope, *objection),))
        addresses = await reading.extend()
        if structure is not None and not await reading.agrees(structure, addresses):
            scope.memory.keep(_STRUCTURE, None)
            return await self.read(scope)
        await _read_the_rest(scope, reading, owners)
        market = await reading.market(addresses)
        if (seen := structure_of(market)) is not None:
            scope.memory.keep(_STRUCTURE, seen)
        return self._holdings(scope, market, [await owner.account(market, addresses) for owner in owners])

    async def population(self, scope: Scope) -> Population | None:
        """Everybody in the pool, from its logs; see `population.py`."""
        from adapters.aave_v3.population import read_population

        structure = scope.memory.recall(_STRUCTURE, Structure)
        return await read_population(self, scope, structure, _fixed_generation(scope), _expected(scope))

    async def _appeared(self, scope: Scope) -> bool:
        """Whether a pool that was not there has been deployed since."""
        absent = isinstance(await scope.reads.call(scope.contract("pool_addresses_provider"), GET_POOL), Absent)
        scope.memory.keep(_ABSENT, absent)
        return not absent

    def _holdings(self, scope: Scope, market: Market, accounts: list[Account]) -> Holdings:
        found = [(account, portfolio.margin_account(scope, self.slug, market, account)) for account in accounts]
        gaps = [self._gap(scope, what, why) for what, why in market.failures]
        remarks = []
        if not market.revision_known:
            remarks.append(Remark("unknown-revision", f"{self._place(scope)}: revision {market.revision} is not one this adapter knows"))
        for account, margin in found:
            gaps += self._gaps_of(scope, market, account)
            if margin is not None and (difference := _difference(market, account)):
                remarks.append(Remark("health-recomputation-differs", f"{self._place(scope)}, {account.owner}: {difference}"))
        return Holdings(
            margin_accounts=tuple(margin for _, margin in found if margin is not None),
            gaps=tuple(dict.fromkeys(gaps)),
            remarks=tuple(remarks),
            tokens=tuple(portfolio.unlisted(scope, market)),
            compositions=tuple(_receipts(scope, market)),
            quotes=tuple(portfolio.quotes(self.slug, market)),
            claims=_claims(scope, market),
        )

    def _gaps_of(self, scope: Scope, market: Market, account: Account) -> Iterable[Gap]:
        """What is missing of one account; balances that failed for the same reason are named together."""
        by_reason: dict[str, list[str]] = {}
        for what, why in account.failures:
            by_reason.setdefault(why, []).append(what)
        for why, unread in by_reason.items():
            shown = ", ".join(unread[:4]) + (f" and {len(unread) - 4} more" if len(unread) > 4 else "")
            yield self._gap(scope, f"{shown} of {account.owner}", why)
        unpriced = [amounts.reserve for amounts in account.amounts if amounts.reserve.price is None]
        for reserve in unpriced:
            yield self._gap(scope, f"oracle price of {reserve.facts.symbol}", reserve.price_failure)
        if account.view is None and (account.configuration != 0 or account.amounts):
            because = f"; no price of {', '.join(reserve.facts.symbol for reserve in unpriced)}" if unpriced else ""
            yield self._gap(scope, f"health of {account.owner}", f"getUserAccountData {account.view_failure}{because}")
        if market.liquidation_allowed is None and account.view is not None and account.view.debt:
            yield self._gap(scope, "sequencer sentinel", "did not answer; liquidations are taken to be allowed")

    def _place(self, scope: Scope) -> str:
        return f"{self.slug} {scope.deployment.market}".rstrip()

    def _gap(self, scope: Scope, what: str, why: str) -> Gap:
        label = f" ({scope.deployment.market})" if scope.deployment.market else ""
        return self.gap(scope, what + label, why)


async def _read_the_rest(scope: Scope, reading: MarketReading, owners: list[OwnerReading]) -> None:
    """Ask for what the first round could not: reserves beyond the expected ones, balances of many owners, stable debts.

    Everything of the first round is awaited before anything is asked for, so that the second travels together.
    """
    generation, _, _ = await reading.generation()
    data = [await reserve.data if reserve.data.done else None for reserve in reading.reserves]
    ids = [outcome.value[ID_WORD] if isinstance(outcome, Value) else None for outcome in data]
    known = [(value_or(await owner.configuration, None), value_or(await owner.e_mode, 0)) for owner in owners]
    modes: dict[int, ModeReading] = {}
    for owner, (configuration, category) in zip(owners, known, strict=True):
        if owner.mode is None and 0 < category <= _LAST_CATEGORY:
            if category not in modes:
                modes[category] = ModeReading(scope, reading.oracle.word(0), category)
            owner.mode = modes[category]
        owner.read_the_rest(reading.reserves, ids, configuration, _has_stable_debt(generation))


def _has_stable_debt(generation: Generation | None) -> bool:
    return generation is not None and generation < Generation.V3_2


def _expected(scope: Scope) -> int:
    stated = scope.deployment.parameters.get("reserves", SLOTS_UNKNOWN)
    return int(stated) + SLOTS_TO_SPARE


def _fixed_generation(scope: Scope) -> Generation | None:
    stated = scope.deployment.parameters.get("generation")
    return None if stated is None else Generation.parse(str(stated))


def _difference(market: Market, account: Account) -> str:
    """Where the recomputed figures differ from the pool's; empty where they agree or could not be recomputed."""
    ours = portfolio.recomputed(market, account)
    if ours is None or account.view is None or ours == account.view:
        return ""
    names = ("collateral", "debt", "available_borrows", "liquidation_threshold", "loan_to_value", "health_factor")
    differing = ((name, getattr(account.view, name), getattr(ours, name)) for name in names)
    return "; ".join(f"{name} {theirs} by the pool, {own} recomputed" for name, theirs, own in differing if theirs != own)


def _claims(scope: Scope, market: Market) -> frozenset[AssetId]:
    """Supply and debt tokens of every reserve: whoever finds them in a wallet has seen a position that stands here."""
    facts = [reserve.facts for reserve in market.reserves]
    tokens = {token for own in facts for token in (own.supply_token, own.variable_token, own.stable_token)}
    return frozenset(erc20(scope.chain, token) for token in tokens - {ZERO_ADDRESS, *(own.underlying for own in facts)})


def _receipts(scope: Scope, market: Market) -> Iterable[Composition]:
    """A supply token is a claim on as many raw units of the underlying."""
    for reserve in market.reserves:
        part = Part(reserve.asset, reserve.facts.symbol, reserve.decimals, 1)
        yield Composition(erc20(scope.chain, reserve.facts.supply_token), 1, (part,), "pegged")


ADAPTER = AaveV3
