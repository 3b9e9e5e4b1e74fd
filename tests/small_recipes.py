"""Recipes made small: networks of the same kind but tiny, a step or two of each training, on six photographs of shapes.

``tests/methods/test_recipe_runs.py`` runs one recipe of each family to its end, ``make recipes`` all that are for VOC.
"""

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from generated import draw
from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.files import read_json
from weakseg.graph.class_graph import ClassGraph
from weakseg.methods.a2gnn.config import A2gnnConfig, RegionConfig
from weakseg.methods.compare import Comparison, compare_methods
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import load_recipe, read_settings
from weakseg.methods.run import RunResult, run_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.methods.wsgcn.config import GcnConfig
from weakseg.nn.backbones import OWN, build_backbone
from weakseg.nn.segmenters import HEADS
from weakseg.pipeline.options import RunOptions
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.fit import FitConfig
from weakseg.settings.graph_network import NetworkConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.segment import InitConfig, SegmenterConfig

Config = TypeVar("Config")

RECIPES = Path(__file__).parents[1] / "recipes"
NAMES = tuple(f"2007_{index:06}" for index in range(6))
TRAIN, VAL = NAMES[:4], NAMES[4:]
SIZE = (48, 64)
PROCESSOR = RunOptions(workers=1, device="cpu")
FEW_IMAGES = {"train": {"fit": 3, "held": 1}}  # in place of MSRC's parts
SEGMENTER = " --segmenter "  # of weakseg compare
IDS = {1: 8, 2: 12}  # the discs are cats, the squares dogs
CATS_AND_DOGS = {8: ("cat", 17), 12: ("dog", 18)}  # names, and ids of COCO

TINY = {  # backbones of the same kind by the beginning of a name, where there is none of that name and "_thin"
    "resnet38": "resnet38_eighth",
    "resnet": "test_resnet",
    "drn_d": "drn_d_thin",
    "efficientnet_lite0": "efficientnet_lite0",
}
FEW: dict[type, dict[str, Any]] = {  # of what a recipe says, at most so much
    FitConfig: {"epochs": 1, "batch_size": 2, "accumulate": 1},
    CrfParams: {"iterations": 1},
    GcnConfig: {"steps": 3},
    A2gnnConfig: {"first_steps": 2, "second_steps": 2},
    RegionConfig: {"num_regions": 30},
    NetworkConfig: {"hidden": 16},
}


def small(value: Config, weights: Path) -> Config:
    """Return settings with tiny networks of the same kind, crops of 64 pixels, and little of all that repeats.

    Args:
        value: A recipe, or a part of one.
        weights: Folder that gets random weights of the networks that start from a file.
    """
    if not is_dataclass(value):
        return value
    made = {entry.name: small(getattr(value, entry.name), weights) for entry in fields(value)}
    made |= {name: min(most, made[name]) for name, most in FEW.get(type(value), {}).items()}
    if isinstance(value, BackboneConfig):
        return _small_backbone(value, weights)
    if isinstance(value, AugmentConfig):
        made |= {"crop": 64 + value.crop % 8, "long_side": value.long_side and (48, 80)}
    if isinstance(value, ClassifierConfig) and value.accumulate:
        made |= {"accumulation": replace(value.accumulation, skip_epochs=0)}
    if isinstance(value, FitConfig) and value.iterations:
        made |= {"iterations": 2}
    if isinstance(value, SegmenterConfig):
        made |= {"hidden": HEADS[value.head].hidden and 16}
    if isinstance(value, DataConfig) and value.parts:
        made |= {"parts": FEW_IMAGES}
    if isinstance(value, ReasoningConfig) and value.kind != "none":
        made |= {"widths": (16,) * len(value.widths)}
    if isinstance(value, ClassHeadConfig) and value.weight:
        made |= {"hidden": 16}
    if isinstance(value, ClassGraphConfig):
        made |= _small_class_graph(value, weights)
    if isinstance(value, InitConfig):
        made |= {"file": "", "trained_on": ""}
    if isinstance(value, PredictConfig):
        made |= {"window": value.window and 64 + value.window % 8, "mask_side": 64, "crf_preset": "own"}
    if isinstance(value, ActivateConfig | PredictConfig):
        made |= {"scales": value.scales[:2], "max_side": 64}
    return type(value)(**made)  # type: ignore[return-value]


def run_small(path: Path, root: Path, out: Path, options: RunOptions = PROCESSOR) -> RunResult | Comparison:
    """Carry out a recipe, made small, on the data in ``root``; of several methods all, as the command in it says."""
    if "methods" in read_settings(path):
        recipes = {name: _on(root, small(recipe, root)) for name, recipe in load_recipes(str(path)).items()}
        return compare_methods(recipes, out, options, segmenter=SEGMENTER in path.read_text())
    return run_recipe(_on(root, small(load_recipe(str(path)), root)), out, options)


def check_small(path: Path, root: Path, out: Path, options: RunOptions = PROCESSOR) -> None:
    """Carry out a recipe, made small, and assert that no image failed and that all that is compared was scored.

    Args:
        path: Of the recipe.
        root: From ``write_voc``, or from ``write_coco`` for a recipe of COCO.
        out: Gets the run.
        options: Where it is carried out.
    """
    result = run_small(path, root, out, options)
    assert not result.failures
    if isinstance(result, RunResult):
        assert (out / "segmenter" / "model.safetensors").is_file() and result.masks is not None
        folders, scored = [result.masks], [read_json(out / "evaluation" / "results.json")["scores"]]
    else:
        folders = [method.products.folders[method.products.result] for method in result.methods]
        scored = [list(method.products.scores) for method in result.methods]
    for folder, scores in zip(folders, scored, strict=True):
        masks = [LabelMap.load(file) for file in folder.glob("*.png")]
        assert len(masks) >= len(TRAIN)
        assert all(mask.label_ids <= set(range(len(VOC_CLASSES) + 1)) for mask in masks)  # nothing is undecided
        made = {"masks", "predictions"} if isinstance(result, RunResult) or SEGMENTER in path.read_text() else {"masks"}
        assert made <= {score["name"] for score in scores}


def over_supervised(name: str, folder: Path) -> Path:
    """Write a recipe of true masks whose segmenter is one of ``recipes/segmenters``, with copies of its bases."""
    common = RECIPES / "networks" / "msrc.yaml"
    for source in (RECIPES / "supervised_msrc.yaml", common, *(RECIPES / "segmenters").glob("*.yaml")):
        (folder / source.name).write_text(source.read_text().replace("base: networks/", "base: "))
    (folder / "top.yaml").write_text(f"base: [supervised_msrc.yaml, {name}.yaml]\n")
    (folder / "alone.yaml").write_text(f"method: supervised\nbase: {name}.yaml\n")
    return folder / "top.yaml"


def write_voc(root: Path) -> Path:
    """Write six photographs in the layout of VOC 2012 with SBD, with the lists of MSRC and drawn labels of all kinds.

    ``Annotations`` has boxes, ``pascal_2012`` scribbles, ``whats_the_point.json`` clicks. ``boxes.json``,
    ``points.json``, ``scribbles.json`` and ``all.json`` are weakseg's own, ``saliency`` has maps of what draws the eye.
    """
    drawn: dict[str, Drawn] = {}
    clicks: dict[str, Any] = {}
    for index, name in enumerate(NAMES):
        image, mask = _drawn_image(index)
        _save(root / "JPEGImages" / f"{name}.jpg", image)
        _save(root / "saliency" / f"{name}.png", _saliency(mask))
        for folder in ("SegmentationClassAug", "SegmentationClass"):
            LabelMap(mask).save(root / folder / f"{name}.png")
        LabelMap(np.searchsorted(np.unique(mask), mask).astype(np.uint8)).save(
            root / "SegmentationObject" / f"{name}.png"
        )
        drawn[name] = _labels_of(mask)
        _write(root / "Annotations" / f"{name}.xml", _xml_of_boxes(drawn[name], difficult=index // 2 % 2))
        _write(root / "pascal_2012" / f"{name}.xml", _xml_of_scribbles(drawn[name]))
        clicks[name] = [
            {"x": p.column - 0.5, "y": p.row - 0.5, "cls": p.class_id, "rank": 1} for p in drawn[name].points
        ]
    _write(root / "whats_the_point.json", json.dumps(clicks))
    for kind in ("boxes", "points", "scribbles", "all"):
        kept = {name: DrawnImage(SIZE, _of_kind(labels, kind)) for name, labels in drawn.items()}
        write_drawn(root / f"{kind}.json", DrawnFile(kind, Classes(VOC_CLASSES), kept))
    for name, members in (("train", TRAIN), ("train_aug", TRAIN), ("val", VAL)):
        _write(root / "ImageSets" / "Segmentation" / f"{name}.txt", "\n".join(members))
    return root


def write_coco(root: Path) -> Path:
    """Write six photographs in the layout of COCO, with the files of instances that the recipes name."""
    images, objects = [], []
    for index in range(len(NAMES)):
        image, mask = _drawn_image(index)
        _save(root / "images" / f"{index}.jpg", image)
        _save(root / "saliency" / f"{index}.png", _saliency(mask))
        images.append({"id": index, "file_name": f"{index}.jpg", "height": SIZE[0], "width": SIZE[1]})
        for class_id in np.unique(mask[mask > 0]).tolist():
            objects.append(_coco_object(mask == class_id, CATS_AND_DOGS[class_id][1], index, len(objects) + 1))
    categories = [{"id": number, "name": name} for name, number in CATS_AND_DOGS.values()]
    document = json.dumps({"images": images, "annotations": objects, "categories": categories})
    for name in ("instances.json", "annotations/instances_train2014.json", "annotations/instances_val2014.json"):
        _write(root / name, document)
    return root


def _small_backbone(config: Any, weights: Path) -> Any:
    thin = f"{config.name}_thin"
    name = thin if thin in OWN else next((n for start, n in TINY.items() if config.name.startswith(start)), "")
    if not name:
        raise KeyError(f"backbone {config.name}: name one of the same kind that is tiny in TINY")
    if config.weights == "embedded":
        return config
    plain = replace(config, name=name, weights="none", file="")
    if config.weights != "file":
        return plain
    file = weights / f"{name}_{config.layout}.pth"
    if not file.exists():
        torch.manual_seed(0)
        torch.save(build_backbone(plain).model.state_dict(), file)
    return replace(plain, weights="file", file=str(file))


def _small_class_graph(config: ClassGraphConfig, folder: Path) -> dict[str, str]:
    """Write relations and word vectors of the classes of VOC where a configuration names files; return their names."""
    graph, vectors = folder / "graph.json", folder / "vectors.txt"
    relations = np.eye(len(VOC_CLASSES)) + 0.5
    ClassGraph(VOC_CLASSES, np.zeros((len(VOC_CLASSES), 0), np.float32), relations, "made up", "none").save(graph)
    _write(vectors, "\n".join(f"{name} {index} 1 -1" for index, name in enumerate(VOC_CLASSES)))
    return {"file": config.file and str(graph), "vectors_file": config.vectors_file and str(vectors)}


def _on(root: Path, recipe: Recipe) -> Recipe:
    return replace(recipe, data=replace(recipe.data, root=str(root)))


def _drawn_image(index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a photograph and its mask; none is without an object."""
    image, mask = draw(index % 3 + 1 + 4 * index, SIZE)
    return image, np.select([mask == shape for shape in IDS], list(IDS.values()), 0).astype(np.uint8)


def _saliency(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a saliency map: objects bright, blurred."""
    return np.asarray(cv2.GaussianBlur(255 * (mask > 0).astype(np.uint8), (7, 7), 0))


def _labels_of(mask: NDArray[np.uint8]) -> Drawn:
    """Return box, point and scribble of each object, and a scribble on the background."""
    boxes, points, scribbles = [], [], [Scribble(0, ((2.5, 2.5), (2.5, SIZE[1] - 2.5)))]
    for class_id in np.unique(mask[mask > 0]).tolist():
        rows, columns = np.nonzero(mask == class_id)
        box = Box(class_id, float(rows.min()), float(columns.min()), float(rows.max() + 1), float(columns.max() + 1))
        row, column = (box.top + box.bottom) / 2, (box.left + box.right) / 2
        boxes.append(box)
        points.append(Point(class_id, row, column))
        scribbles.append(Scribble(class_id, ((row, column - 4), (row, column + 4))))
    return Drawn(tuple(boxes), tuple(points), tuple(scribbles))


def _of_kind(labels: Drawn, kind: str) -> Drawn:
    return labels if kind == "all" else Drawn(**{kind: getattr(labels, kind)})


def _xml_of_boxes(labels: Drawn, *, difficult: int) -> str:
    objects = "".join(
        f"<object><name>{CATS_AND_DOGS[b.class_id][0]}</name><difficult>{difficult}</difficult><bndbox>"
        f"<xmin>{b.left + 1:.0f}</xmin><ymin>{b.top + 1:.0f}</ymin>"
        f"<xmax>{b.right:.0f}</xmax><ymax>{b.bottom:.0f}</ymax></bndbox></object>"
        for b in labels.boxes
    )
    return f"<annotation>{objects}</annotation>"


def _xml_of_scribbles(labels: Drawn) -> str:
    names = {0: "background", **{class_id: name for class_id, (name, _) in CATS_AND_DOGS.items()}}
    lines = "".join(
        f"<polygon><tag>{names[line.class_id]}</tag>"
        + "".join(f"<point><X>{x - 0.5}</X><Y>{y - 0.5}</Y></point>" for y, x in line.path)
        + "</polygon>"
        for line in labels.scribbles
    )
    return f"<annotation><size><width>{SIZE[1]}</width><height>{SIZE[0]}</height></size>{lines}</annotation>"


def _coco_object(shape: NDArray[np.bool_], category: int, image_id: int, number: int) -> dict[str, Any]:
    outlines, _ = cv2.findContours(shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    left, top, width, height = cv2.boundingRect(outlines[0])
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category,
        "bbox": [left, top, width, height],
        "segmentation": [outlines[0].flatten().tolist()],
        "area": int(shape.sum()),
        "iscrowd": 0,
    }


def _save(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
