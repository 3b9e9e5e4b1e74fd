"""Neural parts: backbones, the tag classifier, the segmenter and losses."""
