"""The step in which a proposer is asked for the objects of each image, once for all that becomes seeds of them."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult, way_to
from weakseg.pipeline.units import ImageJob
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.box_seeds import look_of
from weakseg.stages.proposers import build_proposer, check_proposer
from weakseg.stages.proposers.kept import Asked, load_asked, save_answers
from weakseg.stages.weak_seeds import counted, seed_prompts
from weakseg.steps.base import over_images

PROPOSALS = "proposals"
OF_GRABCUT = ("iterations", "margin", "max_side", "contested")  # which change no answer of a network

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProposalJob(ImageJob):
    """Image, and what is drawn on it, to the masks that are proposed for its objects."""

    out: Path
    config: WeakSeedConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.PROPOSALS.suffix

    def one(self, sample: WeakSample) -> None:
        """Ask, and save the answers."""
        image, sample = sample.load_image(), counted(sample, self.config.use)
        look = look_of(image, self.config.boxes, device=self.device)
        prompts, places = seed_prompts(sample.drawn, look.size, self.config)
        answers = {prompt: look.segment(prompt, places) for prompt in prompts}
        save_answers(self.output(sample.id), answers, look.size)


def proposal_steps(dataset: Dataset, config: WeakSeedConfig) -> list[Step]:
    """Return the step in which a network is asked; none where it is GrabCut, which seeds ask themselves.

    Args:
        dataset: Its training images.
        config: Of the seeds that come of it.

    Raises:
        ConfigError: If packages or the checkpoint are missing.
        CheckpointError: If the checkpoint is one of another network.
    """
    if not reads_proposals(config):
        return []
    check_proposer(config.boxes)
    samples, proposer = dataset.splits[TRAIN], config.boxes.proposer
    work = over_images(ProposalJob, lambda context: ProposalJob(context.folder, config, context.device), samples)

    def run(context: StepContext) -> StepResult:
        build_proposer(config.boxes, device=context.device)  # what cannot be loaded is no image's fault
        result = work.run(context)
        told, warnings = tell_proposals(samples, context.folder, proposer)
        warnings = [*result.summary.get("warnings", ()), *warnings]
        return replace(result, summary={**result.summary, **told, "warnings": warnings})

    return [Step(PROPOSALS, Kind.PROPOSALS, {}, _settings(config), replace(work, run=run), Role.PART)]


def reads_proposals(config: WeakSeedConfig) -> bool:
    """Return whether seeds are made of what a network proposes."""
    return config.boxes.proposes and config.use not in ("tags", "regions")


def proposer_of(steps: Sequence[Step], name: str) -> dict[str, str]:
    """Return what results say of the proposer that a step's products depend on; empty where it is GrabCut.

    Args:
        steps: Of the plan.
        name: Of the step.
    """
    used = next((step.settings["boxes"] for step in way_to(steps, name) if step.kind == Kind.PROPOSALS), None)
    return {"name": used["proposer"], "file": Path(used["proposer_file"]).name} if used else {}


def tell_proposals(samples: Sequence[WeakSample], folder: Path, proposer: str) -> tuple[dict[str, Any], list[str]]:
    """Log how often a proposer had a mask for objects of some images; return sums, and what is worth a warning.

    Args:
        samples: The images; those that nothing is known of are left out.
        folder: Of the answers.
        proposer: Who was asked.

    Raises:
        StoreError: As ``load_asked``.
    """
    paths = (folder / f"{sample.id}{Kind.PROPOSALS.suffix}" for sample in samples)
    each = [load_asked(path) for path in paths if path.exists()]
    failures = sum((Counter(one.failures) for one in each), Counter[str]())
    troubles = dict.fromkeys(trouble for one in each for trouble in one.troubles)
    whole = Asked(sum(one.objects for one in each), dict(sorted(failures.items())), tuple(troubles))
    logger.info("%s: %s was asked for %d objects of %d images", PROPOSALS, proposer, whole.objects, len(each))
    warnings = [f"{PROPOSALS}: {whole.doubt(proposer)}"] if whole.failures else []
    for text in warnings:
        logger.warning("%s", text)
    return {"proposer": proposer, "objects": whole.objects, "failures": dict(whole.failures)}, warnings


def _settings(config: WeakSeedConfig) -> dict[str, Any]:
    boxes: BoxSeedConfig = config.boxes
    asked = {name: value for name, value in asdict(boxes).items() if name not in OF_GRABCUT}
    return {"boxes": asked, "use": config.use, "by_strokes": config.strokes_as == "proposer"}
