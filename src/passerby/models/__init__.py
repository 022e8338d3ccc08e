"""2. Image to vector."""
