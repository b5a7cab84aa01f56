"""The loop, checkpoints and the trainer that methods are given."""
