"""Morpho Blue: isolated markets of one collateral and one loan token each, in one contract a chain."""
