"""Graphs of an image: which nodes there are, which of them are joined, and how strongly."""
