"""Networks as files that other programs run: what such a file says, whether it is sound, and how it is run."""
