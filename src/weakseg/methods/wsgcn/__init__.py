"""WSGCN: a graph convolutional network, trained for each image, completes partial labels."""
