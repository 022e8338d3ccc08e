"""Detectors of people that run a model file of the user's."""
