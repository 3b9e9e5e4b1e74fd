"""ReCAM: activations of a classifier that learns again what each class looks like where it is active."""
