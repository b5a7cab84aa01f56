"""Attribute agreement: do two people, or a person and a machine, judge the same pictures alike."""
