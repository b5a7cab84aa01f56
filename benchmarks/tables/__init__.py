"""Filling the papers' tables: experiments/*.yaml in, one JSON per row and seed and a Markdown table out."""
