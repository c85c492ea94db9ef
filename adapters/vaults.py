"""What every ERC-4626 vault is asked, whoever asks: its asset, and how many assets its shares are.

Source: EIP-4626. `convertToAssets` leaves fees out and rounds down; `maxRedeem` says what can leave now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.erc20 import TokenReads
from adapters.rates import SAMPLE, Ratio
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, Word

ASSET = Function("asset()(address)")
CONVERT_TO_ASSETS = Function("convertToAssets(uint256)(uint256)")
MAX_REDEEM = Function("maxRedeem(address)(uint256)")
VAULT_GAS = 2_000_000
"""a vault may walk through all the markets it lends in"""
ASSET_GAS = 100_000
SMALL_SAMPLE = 10**18
"""for vaults whose arithmetic refuses the large sample"""


@dataclass(frozen=True, slots=True)
class VaultReads:
    """A vault's asset, that asset's own description, and the conversion of a sample, all in one round."""

    asset: Read[Any]
    asset_token: TokenReads
    sample: Read[Any]
    small_sample: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, vault: Address | Word, *, gas: int = VAULT_GAS, when: Word | None = None) -> VaultReads:
        """Ask in this round; `vault` may be a word of another answer. `gas` is for conversions."""
        reads = scope.reads
        asset = reads.call(vault, ASSET, gas=ASSET_GAS, when=when)
        word = asset.word(0)
        return cls(
            asset,
            TokenReads.ask(scope, word, when=word),
            # what names no asset is no vault and is not asked to convert
            reads.call(vault, CONVERT_TO_ASSETS, SAMPLE, gas=gas, when=word),
            reads.call(vault, CONVERT_TO_ASSETS, SMALL_SAMPLE, gas=gas, when=word),
        )

    async def ratio(self) -> Outcome[Ratio]:
        """Raw assets a raw share; Unknown for a share that is worth nothing or more than 256 bits can say."""
        large, small = await self.sample, await self.small_sample
        if isinstance(large, Value) and large.value > 0:
            return Value(Ratio.sampled(large.value))
        if isinstance(small, Value) and small.value > 0:
            return Value(Ratio(small.value, SMALL_SAMPLE))
        return small if not isinstance(small, Value) else Unknown(Reason.MALFORMED, "its shares are worth nothing")
