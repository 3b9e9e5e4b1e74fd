"""What plans are made of: a step, the job that it does on images and its key side by side, one file a capability."""
