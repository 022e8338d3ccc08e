"""3. Vectors and identities to a number."""
