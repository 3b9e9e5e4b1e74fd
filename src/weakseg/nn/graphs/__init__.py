"""Graph networks of which each photograph has one of its own, many trained at once."""
