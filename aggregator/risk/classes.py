"""Risk classes and their parameters: what is assumed of a factor, a peg or a wrapper where its own history says too little.

Every figure is a published default of this model, not of a protocol. Sources: long-run daily volatilities are standard deviations of
daily log returns since 2021 (BTC 3.25 %, ETH 4.2 %, thirteen other listed coins 4.6–7.0 %, tokenised gold 0.8–1.0 %, USDC 0.07 %);
peg severities follow the worst recorded breaks (USDC −12.2 % on 11 March 2023, stETH/ETH −6.5 % on 18 June 2022, USDe −7.9 % on a deep
venue on 10 October 2025, HYG and LQD −20 % over ten days in March 2020); daily volumes are set so that the square-root law gives
the measured exit costs of 1 M USD (BTC 0.06 %, ETH 0.09 %, LINK 0.63 %, AAVE and CRV 1.0 %).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aggregator.model.token import Token, TokenKind


class FactorClass(StrEnum):
    """What a risk factor behaves like."""

    BTC = "btc"
    ETH = "eth"
    VOLATILE = "volatile"
    GOLD = "gold"
    STABLE = "stable"
    SYNTHETIC_STABLE = "synthetic-stable"
    RWA_TREASURY = "rwa-treasury"
    RWA_CREDIT = "rwa-credit"
    UNKNOWN = "unknown"

    @property
    def volatile(self) -> bool:
        """Moves with the market by itself; the others are pegs and net asset values that break in jumps."""
        return self in (FactorClass.BTC, FactorClass.ETH, FactorClass.VOLATILE, FactorClass.UNKNOWN)


class BasisClass(StrEnum):
    """A discount of a token against what it is made of."""

    LST = "lst"
    LRT = "lrt"
    WRAPPED_BTC = "wrapped-btc"
    BTC_LST = "btc-lst"
    YIELD_STABLE = "yield-stable"


@dataclass(frozen=True, slots=True)
class Jump:
    """Breaks of a peg or a net asset value: a Poisson number a year with exponential severity (a fraction of the value)."""

    per_year: float
    mean_severity: float
    worst: float
    """severity of the scenario, near the worst on record"""
    mean_premium: float = 0.0
    """mean severity of a break upwards, which hurts whoever owes the asset"""
    worst_premium: float = 0.0


NO_JUMP = Jump(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class FactorParameters:
    """Defaults of a class of factors."""

    daily_volatility: float
    daily_volume_usd: float
    """what can be sold a day before the price moves by about a day's volatility"""
    jump: Jump = NO_JUMP
    peg_haircut: float = 0.0
    structure_haircut: float = 0.0


@dataclass(frozen=True, slots=True)
class BasisParameters:
    """Defaults of a class of discounts."""

    daily_volatility: float
    haircut: float
    jump: Jump


FACTORS = MappingProxyType(
    {
        FactorClass.BTC: FactorParameters(0.035, 3.4e9),
        FactorClass.ETH: FactorParameters(0.044, 2.4e9),
        FactorClass.VOLATILE: FactorParameters(0.062, 5e7),
        FactorClass.GOLD: FactorParameters(0.010, 5e7, peg_haircut=0.01, structure_haircut=0.005),
        FactorClass.STABLE: FactorParameters(0.001, 1e9, Jump(0.2, 0.03, 0.122, 0.01, 0.05), 0.04, 0.002),
        FactorClass.SYNTHETIC_STABLE: FactorParameters(0.0025, 1e8, Jump(0.5, 0.04, 0.20, 0.01, 0.05), 0.06, 0.01),
        FactorClass.RWA_TREASURY: FactorParameters(0.0005, 1e7, Jump(0.1, 0.01, 0.02), 0.005, 0.01),
        FactorClass.RWA_CREDIT: FactorParameters(0.004, 1e6, Jump(0.3, 0.05, 0.20), 0.07, 0.02),
        FactorClass.UNKNOWN: FactorParameters(0.15, 1e5, peg_haircut=0.10, structure_haircut=0.25),
    }
)

BASES = MappingProxyType(
    {
        BasisClass.LST: BasisParameters(0.001, 0.025, Jump(0.5, 0.02, 0.065)),
        BasisClass.LRT: BasisParameters(0.002, 0.045, Jump(1.0, 0.03, 0.12)),
        BasisClass.WRAPPED_BTC: BasisParameters(0.001, 0.01, Jump(0.3, 0.01, 0.03)),
        BasisClass.BTC_LST: BasisParameters(0.002, 0.04, Jump(0.5, 0.03, 0.10)),
        BasisClass.YIELD_STABLE: BasisParameters(0.001, 0.01, Jump(0.3, 0.02, 0.05)),
    }
)

WRAPPER_HAIRCUTS = MappingProxyType(
    {
        TokenKind.LST: 0.005,
        TokenKind.LST_REBASING: 0.005,
        TokenKind.LRT: 0.01,
        TokenKind.WRAPPED_BTC: 0.005,
        TokenKind.BTC_LST: 0.01,
        TokenKind.YIELD_STABLE: 0.005,
        TokenKind.VAULT: 0.01,
        TokenKind.PAIR: 0.005,
    }
)
"""contract, bridge and issuer premia of what wraps an asset, taken once per kind on the way down"""

_BASIS_OF_KIND = MappingProxyType(
    {
        TokenKind.LST: BasisClass.LST,
        TokenKind.LST_REBASING: BasisClass.LST,
        TokenKind.LRT: BasisClass.LRT,
        TokenKind.WRAPPED_BTC: BasisClass.WRAPPED_BTC,
        TokenKind.BTC_LST: BasisClass.BTC_LST,
        TokenKind.YIELD_STABLE: BasisClass.YIELD_STABLE,
    }
)

_CLASS_OF_KIND = MappingProxyType(
    {
        TokenKind.STABLE: FactorClass.STABLE,
        TokenKind.SYNTHETIC_STABLE: FactorClass.SYNTHETIC_STABLE,
        TokenKind.YIELD_STABLE: FactorClass.STABLE,
        TokenKind.RWA_TREASURY: FactorClass.RWA_TREASURY,
        TokenKind.RWA_MONEY_MARKET: FactorClass.RWA_TREASURY,
        TokenKind.RWA_CREDIT: FactorClass.RWA_CREDIT,
        TokenKind.RWA_GOLD: FactorClass.GOLD,
    }
)

_SILENT = (TokenKind.VAULT, TokenKind.PAIR, TokenKind.UNKNOWN)

_CLASS_OF_NAME = MappingProxyType(
    {
        "BTC": FactorClass.BTC,
        "ETH": FactorClass.ETH,
        "XAU": FactorClass.GOLD,
        # a chain's native currency can be a stablecoin, which its kind does not say
        "DAI": FactorClass.STABLE,
        "USDe": FactorClass.SYNTHETIC_STABLE,
    }
)


def basis_class(kind: TokenKind) -> BasisClass | None:
    """The discount a token of this kind can have against what it is made of, None for none."""
    return _BASIS_OF_KIND.get(kind)


def factor_class(factor: str, tokens: Iterable[Token]) -> FactorClass:
    """Class of a factor from its name, else from the tokens that follow it: the most volatile class that any of them suggests.

    Vaults, pairs and unlisted tokens suggest nothing: they can neither calm nor disturb the factor of a listed token.
    """
    known = _CLASS_OF_NAME.get(factor)
    if known is not None:
        return known
    suggested = {_CLASS_OF_KIND.get(token.kind, FactorClass.VOLATILE) for token in tokens if token.kind not in _SILENT}
    return max(suggested, key=lambda one: (FACTORS[one].daily_volatility, one), default=FactorClass.UNKNOWN)
