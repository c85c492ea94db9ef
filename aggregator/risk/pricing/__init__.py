"""Option pricing, vectorised over positions and scenarios."""
