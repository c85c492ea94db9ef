"""Hyperliquid core: perpetuals on every dex, spot, lending, vaults and staking, read through its public info API."""
