"""Recipe of the supervised reference."""

from dataclasses import dataclass

from weakseg.methods.recipe import Recipe


@dataclass(frozen=True)
class SupervisedRecipe(Recipe):
    """True masks to a segmenter.

    Attributes:
        data: The data set; its true masks are the training masks.
        void_is_background: Whether the training masks say background where the truth is void, as masks that are made of
            weak labels do, which cannot know of void; else such pixels give no loss. Scores leave void out either way.
    """

    method: str = "supervised"
    void_is_background: bool = False
