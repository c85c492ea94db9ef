"""Aave v3 and its forks: one lending pool whose users are liquidated as a whole."""
