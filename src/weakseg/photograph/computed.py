"""What is computed of a photograph and does not depend on marks: made when it is first needed, and kept."""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.artifacts import Activations, PixelGraph, Scores
from weakseg.data.annotations import Drawn
from weakseg.errors import DataError
from weakseg.nn.vocabulary import build_word_classifier
from weakseg.ops.crf import DenseCrf
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.click_odds import ClickOddsConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.build_graph import free_graph
from weakseg.stages.click_maps import CellMaps, cell_maps
from weakseg.stages.click_odds import click_scores, points_along
from weakseg.stages.decode import decoding_crf
from weakseg.stages.mask_cues import SIDE
from weakseg.stages.proposers.kept import asked_of
from weakseg.stages.stroke_walk import walk_graph_of
from weakseg.stages.weak_seeds import SeedParts

Made = TypeVar("Made")


class Computed:
    """A photograph, and what has been computed of it.

    Attributes:
        image: ``(H, W, 3)`` uint8, upright RGB.
        name: What it is called in warnings; may be empty.
    """

    def __init__(self, image: NDArray[np.uint8], name: str) -> None:
        self.image, self.name = image, name
        self._kept: dict[str, object] = {}
        self._latest: dict[str, tuple[tuple[object, ...], object]] = {}

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.image.shape[0], self.image.shape[1]

    def peaks(self, names: tuple[str, ...]) -> dict[str, float]:
        """Return the logit of each word for the whole photograph."""

        def make() -> dict[str, float]:
            model = build_word_classifier(names)
            small = resize_image(self.image, scaled_size(self.size, 1.0, max_side=SIDE))
            with torch.inference_mode():
                logits = model(image_tensor(small)[None].to(model.device)).logits[0]
            return dict(zip(names, logits.tolist(), strict=True))

        return self.once(("peaks", names), make)

    def activations(self, names: tuple[str, ...], config: ActivateConfig) -> Activations:
        """Return the activations of words of ImageNet, label ``i + 1`` being the i-th."""

        def make() -> Activations:
            model = build_word_classifier(names) if names else None
            return activate_image(model, self.image, tuple(range(1, len(names) + 1)), config)

        return self.once(("activations", names, config), make)

    def evidence(self, names: tuple[str, ...], config: ActivateConfig) -> Activations:
        """Return activations of names that are words of ImageNet: what none of them claims is background."""
        try:
            return self.activations(names, config)
        except DataError as error:
            raise DataError(
                f"points: none is on the background, and {error}; click on the background too, or take a word of "
                "ImageNet"
            ) from error

    def graph(self, config: FreeGraphConfig) -> PixelGraph:
        """Return the graph of the photograph, reduced to ``config.max_side``, with no training."""
        return self.once(("graph", config), lambda: free_graph(self.reduced(config), config))

    def reduced(self, config: FreeGraphConfig) -> NDArray[np.uint8]:
        """Return the pixels that a graph is made of."""
        return resize_image(self.image, scaled_size(self.size, 1.0, max_side=config.max_side))

    def once(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Return what was made under a key of names and settings, made now or before."""
        name = repr(key)
        if name not in self._kept:
            self._kept[name] = make()
        return cast(Made, self._kept[name])

    def latest(self, kind: str, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Return what was made of a kind, where it was the last of it and its key the same; else it is made anew."""
        if kind not in self._latest or self._latest[kind][0] != key:
            self._latest[kind] = (key, make())
        return cast(Made, self._latest[kind][1])

    def seed_parts(self, config: WeakSeedConfig) -> SeedParts:
        """Return what seeds of the photograph are made of, for marks to come."""
        return self.once(("seeds", config), SeedParts)

    def prepare_seeds(self, config: WeakSeedConfig) -> None:
        """Compute what the first stroke or box will need."""
        parts = self.seed_parts(config)
        if config.strokes_as == "walk":
            parts.graph = parts.graph or walk_graph_of(self.image, config.walk)
        if config.boxes.proposes:
            _ = parts.looked(self.image, config, "cpu").encoded

    def proposer_doubts(self, config: WeakSeedConfig) -> list[str]:
        """Return what is worth a warning of the masks that were proposed last."""
        doubt = asked_of(self.seed_parts(config).answers).doubt(config.boxes.proposer)
        return [doubt] if doubt else []

    def crf(self, config: DecodeConfig) -> DenseCrf | None:
        """Return the CRF that decodes scores; ``None`` where none does."""
        return self.once(("crf", config), lambda: decoding_crf(self.image, config)) if config.crf.iterations else None

    def cells(self, config: ClickOddsConfig) -> CellMaps:
        """Return what is known of the photograph's cells, for points and strokes."""
        return self.once(("cells", config), lambda: cell_maps(self.image, config))

    def clicked(self, drawn: Drawn, config: ClickOddsConfig) -> Scores:
        """Return the scores of points and strokes; the last ones are kept, and what is known of the cells."""
        maps = self.cells(config)
        points = points_along(drawn, config.stroke_step * max(self.size))
        return self.latest("clicked", (points, config), lambda: click_scores(points, maps, self.size, config))
