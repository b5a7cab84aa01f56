"""Kinds of row, found by looking: each file holds one or a few with their settings, needs and measuring."""
