"""One module for each label format: text and shapes in and out; ``catalogue`` knows them all."""
