"""IRNet: learned class boundaries stop a random walk of the activations."""
