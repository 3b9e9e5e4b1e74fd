"""Annotation programs that talk to weakseg while somebody labels: one module a program."""
