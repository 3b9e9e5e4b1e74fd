"""Every recipe in ``recipes/`` loads and plans, on made-up folders in the layout of VOC 2012 and of COCO."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from small_recipes import FEW_IMAGES, RECIPES, over_supervised, write_coco, write_voc
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.methods import METHODS
from weakseg.methods.a2gnn.config import PRESETS, RADIUS_CELLS, KernelConfig, fast
from weakseg.methods.dgcn.config import DgcnRecipe
from weakseg.methods.dsrg.config import DsrgRecipe
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.nn.backbones import check_backbone
from weakseg.nn.segmenters import check_training, completed
from weakseg.photograph.config import DrawnOptions
from weakseg.pipeline.plan import Kind, check_plan
from weakseg.settings.accumulate import AccumulationConfig, AttentionDropConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.fit import FitConfig, ScheduleConfig
from weakseg.settings.grow import GrowthConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.saliency import FusionConfig
from weakseg.settings.segment import SegmentConfig
from weakseg.settings.walk import GraphWalkConfig
from weakseg.settings.window_affinity import PairLossConfig
from weakseg.stages.weak_seeds import counted

SHARED = {
    "compare_msrc.yaml": 5,
    "ablation_msrc.yaml": 5,
    "labels_msrc.yaml": 17,
    "layers_msrc.yaml": 11,
    "dgcn_msrc.yaml": 4,
    "group_msrc.yaml": 7,
    "queue_msrc.yaml": 2,
    "ablation_group_msrc.yaml": 35,
    "grm_msrc.yaml": 19,
    "grm_classifier_msrc.yaml": 15,
    "grm_heads_msrc.yaml": 5,
    "boxes_coco88.yaml": 3,
    "small_msrc.yaml": 6,
    "wsgcn_table2_voc12.yaml": 8,
    "wsgcn_table4_voc12.yaml": 4,
    "wsgcn_readings_voc12.yaml": 4,
    "a2gnn_steps_voc12.yaml": 5,
    "a2gnn_losses_voc12.yaml": 6,
    "a2gnn_graphs_voc12.yaml": 3,
    "a2gnn_layers_voc12.yaml": 8,
    "a2gnn_seeds_voc12.yaml": 5,
}
SINGLE = sorted(path.name for path in RECIPES.glob("*.yaml") if path.name not in SHARED)


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco(tmp_path_factory.mktemp("coco"))


def with_few_images(data: DataConfig) -> DataConfig:
    return replace(data, parts=FEW_IMAGES) if data.parts else data


def plan_of(recipe: Any) -> dict[str, Kind]:
    steps = METHODS[recipe.method].build(recipe, open_dataset(with_few_images(recipe.data)))
    check_plan(steps)
    return {step.name: step.kind for step in steps}


@pytest.mark.parametrize("name", SINGLE)
def test_a_recipe_loads_and_plans(name: str, voc: Path, coco: Path) -> None:
    recipe = load_recipe(str(RECIPES / name), ["--data.root", str(coco if "coco" in name else voc)])
    start = name.partition("_")[0]
    assert recipe.method == {"grm": "recam"}.get(start, start)
    plan = plan_of(recipe)
    last = "" if recipe.rounds == 1 else f"_{recipe.rounds}"
    assert list(plan)[-3:] == [f"segmenter{last}", f"predictions{last}", "evaluation"]
    assert plan["masks"] == Kind.LABELS


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_recipe_loads_and_plans(name: str, voc: Path, coco: Path) -> None:
    recipes = load_recipes(str(RECIPES / name), overrides=["--data.root", str(coco if "coco" in name else voc)])
    assert len(recipes) == SHARED[name]
    assert all("masks" in plan_of(recipe) for recipe in recipes.values())


def published(name: str, folder: Path) -> tuple[SegmentConfig, PredictConfig]:
    """Return segmenter and predictions of a fragment, over another recipe."""
    recipe = load_recipe(str(over_supervised(name, folder)))
    check_training(recipe.segmenter)
    check_backbone(recipe.segmenter.model.backbone)
    return recipe.segmenter, recipe.predictions


class TestPublishedSegmenters:
    """segmentation-stage.md, sections 2 and 3, and dgcn.md, section 3."""

    def test_all_of_them(self, tmp_path: Path) -> None:
        for path in (RECIPES / "segmenters").glob("*.yaml"):
            assert "never executed on VOC" in path.read_text().replace("\n# ", " ")
            segmenter, predictions = published(path.stem, tmp_path)
            alone = load_recipe(str(tmp_path / "alone.yaml"))
            assert segmenter == alone.segmenter  # of MSRC's, which it lies over, nothing is left
            assert segmenter.augment.flip and predictions.max_side in (401, 4096)
            assert segmenter.fit.optimizer == "sgd" and segmenter.fit.schedule.power == 0.9
            assert segmenter.fit.momentum == 0.9 and segmenter.fit.head_lr_factor == 10

    def test_deeplab_v2(self, tmp_path: Path) -> None:
        segmenter, predictions = published("deeplab_v2", tmp_path)
        assert segmenter.model.backbone.name == "resnet101_deeplab" and segmenter.model.backbone.layout == "caffe"
        assert completed(segmenter.model).dilations == (6, 12, 18, 24) and segmenter.model.multi_scale == (0.5, 0.75)
        assert segmenter.augment == AugmentConfig(None, 321, scales=(0.5, 0.75, 1.0, 1.25, 1.5), pad="end")
        assert (segmenter.loss, segmenter.loss_on) == ("cross_entropy", "cells")
        assert segmenter.fit == FitConfig(
            iterations=20_000,
            batch_size=5,
            accumulate=2,
            lr=2.5e-4,
            bias_lr_factor=2.0,
            weight_decay=5e-4,
            schedule=ScheduleConfig(hold=10),
            norm_affine="frozen",
        )
        assert (predictions.scales, predictions.flip, predictions.crf) == ((1.0,), False, True)
        assert predictions.crf_settings == CrfParams(10, 1, 3, 67, 3, 4)
        other, told = published("deeplab_v2_coco_init", tmp_path)
        assert told == predictions and replace(other, model=segmenter.model, init=segmenter.init) == segmenter
        assert other.initial == {
            "network": "deeplab_v2_resnet101_coco.pth",
            "trained_on": "COCO masks",
            "pixel_masks": True,
        }

    def test_largefov(self, tmp_path: Path) -> None:
        vgg, vgg_test = published("deeplab_largefov_vgg16", tmp_path)
        assert (vgg.model.backbone.name, vgg.model.head) == ("vgg16_deeplab", "score")
        assert vgg.augment.scales == (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3) and vgg.augment.crop == 321
        assert (vgg.fit.iterations, vgg.fit.batch_size, vgg.fit.accumulate, vgg.fit.lr) == (16_000, 1, 10, 1e-3)
        assert (vgg.fit.bias_lr_factor, vgg.fit.weight_decay, vgg.loss_on) == (2, 5e-4, "pixels")
        assert (vgg_test.max_side, vgg_test.interpolation, vgg_test.enlarged) == (401, "bicubic", "probabilities")
        assert (vgg_test.scales, vgg_test.flip) == ((1.0,), False)
        residual, windows = published("deeplab_largefov_resnet101", tmp_path)
        assert completed(residual.model) == residual.model and residual.model.head == "deeplab_v1"
        assert (residual.model.hidden, residual.model.dilations, residual.fit.norm_affine) == (1024, (12,), "frozen")
        assert replace(residual, model=vgg.model, fit=vgg.fit) == vgg
        assert (windows.window, windows.scales) == (401, (0.5, 0.75, 1.0, 1.25, 1.5))
        assert windows.window_stride == pytest.approx(2 / 3) and windows.fusion == "mean_probabilities"
        assert windows.crf_settings == vgg_test.crf_settings == CrfParams(1, 3, 1, 67, 4, 3)

    def test_resnet38(self, tmp_path: Path) -> None:
        segmenter, predictions = published("deeplab_v1_resnet38", tmp_path)
        assert segmenter.model.backbone.name == "resnet38" and segmenter.model.head == "deeplab_v1"
        assert (segmenter.augment.scale_range, segmenter.augment.crop) == ((0.5, 2.0), 448)
        fit = segmenter.fit
        assert (fit.iterations, fit.batch_size, fit.lr, fit.weight_decay) == (20_000, 10, 1e-3, 5e-4)
        assert predictions.scales == (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)

    def test_dsrg(self, tmp_path: Path) -> None:
        segmenter, predictions = published("deeplab_aspp_vgg16", tmp_path)
        assert (segmenter.model.backbone.name, segmenter.model.head) == ("vgg16_pool5", "aspp_fc")
        assert (segmenter.augment.crop, segmenter.augment.scales, segmenter.loss_on) == (321, (), "cells")
        fit = segmenter.fit
        assert (fit.iterations, fit.batch_size, fit.lr, fit.bias_lr_factor) == (20_000, 10, 1e-3, 2)
        assert (predictions.scales, predictions.fusion) == ((0.75, 1.0, 1.25), "mean_logits")
        assert predictions.crf_settings == CrfParams(10, 3, 3, 80, 13, 10)

    def test_pspnet(self, tmp_path: Path) -> None:
        segmenter, predictions = published("pspnet_resnet101", tmp_path)
        assert (segmenter.model.backbone.name, segmenter.model.head) == ("resnet101_pspnet", "pspnet")
        augment = segmenter.augment
        assert (augment.crop, augment.scale_range, augment.rotation) == (473, (0.5, 2.0), 10) and augment.blur
        fit = segmenter.fit
        assert (fit.epochs, fit.batch_size, fit.lr, fit.weight_decay) == (50, 8, 0.01, 1e-4)
        assert (fit.norm_statistics, fit.norm_affine) == ("batch", "trained")
        assert (predictions.window, predictions.flip, predictions.scales) == (473, True, (1.0,))


class TestGrowing:
    """dgcn.md, sections 2.11 and 3."""

    @staticmethod
    def recipe(name: str, root: Path) -> Any:
        return load_recipe(str(RECIPES / f"{name}.yaml"), ["--data.root", str(root)])

    def test_what_they_have_in_common(self, voc: Path) -> None:
        for name in ("dgcn_voc12", "dgcn_resnet38_voc12", "dsrg_voc12", "dgcn_coco"):
            recipe = self.recipe(name, voc)
            text = (RECIPES / f"{name}.yaml").read_text().replace("\n# ", " ")
            assert "never executed on" in text and "Published, mIoU" in text
            assert (recipe.seeds.share, recipe.seeds.background, recipe.seeds.saliency_below) == (0.2, "saliency", 0.06)
            assert recipe.classifier.backbone.name == "vgg16_sec" and recipe.rounds == 2
            assert recipe.growing.augment == AugmentConfig(None, 321, warp=True)
            fit, boundary = recipe.growing.fit, recipe.growing.boundary
            assert (fit.lr, fit.momentum, fit.weight_decay, fit.schedule.kind) == (5e-4, 0.9, 5e-4, "step")
            assert boundary.weight == 1 and boundary.crf == CrfParams(10, 0.25, 3, 6.6666667, 13, 10)
            assert recipe.growing.model.head == "aspp_fc" and completed(recipe.growing.model).hidden == 1024
            assert recipe.growing.model.backbone == recipe.segmenter.model.backbone

    def test_dgcn(self, voc: Path) -> None:
        for name, backbone in (("dgcn_voc12", "resnet101_deeplab"), ("dgcn_resnet38_voc12", "resnet38")):
            recipe = self.recipe(name, voc)
            assert recipe.growth.completed == GrowthConfig("cut", 0.7, 1.0, "softmax", 9)
            fit = recipe.growing.fit
            assert (fit.epochs, fit.batch_size, fit.schedule.factor, fit.schedule.every) == (15, 16, 0.3, 3)
            assert recipe.growing.model.backbone.name == backbone and recipe.growing.boundary.unary == "logprob"

    def test_dsrg(self, voc: Path) -> None:
        recipe = self.recipe("dsrg_voc12", voc)
        assert recipe.growth.completed == GrowthConfig("regions", 0.85, 0.99, "crf") == DsrgRecipe().growth.completed
        fit = recipe.growing.fit
        assert (fit.iterations, fit.batch_size, fit.bias_lr_factor) == (8000, 20, 2)
        assert (fit.schedule.factor, fit.schedule.every, fit.schedule.unit) == (0.33, 1000, "iterations")
        assert recipe.growing.boundary.unary == "prob"
        assert recipe.segmenter.fit.iterations == 20_000 and recipe.segmenter.augment.crop == 321

    def test_coco(self, voc: Path) -> None:
        coco, dsrg = self.recipe("dgcn_coco", voc), self.recipe("dsrg_voc12", voc)
        assert coco.growth.completed == GrowthConfig().completed and coco.growing.boundary.unary == "logprob"
        assert coco.growing.model == dsrg.growing.model
        fit = coco.growing.fit
        assert (fit.epochs, fit.iterations, fit.batch_size, fit.schedule.every) == (15, 0, 16, 3)

    def test_rows_on_msrc_differ_in_growth_alone(self) -> None:
        recipes: dict[str, Any] = load_recipes(str(RECIPES / "dgcn_msrc.yaml"))
        kinds = {name: recipe.growth.kind for name, recipe in recipes.items()}
        assert kinds == {"static": "none", "dsrg": "regions", "dgcn": "cut", "propagation": "propagation"}
        dgcn = recipes["dgcn"]
        for recipe in recipes.values():
            made = DgcnRecipe(**{**vars(recipe), "method": "dgcn", "growth": dgcn.growth})
            assert made == dgcn


def test_oaa(voc: Path) -> None:
    # oaa.md, sections 2.6 and 3: the PyTorch column
    recipe: Any = load_recipe(str(RECIPES / "oaa_voc12.yaml"), ["--data.root", str(voc)])
    network, classifier = recipe.network, recipe.classifier
    for one in (network, classifier):
        assert (one.backbone.name, one.convolutions) == ("vgg16_conv5", 3)
        assert one.augment == AugmentConfig(None, 224, flip=False, jitter=0.3, hue=0.1, warp=True)
        assert (one.fit.epochs, one.fit.batch_size * one.fit.accumulate) == (15, 5)
        assert (one.fit.lr, one.fit.bias_lr_factor, one.fit.head_lr_factor) == (1e-3, 2.0, 10.0)
        assert one.fit.nesterov and one.fit.decay_biases and (one.fit.momentum, one.fit.weight_decay) == (0.9, 5e-4)
        assert one.fit.schedule == ScheduleConfig("step", factor=0.1, at=(10.0,))
    assert classifier.accumulation == AccumulationConfig("rank", skip_epochs=1)
    assert classifier.attention_drop == AttentionDropConfig(0.5, 0.6) and network.threshold == 0.001
    assert network.start == "pretrained" and recipe.integral and recipe.targets == "seeds"
    assert (recipe.seeds.background, recipe.seeds.fusion) == ("saliency", FusionConfig(0.9, 0.8, 32 / 255, 0.3, 0.01))


@pytest.mark.parametrize(("kind", "steps"), [("boxes", 150), ("scribbles", 50), ("points", 50), ("tags", 50)])
def test_the_settings_of_a2gnn(kind: str, steps: int, voc: Path) -> None:
    # a2gnn.md, 2.13 and 3
    recipe: Any = load_recipe(str(RECIPES / f"a2gnn_{kind}_voc12.yaml"), ["--data.root", str(voc)])
    assert recipe.first_affinity.backbone.name == "resnet38" and recipe.affinity.network.widths == (64, 128, 256)
    assert recipe.affinity.network.radius_cells == (4 if kind in ("boxes", "scribbles") else 3)
    assert (recipe.affinity.fit.epochs, recipe.affinity.fit.batch_size, recipe.affinity.fit.lr) == (12, 4, 0.01)
    assert (recipe.affinity.fit.momentum, recipe.affinity.fit.norm_affine) == (0.0005, "frozen")
    assert recipe.affinity.start == "affinity" and recipe.affinity.loss == PairLossConfig()
    assert (recipe.affinity.network.align, recipe.affinity.network.window) == ("edges", "square")
    assert recipe.activations_of == "seam" and recipe.activations.normalize == "range"
    assert recipe.affinity_seeds == ("confident" if kind == "points" else "seeds")
    published = {"point_score": "logit", "consistency": "published", "restrict_to_tags": False}
    published |= {"background_outside_boxes": False, "kernel": KernelConfig(sampling="bilinear")}
    assert recipe.completion == replace(PRESETS[kind], **published) and recipe.completion.first_steps == steps
    assert recipe.graph.norm == "l1" and recipe.walk_weight == (3 if kind == "tags" else 0)
    assert recipe.walk == GraphWalkConfig(8, 64, 6, "pixels" if kind == "tags" else "cells")
    assert recipe.masks == DecodeConfig(CrfParams(10, 2, 3, 50, 5, 10), enlarged="logits") and not recipe.within_boxes
    samples = open_dataset(recipe.data).splits["train"]
    assert {sample.drawn.strongest for sample in samples} == {kind}


def test_the_first_network_of_a2gnn_and_its_classifier_are_those_of_seam(voc: Path) -> None:
    words = ["--data.root", str(voc)]
    a2gnn: Any = load_recipe(str(RECIPES / "a2gnn_boxes_voc12.yaml"), words)
    seam: Any = load_recipe(str(RECIPES / "seam_voc12.yaml"), words)
    for one, other in ((a2gnn.seam, seam.classifier), (a2gnn.first_affinity, seam.affinity)):
        assert (one.augment, one.backbone.name) == (other.augment, other.backbone.name)
        assert all(getattr(one.fit, n) == getattr(other.fit, n) for n in ("epochs", "batch_size", "lr", "weight_decay"))
        assert (one.fit.frozen_levels, one.fit.norm_affine) == (1, "frozen")
    assert (a2gnn.readings, a2gnn.activations) == (seam.readings, seam.activations)


def test_the_tables_of_a2gnn(voc: Path) -> None:
    """a2gnn.md, section 5: plans of rows that differ in more than a number, and what they have in common."""
    words = ["--data.root", str(voc)]
    steps, graphs, seeds = (
        {name: plan_of(r) for name, r in load_recipes(str(RECIPES / f"a2gnn_{t}_voc12.yaml"), overrides=words).items()}
        for t in ("steps", "graphs", "seeds")
    )
    assert "completed" not in steps["walk"] and "walk" not in steps["all"] and steps["walk"]["walk"] == Kind.SCORES
    assert steps["all"] == graphs["affinity"] == seeds["agreed"] and "affinity_seeds" not in seeds["agreed"]
    assert "first_affinity" in graphs["affinity"] and "first_affinity" not in graphs["distance"]
    assert all("affinity_seeds" in seeds[name] for name in ("fused", "contrast-fused", "networks-fused"))


@pytest.mark.parametrize("data", ["voc12", "coco"])
def test_instances_from_boxes_are_those_of_the_masks(data: str, voc: Path, coco: Path) -> None:
    overrides = ["--data.root", str(coco if data == "coco" else voc)]
    boxes, bsis = (load_recipe(str(RECIPES / f"a2gnn_{name}_{data}.yaml"), overrides) for name in ("boxes", "bsis"))
    assert replace(boxes, instances=True) == bsis  # type: ignore[call-arg]
    assert plan_of(bsis) == {**plan_of(boxes), "instances": Kind.INSTANCES}


def test_coco_differs_from_voc_in_the_data_alone(coco: Path) -> None:
    first, second = (load_recipe(str(RECIPES / f"a2gnn_boxes_{data}.yaml")) for data in ("voc12", "coco"))
    assert replace(second, data=first.data) == first
    splits = open_dataset(replace(second.data, root=str(coco))).splits
    assert {sample.drawn.strongest for samples in splits.values() for sample in samples} == {"boxes"}


def test_layers_and_losses_are_all_that_differs() -> None:
    # a2gnn.md, section 5: Figure 7 and Table 4b
    recipes: dict[str, Any] = load_recipes(str(RECIPES / "layers_msrc.yaml"))
    ce, found = recipes["ce"], {}
    for name, recipe in recipes.items():
        trained = recipe.completion
        losses = (trained.crf_weight > 0, trained.points_weight > 0, trained.consistency == "centred")
        found[name] = (recipe.nodes, trained.network.kind, *losses)
        assert replace(recipe, nodes=ce.nodes, completion=ce.completion) == ce
    layers = {kind: ("cells", kind, False, False, False) for kind in ("agnn", "gat", "gcn", "mlp")}
    terms = {"ce": "000", "reg": "100", "mp": "010", "mp-check": "011", "reg-mp": "110", "all": "111"}
    losses = {name: ("cells", "a2gnn", *(digit == "1" for digit in digits)) for name, digits in terms.items()}
    assert found == {**layers, **losses, "graphnet": ("superpixels", "gcn", False, False, False)}


@pytest.mark.parametrize("kind", ["boxes", "points", "scribbles", "tags"])
def test_kinds_of_labels_on_msrc(kind: str, voc: Path) -> None:
    recipes: dict[str, Any] = load_recipes(str(RECIPES / "labels_msrc.yaml"), overrides=["--data.root", str(voc)])
    a2gnn = recipes[kind]
    small = {"network": PRESETS[kind].network, "first_steps": 50, "second_steps": 50}
    assert replace(a2gnn.completion, **small) == fast(PRESETS[kind]) and a2gnn.completion.first_steps == 50
    assert a2gnn.affinity.network.radius_cells == RADIUS_CELLS[kind] and a2gnn.walk_weight == 0
    dataset = open_dataset(with_few_images(a2gnn.data))
    kinds = {counted(sample, a2gnn.seeds.use).drawn.strongest for sample in dataset.splits["train"]}
    assert kinds == {kind}
    free = recipes["boxes-free"]
    assert replace(free, graph_from="affinity", with_activations=True) == recipes["boxes"]
    published = recipes["tags-published"]
    assert published.walk_weight == 3 and published.seeds.tags_as == "confident" != recipes["tags"].seeds.tags_as
    assert replace(recipes["reference-complete"], void_is_background=False) == recipes["reference"]


@pytest.mark.parametrize("kind", ["points", "scribbles"])
def test_walks_on_msrc_have_the_settings_of_one_photograph(kind: str) -> None:
    recipe: Any = load_recipes(str(RECIPES / "labels_msrc.yaml"))[f"{kind}-walk"]
    photograph = DrawnOptions()
    assert recipe.graph_from == "free" and not recipe.with_activations and recipe.seeds.use == kind
    assert (recipe.completion, recipe.free, recipe.masks) == (
        photograph.completion,
        photograph.graph,
        photograph.decode,
    )
    seeds = recipe.seeds
    assert seeds.strokes_as == "walk" == photograph.seeds.strokes_as
    assert (seeds.walk, seeds.strokes) == (photograph.seeds.walk, photograph.seeds.strokes)


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
