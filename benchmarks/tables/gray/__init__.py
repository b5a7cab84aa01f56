"""Baselines that need no training: one gray threshold for each image, chosen from its histogram."""
