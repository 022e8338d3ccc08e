"""Readers of the public benchmarks: `root -> ReIDDataset`."""
