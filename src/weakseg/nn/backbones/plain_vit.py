"""Plain vision transformers of timm (ViT, DeiT, DINOv2, DINOv3, CLIP's image towers) as backbones."""

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from weakseg.errors import CheckpointError, ConfigError, cut
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.checkpoint import load_file
from weakseg.nn.backbones.timm_models import create_timm
from weakseg.nn.pretrained import align
from weakseg.settings.backbone import BackboneConfig

logger = logging.getLogger(__name__)

PATCHES, POSITIONS, BIASES = "patch_embed.proj.weight", "pos_embed", "qkv.bias"
FAMILIES = ("vision_transformer", "deit", "eva")  # modules of timm whose models have one grid of patches throughout
DEFAULT_PATCH = 16
NUM_LEVELS = 4


class PlainVit(Backbone):
    """A plain vision transformer: one cell for each patch; class tokens and registers take part and are left out.

    Images are padded to whole patches, and embeddings of positions are interpolated, or rotary, so that any size will
    do. Levels are the outputs after a quarter, half, three quarters and all of the blocks, all of the stride of the
    patches and each after the final norm; the last one is the feature map. Models that norm the mean of all tokens
    norm each token here. What else timm has behind the blocks (pooling by attention) is left out.

    Args:
        model: Of timm, for images of any size.

    Reference:
        [dosovitskiy2021vit], section 3; levels as in the dense tasks of [oquab2024dinov2].
    """

    def __init__(self, model: nn.Module) -> None:
        network: Any = model
        if isinstance(network.norm, nn.Identity):
            network.norm, network.fc_norm = network.fc_norm, nn.Identity()
        network.fc_norm, network.attn_pool = nn.Identity(), None
        super().__init__(network, network.embed_dim, network.patch_embed.patch_size[0], pads=True)
        depth = len(network.blocks)
        self.taken = sorted({-(-depth * part // NUM_LEVELS) - 1 for part in range(1, NUM_LEVELS + 1)})

    @property
    def forward_features(self) -> Callable[[Tensor], Tensor]:
        """Normalised images of whole patches to ``(B, C, h, w)``."""
        return lambda images: self._maps(images, self.taken[-1:])[-1]

    @property
    def _stages(self) -> Callable[..., Any]:
        """Normalised images of whole patches to the feature map and all levels, or to these alone."""

        def stages(images: Tensor, *, intermediates_only: bool = False) -> Any:
            levels = self._maps(images, self.taken)
            return levels if intermediates_only else (levels[-1], levels)

        return stages

    def _maps(self, images: Tensor, blocks: list[int]) -> list[Tensor]:
        """Return the normed outputs of some blocks as maps."""
        model: Any = self.model
        grid = [side // self.stride for side in images.shape[2:]]
        found = model.forward_intermediates(images, indices=blocks, output_fmt="NLC", intermediates_only=True)
        return [model.norm(tokens).transpose(1, 2).unflatten(2, grid) for tokens in found]


def is_plain_vit(name: str) -> bool:
    """Return whether timm's model of this name is a plain vision transformer."""
    from timm.models import is_model_in_modules

    return is_model_in_modules(name, FAMILIES)


def patch_size(name: str) -> int:
    """Return the side of a patch of a plain vision transformer, in pixels: its name tells, or it is timm's default."""
    found = re.search(r"patch(\d+)", name)
    return int(found[1]) if found else DEFAULT_PATCH


def build_plain_vit(config: BackboneConfig, pretrained: bool) -> PlainVit:
    """Return the vision transformer of timm that ``config`` names; errors as those of ``build_backbone``."""
    options = {"output_stride": None, "dynamic_img_size": True}
    backbone = PlainVit(create_timm(config, pretrained=pretrained and config.weights == "timm", **options))
    if backbone.stride != config.output_stride:
        raise wrong_stride(config, backbone.stride)
    if pretrained and config.weights == "file":
        load_file(backbone.model, config, rename=lambda given: vit_state(backbone.model, given, config.file))
    return backbone


def vit_state(model: nn.Module, given: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the weights of a published file by the names of timm.

    Names of OpenAI's and OpenCLIP's towers, DINOv2, DINOv3 and others are converted by timm. Embeddings of positions on
    another number of patches are interpolated, which is logged. Norms of the mean of all tokens norm each token.

    Args:
        model: That of a ``PlainVit``.
        given: Names and tensors of the file.
        where: The file, for messages.

    Raises:
        CheckpointError: If the file holds several such networks, or has biases that this one has not, or timm cannot
            convert its names.
    """
    from timm.models import eva, vision_transformer

    convert: Any = partial(vision_transformer.checkpoint_filter_fn, adapt_layer_scale=True)  # of DeiT III, too
    convert = eva.checkpoint_filter_fn if isinstance(model, eva.Eva) else convert
    plain = _without_zero_biases(align(given, model.state_dict(), where), model, where)
    try:
        found: dict[str, Tensor] = convert(dict(plain), model)
    except Exception as error:  # what it expects beside the names that it knows files by, it takes for granted
        raise CheckpointError(
            f"{where}: no weights of a {type(model).__name__} that timm knows ({type(error).__name__}: {cut(error)}); "
            "give a file of this network"
        ) from error
    if PATCHES in plain and plain[PATCHES].ndim == found.get(PATCHES, plain[PATCHES]).ndim:
        found[PATCHES] = plain[PATCHES]  # timm would resample filters of other sizes
    if POSITIONS in plain and POSITIONS in found and plain[POSITIONS].shape[1] != found[POSITIONS].shape[1]:
        logger.info("%s: positions of %d tokens interpolated", where, plain[POSITIONS].shape[1])
    if "norm.weight" not in found:
        found = {
            name.replace("fc_norm.", "norm.") if name.startswith("fc_norm.") else name: v for name, v in found.items()
        }
    return found


def _without_zero_biases(given: dict[str, Tensor], model: nn.Module, where: str) -> dict[str, Tensor]:
    """Return the tensors of a file of DINOv3 without the biases that a network without them would have as zeros."""
    own = model.state_dict()
    strange = [name for name in given if name.endswith(BIASES) and name.replace(BIASES, "q_bias") not in own]
    strange = [name for name in strange if name not in own and "storage_tokens" in given]
    for name in strange:
        queries, _, values = given[name].chunk(3)
        if bool(queries.any() or values.any()):
            raise CheckpointError(
                f"{where}: {name} is not zero, and the network has no such biases; take the model of timm whose name "
                "ends in _qkvb"
            )
    return {name: value for name, value in given.items() if name not in strange}


def wrong_stride(config: BackboneConfig, patch: int) -> ConfigError:
    """Return the error for a stride that is not the side of a patch."""
    return ConfigError(
        f"backbone {config.name!r}: a plain vision transformer, whose stride is the side of its patches; set "
        f"backbone.output_stride to {patch}, got {config.output_stride}"
    )
