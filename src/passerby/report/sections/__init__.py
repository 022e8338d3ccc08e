"""Sections of the report, by what they show: scores, distances, pictures, the run."""
