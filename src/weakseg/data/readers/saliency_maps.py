"""Saliency maps from a folder join the samples of a data set."""

from dataclasses import replace
from pathlib import Path

from weakseg.data.paths import inside
from weakseg.data.reading import Reading
from weakseg.data.saliency import find_saliency
from weakseg.errors import DataError


def add_saliency(reading: Reading, folder: Path) -> Reading:
    """Return the samples with their saliency maps, ``ID.png`` in a folder; no map is opened yet.

    Raises:
        DataError: If there is no such folder, or it has a map of no image.
    """
    if not folder.is_dir():
        raise DataError(f"data.saliency: {folder} is not a folder; give the folder of the saliency maps")
    splits = {
        split: tuple(replace(sample, saliency=find_saliency(folder, sample.id)) for sample in samples)
        for split, samples in reading.splits.items()
    }
    every = [sample for samples in splits.values() for sample in samples]
    if not any(sample.saliency for sample in every):
        first = min((path.name for path in folder.iterdir()), default="nothing")
        raise DataError(
            f"data.saliency: {folder} has maps of none of the images (it has {first!r}, the data set "
            f"{every[0].id!r}); a map is called as its photograph, ID.png"
        )
    for sample in every:
        if sample.saliency is not None:
            inside(folder, str(sample.saliency.relative_to(folder)), "data.saliency")
    return replace(reading, splits=splits)
