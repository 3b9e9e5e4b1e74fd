"""SAM 2 and SAM 3 of a few thousand random weights, with their processors: the classes of transformers in little."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    Sam2Config,
    Sam2ImageProcessor,
    Sam2Model,
    Sam2Processor,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    Sam3TrackerProcessor,
)

SIDE = 128
DECODER = {
    "hidden_size": 32,
    "mlp_dim": 64,
    "num_attention_heads": 4,
    "iou_head_depth": 2,
    "iou_head_hidden_dim": 32,
}


def tiny_sam2(seed: int = 0) -> tuple[Any, Any]:
    """Return network and processor, which look at 128 x 128 pixels."""
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 12,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [12, 24, 48, 96],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 8, 4],
        "global_attention_blocks": [3],
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [96, 48, 24, 12],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "fpn_hidden_size": 32,
    }
    prompts = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 8}
    torch.manual_seed(seed)
    model = Sam2Model(
        Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)
    ).eval()
    return model, Sam2Processor(Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}))


def tiny_sam3(seed: int = 0) -> tuple[Any, Any]:
    """Return the network for boxes and points, and its processor, which look at 112 x 112 pixels."""
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 112,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 56,
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }
    prompts = {"hidden_size": 32, "image_size": 112, "patch_size": 14, "mask_input_channels": 8}
    torch.manual_seed(seed)
    config = Sam3TrackerConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)
    processor = Sam3TrackerProcessor(Sam2ImageProcessor(size={"height": 112, "width": 112}))
    return Sam3TrackerModel(config).eval(), processor


def save_tiny(made: tuple[Any, Any], folder: Path) -> Path:
    """Save network and processor as transformers does, and return the folder."""
    for part in made:
        part.save_pretrained(folder)
    return folder
