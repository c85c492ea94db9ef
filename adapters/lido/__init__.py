"""Lido: stETH, wstETH on every chain, and the withdrawal queue."""
