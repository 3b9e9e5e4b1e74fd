"""The recipes of Group-WSSS say what the paper, its code and the card do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from small_recipes import RECIPES, write_voc
from weakseg.data.dataset import open_dataset
from weakseg.errors import ConfigError
from weakseg.methods import METHODS
from weakseg.methods.recipes import load_recipe
from weakseg.settings.accumulate import AccumulationConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.fit import FitConfig, ScheduleConfig
from weakseg.settings.group import preset
from weakseg.settings.group_classify import GroupActivateConfig, GroupClassifierConfig, GroupDrawConfig
from weakseg.settings.saliency import FusionConfig


def published(name: str, *words: str) -> Any:
    return load_recipe(str(RECIPES / f"{name}.yaml"), words)


def test_the_paper() -> None:
    # group-wsss.md, 2.3, 2.9, 2.10 and section 3
    recipe = published("group_voc12")
    classifier = recipe.classifier
    assert (classifier.backbone.name, classifier.backbone.output_stride) == ("vgg16_conv5", 8)
    assert classifier.augment == AugmentConfig(None, 256, flip=False, warp=True, jitter=0.3, hue=0.1)
    assert classifier.groups == GroupDrawConfig(4) and classifier.head.graph == preset("paper")
    assert classifier.convolutions == 3 and classifier.head.states == "features"
    assert classifier.accumulation == AccumulationConfig("probability", 0.1, 1) and classifier.accumulate
    assert classifier.fit == FitConfig(
        15, batch_size=1, lr=1e-3, head_lr_factor=10, bias_lr_factor=2, momentum=0.9, nesterov=True, weight_decay=5e-4,
        decay_biases=True, schedule=ScheduleConfig("step", factor=0.1, at=(5.0, 10.0)),
    )  # fmt: skip
    assert recipe.seeds.background == "saliency" and recipe.seeds.fusion == FusionConfig(0.9, 0.8, 32 / 255, 0.0, 0.01)
    defaults = GroupClassifierConfig()
    own = {"backbone": classifier.backbone, "accumulate": True, "accumulation": classifier.accumulation}
    assert replace(defaults, **own) == classifier


def test_the_code() -> None:
    classifier = published("group_code_voc12").classifier
    assert classifier.groups.size == 3 and classifier.head.states == "scores"
    assert classifier.head.graph == replace(preset("official"), drop_probability=0.8)


def test_how_images_are_looked_at() -> None:
    alone, any_class = GroupDrawConfig(size=1), GroupDrawConfig(size=4, draw="random")
    assert GroupActivateConfig(size=4, draw="random").groups(alone) == any_class
    assert GroupActivateConfig().groups(replace(any_class, draw="shared", pool_size=9)) == GroupDrawConfig(size=4)
    assert GroupActivateConfig(draw="shared").groups(any_class) == GroupDrawConfig(size=4)


def test_what_groups_refuse(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    recipe = published("group_code_voc12", "--classifier.accumulate", "false", "--classifier.accumulation.gate", "rank",
                       "--activations.size", "5", "--data.root", str(root))  # fmt: skip
    with pytest.raises(ConfigError, match=r"activations.size: groups of 5 images, .* room for 2 messages; set it to 3"):
        METHODS["group"].build(recipe, open_dataset(recipe.data))
    with pytest.raises(ConfigError, match="from_folder: method 'group' is for activations of its own"):
        published("group_voc12", "--activations.from_folder", "maps")
    with pytest.raises(ConfigError, match=r"activations\.draw: with size 1 nobody is drawn"):
        published("group_voc12", "--activations.size", "1", "--activations.draw", "random")
    with pytest.raises(ConfigError, match="attention_drop: hides nothing from groups"):
        published("group_voc12", "--classifier.attention_drop.probability", "0.5")
