"""Networks that learn from pairs of cells: class boundaries, displacements and affinities."""
