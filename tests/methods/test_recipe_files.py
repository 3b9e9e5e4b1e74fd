"""Every recipe in ``recipes/`` loads and plans; those for VOC 2012 on a made-up folder of its layout."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Box, Drawn
from weakseg.data.classes import Classes
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.formats.voc import VOC_CLASSES
from weakseg.methods import METHODS
from weakseg.methods.a2gnn.config import PRESETS
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.pipeline.plan import Kind, check_plan

RECIPES = Path(__file__).parents[2] / "recipes"
SHARED = {"compare_msrc.yaml": 5, "ablation_msrc.yaml": 5, "boxes_msrc.yaml": 4}
SINGLE = sorted(path.name for path in RECIPES.glob("*.yaml") if path.name not in SHARED)
ANNOTATION = (
    "<annotation><object><name>{}</name><difficult>{}</difficult><bndbox><xmin>5</xmin><ymin>4</ymin><xmax>20</xmax>"
    "<ymax>18</ymax></bndbox></object></annotation>"
)
SCRIBBLE = (
    "<annotation><size><width>32</width><height>24</height></size><polygon><tag>{}</tag><point><X>3</X><Y>4</Y></point>"
    "<point><X>20</X><Y>9</Y></point></polygon></annotation>"
)


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images in the layout of VOC 2012 with SBD: lists, XML tags, true masks, and the lists of MSRC."""
    root = tmp_path_factory.mktemp("voc")
    for folder in ("JPEGImages", "Annotations", "ImageSets/Segmentation", "SegmentationClassAug", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    for index in range(4):
        name = f"2007_{index:06}"
        Image.fromarray(np.full((24, 32, 3), 40 * index, np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
        (root / "Annotations" / f"{name}.xml").write_text(ANNOTATION.format(("cat", "dog")[index % 2], index // 2))
        mask = LabelMap(np.full((24, 32), (8, 12)[index % 2], np.uint8))
        for folder in ("SegmentationClassAug", "SegmentationClass"):
            mask.save(root / folder / f"{name}.png")
    (root / "pascal_2012").mkdir()
    names = [f"2007_{index:06}" for index in range(4)]
    for index, name in enumerate(names):
        (root / "pascal_2012" / f"{name}.xml").write_text(SCRIBBLE.format(("cat", "dog")[index % 2]))
    clicks = {name: [{"x": 9, "y": 9, "cls": (8, 12)[index % 2], "rank": 1}] for index, name in enumerate(names)}
    (root / "whats_the_point.json").write_text(json.dumps(clicks))
    write_drawn(
        root / "boxes.json",
        DrawnFile(
            "boxes", Classes(VOC_CLASSES), {n: DrawnImage((24, 32), Drawn((Box(8, 2, 2, 9, 9),))) for n in names}
        ),
    )
    for name in ("train", "train_aug"):
        (root / "ImageSets/Segmentation" / f"{name}.txt").write_text("2007_000000\n2007_000001\n2007_000002\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("2007_000003\n")
    return root


def plan_of(recipe: Any) -> dict[str, Kind]:
    steps = METHODS[recipe.method].build(recipe, open_dataset(recipe.data))
    check_plan(steps)
    return {step.name: step.produces for step in steps}


@pytest.mark.parametrize("name", SINGLE)
def test_a_recipe_loads_and_plans(name: str, voc: Path) -> None:
    recipe = load_recipe(str(RECIPES / name), ["--data.root", str(voc)])
    assert recipe.method == name.partition("_")[0]
    plan = plan_of(recipe)
    assert list(plan)[-3:] == ["segmenter", "predictions", "evaluation"]
    assert plan["masks"] == Kind.MASKS


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_recipe_loads_and_plans(name: str, voc: Path) -> None:
    recipes = load_recipes(str(RECIPES / name), overrides=["--data.root", str(voc)])
    assert len(recipes) == SHARED[name]
    assert all("masks" in plan_of(recipe) for recipe in recipes.values())


@pytest.mark.parametrize("name", ["psa", "irnet", "wsgcn-i", "wsgcn-p"])
def test_the_papers_settings(name: str, voc: Path) -> None:
    recipe: Any = load_recipe(str(RECIPES / f"{name}_voc12.yaml"), ["--data.root", str(voc)])
    assert recipe.classifier.backbone.name == "resnet50.tv_in1k"
    assert (recipe.classifier.fit.epochs, recipe.classifier.fit.batch_size, recipe.classifier.fit.lr) == (5, 16, 0.1)
    assert recipe.classifier.fit.momentum == 0 and not recipe.classifier.frozen
    assert recipe.activations.scales == (1.0, 0.5, 1.5, 2.0) and recipe.activations.align == "edges"
    assert recipe.segmenter.model.head == "aspp" and recipe.segmenter.fit.optimizer == "sgd"
    trained = recipe.boundary if name in ("irnet", "wsgcn-i") else recipe.affinity
    assert trained.fit.optimizer == "sgd" and trained.fit.lr == 0.1 and trained.fit.momentum == 0
    if name.startswith("wsgcn"):
        assert recipe.partial_from == "activations" and recipe.completion.labels == "all"
        assert recipe.completion.gcn.propagation.kind == "walk" and recipe.completion.gcn.steps == 250


def test_the_settings_of_seam(voc: Path) -> None:
    # seam.md, 2.8
    recipe: Any = load_recipe(str(RECIPES / "seam_voc12.yaml"), ["--data.root", str(voc)])
    trained = recipe.classifier
    assert trained.backbone.name == recipe.affinity.backbone.name == "resnet38"
    assert (trained.fit.epochs, trained.fit.batch_size, trained.fit.lr, trained.fit.momentum) == (8, 8, 0.01, 0)
    assert trained.published and trained.dropout == 0.5 and trained.frozen_levels == 1 and trained.frozen_norms
    assert (trained.loss.scale, trained.loss.hard_fraction, trained.loss.low_fraction) == (0.3, 0.2, 0.25)
    assert trained.augment.long_side == (448, 768) and recipe.affinity.augment.long_side is None
    assert recipe.activations.scales == (0.5, 1.0, 1.5, 2.0) and recipe.activations.normalize == "range"
    assert (recipe.readings.strict, recipe.readings.lenient, recipe.readings.background) == (4, 24, "power")
    assert (recipe.walk.beta, recipe.walk.steps, recipe.walk.background_power) == (8, 64, 6)


@pytest.mark.parametrize(("kind", "steps"), [("boxes", 150), ("scribbles", 50), ("points", 50), ("tags", 50)])
def test_the_settings_of_a2gnn(kind: str, steps: int, voc: Path) -> None:
    # a2gnn.md, 2.13 and 3
    recipe: Any = load_recipe(str(RECIPES / f"a2gnn_{kind}_voc12.yaml"), ["--data.root", str(voc)])
    assert recipe.affinity.backbone.name == "resnet38" and recipe.affinity.network.widths == (64, 128, 256)
    assert recipe.affinity.network.radius_cells == (4 if kind in ("boxes", "scribbles") else 3)
    assert (recipe.affinity.fit.epochs, recipe.affinity.fit.batch_size, recipe.affinity.fit.lr) == (12, 4, 0.01)
    completion = recipe.completion
    assert replace(completion, network=completion.network) == PRESETS[kind] and completion.first_steps == steps
    assert recipe.graph.norm == "l1" and recipe.walk_weight == (3 if kind == "tags" else 0)
    samples = open_dataset(recipe.data).splits["train"]
    assert {sample.drawn.strongest for sample in samples} == {kind}


def test_the_single_recipes_are_those_of_the_comparison() -> None:
    shared = load_recipes(str(RECIPES / "compare_msrc.yaml"))
    assert {name: load_recipe(str(RECIPES / f"{name}_msrc.yaml")) for name in shared} == shared


def test_the_ablation_differs_in_the_losses_alone() -> None:
    recipes: dict[str, Any] = load_recipes(str(RECIPES / "ablation_msrc.yaml"))
    assert {n: (r.completion.gcn.entropy > 0, r.completion.gcn.laplacian > 0) for n, r in recipes.items()} == {
        "base": (False, False),
        "entropy": (True, False),
        "laplacian": (False, True),
        "both": (True, True),
        "both-on-affinity": (True, True),
    }
    assert recipes["both"].completion == load_recipes(str(RECIPES / "compare_msrc.yaml"))["wsgcn-i"].completion
