"""A population as a network: what the lenders of each protocol stand to lose by a token, an oracle, or the protocol itself.

Lenders of a protocol on a chain are one node, whose equity is what they have lent. On a token they have the claim that its fall to
nothing would cost them: the bad debt of every account at that price, beyond what is bad already. On an oracle that prices several
assets they have the claim of all of these together. On the protocol they have the claim of everything. These claims overlap, so they
are not all assets at once: the lenders' own liabilities are set so that their equity at face value is what they have lent. What can fail
has hardly any equity of its own, so that shares of what the system loses are shares of what lenders have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.network import ExposureNetwork, NodeKind, network
from aggregator.model.book import Book, Floats
from aggregator.model.errors import InputError

SMALLEST = 0.01
"""USD; a claim below a cent is none"""
OWN_EQUITY = 1e-6
"""of whatever is claimed from a token, an oracle or a protocol: enough to be solvent until it fails"""


def lender_network(book: Book) -> ExposureNetwork:
    """The network of a book; figures of accounts that are not known are left out, as `of_book` says. InputError where nothing is lent."""
    groups, of_account = _groups(book)
    bad = _BadDebt(book, of_account, len(groups))
    lent = np.bincount(of_account, np.nan_to_num(bad.debt), len(groups))
    if not lent.sum() > 0.0:
        raise InputError("nothing is lent in the population: there is no network of lenders")
    names = [f"lenders of {name}" for name in groups] + list(groups)
    kinds = [NodeKind.OTHER] * len(groups) + [NodeKind.PROTOCOL] * len(groups)
    assets = [np.zeros(len(groups)), lent * (1.0 + OWN_EQUITY)]
    edges = [(code, len(groups) + code, float(lent[code])) for code in range(len(groups))]
    owed = np.zeros(len(groups))
    for name, kind, codes in _failing(book):
        losses = bad.without(codes)
        if not (losses >= SMALLEST).any():
            continue
        edges += [(code, len(names), float(losses[code])) for code in np.flatnonzero(losses >= SMALLEST).tolist()]
        owed += np.where(losses >= SMALLEST, losses, 0.0)
        names.append(name)
        kinds.append(kind)
        assets.append(np.array([float(losses.sum()) * (1.0 + OWN_EQUITY)]))
    external = np.concatenate(assets)
    creditors, debtors, amounts = (np.array(column) for column in zip(*edges, strict=True))
    liabilities = np.zeros(len(names))
    liabilities[: len(groups)] = owed
    return network(names, creditors.astype(np.int32), debtors.astype(np.int32), amounts.astype(np.float64), external, liabilities, kinds)


def _groups(book: Book) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Protocols on chains, and the one of each account."""
    names = [f"{market.protocol} on {market.chain}" for market in book.markets]
    distinct = tuple(dict.fromkeys(names))
    return distinct, np.array([distinct.index(name) for name in names], dtype=np.intp)[book.account_market]


def _failing(book: Book) -> list[tuple[str, NodeKind, NDArray[np.intp]]]:
    """What can fail besides protocols, with its reserves: tokens by symbol over all chains, and oracles of several assets."""
    symbols = np.array([asset.symbol for asset in book.assets])[book.reserves.asset]
    found = [(str(name), NodeKind.TOKEN, np.flatnonzero(symbols == name)) for name in dict.fromkeys(symbols.tolist())]
    for code in np.unique(book.reserves.priced_by).tolist():
        priced = np.flatnonzero(book.reserves.priced_by == code)
        if len(np.unique(book.reserves.asset[priced])) > 1:
            found.append((f"oracle of {book.assets[code].symbol}", NodeKind.ORACLE, priced))
    return found


class _BadDebt:
    """Every account's figures at the book's oracle prices, and what becomes of them without some of the collateral."""

    def __init__(self, book: Book, of_account: NDArray[np.intp], groups: int) -> None:
        self._book, self._of_account, self._groups = book, of_account, groups
        reserves = book.reserves
        seizable = reserves.seizable(reserves.oracle_price)
        self._per_token = seizable / (1.0 + reserves.bonus)
        health = book.health()
        self.debt: Floats = np.where(health.unknown, np.nan, health.debt)
        self._short: Floats = self.debt - book.sums(book.collateral, self._per_token)
        self._now = np.maximum(np.nan_to_num(self._short), 0.0)

    def without(self, reserves: NDArray[np.intp]) -> Floats:
        """Bad debt that is added, by group, if the reserves are worth nothing."""
        legs, taken = self._book.collateral, np.zeros(self._book.size)
        for reserve in reserves.tolist():
            place = legs.of(reserve)
            price = float(self._per_token[reserve])
            if price > 0.0:
                np.add.at(taken, legs.accounts[place], np.nan_to_num(legs.amounts[place]) * price)
        touched = np.flatnonzero(taken)
        added = np.maximum(np.nan_to_num(self._short[touched] + taken[touched]), 0.0) - self._now[touched]
        return np.bincount(self._of_account[touched], added, self._groups).astype(np.float64, copy=False)
