"""Decisions: thresholds, limits and grades that turn findings into a verdict, kept apart from the weights."""
