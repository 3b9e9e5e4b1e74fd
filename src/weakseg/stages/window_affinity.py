"""Train a window affinity network on seeds, and apply it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.data.sample import WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.graph.feature_affinity import color_position_weights, feature_distance
from weakseg.nn.pairs.pair_losses import affinity_loss, label_pairs, own_pairs, similarity_loss
from weakseg.nn.pairs.window_affinity import WindowAffinityNet, WindowMaps, node_colors
from weakseg.nn.weights import MODEL_FILE, read_header, save_model
from weakseg.ops.resample import image_tensor, padded_to
from weakseg.ops.stencil import Offset, half_window
from weakseg.rng import numpy_generator_for
from weakseg.settings.affinity import GRID_STRIDE
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.window_affinity import KIND, Align, PairLossConfig, WindowAffinityConfig, WindowConfig
from weakseg.stages.affinity import KIND as PLAIN_KIND
from weakseg.stages.affinity import load_affinity
from weakseg.stages.classify import start_backbone, start_config
from weakseg.stages.networks import by_id, load_network, load_seeded
from weakseg.training.augment import draw_view
from weakseg.training.loop import FitPlace
from weakseg.training.train import Training, train_model


@dataclass(frozen=True)
class WindowData:
    """Augmented images with their seeds on the grid, keyed by (seed, image id, epoch)."""

    samples: Sequence[WeakSample]
    seeds: Path
    config: AugmentConfig
    align: Align
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return an image, labels of the cells, and which cells lie in the photograph altogether.

        The label of a cell is that of the pixel that the network's cell is centred on: in the middle of the cell, or
        its first where levels are not put in place (``align`` ``edges``).

        Returns:
            ``(3, crop, crop)`` float on 0..255, ``(crop / 8, crop / 8)`` int64 and bool.
        """
        sample = self.samples[index]
        image, labels = load_seeded(sample, self.seeds)
        rng = numpy_generator_for(self.seed, sample.id, f"{KIND}/augment/{self.config.variant(epoch)}")
        view = draw_view((image.shape[0], image.shape[1]), self.config, rng)
        first = 0 if self.align == "edges" else GRID_STRIDE // 2
        cells = view.labels(labels)[first::GRID_STRIDE, first::GRID_STRIDE].astype(np.int64)
        side = self.config.crop // GRID_STRIDE
        outside = view.labels(np.zeros_like(labels)) == UNDECIDED
        inside = ~outside.reshape(side, GRID_STRIDE, side, GRID_STRIDE).any((1, 3))
        return image_tensor(view.image(image)), torch.from_numpy(cells), torch.from_numpy(inside)


def train_window_affinity(
    samples: Sequence[WeakSample],
    seeds: Path,
    *,
    config: WindowAffinityConfig,
    place: FitPlace,
    classifier: Path | None = None,
    trained: Path | None = None,
) -> list[dict[str, Any]]:
    """Train on seeds and write ``model.safetensors`` into the place's folder; return one record an epoch.

    Args:
        samples: Images with seeds.
        seeds: Folder of the seeds, full size, 255 where undecided.
        config: Network and training.
        place: Folder, seed and device.
        classifier: Model file, for ``config.start`` ``classifier``.
        trained: Model file of an affinity network, for ``affinity``.

    Reference:
        [zhang2021a2gnn], affinity learning. Differs from its code: pairs with cells outside of the crop do
        not count.
    """
    network, offsets = config.network, half_window(config.network.radius_cells, config.network.window)

    def loss(module: torch.nn.Module, batch: list[Tensor]) -> Tensor:
        return pair_loss(module(batch[0]).float(), batch, offsets, config.loss)

    data = WindowData(by_id(samples), seeds, config.augment, network.align, place.seed)
    build, header = start_window_affinity(config, classifier, trained)
    return train_model(Training(KIND, build, data, loss, config.fit, header), place)


def keep_window_affinity(
    config: WindowAffinityConfig, place: FitPlace, *, classifier: Path | None = None, trained: Path | None = None
) -> None:
    """Write the network as it starts into the place's folder, as a trained one; arguments as for the training."""
    build, header = start_window_affinity(config, classifier, trained)
    torch.manual_seed(numpy_generator_for(place.seed, "", f"{KIND}/init").integers(2**62))
    save_model(place.folder / MODEL_FILE, build(), header)


def start_window_affinity(
    config: WindowAffinityConfig, classifier: Path | None = None, trained: Path | None = None
) -> tuple[Callable[[], WindowAffinityNet], dict[str, Any]]:
    """Return what builds the network as it starts, and what its file says.

    Raises:
        ConfigError: If a file is asked for and none is given.
        CheckpointError: If a file is damaged, or of a network that does not start this one.
    """
    network = config.network

    def build() -> WindowAffinityNet:
        if path is not None:
            return continue_affinity(path, network)
        return WindowAffinityNet(start_backbone(config.start, config.backbone, classifier), network)

    path = Path(config.file) if config.start == "file" else trained if config.start == "affinity" else None
    if config.start == "affinity" and path is None:
        raise ConfigError("affinity.start: 'affinity' needs a network that was trained before; use 'file'")
    if path is None:
        backbone = asdict(start_config(config.start, config.backbone, classifier))
    else:
        backbone = read_header(path, kinds=(KIND, PLAIN_KIND))["backbone"]
    return build, {"kind": KIND, "backbone": backbone, "network": asdict(network)}


def continue_affinity(path: Path, config: WindowConfig) -> WindowAffinityNet:
    """Return a new network with backbone and head of a trained affinity network, plain or of windows.

    Raises:
        CheckpointError: If the file is missing or damaged, of another kind, or of other widths.

    Reference:
        [zhang2021a2gnn], code: it starts from an affinity network that was trained on all labels of SEAM.
    """
    plain = read_header(path, kinds=(KIND, PLAIN_KIND))["kind"] == PLAIN_KIND
    found = load_affinity(path) if plain else load_window_affinity(path)
    widths = tuple(weight.shape[0] for weight in found.head.taps.parameters())
    if widths != config.widths:
        raise CheckpointError(
            f"{path}: its levels have {widths} channels, affinity.network.widths are {config.widths}; make them equal"
        )
    model = WindowAffinityNet(found.backbone, config)
    model.head.load_state_dict(found.head.state_dict())
    return model


def pair_loss(features: Tensor, batch: Sequence[Tensor], offsets: tuple[Offset, ...], config: PairLossConfig) -> Tensor:
    """Return ``L_Ac + similarity L_Ar`` of ``(B, C, h, w)`` features for a batch of images, labels and ``inside``.

    Reference:
        [zhang2021a2gnn], equations 6 to 13.
    """
    images, labels, inside = batch
    distance = feature_distance(features, offsets)
    own = own_pairs(labels) if config.own_pairs else None
    loss = affinity_loss(torch.exp(-distance), label_pairs(labels, offsets), own=own)
    if not config.similarity:
        return loss
    weights = color_position_weights(
        node_colors(images.float(), config.colors),
        offsets,
        color_denominator=2 * config.sigma_color**2,
        position_denominator=2 * config.sigma_cells**2,
    )
    return loss + config.similarity * similarity_loss(distance, weights, offsets, inside)


def load_window_affinity(path: Path) -> WindowAffinityNet:
    """Return a trained window affinity network in evaluation mode; ``config`` tells its window.

    Raises:
        CheckpointError: If the file is missing, truncated, or no window affinity network of weakseg.
    """
    return load_network(path, KIND, lambda b, header: WindowAffinityNet(b, _network_of(header)))[0]


def find_window_maps(model: WindowAffinityNet, image: NDArray[np.uint8]) -> WindowMaps:
    """Return levels and features of an image, at one scale.

    Args:
        model: In evaluation mode.
        image: ``(H, W, 3)`` uint8; padded to whole cells (mean colour, right and below).

    Returns:
        Maps of one image, ``(ceil(H / 8), ceil(W / 8))`` cells, batch axis 1, float32 on the CPU.

    Reference:
        [zhang2021a2gnn], inference of its code.
    """
    fill = 255.0 * model.backbone.mean
    maps = model.maps(padded_to(image_tensor(image)[None].to(fill.device), 0, GRID_STRIDE, fill))
    return WindowMaps(maps.taps.float().cpu(), maps.features.float().cpu())


def _network_of(header: dict[str, Any]) -> WindowConfig:
    settings = {name: value for name, value in header["network"].items() if name != "frozen_levels"}  # of older files
    return WindowConfig(**{**settings, "widths": tuple(settings["widths"])})
