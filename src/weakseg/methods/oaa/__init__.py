"""OAA: activations are accumulated while the classifier learns, and a second network may learn them."""
