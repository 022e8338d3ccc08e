"""Recipes trained under equal conditions."""
