"""Derive: options, perpetuals and collateral in subaccounts, read through its public API."""
