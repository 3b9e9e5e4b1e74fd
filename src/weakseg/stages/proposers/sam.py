"""SAM 2 and SAM 3 as transformers has them, as proposers of masks: three masks of each prompt, with their scores."""

import importlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.errors import CheckpointError, ConfigError, cut
from weakseg.files import read_json_object
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.proposers.prompt import Size
from weakseg.stages.proposers.proposer import Proposals

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
REMEDY = "give the folder of a checkpoint as transformers saves it: config.json, model.safetensors and the processor's"


class Family(NamedTuple):
    """Classes of transformers for one generation of networks."""

    model: str
    processor: str
    model_type: str


FAMILIES = {
    "sam2": Family("Sam2Model", "Sam2Processor", "sam2"),
    "sam3": Family("Sam3TrackerModel", "Sam3TrackerProcessor", "sam3"),
}


class Encoded(NamedTuple):
    """Feature maps of an image, and its (rows, columns)."""

    maps: list[Tensor]
    size: Size


class SamProposer:
    """A network of transformers that proposes masks for boxes and points.

    Attributes:
        side: Of the square image that it looks at.

    Reference:
        [ravi2024sam2]; [carion2025sam3].
    """

    takes_points: ClassVar[bool] = True
    needs_rest: ClassVar[bool] = False

    def __init__(self, model: Any, processor: Any, device: str) -> None:
        self._model, self._processor, self._device = model.eval().to(device), processor, device
        self.side = int(processor.target_size)

    def encode(self, image: NDArray[np.uint8]) -> Encoded:
        """Return the feature maps of ``(h, w, 3)`` uint8."""
        pixels = self._processor(images=image, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            maps = self._model.get_image_embeddings(pixels.to(self._device))
        return Encoded(maps, (image.shape[0], image.shape[1]))

    def propose(
        self,
        encoded: Encoded,
        boxes: NDArray[np.float64] | None,
        points: NDArray[np.float64] | None,
        signs: NDArray[np.int64] | None,
    ) -> Proposals:
        """Return three masks of each prompt, as logits, and the IoU that the network expects of them."""
        told: dict[str, Any] = {}
        if boxes is not None:
            told["input_boxes"] = [boxes[:, [1, 0, 3, 2]].tolist()]  # left, top, right, bottom
        if points is not None and signs is not None:
            told |= {"input_points": [points[..., ::-1].tolist()], "input_labels": [signs.tolist()]}  # x, y
        inputs = self._processor(original_sizes=[list(encoded.size)], return_tensors="pt", **told)
        prompts = {name: inputs[name].to(self._device) for name in told}
        with torch.inference_mode():
            found = self._model(image_embeddings=encoded.maps, multimask_output=True, **prompts)
        (masks,) = self._processor.post_process_masks(found.pred_masks.float().cpu(), [encoded.size], binarize=False)
        return Proposals(masks.numpy(), found.iou_scores[0].float().cpu().numpy())


def load_sam2(config: BoxSeedConfig, device: str) -> SamProposer:
    """Return SAM 2 of a checkpoint."""
    return _load(config, device)


def load_sam3(config: BoxSeedConfig, device: str) -> SamProposer:
    """Return the part of SAM 3 that answers boxes and points, its tracker, of a checkpoint."""
    return _load(config, device)


def check_checkpoint(config: BoxSeedConfig) -> None:
    """Refuse networks whose packages, or whose folder, are not there; what a hub has is not looked at.

    Raises:
        ConfigError: If transformers is missing, or the file is no folder and no name of a hub.
        CheckpointError: If the folder holds another network.
    """
    if importlib.util.find_spec("transformers") is None:
        raise _needs_packages(config.proposer)
    folder = Path(config.proposer_file).expanduser()
    if not folder.is_dir():
        if folder.exists() or not HUB_NAME.fullmatch(config.proposer_file):
            raise ConfigError(f"seeds.boxes.proposer_file: {cut(config.proposer_file)} is no folder; {REMEDY}")
        return
    described = folder / "config.json"
    if not described.is_file():
        raise CheckpointError(f"{folder}: has no config.json; {REMEDY}")
    kind = str(read_json_object(described).get("model_type", ""))
    if not kind.startswith(FAMILIES[config.proposer].model_type):
        raise CheckpointError(f"{described}: is of a model {kind!r}, wanted {config.proposer!r}; {REMEDY}")


def _classes(name: str) -> tuple[Any, Any]:
    """Return the classes of network and processor."""
    family = FAMILIES[name]
    try:
        transformers = importlib.import_module("transformers")
        return getattr(transformers, family.model), getattr(transformers, family.processor)
    except ImportError as error:
        raise _needs_packages(name) from error
    except AttributeError as error:
        raise ConfigError(
            f"seeds.boxes.proposer: this transformers has no {family.model}; run: pip install -U transformers"
        ) from error


def _needs_packages(name: str) -> ConfigError:
    return ConfigError(f"seeds.boxes.proposer: {name!r} needs more packages; run: pip install 'weakseg[sam]'")


def _load(config: BoxSeedConfig, device: str) -> SamProposer:
    check_checkpoint(config)
    model_class, processor_class = _classes(config.proposer)
    folder = Path(config.proposer_file).expanduser()
    place = str(folder) if folder.is_dir() else config.proposer_file
    about = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    try:
        with _without_progress():
            model, told = model_class.from_pretrained(place, **about)
        processor = processor_class.from_pretrained(place)
    except Exception as error:  # what a damaged file makes of transformers can be anything
        why = cut(str(error).strip().partition("\n")[0])
        raise CheckpointError(f"{place}: cannot be loaded as {config.proposer!r} ({why}); {REMEDY}") from error
    _check_whole(told, place)
    return SamProposer(model, processor, device)


@contextmanager
def _without_progress() -> Iterator[None]:
    """Keep the bars of transformers away: each process of a run loads the network."""
    told = importlib.import_module("transformers.utils.logging")
    shown = told.is_progress_bar_enabled()
    told.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            told.enable_progress_bar()


def _check_whole(told: Mapping[str, Any], place: str) -> None:
    """Refuse a checkpoint that lacks weights: transformers draws them at random."""
    for what in ("missing_keys", "mismatched_keys"):
        if lacking := sorted(map(str, told.get(what) or ())):
            kind = what.removesuffix("_keys")
            raise CheckpointError(f"{place}: {len(lacking)} weights are {kind}, the first {lacking[0]}; {REMEDY}")
