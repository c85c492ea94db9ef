"""What the assessment assumes beyond the portfolio: horizons, quantiles, draws and how far free collateral reaches."""

from __future__ import annotations

from dataclasses import dataclass

MODEL_VERSION = "unified/1"
"""changes whenever a formula or a default of the unified method does"""

SCORE_VERSION = "score/1"
"""the map from probability to score is fixed per version"""


@dataclass(frozen=True, slots=True)
class Policy:
    """Parameters of the unified method. All have published defaults; times in days unless named otherwise, fractions of 1."""

    horizon_days: float = 1.0
    """margin period of risk: how long a portfolio may move before anybody acts"""
    path_quantile: float = 3.02
    """multiple of √time-scaled volatility that the worst hourly price in the horizon exceeds about once in a hundred times"""
    draws: int = 2048
    """correlated draws per correlation regime; even, because they come in antithetic pairs"""
    seed: int = 20240805
    shortfall_level: float = 0.99
    material_factors: int = 16
    """pairwise scenarios are made for the largest factors only, so that their number stays bounded"""
    transfer_lag_hours: float = 24.0
    """until free collateral of another chain arrives when nobody but the owner acts"""
    cut_off: frozenset[str] = frozenset()
    """chains whose bridges are down: nothing that is free leaves them or arrives there"""
    debt_free_protocols: frozenset[str] = frozenset({"wallet", "prices"})
    """protocols in which nobody can owe anything: a gap there can only hide assets. The engine adds what the manifests say."""


DEFAULT = Policy()
