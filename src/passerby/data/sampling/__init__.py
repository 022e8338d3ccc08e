"""Which images meet in a batch."""
