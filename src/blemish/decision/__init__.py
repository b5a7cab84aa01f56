"""What a line does with what a bundle finds: kept apart from the weights, and changed without them."""
