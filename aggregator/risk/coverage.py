"""What is missing, and which figures stand without it.

One rule: **missing can only make a portfolio look worse.** An asset that cannot be read or priced counts nothing, so every amount
stays, as a lower bound of what is owned; the margin ratio does not, because a risky asset that is left out may raise it. A debt that
cannot be read or priced would make the portfolio look better, so every figure it enters is withheld. What could hide a debt: a chain
that was not reached, a gap in a protocol where one can owe, an account whose health was not read, a debt leg without a believed price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.model.identifiers import ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Side
from aggregator.model.snapshot import Gap, Remark, SnapshotStatus
from aggregator.model.token import TokenKind
from aggregator.risk.policy import Policy
from aggregator.risk.valuation import LegValue, PositionValue, Valuation
from aggregator.risk.venue_book import VenueBook

EVERY_PROTOCOL = "*"
PRICES = "prices"
"""the protocol of gaps that are about a price feed and not about a holding"""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is missing (sorted), what else there is to say, and whether a debt could be among it."""

    missing: tuple[Gap, ...]
    warnings: tuple[Remark, ...]
    debt_read: bool
    """every debt was read, though perhaps not valued in USD"""
    debt_known: bool
    """every debt was read and has a USD value"""
    assets_known: bool
    """every listed asset was read and has a believed price; what nobody listed does not matter here"""
    nothing_read: bool
    """no chain was reached at all"""

    @property
    def complete(self) -> bool:
        return not self.missing


def coverage(portfolio: Portfolio, valuation: Valuation, policy: Policy, venues: Sequence[VenueBook] = ()) -> Coverage:
    """Coverage of a portfolio: its own gaps, chains not reached, legs without a value, venue accounts without figures."""
    gaps = set(portfolio.gaps)
    warnings = set(portfolio.warnings)
    unreachable = [snapshot for snapshot in portfolio.snapshots if snapshot.status is SnapshotStatus.UNREACHABLE]
    named = {gap.chain for gap in gaps if gap.protocol == EVERY_PROTOCOL}
    gaps.update(
        Gap(snapshot.chain, EVERY_PROTOCOL, "everything on this chain", snapshot.detail or "the chain could not be reached")
        for snapshot in unreachable
        if snapshot.chain not in named
    )
    unread_accounts = [account for account in portfolio.margin_accounts if account.health_factor is None and not account.debt_free]
    for account in unread_accounts:
        if not any(gap.chain == account.chain and gap.protocol == account.protocol for gap in gaps):
            gaps.add(Gap(account.chain, account.protocol, f"health of {account.owner} in {account.market}", "it could not be read"))
    unread_venues = [book for book in venues if book.why]
    gaps.update(Gap(ChainId(book.venue), book.venue, _venue_name(portfolio, book), book.why) for book in unread_venues)
    unpriced = [(book, symbol) for book in venues for symbol in book.unpriced]
    gaps.update(
        Gap(ChainId(book.venue), PRICES, f"price of {symbol} in {_venue_name(portfolio, book)}", "the venue states none")
        for book, symbol in unpriced
    )
    hiding = {gap for gap in gaps if gap.protocol not in policy.debt_free_protocols}
    valueless = _valueless(valuation)
    debts = [leg for _, leg in valueless if leg.leg.side in (Side.DEBT, Side.SHORT)]
    if unreachable:
        names = ", ".join(sorted(snapshot.chain for snapshot in unreachable))
        warnings.add(Remark("chain-unreachable", f"{names}: a debt there could not be seen, so figures that need it are withheld"))
    if any(gap.protocol != EVERY_PROTOCOL for gap in hiding):
        warnings.add(Remark("debt-unknown", "a debt may exist that could not be read, so figures that need it are withheld"))
    if unread_venues:
        warnings.add(Remark("venue-account-withheld", "a venue account has no figures, so figures that need it are withheld"))
    if debts:
        warnings.add(Remark("debt-unpriced", "a debt has no believed price, so figures that need it are withheld"))
    if len(valueless) > len(debts):
        count = len(valueless) - len(debts)
        warnings.add(Remark("assets-unpriced", f"{count} held amounts have no believed price and count nothing: figures are lower bounds"))
    if any(gap.protocol != PRICES for gap in gaps):
        warnings.add(Remark("assets-unknown", "something owned may not have been read: what is owned is a lower bound"))
    gaps.update(
        Gap(position.position.chain, position.position.protocol, f"price of {leg.leg.symbol} ({leg.leg.asset})", leg.why)
        for position, leg in valueless
    )
    unlisted = {asset for asset, token in portfolio.tokens.items() if token.kind is TokenKind.UNKNOWN}
    assets_known = not any(gap.vouched and gap.protocol != PRICES for gap in portfolio.gaps) and not any(
        leg.leg.asset not in unlisted for _, leg in valueless
    )
    assets_known = assets_known and not unpriced
    if not assets_known:
        warnings.add(Remark("ratio-withheld", "a listed asset is not known, and with it the requirement could be higher than what it adds"))
    debt_read = not hiding
    return Coverage(
        tuple(sorted(gaps)),
        tuple(sorted(warnings)),
        debt_read,
        debt_read and not debts,
        assets_known,
        bool(portfolio.snapshots) and len(unreachable) == len(portfolio.snapshots),
    )


def _venue_name(portfolio: Portfolio, book: VenueBook) -> str:
    return f"account {portfolio.venue_accounts[book.account].account}"


def _valueless(valuation: Valuation) -> list[tuple[PositionValue, LegValue]]:
    positions = [position for account in valuation.accounts for position in account] + list(valuation.positions)
    return [(position, leg) for position in positions for leg in position.legs if leg.value is None]
