"""Parts that several methods share; the networks they share lie in `blemish.nn`."""
