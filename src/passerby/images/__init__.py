"""Files or bytes become uint8 RGB arrays."""
