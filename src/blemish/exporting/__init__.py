"""Bundles that run without torch: networks as graphs, with a certificate that the answer is the same."""
