"""4. Numbers to weights."""
