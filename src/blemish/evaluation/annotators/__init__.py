"""Annotator agreement: how alike two people, or a person and a machine, judge the same images."""
