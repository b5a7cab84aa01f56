"""Training: the loop, checkpoints, early stopping, and from a dataset to a bundle."""
