"""Verbs that train a network on one file an image: what they share, written once."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weakseg.cli.common import (
    add_run_options,
    add_settings,
    build_parser,
    check_there,
    conclude,
    out_path,
    parse,
    read_class_file,
    run_options,
    settings_of,
    settle,
)
from weakseg.crew import TakenPartError, crew
from weakseg.errors import DataError
from weakseg.names import in_any_form
from weakseg.pipeline.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weakseg.data.classes import Classes
    from weakseg.data.sample import WeakSample
    from weakseg.training.loop import FitPlace

KINDS = {"masks": Kind.LABELS, "instances": Kind.INSTANCES}
SHOWN = (
    "--fit.epochs",
    "--fit.batch_size",
    "--fit.lr",
    "--augment.long_side",
    "--augment.crop",
    "--model.backbone.name",
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainVerb:
    """A verb that trains a network on what a folder holds for each image.

    Attributes:
        name: The verb.
        description: First lines of its help.
        examples: Last lines of its help.
        config: Dataclass of the training's settings; each is a flag.
        targets: What the network learns: a key of ``KINDS``, and the flag of its folder.
        train: Trains on images and the folder, with classes and settings, at a place.
    """

    name: str
    description: str
    examples: str
    config: type[Any]
    targets: str
    train: "Callable[[Sequence[WeakSample], Path, Classes, Any, FitPlace], object]"

    def main(self, words: "Sequence[str]") -> int:
        """Run the verb; an interrupted call goes on where it stopped."""
        parser = build_parser(self.name, self.description, self.examples)
        folders = {name: f"folder of the {name}" for name in (self.targets, "images")}
        for name, text in {**folders, "classes": "class names, one a line"}.items():
            parser.add_argument(f"--{name}", type=Path, required=True, help=text)
        parser.add_argument("--out", type=out_path, required=True, help="folder of the model")
        parser.add_argument("--seed", type=int, default=0, help="of everything random")
        parser.add_argument("--config", action="config", help="YAML file of settings; flags after it win")
        add_settings(parser, self.config)
        add_run_options(parser, spreads=False, trains=True)
        given = parse(parser, words, shown=SHOWN)
        check_there(given, folders)
        from weakseg.data.dataset import open_plain_folder
        from weakseg.nn.weights import MODEL_FILE
        from weakseg.training.loop import FitPlace

        options, classes, folder = run_options(given), read_class_file(given.classes), given[self.targets]
        suffix = KINDS[self.targets].suffix
        images = open_plain_folder(given.images)
        samples = [sample for sample in images if in_any_form(folder / f"{sample.id}{suffix}").exists()]
        if not samples:
            raise DataError(f"{folder}: no file ID{suffix} has the name of an image in {given.images}")
        if len(samples) < len(images):
            left = sorted({sample.id for sample in images} - {sample.id for sample in samples})
            told = (self.targets, len(left), len(images), left[0])
            logger.warning("left out for want of %s: %d of %d images, such as %s", *told)
        config, place = settings_of(given, self.config), FitPlace(given.out, given.seed, options.device)
        inputs = {name: given[name] for name in (*folders, "classes")}
        if crew().follows:
            with suppress(TakenPartError):
                self.train(samples, folder, classes, config, place)
            return 0
        with settle(given.out, {**asdict(config), "seed": given.seed}, **inputs):
            self.train(samples, folder, classes, config, place)
        done = f"trained on {len(samples)} images with {self.targets}"
        return conclude((), f"{done}: {(given.out / MODEL_FILE).resolve()}")
