"""SEAM: a classifier that sees a photograph and its reduced copy alike, and a random walk on learned affinities."""
