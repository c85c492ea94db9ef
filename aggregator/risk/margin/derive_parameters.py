"""Parameter sets of Derive's managers as its deployment script for mainnet states them.

They are facts of a script at one commit; the contracts' owner may have changed them since, so none counts as confirmed: read a live
account's parameters from the chain. Source: derivexyz/v2-core@7736900d, `scripts/config-mainnet.sol`.
"""

from __future__ import annotations

from dataclasses import replace

from aggregator.risk.margin.derive import Scenario, VolatilityShock
from aggregator.risk.margin.derive_pmrm import PmrmParameters
from aggregator.risk.margin.derive_pmrm2 import Pmrm2Parameters
from aggregator.risk.margin.derive_standard import MarketTerms, OptionTerms, StandardParameters
from aggregator.risk.margin.market import SECONDS_PER_DAY

SCRIPT = "derivexyz/v2-core@7736900d scripts/config-mainnet.sol"

_UP, _DOWN, _NONE = VolatilityShock.UP, VolatilityShock.DOWN, VolatilityShock.NONE


def _grid(outer: float, *inner: float) -> tuple[Scenario, ...]:
    """The outer moves with volatility up only, the inner ones with all three."""
    moves = [*(1 + move for move in inner), 1.0, *(1 - move for move in reversed(inner))]
    full = [Scenario(round(move, 12), shock) for move in moves for shock in (_UP, _NONE, _DOWN)]
    return (Scenario(round(1 + outer, 12), _UP), *full, Scenario(round(1 - outer, 12), _UP))


PMRM_MAINNET = PmrmParameters(
    scenarios=_grid(0.20, 0.15, 0.10, 0.05),
    basis_up=1.05,
    basis_down=0.95,
    basis_addition=1.0,
    basis_multiple=1.2,
    peg_threshold=0.99,
    peg_factor=4.0,
    confidence_threshold=0.55,
    confidence_margin=1.0,
    base_percent=0.03,
    perpetual_percent=0.03,
    option_percent=0.02,
    initial_factor=1.25,
    static_discount=0.95,
    rate_multiple=1.0,
    rate_addition=0.12,
    volatility_up=0.6,
    volatility_down=0.3,
    short_term_power=0.3,
    long_term_power=0.13,
    floor_seconds=float(SECONDS_PER_DAY),
    source=f"{SCRIPT} getPMRMParams, getDefaultScenarios",
    confirmed=False,
)

_TAILS = (
    (0.34, 0.21),
    (0.67, 0.42),
    (1.5, 0.2772),
    (2.0, 0.1386),
    (3.0, 0.0693),
    (4.0, 0.0462),
    (5.0, 0.03465),
    (6.0, 0.02772),
)

PMRM2_MAINNET_AS_SCRIPTED = Pmrm2Parameters(
    scenarios=(
        *_grid(0.18, 0.135, 0.09, 0.045),
        *(Scenario(move, _UP, weight) for move, weight in _TAILS),
        Scenario(1.0, VolatilityShock.LINEAR),
        Scenario(1.0, VolatilityShock.ABSOLUTE),
    ),
    basis_up=1.045,
    basis_down=0.955,
    basis_addition=0.5,
    basis_multiple=2.0,
    peg_threshold=0.99,
    peg_factor=4.0,
    confidence_threshold=0.55,
    confidence_margin=1.0,
    maintenance_perpetual_percent=0.03,
    initial_perpetual_percent=0.01,
    maintenance_option_percent=0.003,
    initial_option_percent=0.002,
    initial_factor=1.0,
    maintenance_factor=0.8,
    short_rate_multiple=0.0,
    long_rate_multiple=0.0,
    short_rate_addition=0.16,
    long_rate_addition=0.16,
    short_discount=0.95,
    long_discount=1.05,
    volatility_up=0.5,
    volatility_down=0.3,
    short_term_power=0.3,
    long_term_power=0.13,
    floor_seconds=float(SECONDS_PER_DAY),
    least_volatility_up=0.4,
    linear_cap=0.25,
    linear_slope=-0.1,
    absolute_cap=0.25,
    absolute_slope=-0.1,
    least_k_star=0.01,
    width_scale=4.0,
    skew_static=0.6,
    skew_scale=0.0,
    source=f"{SCRIPT} getPMRM2Params, getDefaultPM2Scenarios",
    confirmed=False,
)
"""As written, gains are discounted by 1.05 and losses by .95: the scan is then not subadditive, and a short call needs less than with
every tested set. The two look exchanged."""

PMRM2_MAINNET = replace(
    PMRM2_MAINNET_AS_SCRIPTED,
    short_discount=1.05,
    long_discount=0.95,
    source=f"{SCRIPT} getPMRM2Params with the two static discounts exchanged, the order in which they are coherent",
)

_LARGE = MarketTerms()
_PERPETUAL = MarketTerms(initial_perpetual=0.1, maintenance_perpetual=0.067)
_SMALL = MarketTerms(initial_perpetual=0.2, maintenance_perpetual=0.143)
_MEME = MarketTerms(initial_perpetual=0.33333, maintenance_perpetual=0.2)


def _base(factor: float, scale: float) -> MarketTerms:
    return MarketTerms(base_factor=factor, base_scale=scale)


STANDARD_MAINNET = StandardParameters(
    markets={
        "ETH": _base(0.8, 0.9375),
        "BTC": _base(0.75, 0.93),
        "USDT": _base(0.98, 0.98),
        "wstETH": _base(0.8, 0.9375),
        "SFP": _base(0.98, 0.98),
        "SNX": MarketTerms(
            base_factor=0.7,
            base_scale=0.65,
            options=OptionTerms(0.25, 0.225, 0.15, 0.15, 0.15, unpaired_initial=1.4, unpaired_maintenance=1.3),
        ),
        **{name: _base(0.65, 0.77) for name in ("rswETH", "rsETH", "weETH", "LBTC", "cbBTC")},
        **{name: _base(0.925, 0.92) for name in ("DAI", "PYUSD")},
        "sDAI": _base(0.875, 0.915),
        "USDe": _base(0.8, 0.875),
        "eBTC": _base(0.9, 0.945),
        **dict.fromkeys(
            ("SOL", "DOGE", "TIA", "SUI", "NEAR", "WLD", "BNB", "AAVE", "OP", "ARB", "LINK", "XRP", "AVAX", "UNI", "ENA"), _PERPETUAL
        ),
        **dict.fromkeys(("PEPE", "WIF", "TAO", "SEI", "EIGEN"), _SMALL),
        **dict.fromkeys(("BITCOIN", "DEGEN"), _MEME),
        "TRUMP": MarketTerms(initial_perpetual=0.5, maintenance_perpetual=0.4545),
    },
    other=_LARGE,
    depeg_threshold=0.99,
    depeg_factor=2.0,
    source=f"{SCRIPT} getSRMParams, getSRMDepegParams",
    confirmed=False,
)
