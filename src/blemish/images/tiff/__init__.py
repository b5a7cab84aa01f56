"""TIFF files: their tags, the layout of a picture, its samples and its pixels."""
