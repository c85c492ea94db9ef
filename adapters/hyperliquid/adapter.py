"""Everything that an address has on Hyperliquid core: every dex, spot, lending, vaults, staking, and the same of its sub-accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import localcontext
from typing import TypeVar

from adapters.hyperliquid.accounts import Keeping, Standing, accounts_of
from adapters.hyperliquid.answers import (
    Abstraction,
    AllMetas,
    ClearinghouseState,
    LendingState,
    PerpDexes,
    Reserves,
    SpotMarkets,
    SpotState,
    Staking,
    SubAccounts,
    VaultEquities,
)
from adapters.hyperliquid.beside import Beside, lending_terms
from adapters.hyperliquid.market import MAIN, Market, market_of
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, parse_address
from aggregator.model.instrument import VenueAccount
from aggregator.model.outcome import Outcome, Value
from aggregator.model.snapshot import Gap, Remark
from aggregator.reading.adapter import Holdings
from aggregator.reading.reads import why
from aggregator.reading.venue import VenueAdapter, VenueOwner, VenueRead, VenueReads, VenueScope
from aggregator.reading.venue_answers import DIGITS

T = TypeVar("T")

STATE_WEIGHT = 2
"""of the state calls and `allMids`; everything else of the info endpoint weighs 20"""
WEIGHT = 20
DEXES = "dexes"
"""names of the builders' dexes, remembered so that their states travel with the first round"""

_ABSTRACTIONS = {"unifiedAccount": Keeping.UNIFIED, "portfolioMargin": Keeping.PORTFOLIO}


@dataclass(slots=True)
class _Asked:
    """Reads of one address under way."""

    owner: VenueOwner
    abstraction: VenueRead[Abstraction]
    spot: VenueRead[SpotState]
    lending: VenueRead[LendingState]
    vaults: VenueRead[VaultEquities]
    staking: VenueRead[Staking]
    subs: VenueRead[SubAccounts]
    states: dict[str, VenueRead[ClearinghouseState]]


class Hyperliquid(VenueAdapter):
    """See the module. Figures are the venue's; maintenance margin of isolated positions follows its tables."""

    def names(self, text: str) -> AccountId | None:
        try:
            return AccountId(self.manifest.chain, parse_address(text.strip()))
        except InputError:
            return None

    async def read(self, scope: VenueScope) -> Holdings:
        reads = scope.reads
        dexes_read = _info(reads, "perpDexs", PerpDexes)
        metas_read = _info(reads, "allPerpMetas", AllMetas)
        spot_read = _info(reads, "spotMetaAndAssetCtxs", SpotMarkets)
        reserves_read = _info(reads, "allBorrowLendReserveStates", Reserves)
        known: tuple[str, ...] = scope.memory.recall(DEXES, tuple) or ()
        asked = [self._ask(reads, owner, known) for owner in scope.owners]
        work = _Work(self)
        dexes, metas = await dexes_read, await metas_read
        names = _names(dexes, metas)
        if names is None:
            work.gaps.append(self.gap("dexes of builders", why(dexes)))
            names = known
        else:
            scope.memory.keep(DEXES, names)
        for one in asked:
            for dex in names:
                if dex not in one.states:
                    one.states[dex] = _state(reads, one.owner.name, dex)
        spot, reserves = await spot_read, await reserves_read
        work.market = market_of(self.manifest.chain, _value(dexes), _value(metas), _value(spot), _value(reserves))
        work.shared = {"margin tables": metas, "prices of spot tokens": spot}
        for one in asked:
            await work.take(one, names, scope.now_ms)
        return work.holdings()

    def _ask(self, reads: VenueReads, owner: VenueOwner, dexes: tuple[str, ...]) -> _Asked:
        user = owner.name
        return _Asked(
            owner,
            _info(reads, "userAbstraction", Abstraction, user),
            _info(reads, "spotClearinghouseState", SpotState, user, STATE_WEIGHT),
            _info(reads, "borrowLendUserState", LendingState, user),
            _info(reads, "userVaultEquities", VaultEquities, user),
            _info(reads, "delegatorSummary", Staking, user),
            _info(reads, "subAccounts2", SubAccounts, user),
            {dex: _state(reads, user, dex) for dex in (MAIN, *dexes)},
        )


VENUE = Hyperliquid


class _Work:
    """What was made so far."""

    def __init__(self, adapter: Hyperliquid) -> None:
        self.adapter = adapter
        self.market = Market()
        self.shared: Mapping[str, Outcome[object]] = {}
        self.accounts: dict[str, VenueAccount] = {}
        self.gaps: list[Gap] = []
        self.remarks: list[Remark] = []

    async def take(self, asked: _Asked, names: tuple[str, ...], now_ms: int) -> None:
        """Wait for one address and make its accounts, and those of its sub-accounts."""
        user, owner = asked.owner.name, asked.owner.account
        abstraction, spot, lending = await asked.abstraction, await asked.spot, await asked.lending
        states: dict[str, ClearinghouseState] = {}
        for dex in (MAIN, *names):
            outcome = await asked.states[dex]
            if isinstance(outcome, Value):
                states[dex] = outcome.value
            else:
                self._gap(f"perpetuals of {user}{f' on {dex}' if dex else ''}", outcome)
        if not isinstance(spot, Value):
            self._gap(f"spot balances of {user}", spot)
        if not isinstance(lending, Value):
            self._gap(f"lending of {user}", lending)
        keeping = _keeping(abstraction, spot)
        if keeping is None:
            self._gap(f"perpetuals of {user}: how it keeps its balances", abstraction)
        else:
            terms = {"account.abstraction": _said(abstraction), "account.keeping": keeping.value, **lending_terms(lending, self.market)}
            self._make(Standing(user, owner, keeping, states, _value(spot), now_ms, terms))
        beside = Beside(user, owner, self.market, now_ms)
        vaults, staking = await asked.vaults, await asked.staking
        if isinstance(vaults, Value):
            beside.vaults(vaults.value)
        else:
            self._gap(f"vault deposits of {user}", vaults)
        if isinstance(staking, Value):
            beside.staking(staking.value)
        else:
            self._gap(f"staked HYPE of {user}", staking)
        if isinstance(lending, Value) and isinstance(spot, Value) and keeping is not Keeping.PORTFOLIO:
            beside.lending(lending.value, spot.value)
        self._add(beside.accounts)
        self.remarks += beside.remarks
        self.gaps += [self.adapter.gap(f"{what} of {user}", reason) for what, reason in beside.unknown]
        subs = await asked.subs
        if not isinstance(subs, Value):
            self._gap(f"sub-accounts of {user}", subs)
            return
        for sub in subs.value.root or ():
            address = sub.address.lower()
            of_sub = _keeping(None, Value(sub.spot))
            if of_sub is not None:
                terms = {"account.master": user, "account.keeping": of_sub.value}
                self._make(Standing(address, owner, of_sub, dict(sub.states), sub.spot, now_ms, terms))

    def _make(self, standing: Standing) -> None:
        """Accounts of one address; what needs facts that were not read is left out and named."""
        unknown = [dex for dex, state in standing.states.items() if dex not in self.market.collateral and _holds(state)]
        for dex in unknown:
            self._gap(f"perpetuals of {standing.address} on {dex}: their collateral", self.shared["margin tables"])
        known = {dex: state for dex, state in standing.states.items() if dex in self.market.collateral}
        for escrow in (standing.spot and standing.spot.escrows) or ():
            if escrow.total:
                what = f"{escrow.total:f} {escrow.coin} of {standing.address} on their way to HyperEVM"
                self.gaps.append(self.adapter.gap(what, "not known to be part of the balance"))
        with localcontext(prec=DIGITS):
            accounts, remarks = accounts_of(replace(standing, states=known), self.market)
        self._add(accounts)
        self.remarks += remarks

    def _add(self, accounts: list[VenueAccount]) -> None:
        """Each account once, also where somebody asks for an address and for its sub-account."""
        for account in accounts:
            self.accounts.setdefault(account.account, account)

    def _gap(self, what: str, outcome: Outcome[object]) -> None:
        reason = why(outcome) if not isinstance(outcome, Value) else "the venue does not say"
        self.gaps.append(self.adapter.gap(what, reason))

    def holdings(self) -> Holdings:
        """Everything; facts that only some accounts need are named where one of them does."""
        accounts = tuple(self.accounts.values())
        spot = self.shared["prices of spot tokens"]
        if not isinstance(spot, Value) and any(balance.price_usd is None for one in accounts for balance in one.balances):
            self._gap("prices of spot tokens", spot)
        metas = self.shared["margin tables"]
        tables = {name.rpartition(".tier.")[0] for one in accounts if one.parameters is not None for name in one.parameters.values}
        if not isinstance(metas, Value) and any(holding.instrument.symbol not in tables for one in accounts for holding in one.holdings):
            self._gap("margin tables", metas)
        return Holdings(venue_accounts=accounts, gaps=tuple(self.gaps), remarks=tuple(self.remarks))


def _info(reads: VenueReads, kind: str, answer: type[T], user: str | None = None, weight: int = WEIGHT) -> VenueRead[T]:
    return reads.post("/info", {"type": kind} if user is None else {"type": kind, "user": user}, answer, weight=weight)


def _state(reads: VenueReads, user: str, dex: str) -> VenueRead[ClearinghouseState]:
    body = {"type": "clearinghouseState", "user": user} | ({"dex": dex} if dex else {})
    return reads.post("/info", dict(body), ClearinghouseState, weight=STATE_WEIGHT)


def _names(dexes: Outcome[PerpDexes], metas: Outcome[AllMetas]) -> tuple[str, ...] | None:
    """The builders' dexes; None where neither answer names them."""
    if isinstance(dexes, Value):
        return tuple(one.name for one in dexes.value.root if one is not None)
    if isinstance(metas, Value):
        prefixes = (listing.name.partition(":")[0] for meta in metas.value.root[1:] for listing in meta.universe if ":" in listing.name)
        return tuple(dict.fromkeys(prefixes))
    return None


def _keeping(abstraction: Outcome[Abstraction] | None, spot: Outcome[SpotState]) -> Keeping | None:
    """How the balances are kept. The spot state shows it: only pooled accounts have an amount available after maintenance.

    What the account chose counts where the spot state shows nothing; None where neither could be read.
    """
    chosen = _ABSTRACTIONS.get(abstraction.value.root, Keeping.STANDARD) if isinstance(abstraction, Value) else None
    if not isinstance(spot, Value):
        return chosen
    if spot.value.portfolio_margin or spot.value.portfolio_ratio is not None:
        return Keeping.PORTFOLIO
    if spot.value.available is not None:
        return Keeping.PORTFOLIO if chosen is Keeping.PORTFOLIO else Keeping.UNIFIED
    return chosen if chosen is not None else Keeping.STANDARD


def _said(abstraction: Outcome[Abstraction]) -> str:
    return abstraction.value.root or "none" if isinstance(abstraction, Value) else "unknown"


def _holds(state: ClearinghouseState) -> bool:
    return bool(state.positions or state.whole.account_value)


def _value(outcome: Outcome[T]) -> T | None:
    return outcome.value if isinstance(outcome, Value) else None
