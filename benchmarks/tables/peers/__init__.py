"""What a simple peer gives on the same images: distances and a linear rule on features of ImageNet.

They are baselines of tables, not methods: they have no bundle and are measured where they are made.
"""
