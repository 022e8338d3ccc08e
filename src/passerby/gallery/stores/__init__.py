"""Engines that store galleries."""
