"""The Python API of blemish."""
