"""Who matters: what the system loses if a node fails, under several models, as a band instead of one score.

Protocols, tokens, oracles, bridges and curators stand on one scale: a node fails when claims on it pay nothing. Models disagree more
than data does, so every figure is a range over models, and a rank comes with how far it moves from model to model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from aggregator.contagion.equilibrium import equilibrium
from aggregator.contagion.evidence import Evidence
from aggregator.contagion.network import ExposureNetwork, NodeKind
from aggregator.contagion.pieces import Failure
from aggregator.contagion.valuation import (
    EisenbergNoe,
    Furfine,
    LinearDebtRank,
    NonLinearDebtRank,
    RogersVeraart,
    Valuation,
)
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

MODELS: tuple[Valuation, ...] = (EisenbergNoe(), RogersVeraart(0.9, 0.9), Furfine(), NonLinearDebtRank(2.0), LinearDebtRank())
"""from the mildest to the most severe view of the same books"""
BATCH = 64
"""failures evaluated side by side: their equities stay in the cache"""


@dataclass(frozen=True, slots=True)
class Band:
    """What one shock costs under each model: `loss` as a share of all face equity (NaN where it did not settle), `defaults` counted."""

    models: tuple[str, ...]
    loss: Floats
    defaults: NDArray[np.int64]
    evidence: Evidence

    @property
    def low(self) -> float:
        return float(self.loss.min())

    @property
    def high(self) -> float:
        return float(self.loss.max())


def loss_band(network: ExposureNetwork, shock: Floats, models: Sequence[Valuation] = MODELS) -> Band:
    """The shock (USD off external assets, by node) under every model; equity lost is counted down to zero, not below."""
    found = [equilibrium(network, model, shock) for model in models]
    total = float(np.maximum(found[0].face_equity, 0.0).sum())
    if total <= 0.0:
        raise InputError("no node of the network has equity that could be lost")
    lost = [float(_lost(one.equity, one.face_equity).sum()) / total if one.converged else np.nan for one in found]
    count = np.array([int(np.count_nonzero(one.defaults)) for one in found], dtype=np.int64)
    return Band(tuple(model.name for model in models), np.array(lost), count, found[0].evidence)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Systemic importance. Arrays by model and node (m × n), shares of 1.

    `impact[m, j]`: share of the others' equity lost if j fails, beyond what is lost without any failure. `vulnerability[m, i]`: mean
    share of i's equity lost over the others' failures. `order`: nodes by the middle of their impacts, largest first (ties by place).
    `rank_low`, `rank_high`: best and worst rank of each node over models, 1 for the first. `stability`: mean rank correlation between
    models, 1 where all agree.
    """

    names: tuple[str, ...]
    kinds: tuple[NodeKind, ...]
    models: tuple[str, ...]
    impact: Floats
    vulnerability: Floats
    order: NDArray[np.intp]
    rank_low: NDArray[np.int64]
    rank_high: NDArray[np.int64]
    stability: float
    evidence: Evidence

    def top_overlap(self, count: int = 10) -> float:
        """Mean share that two models have in common of their `count` most important nodes."""
        tops = [set(_order(row)[:count].tolist()) for row in self.impact]
        size = min(count, len(self.names))
        pairs = [len(tops[a] & tops[b]) / size for a in range(len(tops)) for b in range(a)]
        return float(np.mean(pairs)) if pairs else 1.0


def rank(network: ExposureNetwork, models: Sequence[Valuation] = MODELS, pays: float = 0.0) -> Ranking:
    """Every node fails once, under every model; `pays` is what claims on a failed node still pay. InputError without two nodes."""
    count = len(network)
    if count < 2:
        raise InputError("importance needs at least two nodes")
    impact, vulnerability = np.zeros((len(models), count)), np.zeros((len(models), count))
    for row, model in enumerate(models):
        before = np.maximum(equilibrium(network, model).equity, 0.0)
        for start in range(0, count, BATCH):
            failing = np.arange(start, min(start + BATCH, count))
            found = equilibrium(network, model, failure=Failure(failing, pays))
            lost = _lost(found.equity, before[:, None])
            columns = np.arange(len(failing))
            lost[failing, columns] = 0.0
            others = before.sum() - before[failing]
            with np.errstate(divide="ignore", invalid="ignore"):
                impact[row, failing] = np.where(others > 0.0, lost.sum(axis=0) / others, 0.0) if found.converged else np.nan
                vulnerability[row] += np.where(before > 0.0, lost.sum(axis=1) / before, 0.0) / (count - 1)
    ranks = np.array([rankdata(-row, method="min") for row in impact])
    return Ranking(
        network.names,
        network.kinds,
        tuple(model.name for model in models),
        impact,
        vulnerability,
        _order(np.median(impact, axis=0)),
        ranks.min(axis=0).astype(np.int64),
        ranks.max(axis=0).astype(np.int64),
        _stability(impact),
        network.evidence(),
    )


def _lost(equity: Floats, face: Floats) -> Floats:
    """Equity lost, between nothing and all there was."""
    return np.clip(face - equity, 0.0, np.maximum(face, 0.0))


def _order(values: Floats) -> NDArray[np.intp]:
    return np.argsort(-values, kind="stable")


def _stability(impact: Floats) -> float:
    """Mean Spearman correlation over pairs of models; models that tell no node apart agree with everything."""
    ranks = np.array([rankdata(row) for row in impact])
    spread = ranks.std(axis=1)
    pairs = [
        float(np.corrcoef(ranks[a], ranks[b])[0, 1]) if spread[a] > 0.0 and spread[b] > 0.0 else 1.0
        for a in range(len(ranks))
        for b in range(a)
    ]
    return float(np.mean(pairs)) if pairs else 1.0
