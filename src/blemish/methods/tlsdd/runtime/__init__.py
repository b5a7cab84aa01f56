"""Inspection with a trained detector, without torch."""
