"""The step from whatever a photograph is labelled with to seeds."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.dataset import Dataset
from weakseg.data.regions import deciding
from weakseg.data.saliency import load_map
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.box_seeds import look_of
from weakseg.stages.features import check_features
from weakseg.stages.proposers.kept import load_answers
from weakseg.stages.proposers.look import Segment
from weakseg.stages.proposers.prompt import Prompt
from weakseg.stages.saliency_seeds import effects_of, save_effects, tell_effects
from weakseg.stages.weak_seeds import SeedParts, counted, seed_prompts, weak_seeds
from weakseg.steps.base import over_images
from weakseg.steps.features import kept_of, stroke_features_of
from weakseg.steps.proposals import PROPOSALS, reads_proposals
from weakseg.steps.saliency import SALIENCY


@dataclass(frozen=True)
class WeakSeedJob(ImageJob):
    """Image and what is drawn on it to seeds; ``activations`` of its tags, and ``saliency``, where there are any."""

    activations: Path | None
    out: Path
    config: WeakSeedConfig
    device: str = "cpu"
    saliency: Path | None = None
    proposals: Path | None = None
    features: Path | None = None
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        source, image, sample = self.activations, sample.load_image(), counted(sample, self.config.use)
        activations = Activations.load(source / f"{sample.id}.safetensors") if source else None
        if sample.shows_nothing:
            seeds = LabelMap(np.zeros(image.shape[:2], np.uint8))
        else:
            parts = SeedParts(saliency=load_map(self.saliency / f"{sample.id}.png") if self.saliency else None)
            parts.features = kept_of(self.features, sample.id)
            if self.proposals:
                path = self.proposals / f"{sample.id}{Kind.PROPOSALS.suffix}"
                parts.look = look_of(image, self.config.boxes, given=self._answers(path, sample, image))
            seeds = weak_seeds(sample.drawn, image, activations, self.config, device=self.device, parts=parts)
            if parts.fusion:
                save_effects(self.out, sample.id, parts.fusion)
        seeds.save(self.output(sample.id))

    def _answers(self, path: Path, sample: WeakSample, image: NDArray[np.uint8]) -> dict[Prompt, Segment]:
        """Return what was proposed for the image."""
        size = (image.shape[0], image.shape[1])
        return load_answers(path, seed_prompts(sample.drawn, size, self.config)[0], size)


def weak_seeds_step(
    dataset: Dataset,
    config: WeakSeedConfig,
    *,
    activations: bool,
    saliency: bool = False,
    name: str = "seeds",
    role: Role = Role.SEEDS,
) -> Step:
    """Make seeds of what is drawn on each image, and of its activations where the plan has them.

    A plan whose ``config`` names a proposer that is a network has the steps of ``proposal_steps`` before.

    Args:
        dataset: Its training images.
        config: How each kind of label is used.
        activations: Whether activations are read.
        saliency: Whether saliency maps join them; what the rules have done is then counted and said.
        name: Of the step.
        role: Of the seeds in the plan.

    Raises:
        ConfigError: If strokes walk on features of a network that is not to be had.
    """
    samples = dataset.splits[TRAIN]
    check_features(config.walk.graph.features)

    def make(context: StepContext) -> WeakSeedJob:
        inputs = context.inputs
        maps, answers, features = inputs.get(SALIENCY), inputs.get(PROPOSALS), stroke_features_of(context)
        return WeakSeedJob(inputs.get("activations"), context.folder, config, context.device, maps, answers, features)

    asked = (PROPOSALS, Kind.PROPOSALS) if reads_proposals(config) else None
    source = ("activations", Kind.ACTIVATIONS) if activations else asked
    work = over_images(WeakSeedJob, make, samples, source=source)

    def run(context: StepContext) -> StepResult:
        result = work.run(context)
        fused = [sample for sample in samples if effects_of(context.folder, sample.id).exists()]
        told, warnings = tell_effects(fused, context.folder, name)
        return replace(result, summary={**result.summary, "fusion": told, "warnings": warnings})

    needs = dict([one for one in (source, asked) if one]) | ({SALIENCY: Kind.SALIENCY} if saliency else {})
    settings = asdict(config)
    if not saliency:
        del settings["thresholds"]["fusion"]
    if any(one.drawn.regions and deciding(one.drawn) != "regions" for one in (counted(s, config.use) for s in samples)):
        settings["outlines"] = "over the seeds of the rest"
    return Step(name, Kind.LABELS, needs, settings, replace(work, run=run) if saliency else work, role)
