"""Rescue along a path of prices: silos that are liquidated alone, reserves elsewhere, links between chains that take time.

At every step, in this order: silos whose health is below 1 are liquidated (liquidation wins ties); what lands now repays debt; a keeper
serves the silos below its trigger, the weakest first, from every reserve that is free, each unit of which is sent once. On a trigger the
whole reserve goes, as far as the link still takes it. A transfer sent at step t over a lag of n lands at step t + n.

Exact in fractions. The probability that a price path reaches liquidation has two closed forms that bracket every transfer: without any
reserve, and with the reserve at hand from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import exp, log, sqrt

import numpy as np
from scipy.special import ndtr

from aggregator.risk.margin.market import Array

HOURS_PER_YEAR = 365 * 24
Number = Fraction | Decimal | int


@dataclass(frozen=True, slots=True)
class Silo:
    """What a protocol liquidates as one: an amount of one asset against a debt in dollars.

    Health is amount·price·threshold/debt. `close_factor`, `bonus` and `slippage` are fractions that a liquidation costs its owner.
    """

    name: str
    chain: str
    asset: str
    amount: Number
    threshold: Number
    debt: Number
    close_factor: Number = 1
    bonus: Number = 0
    slippage: Number = 0


@dataclass(frozen=True, slots=True)
class Reserve:
    """Dollars that are free on a chain from a step on (a redemption window, an unbonding period)."""

    name: str
    chain: str
    amount: Number
    locked_until: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A way from chain to chain: lag in steps, capacity in dollars over the path, refilled by `refill` a step up to the capacity."""

    source: str
    target: str
    lag: int
    capacity: Number
    fee: Number = 0
    up: bool = True
    refill: Number = 0

    def __post_init__(self) -> None:
        if self.lag < 0 or self.capacity < 0 or not 0 <= self.fee <= 1:
            raise ValueError(f"link from {self.source} to {self.target}: lag {self.lag}, capacity {self.capacity}, fee {self.fee}")


@dataclass(frozen=True, slots=True)
class Sent:
    """One transfer: dollars that left a reserve, and the step they land at."""

    reserve: str
    silo: str
    amount: Fraction
    at: int
    lands: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened along a path."""

    liquidated_at: Mapping[str, int]
    """step by silo; absent where it survives"""
    transfers: tuple[Sent, ...]
    loss: Fraction
    """dollars that liquidations cost: closed debt · (bonus + slippage)"""
    left: Mapping[str, Fraction]
    """of each reserve"""


@dataclass(slots=True)
class _State:
    debts: dict[str, Fraction]
    left: dict[str, Fraction]
    room: dict[int, Fraction]
    flying: list[Sent] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    liquidated: dict[str, int] = field(default_factory=dict)
    loss: Fraction = Fraction(0)


def follow(
    silos: Sequence[Silo],
    reserves: Sequence[Reserve],
    links: Sequence[Link],
    prices: Mapping[str, Sequence[Number]],
    trigger: Number | None,
) -> Outcome:
    """Walk a path. `prices` by asset, one a step; `trigger` is the health below which a keeper acts, None for nobody.

    ValueError where price series differ in length.
    """
    steps = {len(series) for series in prices.values()}
    if len(steps) > 1:
        raise ValueError("price series differ in length")
    state = _State(
        {one.name: Fraction(one.debt) for one in silos},
        {one.name: Fraction(one.amount) for one in reserves},
        {number: Fraction(one.capacity) for number, one in enumerate(links)},
    )
    for step in range(steps.pop() if steps else 0):
        health = {one.name: _health(one, prices, step, state) for one in silos if one.name not in state.liquidated}
        for one in silos:
            reached = health.get(one.name)
            if reached is not None and reached < 1:
                state.liquidated[one.name] = step
                cost = Fraction(one.close_factor) * (Fraction(one.bonus) + Fraction(one.slippage))
                state.loss += state.debts[one.name] * cost
        for number, link in enumerate(links):
            state.room[number] = min(state.room[number] + Fraction(link.refill), Fraction(link.capacity)) if step else state.room[number]
        _land(state, step)
        if trigger is not None:
            _serve(silos, reserves, links, prices, Fraction(trigger), step, state)
            _land(state, step)
    return Outcome(dict(state.liquidated), tuple(state.sent), state.loss, dict(state.left))


def _health(silo: Silo, prices: Mapping[str, Sequence[Number]], step: int, state: _State) -> Fraction | None:
    """None without debt: nothing can liquidate it."""
    debt = state.debts[silo.name]
    return Fraction(silo.amount) * Fraction(prices[silo.asset][step]) * Fraction(silo.threshold) / debt if debt > 0 else None


def _land(state: _State, step: int) -> None:
    """Repay with what arrives; nothing reaches a silo that is gone."""
    for one in [one for one in state.flying if one.lands == step]:
        state.flying.remove(one)
        if one.silo not in state.liquidated:
            state.debts[one.silo] = max(state.debts[one.silo] - one.amount, Fraction(0))


def _serve(
    silos: Sequence[Silo],
    reserves: Sequence[Reserve],
    links: Sequence[Link],
    prices: Mapping[str, Sequence[Number]],
    trigger: Fraction,
    step: int,
    state: _State,
) -> None:
    weak = [
        (health, one) for one in silos if one.name not in state.liquidated and (health := _health(one, prices, step, state)) is not None
    ]
    for health, silo in sorted(weak, key=lambda pair: (pair[0], pair[1].name)):
        if health >= trigger:
            continue
        for reserve in reserves:
            if step < reserve.locked_until or state.left[reserve.name] <= 0:
                continue
            if reserve.chain == silo.chain:
                _send(state, reserve, silo, state.left[reserve.name], Fraction(0), step, 0)
                continue
            ways = [
                (link.lag, number)
                for number, link in enumerate(links)
                if link.up and link.source == reserve.chain and link.target == silo.chain and state.room[number] > 0
            ]
            for lag, number in sorted(ways):
                amount = min(state.left[reserve.name], state.room[number])
                if amount > 0:
                    state.room[number] -= amount
                    _send(state, reserve, silo, amount, Fraction(links[number].fee), step, lag)


def _send(state: _State, reserve: Reserve, silo: Silo, amount: Fraction, fee: Fraction, step: int, lag: int) -> None:
    state.left[reserve.name] -= amount
    one = Sent(reserve.name, silo.name, amount * (1 - fee), step, step + lag)
    state.flying.append(one)
    state.sent.append(one)


def first_passage(health: float, reserve_over_debt: float, volatility: float, hours: float) -> float:
    """Probability that a martingale lognormal price takes a silo below health 1 within `hours`, watched continuously.

    With a reserve: as if it repaid the debt at once, the least that any rescue can leave. 1 where the health is not above 1 already, and 0
    where the reserve covers the whole debt.
    """
    if reserve_over_debt >= 1:
        return 0.0
    distance = log(health / (1.0 - reserve_over_debt)) if health > 0 else -1.0
    if distance <= 0:
        return 1.0
    deviation = volatility * sqrt(hours / HOURS_PER_YEAR)
    if deviation == 0:
        return 0.0
    drift = deviation * deviation / 2
    return float(ndtr((drift - distance) / deviation) + exp(distance) * ndtr((-distance - drift) / deviation))


def liquidated_share(
    relative: Array, health: float, reserve_over_debt: float, trigger: float, lag: int | None, success: float = 1.0
) -> float:
    """Share of price paths on which a silo is liquidated, for one silo and one reserve that a keeper sends once.

    `relative`: prices over the first one, shape (paths, steps). `lag` in steps; None: the reserve never arrives. `success` of the transfer.
    The rules are those of `follow`; pooled is `lag` 0 with a trigger that is always reached.
    """
    local = health * relative
    never = relative.shape[1] + 1
    breach = _first(local < 1.0, never)
    if lag is None or reserve_over_debt <= 0:
        return float(np.mean(breach < never))
    sent = _first(local < trigger, never)
    in_time = (sent < breach) & (sent + lag < breach)
    after = np.arange(relative.shape[1])[None, :] > (sent + lag)[:, None]
    rescued = _first((local / (1.0 - reserve_over_debt) < 1.0) & after, never) if reserve_over_debt < 1 else np.full(len(breach), never)
    without = breach < never
    with_it = np.where(in_time, rescued < never, without)
    return float(np.mean(success * with_it + (1.0 - success) * without))


def _first(found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], never: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.where(found.any(axis=1), found.argmax(axis=1), never).astype(np.int64)
