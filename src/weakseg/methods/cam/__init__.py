"""Class activation maps, confident seeds and a dense CRF: the baseline that every graph method starts from."""
