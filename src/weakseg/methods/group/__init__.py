"""Group-WSSS: images that share classes explain each other by co-attention."""
