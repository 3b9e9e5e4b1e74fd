"""Points and scribbles as prompts: the masks that a proposer has for them, those of other classes told, too."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.annotations import Drawn
from weakseg.stages.proposers.look import Look, Segment, painted
from weakseg.stages.proposers.prompt import Prompt, mark_prompts, places_of


@dataclass(frozen=True)
class ProposedStrokes:
    """What points and scribbles on objects have become.

    Attributes:
        labels: The class of the smallest mask on top, 255 where there is none.
        found: What was proposed for each mark.
    """

    labels: LabelMap
    found: Mapping[Prompt, Segment] = field(repr=False, compare=False)

    def left(self, drawn: Drawn) -> Drawn:
        """Return the marks that have no mask: those on the background, and those that none was proposed for."""
        found = {mark for prompt, answer in self.found.items() if not answer.failure for mark in prompt.own}
        return Drawn(
            points=tuple(mark for mark in drawn.points if mark not in found),
            scribbles=tuple(mark for mark in drawn.scribbles if mark not in found),
            strokes=tuple(mark for mark in drawn.strokes if mark not in found),
        )


def proposed_strokes(drawn: Drawn, look: Look, *, known: ProposedStrokes | None = None) -> ProposedStrokes:
    """Return the masks that are proposed for points, scribbles and painted strokes, smaller ones on top.

    Each mark on an object is a prompt of its own, those of other classes and of the background being what it is not;
    marks on the background ask for nothing.

    Args:
        drawn: Boxes and regions are not looked at.
        look: The photograph as the proposer sees it.
        known: Of the same photograph and settings: what was found for its prompts is not looked for again.
    """
    places, before = places_of(drawn, look.size), known.found if known else {}
    prompts = list(mark_prompts(places))
    found = {prompt: before.get(prompt) or look.segment(prompt, places) for prompt in prompts}
    by_size = sorted(prompts, key=lambda prompt: (-int(found[prompt].pixels.sum()), prompt.class_id, repr(prompt.own)))
    masks, class_ids = [found[prompt].pixels for prompt in by_size], [prompt.class_id for prompt in by_size]
    empty = np.full(look.size, UNDECIDED, np.uint8)
    return ProposedStrokes(LabelMap(painted(masks, class_ids, empty, contested=look.config.contested)), found)
