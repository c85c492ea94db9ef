"""Lending pools while a simulation goes on: losses that reach them and who bears these, suppliers who leave, and the cash that is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array

from aggregator.contagion.causes import CauseKind
from aggregator.contagion.ledger import Ledger
from aggregator.contagion.losses import Claims, WriteDown, write_down
from aggregator.contagion.money import MICRO, Micros, micros
from aggregator.contagion.runs import pay_out
from aggregator.contagion.shadow import Shadow, by_market
from aggregator.contagion.system import System
from aggregator.model.book import Floats

LAYERS = ("reserve fund", "safety module", "surplus over par")
OTHERS = "others"
NOBODY_LEFT = 1e-9
"""share of a pool's first supply below which a class of suppliers has left"""


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at the end. Whole tokens `supplied` and `borrowed`; micro-dollars at the prices of their time: `bad_debt`, who `bore` it
    (funds, tokens that supplied, others; adding up to it), `withdrawn`, and `waiting` for cash that was not there."""

    name: str
    supplied: float
    borrowed: float
    bad_debt: int
    bore: dict[str, int]
    withdrawn: int
    waiting: int

    @property
    def utilisation(self) -> float:
        """Borrowed over supplied; 0 for an empty pool."""
        return self.borrowed / self.supplied if self.supplied > 0.0 else 0.0

    @property
    def frozen(self) -> bool:
        """Somebody waits for cash."""
        return self.waiting > 0


class _Account:
    """One pool's figures as they change."""

    def __init__(self, supplied: float, shares: Floats) -> None:
        self.first = supplied
        self.classes = supplied * shares
        """whole tokens of each class of suppliers, others last"""
        self.queue = np.zeros(len(shares))
        """of those, what each class waits to be paid"""
        self.led: list[int] = []
        """events that made them queue"""
        self.bad_debt = self.withdrawn = self.waiting = 0
        self.bore: dict[str, int] = {}
        self.reason: int | None = None
        self.frozen = False


class PoolBooks:
    """All pools of a system. `unallocated`: micro-dollars of bad debt in reserves that have no pool."""

    def __init__(self, system: System, ledger: Ledger, outflows: dict[int, tuple[float, int]]) -> None:
        self._system, self._ledger, self._outflows = system, ledger, dict(outflows)
        self._pool_of = system.pool_codes()
        self._accounts = []
        for pool in system.pools:
            shares = np.array([share for _, share in pool.suppliers])
            self._accounts.append(_Account(pool.supplied, np.append(shares, max(1.0 - float(shares.sum()), 0.0))))
        tokens = () if system.tokens is None else system.tokens.names
        self._names = (*(system.pool_name(code) for code in range(len(system.pools))), *tokens)
        self._buffers = self._first_buffers()
        self._seen: Micros = ledger.bad_debt.copy()
        self._owed = ledger.owed_units.copy()
        self.unallocated = 0
        self.borne: dict[str, int] = {}
        """micro-dollars by whoever bore them in the end"""

    def _first_buffers(self) -> Micros:
        buffers = np.zeros((len(LAYERS), len(self._names)))
        for code, pool in enumerate(self._system.pools):
            buffers[0, code], buffers[1, code] = pool.reserve_fund_usd, pool.safety_module_usd
        return micros(buffers)

    def _claims(self) -> Claims:
        """Who holds pools and tokens now."""
        pools, count = len(self._accounts), len(self._names)
        rows, columns, shares = list[int](), list[int](), list[float]()
        given = self._system.tokens
        if given is not None:
            edges = given.holdings.tocoo()
            rows, columns, shares = (edges.row + pools).tolist(), (edges.col + pools).tolist(), edges.data.tolist()
            for code, (pool, account) in enumerate(zip(self._system.pools, self._accounts, strict=True)):
                total = float(account.classes.sum())
                for place, (name, _) in enumerate(pool.suppliers):
                    if account.classes[place] > 0.0:
                        rows.append(pools + given.code(name))
                        columns.append(code)
                        shares.append(float(account.classes[place]) / total)
        matrix = coo_array((np.array(shares, dtype=np.float64), (rows, columns)), shape=(count, count)).tocsr()
        return Claims(self._names, matrix, LAYERS, self._buffers)

    def write_down(self, tick: int, market: Floats, surplus: Floats) -> dict[int, tuple[int, int]]:
        """Send this tick's bad debt on; by token code of those that supplied: micro-dollars lost and the event.

        `surplus`: USD by token that stand behind it beyond its par, which bear its losses before its holders do.
        """
        fresh = self._ledger.bad_debt - self._seen
        if not fresh.any():
            return {}
        self._seen = self._ledger.bad_debt.copy()
        self._buffers[2, len(self._accounts) :] = micros(surplus)
        losses = np.zeros(len(self._names), dtype=np.int64)
        for reserve in np.flatnonzero(fresh).tolist():
            pool = int(self._pool_of[reserve])
            if pool < 0:
                self._nobodys(reserve, int(fresh[reserve]), tick)
            else:
                losses[pool] += fresh[reserve]
        for code in np.flatnonzero(losses).tolist():
            account = self._accounts[code]
            led = self._ledger.liquidation_cause(self._system.pools[code].market)
            account.bad_debt += int(losses[code])
            account.reason = self._ledger.causes.add(tick, CauseKind.BAD_DEBT, self._names[code], int(losses[code]), led)
        return self._spread(write_down(self._claims(), losses), losses, tick, market)

    def _nobodys(self, reserve: int, amount: int, tick: int) -> None:
        reserves, book = self._system.book.reserves, self._system.book
        market = book.markets[int(reserves.market[reserve])]
        subject = f"lenders of {book.assets[int(reserves.asset[reserve])].symbol} in {market.protocol} {market.label or market.market}"
        led = self._ledger.liquidation_cause(int(reserves.market[reserve]))
        self._ledger.causes.add(tick, CauseKind.BAD_DEBT, subject, amount, led)
        self.unallocated += amount
        self._bear(subject, amount)

    def _bear(self, who: str, amount: int) -> None:
        if amount:
            self.borne[who] = self.borne.get(who, 0) + amount

    def _spread(self, found: WriteDown, losses: Micros, tick: int, market: Floats) -> dict[int, tuple[int, int]]:
        """Book who bears it, with an event for each claim written down."""
        pools = len(self._accounts)
        self._buffers = self._buffers - found.absorbed
        reason = {code: account.reason for code, account in enumerate(self._accounts) if losses[code] and account.reason is not None}
        fallback = next(iter(reason.values()), None)
        direct: dict[int, tuple[int, int]] = {}
        for holder, held, amount in found.passed:
            led = reason.get(held, fallback)
            event = self._ledger.causes.add(tick, CauseKind.WRITE_DOWN, self._names[holder], amount, () if led is None else (led,))
            reason[holder] = event
            if held < pools:
                self._accounts[held].bore[self._names[holder]] = self._accounts[held].bore.get(self._names[holder], 0) + amount
                before = direct.get(holder - pools, (0, event))[0]
                direct[holder - pools] = before + amount, event
        for layer, node in zip(*np.nonzero(found.absorbed), strict=True):
            amount = int(found.absorbed[layer, node])
            self._bear(f"{LAYERS[layer]} of {self._names[node]}", amount)
            if node < pools:
                bore = self._accounts[node].bore
                bore[LAYERS[layer]] = bore.get(LAYERS[layer], 0) + amount
        for node in np.flatnonzero(found.outside).tolist():
            amount = int(found.outside[node])
            self._bear(f"{'suppliers' if node < pools else 'holders'} of {self._names[node]}", amount)
            if node < pools:
                self._accounts[node].bore[OTHERS] = self._accounts[node].bore.get(OTHERS, 0) + amount
        self._shrink(found, losses, market)
        return direct

    def _shrink(self, found: WriteDown, losses: Micros, market: Floats) -> None:
        """Suppliers' tokens are fewer by what they bore, each class in proportion."""
        for code in np.flatnonzero(losses[: len(self._accounts)]).tolist():
            account, price = self._accounts[code], float(market[self._system.pools[code].asset])
            borne = int(losses[code] - found.absorbed[:, code].sum()) / MICRO
            total = float(account.classes.sum())
            if price > 0.0 and total > 0.0:
                account.classes = account.classes * max(1.0 - borne / price / total, 0.0)

    def _borrowed(self, code: int) -> float:
        repaid = float((self._owed - self._ledger.owed_units)[self._pool_of == code].sum())
        return max(self._system.pools[code].borrowed - repaid, 0.0)

    def withdraw(self, tick: int, blind: Shadow, market: Floats) -> bool:
        """Suppliers who want to leave do, as far as cash goes; whether anybody was paid."""
        acted = False
        hidden = by_market(self._system.book, blind.blind_bad_debt)
        supplied = self._supplied_usd(market)
        for code, account in enumerate(self._accounts):
            wanted, reasons = self._wanted(code, hidden, supplied, market)
            if wanted.any():
                account.queue, account.led = account.queue + wanted, reasons
            account.queue = np.minimum(account.queue, account.classes)
            if account.queue.any() and market[self._system.pools[code].asset] > 0.0:
                acted |= self._pay(code, tick, float(market[self._system.pools[code].asset]))
        self._outflows.clear()
        return acted

    def _wanted(self, code: int, hidden: Floats, supplied: Floats, market: Floats) -> tuple[Floats, list[int]]:
        """Whole tokens that each class asks back now, and the events that led to it; `hidden` and `supplied` in USD by market."""
        account, pool, rule = self._accounts[code], self._system.pools[code], self._system.runs
        wanted, reasons = np.zeros(len(account.classes)), list[int]()
        if code in self._outflows:
            share, event = self._outflows[code]
            wanted, reasons = account.classes * share, [event]
        worth = account.first * float(market[pool.asset])
        if rule is None or not worth > 0.0:
            return wanted, reasons
        shaken = account.bad_debt > 0 and account.bad_debt / MICRO >= rule.loss_trigger * worth
        blind = float(hidden[pool.market])
        if shaken or (blind > 0.0 and blind >= rule.blind_trigger * float(supplied[pool.market])):
            more = np.minimum(account.classes - account.queue, account.first * rule.share_per_tick * self._first_shares(code))
            more[more <= NOBODY_LEFT * account.first] = 0.0
            wanted = np.maximum(wanted, more)
            led = account.reason if shaken else self._hiding(pool.market)
            reasons += [] if led is None else [led]
        return wanted, reasons

    def _supplied_usd(self, market: Floats) -> Floats:
        """What was supplied at first to all pools of each market."""
        codes = [pool.market for pool in self._system.pools]
        worth = [account.first * float(market[pool.asset]) for account, pool in zip(self._accounts, self._system.pools, strict=True)]
        supplied = np.zeros(len(self._system.book.markets))
        np.add.at(supplied, np.array(codes, dtype=np.intp), np.nan_to_num(worth))
        return supplied

    def _first_shares(self, code: int) -> Floats:
        shares = np.array([share for _, share in self._system.pools[code].suppliers])
        return np.append(shares, max(1.0 - float(shares.sum()), 0.0))

    def _hiding(self, market_code: int) -> int | None:
        """The largest event behind the prices of a market's collateral, which its oracles do not show."""
        reserves = self._system.book.reserves
        events = [self._ledger.price_cause(int(asset)) for asset in np.unique(reserves.asset[reserves.market == market_code])]
        known = [event for event in events if event is not None]
        return max(known, key=lambda number: (abs(self._ledger.causes[number].amount), -number), default=None)

    def _pay(self, code: int, tick: int, price: float) -> bool:
        """Pay the queue out of the cash that is there; whether anybody was paid."""
        account, causes = self._accounts[code], self._ledger.causes
        cash = max(float(account.classes.sum()) - self._borrowed(code), 0.0)
        demands, there = micros(account.queue * price), round(cash * price * MICRO)
        paid = pay_out(there, demands, pro_rata=self._system.runs is not None and self._system.runs.pro_rata)
        total = int(paid.sum())
        account.waiting = int(demands.sum()) - total
        if total:
            taken = paid / MICRO / price
            account.withdrawn += total
            account.classes = np.maximum(account.classes - taken, 0.0)
            account.queue = np.where(paid >= demands, 0.0, np.maximum(account.queue - taken, 0.0))
            account.reason = causes.add(tick, CauseKind.WITHDRAWAL, self._names[code], total, account.led)
        if account.waiting and not account.frozen:
            account.frozen = True
            led = [account.reason] if total and account.reason is not None else account.led
            causes.add(tick, CauseKind.FREEZE, self._names[code], account.waiting, led)
        return total > 0

    def states(self) -> tuple[PoolState, ...]:
        """Every pool as it is."""
        return tuple(
            PoolState(
                self._names[code],
                float(account.classes.sum()),
                self._borrowed(code),
                account.bad_debt,
                dict(account.bore),
                account.withdrawn,
                account.waiting,
            )
            for code, account in enumerate(self._accounts)
        )
