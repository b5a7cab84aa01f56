"""Fitness of a dataset for use: checks, leaks between splits, near duplicates, rare classes."""
