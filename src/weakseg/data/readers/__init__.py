"""Readers of data sets: folders, lists, photographs and what label files say of them become samples."""
