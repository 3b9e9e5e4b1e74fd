"""One photograph: what has been computed of it is kept, so that further marks cost only what is new."""
