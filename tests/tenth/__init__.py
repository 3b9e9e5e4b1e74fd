"""A made-up method, whole in this folder: a learned pair of images scores each of them with the other's help."""
