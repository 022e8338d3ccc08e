"""Exact nearest neighbours and ranking on arrays; knows no person, camera or file."""
