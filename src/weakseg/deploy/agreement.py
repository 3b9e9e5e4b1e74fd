"""Whether a file that was exported does what the network does that it was made of."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.deploy.network import Activated, Given
from weakseg.deploy.pictures import SIZES, picture
from weakseg.errors import CheckpointError, cut
from weakseg.nn.exported.described import (
    ACTIVATIONS,
    CLASSIFIER,
    IMAGES,
    LABELS,
    SCORES,
    SEGMENTER,
    Described,
)
from weakseg.nn.exported.file import open_session
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.settings.predict import PredictConfig
from weakseg.stages.classify import load_classifier
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_segmenter

LEAST = 0.999  # of the pixels, in each picture
NAMES = {SEGMENTER: [LABELS], CLASSIFIER: [SCORES, ACTIVATIONS]}
ALIKE = 0.01  # difference of scores and activations that counts as none
Found = Sequence[NDArray[Any]]
Images = NDArray[np.uint8]


class Agreement(NamedTuple):
    """How far a file and its network agree.

    Attributes:
        shares: Of the pixels, for each picture.
        sizes: (rows, columns) of the pictures.
        further: What else is to be said.
    """

    shares: tuple[float, ...]
    sizes: tuple[tuple[int, int], ...]
    further: str = ""

    @property
    def sentence(self) -> str:
        """What to say of it."""
        pairs = zip(self.shares, self.sizes, strict=True)
        named = ", ".join(f"{100 * share:.3f} % at {size[1]} x {size[0]}" for share, size in pairs)
        return f"agrees with torch on {named}{self.further}"


def single_scale(given: Given) -> PredictConfig:
    """Return the settings of ``weakseg predict`` that an exported file matches."""
    plain = PredictConfig(scales=(1.0,), flip=False, max_side=given.sides.seen, mask_side=given.sides.decided)
    return replace(plain, tiles=replace(plain.tiles, tile=0))


def runner(content: bytes, described: Described, where: str) -> Callable[[Images], Found]:
    """Return what runs an ONNX file on ``(N, H, W, 3)`` images, for what is compared."""
    names = NAMES[described.kind]
    session = open_session(content, where, torch.get_num_threads())

    def run(images: Images) -> Found:
        try:
            found: Found = session.run(names, {IMAGES: images})
        except Exception as error:
            raise CheckpointError(
                f"{where}: onnxruntime cannot run what torch has exported on images of {images.shape[2]} x "
                f"{images.shape[1]} ({cut(error)}); nothing was written; another backbone or head may do"
            ) from error
        return found

    return run


def reference(given: Given, described: Described) -> Callable[[Images], Found]:
    """Return what weakseg itself makes of one ``(H, W, 3)`` image, by the network as it was trained."""
    if described.kind == SEGMENTER:
        segmenter, _ = load_segmenter(given.path)
        config = single_scale(given)
        return lambda image: [predict_image(segmenter, image, config).labels]
    classifier, classes = load_classifier(given.path)
    activated = Activated(classifier, len(classes)).eval()

    def find(image: Images) -> Found:
        size = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=given.sides.seen)
        with torch.inference_mode():
            return [part[0].numpy() for part in activated(image_tensor(resize_image(image, size))[None])]

    return find


def check_agreement(
    run: Callable[[Images], Found], given: Given, described: Described, *, what: str = "the exported file"
) -> Agreement:
    """Return how far a file and its network agree, two pictures at once at the smallest size.

    Raises:
        CheckpointError: If they do not, on some picture.
    """
    compute, shares, sizes = reference(given, described), [], []
    for count, size in zip((2, 1, 1), SIZES, strict=True):
        images = np.stack([picture(size, number) for number in range(count)])
        found = run(images)
        for number in range(count):
            shares.append(_share([part[number] for part in found], compute(images[number])))
            sizes.append(size)
    agreement = Agreement(tuple(shares), tuple(sizes))
    if min(shares) < LEAST:
        raise CheckpointError(f"{given.path}: {what} is not the network: it {agreement.sentence}; nothing was written")
    return agreement


def _share(found: Found, wanted: Found) -> float:
    """Return the share of values that are the same, of whole numbers, or alike; the smallest of all outputs."""
    shares = []
    for mine, theirs in zip(found, wanted, strict=True):
        if mine.shape != theirs.shape:
            return 0.0
        same = mine == theirs if mine.dtype == np.uint8 else np.abs(mine - theirs) <= ALIKE
        shares.append(float(same.mean()))
    return min(shares)
