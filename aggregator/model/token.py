"""What is known of a token: its identity, its class, and the risk factor its price follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aggregator.model.identifiers import Address, AssetId, ChainId, asset_address, asset_chain


class TokenKind(StrEnum):
    NATIVE = "native"
    WRAPPED_NATIVE = "wrapped-native"
    VOLATILE = "volatile"
    STABLE = "stable"
    SYNTHETIC_STABLE = "synthetic-stable"
    YIELD_STABLE = "yield-stable"
    LST = "lst"
    LST_REBASING = "lst-rebasing"
    LRT = "lrt"
    WRAPPED_BTC = "wrapped-btc"
    BTC_LST = "btc-lst"
    RWA_TREASURY = "rwa-tbill"
    RWA_MONEY_MARKET = "rwa-mmf"
    RWA_CREDIT = "rwa-credit"
    RWA_GOLD = "rwa-gold"
    VAULT = "vault"
    PAIR = "pair"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Token:
    """A fungible token or a native currency.

    `factor` names the risk factor that its market price follows: `ETH` for WETH, stETH and wstETH, `BTC` for WBTC, the symbol itself
    for a stablecoin (its peg is a risk of its own), and the asset id for a token that nobody vouched for.
    """

    asset: AssetId
    symbol: str
    decimals: int
    kind: TokenKind
    factor: str
    source: str
    """where the address was taken from; `discovered` for one that only the chain told of"""

    @property
    def chain(self) -> ChainId:
        return asset_chain(self.asset)

    @property
    def address(self) -> Address | None:
        return asset_address(self.asset)
