"""ML-GCN: activations of a classifier whose linear layer a graph of classes makes."""
