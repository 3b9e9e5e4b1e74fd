"""Seeds of boxes."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings

ProposerName = Literal["grabcut", "sam2", "sam3"]
PromptUse = Literal["marks", "boxes"]
BUILT_IN: ProposerName = "grabcut"
DEVICES = ("", "cpu", "cuda")


@dataclass(frozen=True)
class BoxSeedConfig:
    """How boxes become seeds.

    Attributes:
        iterations: Of GrabCut, >= 1.
        min_iou: A segment that overlaps its box less than this is not believed; the whole box is taken.
        margin: GrabCut sees the box and this fraction of its sides around it; 0: the whole image, as published.
        contested: What a pixel in segments of several classes is: the ``smaller`` segment's, or ``undecided``.
        max_side: Larger images are reduced to this for GrabCut; bounds time.
        proposer: What finds the object in a box: ``grabcut``, or a published network, ``sam2`` or ``sam3`` (extra
            ``sam``, weights by ``proposer_file``). Its masks are seeds as GrabCut's are, and go through the same steps.
        proposer_file: Of a network: folder of its checkpoint, as transformers saves one, or its name on the hub.
        proposer_device: Where a network runs, ``cpu`` or ``cuda``; empty: where the run does, for one photograph the
            CPU.
        prompts: What a network is told: the points and scribbles that lie in a box, too (``marks``), or ``boxes``
            alone. Either way marks choose among its masks.
    """

    iterations: int = 5
    min_iou: float = 0.15
    margin: float = 0.0
    contested: Literal["smaller", "undecided"] = "smaller"
    max_side: int = 1024
    proposer: ProposerName = BUILT_IN
    proposer_file: str = ""
    proposer_device: str = ""
    prompts: PromptUse = "marks"

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        check_settings("seeds.boxes", self, iterations=">= 1", min_iou="in [0, 1]", margin=">= 0", max_side=">= 32")
        check_settings("seeds.boxes", self, contested=("smaller", "undecided"), proposer=get_args(ProposerName))
        check_settings("seeds.boxes", self, prompts=get_args(PromptUse), proposer_device=DEVICES)
        if self.proposes and not self.proposer_file:
            raise ConfigError(
                f"seeds.boxes.proposer_file: {self.proposer!r} needs its weights; name the folder of a checkpoint, or "
                "its name on the hub"
            )
        for name in () if self.proposes else ("proposer_file", "proposer_device", "prompts"):
            if (value := getattr(self, name)) != getattr(type(self), name):
                raise ConfigError(
                    f"seeds.boxes.{name}: has no effect with seeds.boxes.proposer 'grabcut', got {value!r}; name a "
                    "proposer, or leave it out"
                )

    @property
    def proposes(self) -> bool:
        """Whether a network finds objects, instead of GrabCut."""
        return self.proposer != BUILT_IN
