"""Plans of steps, the run folder that keeps their products, and the engine that maps images over processes."""
