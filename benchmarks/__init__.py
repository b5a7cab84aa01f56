"""Measurements of blemish that need a checkout: the papers' tables, and other tools side by side."""
