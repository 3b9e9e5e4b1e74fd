"""Recipe of the ``dgcn`` method."""

from dataclasses import dataclass

from weakseg.methods.growing import GrowingRecipe


@dataclass(frozen=True)
class DgcnRecipe(GrowingRecipe):
    """Tags to activations, sparse seeds, a segmenter whose labels grow by cuts, its masks, and one that they train."""

    method: str = "dgcn"
