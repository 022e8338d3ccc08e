"""An encoder learns a new place from its crops, without labels."""
