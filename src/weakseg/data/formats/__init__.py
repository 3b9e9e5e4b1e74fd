"""One file for each label format; each turns foreign conventions into ``WeakSample``."""
