"""Several products in one dataset: picking one, and making a folder of products from public sets."""
