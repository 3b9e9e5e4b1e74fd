"""DSRG: labels grow over connected regions that a segmenter and a CRF are sure of, while it learns from them."""
