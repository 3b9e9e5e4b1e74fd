"""What ``weakseg publish`` does: the folder, and its way to a hub."""

import logging
import tempfile
from pathlib import Path

import numpy as np
from jsonargparse import Namespace
from PIL import Image

from weakseg.artifacts import voc_palette
from weakseg.cli.common import conclude, out_path
from weakseg.cli.publish import HUB
from weakseg.data.image import load_rgb
from weakseg.errors import ConfigError
from weakseg.files import atomic_path, write_bytes
from weakseg.integrations.hub import check_name, push
from weakseg.methods.publication import (
    CARD_FILE,
    EXAMPLE_FILE,
    Publication,
    check_target,
    is_publication,
    left_beside,
    open_publication,
    put,
    seal,
)
from weakseg.methods.publish import Source, source_of, write_parts
from weakseg.report.card import Shared, render_card
from weakseg.settings.predict import PredictConfig
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_segmenter
from weakseg.version import __version__

NO_LICENSE = "no licence: without one nobody may use the model; name one by --license, such as apache-2.0"

logger = logging.getLogger(__name__)


def publish(given: Namespace) -> int:
    """Publish what the command line asks for, and return the exit code."""
    name = check_name(given.to.removeprefix(HUB)) if given.to.startswith(HUB) else ""
    if is_publication(given.source):
        return _publish_again(given, name)
    target = Path() if name else out_path(given.to)
    if not name:
        _check_apart(given.source, target)
        check_target(target, overwrite=given.overwrite)
    elif not given.license:
        raise ConfigError(f"--license: a hub needs one; {NO_LICENSE}")
    source = source_of(given.source, given.method, given.what)
    for remark in source.remarks:
        logger.info("%s", remark)
    if not given.license:
        logger.warning("%s", NO_LICENSE)
    called = name.rpartition("/")[2] or target.resolve().name
    with tempfile.TemporaryDirectory() as temporary:
        (folder := Path(temporary) / "made").mkdir()  # which others may read, unlike the folder above it
        made = make(source, folder, Shared(called, given.title or called, given.license.strip()), given.example)
        if not name:
            put(made.folder, target)
            return conclude((), f"published: {target.resolve()}; read {CARD_FILE} before you give it away")
        pushed = push(made.folder, made.files, name, public=given.public, overwrite=given.overwrite)
    return _told(*pushed, public=given.public)


def make(source: Source, folder: Path, shared: Shared, example: Path | None = None) -> Publication:
    """Write a published folder into an empty one."""
    if source.header.get("kind") == "segmenter" and source.model:
        load_segmenter(source.model)  # what nobody could use is not given away
    parts = write_parts(source, folder)
    if example is not None:
        _write_example(source, example, folder / EXAMPLE_FILE)
        shared = Shared(shared.name, shared.title, shared.license, EXAMPLE_FILE)
    write_bytes(folder / CARD_FILE, render_card(source, shared).encode())
    seal(folder, {"weakseg": __version__, "title": shared.title, "license": shared.license or None, **parts})
    return open_publication(folder)


def _write_example(source: Source, photograph: Path, path: Path) -> None:
    """Write the mask of a photograph in the colours of the classes, and nothing of the photograph."""
    if source.model is None or source.header.get("kind") != "segmenter":
        raise ConfigError("--example: is made by the segmenter, and none is published; leave it out")
    model, _ = load_segmenter(source.model)
    config = source.recipe.predictions if source.recipe else PredictConfig()
    mask = predict_image(model, load_rgb(photograph), config)
    image = Image.fromarray(np.ascontiguousarray(voc_palette()[mask.labels]))
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def _publish_again(given: Namespace, name: str) -> int:
    """Push a published folder as it is, with a licence that somebody has laid beside it."""
    if not name:
        raise ConfigError(f"{given.source}: is published already; copy the folder, or push it: --to {HUB}OWNER/NAME")
    made = open_publication(given.source)
    for flag, value in (("method", given.method), ("license", given.license), ("title", given.title)):
        if value:
            raise ConfigError(f"--{flag}: {given.source} is published already; change its {CARD_FILE}, then push it")
    if given.example is not None or given.what != "auto":
        raise ConfigError(f"{given.source}: is published already; --example and --what are for its run")
    if not _says_license(made.folder / CARD_FILE):
        raise ConfigError(
            f"{made.folder / CARD_FILE}: says no licence ('license: apache-2.0' at its top); {NO_LICENSE}"
        )
    with_it, others = left_beside(made)
    if others:
        logger.warning("not pushed, for weakseg publish did not write it: %s", ", ".join(others[:5]))
    pushed = push(made.folder, (*made.files, *with_it), name, public=given.public, overwrite=given.overwrite)
    return _told(*pushed, public=given.public)


def _told(address: str, there: bool, *, public: bool) -> int:
    """Print where it is, and who sees it, and return the exit code."""
    who = "is seen by everybody" if public else "is private until its page on the hub, or --public, says otherwise"
    seen = "was there before, and is seen by whom it was" if there else who
    return conclude((), f"published: {address} (the repository {seen})")


def _says_license(card: Path) -> bool:
    """Return whether the fields above a card name a licence."""
    _, mark, rest = card.read_text(encoding="utf-8").partition("---\n")
    return bool(mark) and any(
        line.startswith("license:") and line[8:].strip() for line in rest.split("---")[0].splitlines()
    )


def _check_apart(source: Path, target: Path) -> None:
    """Refuse the folder of the run itself, or one above it."""
    if source.resolve().is_relative_to(target.resolve()):
        raise ConfigError(f"--to: {target} is, or holds, what is published; give a new folder")
