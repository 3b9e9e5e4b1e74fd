"""Pictures of masks on their photographs, for verbs that make many masks."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from weakseg.errors import ConfigError, OutputError, WeaksegError, cut
from weakseg.files import read_json_object, write_json
from weakseg.pipeline.plan import Failure

if TYPE_CHECKING:
    from weakseg.data.sample import WeakSample
    from weakseg.pipeline.options import RunOptions

STEP, MARKER, SUFFIX = "overlays", "overlays.json", ".jpg"


def add_overlays(parser: ArgumentParser) -> None:
    """Add ``--overlays``."""
    parser.add_argument("--overlays", type=Path, help="folder of pictures of the masks on the photographs (ID.jpg)")


def check_overlays(folder: Path | None, images: Path, masks: Path) -> None:
    """Refuse a folder that holds photographs, overlays of other masks, or anything else.

    Args:
        folder: Of the overlays; ``None``: there are none.
        images: Folder of the photographs.
        masks: Folder that the masks, or the steps that lead to them, are in.

    Raises:
        ConfigError: If it does.
    """
    if folder is None:
        return
    if folder.resolve().is_relative_to(images.resolve()):
        raise ConfigError(f"--overlays: {folder} lies in the folder of the photographs; give another folder")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--overlays: {folder} is a file; give a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARKER).exists():
        raise ConfigError(f"--overlays: {folder} holds other files; give a new folder")
    made_of = str(read_json_object(folder / MARKER).get("masks"))
    if not Path(made_of).is_relative_to(masks.resolve()):
        raise ConfigError(f"--overlays: {folder} holds overlays of {cut(made_of)}; give a new folder")


def save_overlays(folder: Path | None, images: Path, masks: Path, options: "RunOptions") -> list[Failure]:
    """Draw each mask on its photograph, as ``folder/ID.jpg``, and return what failed.

    Args:
        folder: Checked by ``check_overlays``; ``None``: nothing is drawn.
        images: Folder of the photographs.
        masks: Folder of the masks; photographs without one are left out.
        options: Processes.
    """
    if folder is None:
        return []
    from weakseg.data.dataset import open_plain_folder
    from weakseg.progress import track

    write_json(folder / MARKER, {"masks": str(masks.resolve())})
    samples = [sample for sample in open_plain_folder(images) if (masks / f"{sample.id}.png").exists()]
    failures = []
    with track(STEP, len(samples)) as advance:
        for _, failure in options.make_engine().map(partial(_draw, folder, masks), samples, title=STEP):
            failures += [failure] if failure else []
            advance(1)
    return failures


def _draw(folder: Path, masks: Path, sample: "WeakSample") -> Failure | None:
    """Draw one mask, and return why it failed."""
    from weakseg.artifacts import LabelMap
    from weakseg.photograph.overlay import save_overlay

    try:
        mask = LabelMap.load(masks / f"{sample.id}.png").labels
        save_overlay(folder / f"{sample.id}{SUFFIX}", sample.load_image(), mask)
    except OutputError:
        raise
    except WeaksegError as error:
        return Failure(sample.id, STEP, f"{type(error).__name__}: {error}")
    return None
