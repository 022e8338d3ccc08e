"""k-reciprocal re-ranking and query expansion."""
