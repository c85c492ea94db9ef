"""ERC-4626 vaults that the registry vouches for: savings, credit pools, curated lending."""
