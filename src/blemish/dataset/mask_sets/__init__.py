"""Reading sets of masks: which pixels of each file mark a defect, and of which class."""
