"""dYdX v4: perpetuals on a Cosmos chain, read through its public indexer."""
