"""Other tools on the same images, splits, draws and budget, measured by the same code; see README.md."""
