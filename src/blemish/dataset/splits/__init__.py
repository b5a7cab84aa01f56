"""Choosing images: train, val and test splits, support sets of the few-shot protocol, labelled subsets."""
