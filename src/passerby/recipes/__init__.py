"""One complete TOML file per paper."""
