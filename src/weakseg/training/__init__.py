"""One plain training loop, its optimiser and its augmentations."""
