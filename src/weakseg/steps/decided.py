"""What the first images of a step decide for all: background score and CRF of seeds, CRF of masks."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from weakseg.artifacts import LabelMap
from weakseg.data.sample import WeakSample
from weakseg.files import read_json_object, write_json
from weakseg.pipeline.plan import StepContext, StepResult, Work
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.stages.refine import refine_image
from weakseg.stages.threshold import TRIED, background_of, counted_losses, crf_takes, drawn, takes_too_much

DECIDED_FILE = "decided.json"
"""In a step's folder; what it says holds for images that are done later, too."""
NO_SCORE = 0.4  # where no image says anything

logger = logging.getLogger(__name__)


def decided(folder: Path) -> dict[str, Any]:
    """Return what was decided in a step's folder; empty: nothing."""
    path = folder / DECIDED_FILE
    return read_json_object(path) if path.is_file() else {}


def telling(work: Work, *, decides: bool) -> Work:
    """Return work on images whose summary tells what was decided, and warns of what was left out.

    Args:
        work: On images.
        decides: Whether anything is left to decide.
    """

    def run(context: StepContext) -> StepResult:
        result = work.run(context)
        if not (told := decided(context.folder)):
            return result
        warnings = [*result.summary.get("warnings", ()), *told.get("warnings", ())]
        beside = {"decided": told["text"]} if "text" in told else {}
        return replace(result, summary={**result.summary, **beside, **({"warnings": warnings} if warnings else {})})

    return replace(work, run=run, decides=decides)


def decided_seeds(config: SeedConfig, told: dict[str, Any]) -> SeedConfig:
    """Return the settings of seeds with what was decided of them."""
    if not told:
        return config
    found = replace(config.with_numbers(told["strict"], told["lenient"]), check_crf=False)
    return found if told["crf"] else replace(found, crf=replace(found.crf, iterations=0))


def decided_masks(config: RefineConfig, told: dict[str, Any]) -> RefineConfig:
    """Return the settings of masks with what was decided of them."""
    if not told:
        return config
    found = replace(config, check_crf=False)
    return found if told["crf"] else replace(found, crf=replace(config.crf, iterations=0))


def decide_seeds(config: SeedConfig, samples: Sequence[WeakSample], activations: Path, folder: Path) -> dict[str, Any]:
    """Decide what settings of seeds leave to the images of a run, once; write it into the step's folder, and say it.

    Where thresholds are ``auto`` and the CRF is left out, both become the score between them: nothing is undecided.

    Args:
        config: With background ``threshold``.
        samples: The images.
        activations: Folder of their activations.
        folder: Of the step.
    """
    if told := decided(folder):
        return told
    found: dict[str, Any] = {}
    auto = "auto" in (config.strict, config.lenient)
    if auto:
        background = background_of(samples, activations)
        score = NO_SCORE if background.score is None else background.score
        config = config.with_score(score)
        why = f"at {score:g} foreground and background of {background.images} images look most unlike each other"
        if background.score is None:
            why = "no image says anything of them"
        found = {"separability": background.separability, "why": why}
    crf = True
    if config.check_crf and config.crf.iterations:
        found |= _tried("seeds", *crf_takes(samples, activations, config))
        crf = found["crf"]
    strict, lenient = config.numbers if crf or not auto else config.without_crf.numbers
    found |= {"strict": strict, "lenient": lenient, "crf": crf}
    if auto:
        found["text"] = f"seeds.strict, seeds.lenient (auto): {strict} and {lenient}, for {found.pop('why')}"
        logger.info(found["text"])
    write_json(folder / DECIDED_FILE, found)
    return found


def decide_masks(
    config: RefineConfig, samples: Sequence[WeakSample], seeds: Path, folder: Path, *, with_background: bool
) -> dict[str, Any]:
    """Decide whether masks have a CRF, once; as ``decide_seeds``.

    Args:
        config: Of masks.
        samples: The images.
        seeds: Folder of their seeds.
        folder: Of the step.
        with_background: As of ``refine_image``.
    """
    if not config.check_crf or not config.crf.iterations:
        return {}
    if told := decided(folder):
        return told

    def both(sample: WeakSample) -> tuple[LabelMap, LabelMap]:
        before = LabelMap.load(seeds / f"{sample.id}.png")
        return before, refine_image(before, sample.load_image(), config, with_background=with_background)

    found = _tried("masks", *counted_losses(drawn(samples, seeds, TRIED, ".png"), both))
    write_json(folder / DECIDED_FILE, found)
    return found


def _tried(section: str, lost: int, shown: int) -> dict[str, Any]:
    """Return, and say, what follows from what a CRF took when it was tried."""
    kept = not takes_too_much(lost, shown)
    found: dict[str, Any] = {"crf": kept, "crf_tried": shown, "crf_lost": lost}
    tried = f"where it was tried it took more than half of their area from {lost} of {shown} classes of images"
    if kept:
        logger.info("%s.crf: kept; %s", section, tried)
        return found
    undecided = " What seeds leave undecided stays so (255)." if section == "masks" else ""
    found["warnings"] = [
        f"{section}.crf: left out, for {tried}; look at the activations.{undecided} {section}.check_crf false keeps it"
    ]
    logger.warning(found["warnings"][0])
    return found
