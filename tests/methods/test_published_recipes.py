"""The recipes for VOC 2012 say what papers and cards do: PSA, SEAM, IRNet and WSGCN."""

from dataclasses import replace
from typing import Any

import pytest

from small_recipes import RECIPES
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.methods.wsgcn.config import (
    WSGCN_SEEDS,
    GcnConfig,
    PartialConfig,
    PropagationConfig,
    SmoothnessConfig,
    WsgcnConfig,
)
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.fit import FitConfig, ScheduleConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.recam import RecamActivationsConfig
from weakseg.settings.seed import PSA_CRF


def published(name: str) -> Any:
    return load_recipe(str(RECIPES / f"{name}_voc12.yaml"))


def test_what_was_never_executed_says_so() -> None:
    for path in [*RECIPES.glob("*_voc12.yaml")]:
        heading = path.read_text().partition("\n\n")[0]
        assert "never executed on VOC." in " ".join(line.lstrip("# ") for line in heading.splitlines()), path


@pytest.mark.parametrize("name", ["psa", "wsgcn-p", "seam"])
def test_networks_of_psa(name: str) -> None:
    # cam.md and psa.md, section 3; seam.md, 2.7 and 2.8
    recipe, seam = published(name), name == "seam"
    for part, epochs, batch, lr in (("classifier", 8 if seam else 15, 8 if seam else 16, 0.01 if seam else 0.1),
                                    ("affinity", 8, 8, 0.1)):  # fmt: skip
        config = getattr(recipe, part)
        assert (config.backbone.name, config.backbone.weights) == ("resnet38", "file")
        fit = FitConfig(epochs, batch_size=batch, drop_last=True, lr=lr, head_lr_factor=10, momentum=5e-4,
                        weight_decay=5e-4, norm_affine="frozen", frozen_levels=1)  # fmt: skip
        assert config.fit == fit and (config.augment.crop, config.augment.flip) == (448, True)
        assert (config.augment.jitter, config.augment.hue) == (0.3, 0.1)
    assert recipe.classifier.dropout == 0.5 and not recipe.classifier.frozen
    assert recipe.classifier.augment.long_side == ((448, 768) if seam else (256, 512))
    assert recipe.affinity.augment.long_side is None and recipe.affinity.radius_cells == 5
    assert sorted(recipe.activations.scales) == [0.5, 1, 1.5, 2] and recipe.activations.align == "edges"
    readings = (recipe.readings.strict, recipe.readings.lenient, recipe.readings.background, recipe.readings.unary)
    assert readings == (4, 24 if seam else 32, "power", "scores")


def test_psa_on_vgg16() -> None:
    # psa.md, 2.1 and section 3: biases learn twice as fast, blocks 1 and 2 do not; cam.md: roots of the evidence
    vgg, resnet = published("psa_vgg16"), published("psa")
    for part in ("classifier", "affinity"):
        mine, theirs = getattr(vgg, part), getattr(resnet, part)
        assert mine.backbone.name == {"classifier": "vgg16_psa", "affinity": "vgg16_psa_affinity"}[part]
        assert (mine.backbone.layout, mine.backbone.output_stride) == ("caffe", 8)
        assert (
            mine.fit == replace(theirs.fit, bias_lr_factor=2, norm_affine="trained") and mine.augment == theirs.augment
        )
    assert vgg.activations == replace(resnet.activations, roots=True) and vgg.affinity.norms
    assert (vgg.readings, vgg.walk, vgg.masks) == (resnet.readings, resnet.walk, resnet.masks)


@pytest.mark.parametrize("name", ["irnet", "wsgcn-i"])
def test_networks_of_irnet(name: str) -> None:
    # cam.md and irnet.md, section 3
    recipe = published(name)
    for part, epochs, batch, head, frozen in (("classifier", 5, 16, 10, 3), ("boundary", 3, 32, 1, 0)):
        config = getattr(recipe, part)
        assert (config.backbone.name, config.backbone.output_stride) == ("resnet50_irnet", 16)
        fit = FitConfig(epochs, batch_size=batch, drop_last=True, lr=0.1, head_lr_factor=head, momentum=1e-4,
                        weight_decay=1e-4, decay_biases=True, frozen_levels=frozen)  # fmt: skip
        assert config.fit == fit and (config.augment.crop, config.augment.jitter, config.augment.hue) == (512, 0, 0)
    assert recipe.classifier.dropout == 0 and recipe.classifier.augment.long_side == (320, 640)
    assert recipe.boundary.augment.scale_range == (0.5, 1.5) and recipe.boundary.radius_cells == 10
    assert (recipe.seeds.strict, recipe.seeds.lenient, recipe.seeds.background) == (0.3, 0.05, "threshold")
    assert recipe.activations.scales == (1, 0.5, 1.5, 2) and recipe.activations.align == "edges"


def test_recam() -> None:
    # recam.md, 2.5 and section 3
    recipe, irnet = published("recam"), published("irnet")
    second = recipe.recam
    assert replace(recipe.classifier, fit=replace(recipe.classifier.fit, frozen_levels=3)) == irnet.classifier
    fit = replace(recipe.classifier.fit, epochs=4, lr=5e-5, head_lr_factor=1.0)
    assert (second.fit, second.weight, second.lr_factor, second.detach_mask) == (fit, 1, 10, False)
    assert second.augment == recipe.classifier.augment and fit.frozen_levels == 1 and not second.frozen
    assert recipe.activations == RecamActivationsConfig(**vars(irnet.activations), weights="product")
    assert recipe.seeds == replace(irnet.seeds, strict=0.35, lenient=0.1)
    assert recipe.walk == replace(irnet.walk, background=0.28)
    assert (recipe.boundary, recipe.masks) == (irnet.boundary, irnet.masks)
    assert recipe.segmenter.model.backbone.name == "resnet101_deeplab"


def test_mlgcn() -> None:
    # grm.md, 2.6 and section 3
    classifier = published("mlgcn").classifier
    graph = ClassGraphConfig(adjacency="mlgcn", threshold=0.4, share=0.2, vectors="text", vectors_file="glove.300d.txt")
    assert (classifier.graph, classifier.hidden) == (graph, 1024)
    assert (classifier.backbone.name, classifier.backbone.output_stride) == ("resnet101.tv_in1k", 32)
    assert (classifier.augment.crop, classifier.augment.flip, classifier.dropout) == (448, True, 0)
    assert classifier.fit == FitConfig(
        100, batch_size=16, lr=0.01, decay_biases=True, clip_norm=10, schedule=ScheduleConfig("step", every=40)
    )


def test_walks_as_published() -> None:
    # psa.md, 2.5 and 2.6; seam.md, 2.7; irnet.md, 2.6
    for name, background in (("psa", 16), ("seam", 6)):
        walk = published(name).walk
        assert (walk.beta, walk.steps, walk.background_power) == (8, 256 if name == "psa" else 64, background)
        assert walk.border == "official" and walk.error == 0
    assert published("psa").masks.crf == PSA_CRF and not published("seam").masks.crf.iterations
    irnet = published("irnet")
    assert (irnet.walk.beta, irnet.walk.steps, irnet.walk.background, irnet.walk.error) == (10, 256, 0.25, 0)
    assert irnet.walk.scaled_by == "image" and not irnet.masks.crf.iterations


def test_the_classifier_of_seam() -> None:
    # seam.md, 2.8
    recipe = published("seam")
    loss = recipe.classifier.loss
    assert recipe.classifier.published and recipe.activations.normalize == "range"
    assert (loss.scale, loss.hard_fraction, loss.low_fraction) == (0.3, 0.2, 0.25)
    assert (loss.equivariance, loss.correlation, loss.low) == (1, 1, 1)


@pytest.mark.parametrize("name", ["wsgcn-i", "wsgcn-p"])
def test_the_settings_of_wsgcn(name: str) -> None:
    # wsgcn.md, 2.3 to 2.7; biases and the reduced image as in the paper, the rest as in the code
    recipe = published(name)
    completion = recipe.completion
    partial = PartialConfig(strict=4, lenient=32, crf=WSGCN_SEEDS, kept=0.3, floor=0.1, confidence=0.8)
    assert recipe.partial_from == "activations" and completion.partial == replace(partial, reduced="bilinear")
    assert (completion.labels, completion.decoded) == ("all", "tagged")
    gcn = GcnConfig(hidden=16, biases=False, dropout=0.3, steps=250, lr=0.01, weight_decay=5e-4, entropy=10 / 21)
    assert replace(completion.gcn, propagation=gcn.propagation) == gcn
    assert (completion.gcn.propagation.kind, completion.gcn.propagation.walk_steps) == ("walk_maxsym", 256)
    smoothness = SmoothnessConfig("color", 2, 12, 20, "bilinear")
    assert completion.smoothness == smoothness and recipe.graph.beta == (10 if name == "wsgcn-i" else 8)
    assert (recipe.masks.enlarged, recipe.masks.unary) == ("logarithms", "softmax")
    assert recipe.masks.crf == CrfParams(10, 3, 3, 50, 5, 3)


def test_table_2_of_wsgcn() -> None:
    recipes: dict[str, Any] = load_recipes(str(RECIPES / "wsgcn_table2_voc12.yaml"))
    found = {}
    for name, recipe in recipes.items():
        gcn, masks = recipe.completion.gcn, recipe.masks
        ticks = (gcn.entropy > 0, gcn.laplacian > 0, masks.crf.iterations > 0)
        found[name] = "".join(str(int(tick)) for tick in ticks)
        same = replace(gcn, entropy=10 / 21, laplacian=0.01)
        smoothness = replace(recipe.completion.smoothness, source="color")
        assert replace(recipe.completion, gcn=same, smoothness=smoothness) == published("wsgcn-i").completion
        assert recipe.completion.smoothness.source == ("affinity" if name == "affinity-crf" else "color")
    rows = {"base": "000", "entropy": "100", "laplacian": "010", "both": "110"}
    crf = {"entropy-crf": "101", "laplacian-crf": "011", "both-crf": "111", "affinity-crf": "111"}
    assert found == {**rows, **crf} and recipes["both-crf"] == published("wsgcn-i")


def test_table_4_of_wsgcn() -> None:
    recipes: dict[str, Any] = load_recipes(str(RECIPES / "wsgcn_table4_voc12.yaml"))
    assert list(recipes) == ["psa", "wsgcn-p", "irnet", "wsgcn-i"]
    segmenter, predictions = published("wsgcn-p").segmenter, published("wsgcn-p").predictions
    assert (segmenter.model.backbone.name, segmenter.model.head) == ("drn_d_105", "score")
    for name, recipe in recipes.items():
        assert recipe == replace(published(name), segmenter=segmenter, predictions=predictions)


def test_readings_of_wsgcn() -> None:
    # wsgcn.md, sections 2 and 4
    recipes: dict[str, Any] = load_recipes(str(RECIPES / "wsgcn_readings_voc12.yaml"))
    assert recipes["recipe"] == published("wsgcn-i")
    code, paper = recipes["code"], recipes["paper"]
    gcn = GcnConfig(PropagationConfig("walk_maxsym"))
    assert code.completion == WsgcnConfig(gcn=gcn, labels="all") and code.masks == recipes["recipe"].masks
    gcn = GcnConfig(PropagationConfig("affinity_plain"), biases=False, entropy=10, smoothed="probs")
    smoothness = SmoothnessConfig("color", 2, 2 * 3, 2 * 10**2, "bilinear")
    assert paper.completion == WsgcnConfig(PartialConfig(reduced="bilinear"), gcn, smoothness)
    assert (paper.masks.enlarged, paper.masks.unary, paper.graph.beta) == ("scores", "scores", 1)
    normal = replace(gcn, propagation=PropagationConfig("affinity"))
    assert recipes["paper-normalized"].completion == replace(paper.completion, gcn=normal)


def test_grm() -> None:
    # grm.md, 2.7 and section 3; recam.md, 2.5
    recipe, recam = published("grm"), published("recam")
    graph = {"source": "file", "file": "conceptnet-rwr-voc.json", "vectors": "text", "vectors_file": "glove.300d.txt"}
    head = ClassHeadConfig(weight=1e-4, gamma=2.0, hidden=1024, lr_factor=0.01, adjacency="symmetric", **graph)
    fit = replace(recam.classifier.fit, clip_norm=10.0)
    assert recipe.classifier == replace(recam.classifier, fit=fit, class_graph=head)
    assert (recipe.recam, recipe.seeds, recipe.boundary) == (recam.recam, recam.seeds, recam.boundary)
    model = recipe.segmenter.model
    official = ReasoningConfig("official", class_graph=ClassGraphConfig(adjacency="symmetric", **graph), lr_factor=0.04)
    assert model == replace(recam.segmenter.model, head="aspp_hidden", hidden=256, reasoning=official)
    assert recipe.segmenter.fit == recam.segmenter.fit
    assert recipe.segmenter.fit.lr * recipe.segmenter.fit.head_lr_factor * 0.04 == pytest.approx(1e-4)
    coco = load_recipe(str(RECIPES / "grm_coco.yaml"))
    assert coco.segmenter.fit.iterations == 100_000 and coco.classifier.fit.clip_norm == 0
    assert (coco.recam.weight, coco.activations.weights, coco.walk.background) == (0.1, "cls", 0.25)
    for found in (coco.classifier.class_graph, coco.segmenter.model.reasoning.class_graph):
        assert (found.file, found.adjacency) == ("conceptnet-rwr-coco.json", "symmetric")
