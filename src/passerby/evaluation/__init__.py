"""5. Weights to evidence."""
