"""DGCN: labels grow by minimum cuts on a graph of the features that a segmenter learns with them."""
