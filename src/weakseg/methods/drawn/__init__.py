"""Seeds of drawn labels and a dense CRF: the baseline of every method for boxes, points and scribbles."""
