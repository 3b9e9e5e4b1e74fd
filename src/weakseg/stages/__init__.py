"""One file for each step; a stage reads artefacts of one kind and writes artefacts of another."""
