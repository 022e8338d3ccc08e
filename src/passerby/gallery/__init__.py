"""6. Use: a gallery of known people."""
