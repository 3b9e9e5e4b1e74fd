"""Pure tensor functions: no files, no configuration, no modules, nothing in place."""
