"""What is known of words: graphs of concepts, and word vectors, in which class names are looked up."""
