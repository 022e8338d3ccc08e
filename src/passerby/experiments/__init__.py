"""Comparisons of recipes and of engines."""
