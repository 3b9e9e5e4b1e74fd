"""One training: the loop, its course and rates, its optimiser, its state, and the variation of its images."""
