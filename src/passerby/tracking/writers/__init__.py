"""Writing what tracking found: MOT, CSV, Parquet, an annotated film, an HTML report."""
