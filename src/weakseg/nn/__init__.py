"""Neural parts: families of networks in folders, losses, and what is written to and read from model files."""
