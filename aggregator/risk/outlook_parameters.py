"""Parameters of the outlook, as fitted on hourly history before 2023-01-01: maximum likelihood over made-up accounts.

Weights multiply variances per hour of a law of unit variance (Student-t with four degrees of freedom). They do not add up to one: the
body of that law is narrower than its deviation, and what lies ahead differs from what was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

VERSION = "outlook/1"


@dataclass(frozen=True, slots=True)
class HorizonParameters:
    """One horizon in one tier. Components are (half-life in steps of the tier, weight)."""

    even: tuple[tuple[float, float], ...]
    """of second moments, which follow falls and rises alike"""
    directed: tuple[tuple[float, float], ...] = ()
    """of second moments that are split into falls and rises"""
    usual: float = 0.0
    """weight of the class's long-run variance"""


HOURLY: Mapping[str, HorizonParameters] = MappingProxyType(
    {
        "1h": HorizonParameters(
            ((6.0, 0.172), (24.0, 0.125), (96.0, 0.120), (384.0, 0.111), (1536.0, 0.105)), ((6.0, 0.211), (24.0, 0.125), (96.0, 0.118))
        ),
        "1d": HorizonParameters(
            ((6.0, 0.087), (24.0, 0.111), (96.0, 0.083), (384.0, 0.075), (1536.0, 0.169)), ((6.0, 0.173), (24.0, 0.183), (96.0, 0.089))
        ),
        "7d": HorizonParameters(
            ((6.0, 0.072), (24.0, 0.093), (96.0, 0.056), (384.0, 0.074), (1536.0, 0.453)), ((6.0, 0.127), (24.0, 0.156), (96.0, 0.054))
        ),
    }
)
"""by horizon, half-lives in hours"""

DAILY: Mapping[str, HorizonParameters] = MappingProxyType(
    {
        "1h": HorizonParameters(((2.0, 0.566), (8.0, 0.212), (32.0, 0.177)), usual=0.250),
        "1d": HorizonParameters(((2.0, 0.535), (8.0, 0.121), (32.0, 0.131)), usual=0.342),
        "7d": HorizonParameters(((2.0, 0.287), (8.0, 0.151), (32.0, 0.181)), usual=0.777),
    }
)
"""by horizon, half-lives in days"""

CLASS_SCALE = 1.6
"""of the class's long-run variance where it stands alone"""

TOUCH: Mapping[str, float] = MappingProxyType({"1h": 1.0, "1d": 1.685, "7d": 1.805})
"""how many times likelier a health below 1 at any hourly close is than one at the end: 1 for a single close, 2 for a path watched always"""

WEEK_PATTERN = (
    (1, 0.0228, -0.1976),
    (2, 0.0661, -0.0774),
    (3, 0.0152, -0.0203),
    (7, -0.1162, -0.0429),
    (14, 0.0492, 0.1285),
    (21, -0.0635, 0.0993),
)
"""logarithm of an hour's variance over the week from Sunday 00:00 UTC: (cycles a week, sine, cosine)"""
