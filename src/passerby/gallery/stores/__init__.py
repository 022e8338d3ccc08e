"""Where a gallery keeps what it knows."""
