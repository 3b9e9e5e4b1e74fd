"""Plain vision transformers of four narrow blocks: the layouts of DINOv2, DINOv3 and DeiT in little."""

from typing import Any

import pytest
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from weakseg.nn.backbones import OWN, Architecture
from weakseg.nn.backbones.plain_vit import PlainVit

SIZES = {"embed_dim": 24, "depth": 4, "num_heads": 2, "num_classes": 0, "dynamic_img_size": True}
DINOV2, DINOV3 = "tiny_dinov2", "tiny_dinov3"


def dinov2(**options: Any) -> nn.Module:
    """Patches of 14 pixels, a class token and four registers, learned positions of 4 x 4 patches, layer scale."""
    more = {"patch_size": 14, "img_size": 56, "reg_tokens": 4, "no_embed_class": True, "init_values": 1.0}
    return VisionTransformer(**{**SIZES, **more, **options})


def dinov3(**options: Any) -> nn.Module:
    """Patches of 16 pixels, a class token and four registers, rotary positions."""
    rotary = {"use_rot_pos_emb": True, "use_abs_pos_emb": False, "rope_type": "dinov3", "rope_rotate_half": True}
    return Eva(**SIZES, **rotary, patch_size=16, num_reg_tokens=4, use_fc_norm=False, init_values=1.0, **options)


def deit() -> nn.Module:
    """Patches of 16 pixels, tokens of class and teacher, learned positions of these and of 4 x 4 patches."""
    return VisionTransformerDistilled(**SIZES, patch_size=16, img_size=64)


def entries() -> dict[str, Architecture]:
    """Return what makes two of them backbones by name, for ``OWN``."""
    return {
        DINOV2: Architecture(lambda config, _: PlainVit(dinov2()), (14,)),
        DINOV3: Architecture(lambda config, _: PlainVit(dinov3()), (16,)),
    }


def enter(patch: pytest.MonkeyPatch) -> None:
    """Enter them, as long as the patch holds."""
    for name, entry in entries().items():
        patch.setitem(OWN, name, entry)
