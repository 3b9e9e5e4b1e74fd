"""What other programs ask of weakseg, in their own terms; each needs an extra of its own."""
