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
from weakseg.stages.threshold import TRIED, background_of, crf_takes, drawn, losses, takes_too_much

DECIDED_FILE = "decided.json"
"""In a step's folder; what it says holds for images that are done later, too."""
NO_SCORE = 0.4  # where no image says anything

logger = logging.getLogger(__name__)


def decided(folder: Path) -> dict[str, Any]:
    """Return what was decided in a step's folder; empty: nothing."""
    path = folder / DECIDED_FILE
    return read_json_object(path) if path.is_file() else {}


def telling(work: Work) -> Work:
    """Return work on images whose summary tells what was decided, and warns of what was left out."""

    def run(context: StepContext) -> StepResult:
        result = work.run(context)
        if not (told := decided(context.folder)):
            return result
        warnings = [*result.summary.get("warnings", ()), *told.get("warnings", ())]
        beside = {"decided": told["text"]} if "text" in told else {}
        return replace(result, summary={**result.summary, **beside, **({"warnings": warnings} if warnings else {})})

    return replace(work, run=run)


def decided_seeds(config: SeedConfig, told: dict[str, Any]) -> SeedConfig:
    """Return the settings of seeds with what was decided of them."""
    if not told:
        return config
    found = config.with_numbers(told["strict"], told["lenient"])
    return found if told["crf"] else found.without_crf


def decided_masks(config: RefineConfig, told: dict[str, Any]) -> RefineConfig:
    """Return the settings of masks with what was decided of them."""
    return config if told.get("crf", True) else replace(config, crf=replace(config.crf, iterations=0))


def decide_seeds(config: SeedConfig, samples: Sequence[WeakSample], activations: Path, folder: Path) -> dict[str, Any]:
    """Decide what settings of seeds leave to the images of a run, once; write it into the step's folder, and say it.

    Args:
        config: With background ``threshold``.
        samples: The images.
        activations: Folder of their activations.
        folder: Of the step.
    """
    if told := decided(folder):
        return told
    found: dict[str, Any] = {}
    if "auto" in (config.strict, config.lenient):
        background = background_of(samples, activations)
        score = NO_SCORE if background.score is None else background.score
        config = config.with_score(score)
        why = f"at {score:g} foreground and background of {background.images} images look most unlike each other"
        if background.score is None:
            why = "no image says anything of them"
        text = f"seeds.strict, seeds.lenient (auto): {config.strict} and {config.lenient}, for {why}"
        found = {"separability": background.separability, "text": text}
        logger.info(text)
    strict, lenient = config.numbers
    crf = True
    if config.check_crf and config.crf.iterations:
        lost, shown = crf_takes(samples, activations, config)
        crf = not takes_too_much(lost, shown)
        _tell_crf("seeds", lost, shown, crf, found)
    found = {"strict": strict, "lenient": lenient, "crf": crf, **found}
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
    lost = shown = 0
    for sample in drawn(samples, seeds, TRIED, ".png"):
        before = LabelMap.load(seeds / f"{sample.id}.png")
        after = refine_image(before, sample.load_image(), config, with_background=with_background)
        taken = losses(before, after)
        lost, shown = lost + sum(taken), shown + len(taken)
    found: dict[str, Any] = {"crf": not takes_too_much(lost, shown)}
    _tell_crf("masks", lost, shown, found["crf"], found)
    write_json(folder / DECIDED_FILE, found)
    return found


def _tell_crf(section: str, lost: int, shown: int, kept: bool, found: dict[str, Any]) -> None:
    """Note, and say where it is left out, what a CRF did when it was tried."""
    found |= {"crf_tried": shown, "crf_lost": lost}
    if not kept:
        found["warnings"] = [
            f"{section}.crf: left out, for where it was tried it took more than half of their area from {lost} of "
            f"{shown} classes of images; look at the activations. {section}.check_crf false keeps it"
        ]
        logger.warning(found["warnings"][0])
