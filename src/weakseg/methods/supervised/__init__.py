"""The segmenter trained on true masks: the reference that weak labels are measured against."""
