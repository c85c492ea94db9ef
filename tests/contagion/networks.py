"""Random networks for tests."""

from __future__ import annotations

import numpy as np

from aggregator.contagion.network import ExposureNetwork, network
from aggregator.model.book import Floats


def random_network(
    seed: int, nodes: int, degree: float = 4.0, thin: float = 0.3, external: bool = True, quiet: float = 0.0
) -> ExposureNetwork:
    """Log-normal exposures; equity is a share up to `thin` of the assets; a share `quiet` of nodes without any external asset."""
    random = np.random.default_rng(seed)
    edges = min(int(degree * nodes), nodes * (nodes - 1))
    pairs = random.choice(nodes * (nodes - 1), edges, replace=False)
    creditors, offset = pairs // (nodes - 1), pairs % (nodes - 1)
    debtors = offset + (offset >= creditors)
    amounts = random.lognormal(0.0, 1.0, edges)
    claims = np.bincount(creditors, amounts, nodes)
    owed = np.bincount(debtors, amounts, nodes)
    assets = random.lognormal(1.0, 1.0, nodes) + np.maximum(owed - claims, 0.0)
    assets[random.random(nodes) < quiet] = 0.0
    room = np.maximum(assets + claims - owed, 0.0)
    liabilities = room * (1.0 - random.uniform(0.01, thin, nodes)) if external else np.zeros(nodes)
    return network([f"n{number}" for number in range(nodes)], creditors, debtors, amounts, assets, liabilities)


def dense(given: ExposureNetwork) -> list[list[float]]:
    return [[float(x) for x in row] for row in given.exposures.toarray()]


def shock_of(given: ExposureNetwork, kind: int, seed: int = 0) -> Floats:
    """Four shocks: all external assets a little down, a lot down, one node wiped out, random ones."""
    random = np.random.default_rng(seed)
    assets = given.external_assets
    if kind == 0:
        return assets * 0.02
    if kind == 1:
        return assets * 0.25
    if kind == 2:
        single = np.zeros(len(given))
        single[int(random.integers(len(given)))] = 1.0
        return assets * single
    return assets * random.uniform(0.0, 0.5, len(given)) * (random.random(len(given)) < 0.5)
