"""Recipe of the ``irnet`` method."""

from dataclasses import dataclass

from weakseg.methods.boundary_walk import BoundaryWalkRecipe


@dataclass(frozen=True)
class IrnetRecipe(BoundaryWalkRecipe):
    """Tags to activations, seeds, a boundary network, walked scores, masks and a segmenter."""

    method: str = "irnet"
