"""PSA: a random walk of the activations on affinities that a network learned from confident pairs."""
