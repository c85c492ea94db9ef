"""Whole populations: read from chains or files, and curves, simulations and rankings of them."""
