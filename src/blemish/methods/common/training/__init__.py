"""Training that several methods share; loads torch."""
