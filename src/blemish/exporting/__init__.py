"""Export of bundles to run without torch: networks as graphs, with a certificate that answers are equal."""
