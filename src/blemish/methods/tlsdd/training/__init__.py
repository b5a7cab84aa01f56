"""Training in two phases: episodes, losses, diagnosis; needs torch."""
