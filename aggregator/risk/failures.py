"""What a portfolio depends on: issuers, bridges, protocols and oracles, and what each of them takes along when it fails.

Every token on the way from a leg down to plain assets adds what it depends on, and so does the protocol that holds the leg: a lot knows
all of them. When one fails, everything that touches it is worth its recovery, on every path of the look-through, collateral and debt
alike; a debt does not vanish with the protocol that it is owed to. An oracle takes no value: it reports a wrong price, and every account
that it prices is liquidated whatever its health.

Rates a year and recoveries are assumptions of this model, near what incidents since 2020 left: bridges and vaults lost most, large
lending protocols a part (bad debt shared by suppliers), issuers of reserves the difference to their assets. States rarer than the
policy's floor do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aggregator.model.identifiers import ChainId
from aggregator.model.token import Token, TokenKind


class DependencyKind(StrEnum):
    ISSUER = "issuer"
    BRIDGE = "bridge"
    PROTOCOL = "protocol"
    ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Failure:
    """Failures a year, and the share of the value that is left."""

    per_year: float
    recovery: float


ISSUERS = MappingProxyType(
    {
        TokenKind.STABLE: Failure(0.01, 0.80),
        TokenKind.SYNTHETIC_STABLE: Failure(0.03, 0.50),
        TokenKind.YIELD_STABLE: Failure(0.03, 0.50),
        TokenKind.LST: Failure(0.01, 0.80),
        TokenKind.LST_REBASING: Failure(0.01, 0.80),
        TokenKind.LRT: Failure(0.02, 0.70),
        TokenKind.WRAPPED_BTC: Failure(0.01, 0.60),
        TokenKind.BTC_LST: Failure(0.02, 0.50),
        TokenKind.RWA_TREASURY: Failure(0.01, 0.80),
        TokenKind.RWA_MONEY_MARKET: Failure(0.01, 0.80),
        TokenKind.RWA_CREDIT: Failure(0.02, 0.40),
        TokenKind.RWA_GOLD: Failure(0.01, 0.80),
        TokenKind.VAULT: Failure(0.02, 0.60),
        TokenKind.UNKNOWN: Failure(0.50, 0.0),
    }
)
"""whoever stands behind a token, by its kind; ether and plain coins have no issuer"""
OTHERS = MappingProxyType(
    {
        DependencyKind.BRIDGE: Failure(0.01, 0.50),
        DependencyKind.PROTOCOL: Failure(0.01, 0.70),
        DependencyKind.ORACLE: Failure(0.02, 1.0),
    }
)

HOLDERS = frozenset({"wallet", "erc4626", "rate-tokens", "rwa", "lido"})
"""slugs under which plain tokens are held: the token says what it depends on"""
HOME: ChainId = ChainId("eip155:1")
"""where assets are issued that other chains only have through a bridge"""
NATIVE_FACTORS = MappingProxyType(
    {"eip155:137": "POL", "eip155:43114": "AVAX", "eip155:56": "BNB", "eip155:1": "ETH"},
)
"""coins that are at home on a chain; ether on a rollup came over its bridge"""
ISSUED_EVERYWHERE = frozenset({"USDC", "EURC", "PYUSD", "cbBTC", "LBTC", "AUSD", "USDtb"})
"""symbols that their issuer mints on each chain itself"""
_ISSUED_KINDS = (
    TokenKind.RWA_TREASURY,
    TokenKind.RWA_MONEY_MARKET,
    TokenKind.RWA_CREDIT,
    TokenKind.RWA_GOLD,
    TokenKind.VAULT,
    TokenKind.PAIR,
    TokenKind.UNKNOWN,
)
"""kinds that are at home where they are; what is inside them says the rest"""


def named(kind: DependencyKind, name: str) -> str:
    """A dependency as text, `bridge:eip155:10`."""
    return f"{kind.value}:{name}"


def of_token(token: Token) -> Iterable[tuple[str, Failure]]:
    """What a token itself depends on, without what is inside it."""
    issuer = ISSUERS.get(token.kind)
    if issuer is not None:
        yield named(DependencyKind.ISSUER, token.symbol), issuer
    if _bridged(token):
        yield named(DependencyKind.BRIDGE, token.chain), OTHERS[DependencyKind.BRIDGE]


def _bridged(token: Token) -> bool:
    if not token.chain.startswith("eip155:") or token.chain == HOME or token.kind in _ISSUED_KINDS:
        return False
    return token.symbol not in ISSUED_EVERYWHERE and NATIVE_FACTORS.get(token.chain) != token.factor


def of_protocol(protocol: str) -> Iterable[tuple[str, Failure]]:
    """What a leg depends on for standing in a protocol or at a venue."""
    if protocol not in HOLDERS:
        yield named(DependencyKind.PROTOCOL, protocol), OTHERS[DependencyKind.PROTOCOL]


def oracle_of(protocol: str, chain: str) -> str:
    """Name of what prices the accounts of a protocol on a chain."""
    return named(DependencyKind.ORACLE, f"{protocol}@{chain}")


def counted(failures: Mapping[str, Failure], floor: float) -> dict[str, Failure]:
    """Those that are likely enough to count, by name."""
    return {name: one for name, one in sorted(failures.items()) if one.per_year >= floor}
