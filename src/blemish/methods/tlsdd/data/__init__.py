"""Training images, their views, and the supports cut from them: numpy alone."""
