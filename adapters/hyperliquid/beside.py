"""What an address has beside its trading balances: deposits in vaults, staked HYPE, and what is lent where balances are not pooled."""

from __future__ import annotations

from decimal import Decimal

from adapters.hyperliquid.answers import LendingState, SpotState, Staking, VaultEquities
from adapters.hyperliquid.market import USDC, Market
from aggregator.model.identifiers import AccountId
from aggregator.model.instrument import MarginMode, VenueAccount, VenueBalance, VenueFigures, VenueParameters
from aggregator.model.outcome import Outcome, Value
from aggregator.model.snapshot import Remark

STAKED = "HYPE"
DUST = Decimal("0.000001")


def lending_terms(lending: Outcome[LendingState], market: Market) -> dict[str, Decimal | int | bool | str]:
    """What the lending state says of the address, as parameters."""
    if not isinstance(lending, Value):
        return {}
    terms: dict[str, Decimal | int | bool | str] = {}
    for token, state in lending.value.tokens:
        if state.supply.value:
            terms[f"{market.symbol(token)}.lent"] = state.supply.value
        if state.borrow.value:
            terms[f"{market.symbol(token)}.owed"] = state.borrow.value
    if terms:
        terms["lending.health"] = lending.value.health or "unknown"
        if lending.value.health_factor is not None:
            terms["lending.health_factor"] = lending.value.health_factor
    return terms


class Beside:
    """Accounts of one address beside the traded ones."""

    def __init__(self, address: str, owner: AccountId, market: Market, now_ms: int) -> None:
        self.address, self.owner, self.market, self.now_ms = address, owner, market, now_ms
        self.accounts: list[VenueAccount] = []
        self.remarks: list[Remark] = []
        self.unknown: list[tuple[str, str]] = []
        """what is missing, and why"""

    def vaults(self, answer: VaultEquities) -> None:
        """One account a vault; nothing can be withdrawn before its lock ends."""
        for one in answer.root:
            if one.equity:
                locked = one.locked_until is not None and one.locked_until > self.now_ms
                values: dict[str, Decimal | int | bool | str] = {"vault.address": one.vault}
                if one.locked_until is not None:
                    values["vault.locked_until_ms"] = one.locked_until
                balance = VenueBalance("USDC", one.equity, Decimal(1), withdrawable=Decimal(0) if locked else one.equity)
                self._add(f"vault/{one.vault.lower()}", balance, f"vault {one.vault}", values, one.equity)

    def staking(self, answer: Staking) -> None:
        """HYPE that is delegated, free to be, or on its way out."""
        amount = answer.delegated + answer.undelegated + answer.pending
        if amount:
            token = next((index for index, name in self.market.symbols.items() if name == STAKED), None)
            price = None if token is None else self.market.price(token)
            balance = VenueBalance(STAKED, amount, price, collateral_weight=Decimal(0), withdrawable=Decimal(0))
            values: dict[str, Decimal | int | bool | str] = {
                "staking.delegated": answer.delegated,
                "staking.undelegated": answer.undelegated,
                "staking.pending_withdrawal": answer.pending,
            }
            self._add("staking", balance, "staked HYPE", values, None)

    def lending(self, lending: LendingState, spot: SpotState) -> None:
        """What is lent by an account without portfolio margin.

        A spot balance includes what is lent of it. Where it is too small to, what is lent stands by itself. A debt here has no documented
        place in the balances, so it is named as missing.
        """
        rows = {row.token: row for row in spot.balances}
        for token, state in lending.tokens:
            supplied, owed, symbol = state.supply.value, state.borrow.value, self.market.symbol(token)
            row = rows.get(token)
            inside = row is not None and row.total + DUST >= supplied
            if supplied and inside:
                detail = f"hyperliquid: {self.address} lends {supplied:f} {symbol}, taken for a part of its spot balance"
                self.remarks.append(Remark("lending-inside-spot", detail))
            elif supplied:
                balance = VenueBalance(symbol, supplied, self.market.price(token), self.market.assets.get(token), Decimal(0))
                self._add(f"lending/{symbol}", balance, f"lent {symbol}", {}, None)
            if owed:
                self.unknown.append((f"{owed:f} {symbol} owed", "whether the spot balance is net of it is not known"))

    def _add(
        self, part: str, balance: VenueBalance, label: str, values: dict[str, Decimal | int | bool | str], equity: Decimal | None
    ) -> None:
        self.accounts.append(
            VenueAccount(
                venue="hyperliquid",
                account=f"{self.address}/{part}",
                owner=self.owner,
                mode=MarginMode.CROSS,
                balances=(balance,),
                holdings=(),
                as_of_ms=self.now_ms,
                figures=VenueFigures(equity=equity),
                parameters=VenueParameters(self.now_ms, "info: userVaultEquities, delegatorSummary, borrowLendUserState", values),
                collateral_symbol=self.market.symbol(USDC) if balance.symbol == "USDC" else balance.symbol,
                label=label,
            )
        )
