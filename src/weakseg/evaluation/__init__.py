"""The only place that sees ground truth."""
