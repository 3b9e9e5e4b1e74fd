"""The version: a constant that every room may record."""

__version__ = "0.1.0"
