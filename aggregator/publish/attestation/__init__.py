"""Signed margin scores that others can verify: statements, signatures, Merkle epochs, and the gateway of the contract."""
