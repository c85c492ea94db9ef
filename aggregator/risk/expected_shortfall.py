"""Expected shortfall of equally likely losses: of rows, of a sorted tail, and as the weights that make it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.risk.shapes import Array


def expected_shortfall(losses: Array, level: float) -> float:
    """Mean of the worst (1−level) of equally likely losses, the last one in part: coherent for every number of draws."""
    return float(expected_shortfalls(losses[None, :], level)[0])


def expected_shortfalls(losses: Array, level: float) -> Array:
    """The same of every row: (…, draws) → (…)."""
    count = losses.shape[-1]
    if count == 0:
        return np.zeros(losses.shape[:-1])
    tail = (1.0 - level) * count
    whole = min(int(tail + 1e-9), count)
    part = max(tail - whole, 0.0) if whole < count else 0.0
    if whole == count:
        return np.asarray(losses.sum(axis=-1) / tail)
    worst = np.partition(losses, count - whole - 1, axis=-1)[..., count - whole - 1 :]
    return np.asarray((worst[..., 1:].sum(axis=-1) + part * worst[..., 0]) / tail)


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """The worst of equally likely losses, largest first: enough for every expected shortfall from its level on."""

    losses: Array
    count: int

    @staticmethod
    def of(losses: Array, level: float) -> Tail:
        count = len(losses)
        kept = min(int((1.0 - level) * count) + 2, count)
        return Tail(np.sort(np.partition(losses, count - kept)[count - kept :])[::-1] if kept else losses, count)

    def shortfall(self, level: float) -> float:
        """The same as `expected_shortfall` of all of them."""
        tail = (1.0 - level) * self.count
        return float(np.clip(tail - np.arange(len(self.losses)), 0.0, 1.0) @ self.losses / tail) if self.count else 0.0


def tail_weights(losses: Array, level: float) -> Array:
    """Weights under which the mean of the losses is their expected shortfall: one in total, on the worst (1−level) of them."""
    tail = (1.0 - level) * len(losses)
    order = np.argsort(-losses, kind="stable")
    weights = np.zeros(len(losses))
    weights[order] = np.clip(tail - np.arange(len(losses)), 0.0, 1.0) / tail
    return weights
