"""Owners with next to nothing, plain wallets, and wallets that strangers filled."""

from __future__ import annotations

from decimal import Decimal

from aggregator.localnet.owners.holding_parts import Uninvited, Wallet
from aggregator.localnet.owners.lending_parts import LendingAccount
from aggregator.localnet.owners.profile import Profile

WALLETS = (
    Profile("empty", "owns nothing, owes nothing, on no chain"),
    Profile(
        "dust",
        "single units of many tokens, and a debt of a few cents",
        (
            Wallet(
                tokens={"USDC": "0.000001", "WETH": "0.000000000000000001", "WBTC": "0.00000001", "DAI": "0.0000001"}, native="0.000001"
            ),
            Wallet(chain_id=42161, tokens={"USDC": "0.000002", "ARB": "0.000000000000000003"}),
            LendingAccount(chain_id=42161, supplied={"USDC": 1}, borrowed={"USDT": 1}, health=Decimal("2")),
        ),
    ),
    Profile(
        "wallet-only",
        "plain tokens and native ether on Ethereum: no protocol at all",
        (Wallet(tokens={"USDC": "15000", "WETH": "4", "WBTC": "0.35", "LINK": "300", "MKR": "2", "UNI": "100"}, native="2.5"),),
    ),
    Profile(
        "wallet-bridged",
        "the same dollars under several names: native and bridged USDC on the rollups",
        (
            Wallet(chain_id=42161, tokens={"USDC": "2000", "USDC.e": "3000", "USDT": "1000", "ARB": "5000"}, native="0.4"),
            Wallet(chain_id=8453, tokens={"USDC": "2500", "USDbC": "700", "DAI": "400", "cbBTC": "0.05"}, native="0.6"),
        ),
    ),
    Profile(
        "hostile-tokens",
        "a small honest wallet into which strangers put every hostile token there is",
        (Wallet(tokens={"USDC": "5000", "WETH": "1"}, native="0.1"), Uninvited()),
    ),
    Profile(
        "spammed",
        "advertisements, a false USDC and a name made of markup beside a real balance",
        (Wallet(tokens={"USDC": "750"}), Uninvited(which=("Advertisement", "Lookalike", "Markup"))),
    ),
)
