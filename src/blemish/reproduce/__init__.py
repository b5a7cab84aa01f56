"""Filling the tables of the papers: experiments/*.yaml in, one JSON per row and seed and a Markdown table out."""
