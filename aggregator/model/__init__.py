"""The nouns of the house, pure and without I/O: identifiers, units, reads' outcomes, positions, portfolio, prices, errors.

Every other room builds on this one, and this one imports nothing of ours.
"""
