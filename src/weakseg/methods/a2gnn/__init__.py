"""A2GNN: a graph neural network, trained for each image, whose attention knows learned affinities."""
