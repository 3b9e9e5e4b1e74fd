"""What gets damaged: how its sound files are made, which of them, and how they are read."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from weakseg.artifacts import Activations, LabelMap, PixelGraph, Scores
from weakseg.cli.common import settle
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.check import check_dataset
from weakseg.data.class_map import read_class_map
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset, open_labelled_folder
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.formats.label_maps import read_mask, read_strokes
from weakseg.data.formats.mask_files import MaskRules
from weakseg.data.image import load_rgb, read_frame
from weakseg.data.readers.label_file import labels_of
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.truth import open_instance_truth, open_truth
from weakseg.feature_maps import FeatureMaps
from weakseg.instances import Instances
from weakseg.methods.finished import open_finished
from weakseg.methods.publication import is_publication, left_beside, open_publication, seal
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.nn.models import load_model
from weakseg.nn.weights import read_header, save_model
from weakseg.ops.pattern import Pattern
from weakseg.ops.resample import Cells
from weakseg.ops.sparse import SparseMatrix
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.intake import take_in
from weakseg.pipeline.runner import read_failures
from weakseg.pipeline.store import Store
from weakseg.settings.activate import ExternalConfig
from weakseg.stages.external import ExternalMaps
from weakseg.stages.proposers.kept import load_answers, load_asked, save_answers
from weakseg.stages.proposers.look import Segment
from weakseg.stages.proposers.prompt import Prompt
from weakseg.training.state import Progress, StateFile

ROWS, COLUMNS = 24, 32


@dataclass(frozen=True)
class Subject:
    """Files of one kind.

    Attributes:
        name: For findings.
        make: Writes sound files into an empty folder.
        read: Reads them as the library does, and raises one of its errors where it cannot.
        damaged: Patterns of the files that get damaged.
    """

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    damaged: tuple[str, ...] = ("*",)


def pixels(seed: int = 0, *, channels: int = 3) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (ROWS, COLUMNS, channels), dtype=np.uint8)


def photograph(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path)


def photographs(folder: Path) -> None:
    """Write one of each kind of image file."""
    image, exif = Image.fromarray(pixels()), Image.Exif()
    exif[0x0112], exif.get_ifd(0x8825)[6] = 6, 12.5
    image.save(folder / "a.jpg", exif=exif)
    image.save(folder / "progressive.jpg", progressive=True)
    image.save(folder / "a.png", exif=exif)
    image.quantize(8).save(folder / "palette.png", transparency=2)
    Image.fromarray(pixels(channels=4)).save(folder / "opacity.png")
    Image.fromarray(pixels()[..., 0].astype(np.uint16) * 4).save(folder / "deep.png")
    image.save(folder / "a.tif", compression="tiff_adobe_deflate", exif=exif)
    image.save(folder / "lzw.tif", compression="tiff_lzw")
    Image.fromarray(pixels()[..., 0].astype(np.float32)).save(folder / "float.tif")
    for name in ("a.webp", "a.gif", "a.bmp", "a.ppm"):
        image.save(folder / name)


def read_photographs(folder: Path) -> None:
    """Read all of them, or those that are sound and then raise the error of the first that is not."""
    first = None
    for path in sorted(folder.iterdir()):
        for read in (read_frame, load_rgb):
            try:
                read(path)
            except Exception as error:
                first = first or error
    if first is not None:
        raise first


def dataset(
    config: DataConfig, make: Callable[[Path], object], *damaged: str, truth: bool = False, name: str = ""
) -> Subject:
    """Return a data set as a subject: opened, looked at, and its truth loaded."""

    def read(folder: Path) -> None:
        there = dataclasses.replace(config, root=str(folder))
        found = open_dataset(there)
        check_dataset(found)
        for sample in open_truth(there, found, "train") if truth else ():
            sample.load_truth()
            sample.load_objects()
        for one in open_instance_truth(there, found, "train") if truth else ():
            one.load_truth()

    drawn = f"/{config.drawn}" if config.drawn else ""
    return Subject(name or f"{config.format}{drawn}/{damaged[0]}", make, read, damaged)


def written(files: dict[str, Any], *images: str) -> Callable[[Path], None]:
    """Return a function that writes text files, JSON where the value is no text, and photographs."""

    def make(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        for seed, name in enumerate(images):
            photograph(folder / name, seed)

    return make


def label_map(folder: Path, name: str = "map.png") -> None:
    labels = np.zeros((ROWS, COLUMNS), np.uint8)
    labels[4:12, 4:20], labels[14:, :] = 1, 255
    LabelMap(labels).save(folder / name)


LABELME = {
    "version": "5.2.0", "flags": {"dog": True}, "imagePath": "a.jpg", "imageData": None,
    "imageHeight": ROWS, "imageWidth": COLUMNS,
    "shapes": [
        {"label": "cat", "points": [[2, 3], [20, 4], [9, 18]], "shape_type": "polygon", "group_id": 1, "flags": {}},
        {"label": "cat", "points": [[2, 3], [9, 12]], "shape_type": "rectangle", "group_id": None, "flags": {}},
        {"label": "dog", "points": [[12, 12], [12, 16]], "shape_type": "circle", "flags": {}},
        {"label": "dog", "points": [[2, 3], [9, 12], [12, 3]], "shape_type": "linestrip", "flags": {}},
        {"label": "dog", "points": [[5.5, 5.5]], "shape_type": "point", "flags": {}},
    ],
}  # fmt: skip
COCO = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "height": ROWS, "width": COLUMNS},
        {"id": 2, "file_name": "b.jpg", "height": ROWS, "width": COLUMNS},
    ],
    "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"]}, {"id": 7, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 9], "area": 90, "iscrowd": 0,
         "segmentation": [[2, 3, 12, 3, 12, 12, 2, 12]], "keypoints": [3, 4, 2, 0, 0, 0]},
        {"id": 2, "image_id": 2, "category_id": 7, "bbox": [0, 0, 4, 4], "iscrowd": 1,
         "segmentation": {"size": [ROWS, COLUMNS], "counts": [0, 100, ROWS * COLUMNS - 100]}},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1, 1, 5, 5], "iscrowd": 0,
         "segmentation": {"size": [ROWS, COLUMNS], "counts": "0h0P`0"}},
    ],
}  # fmt: skip
BRUSH = f"{4 * ROWS * COLUMNS:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}1{3:02b}{4 * ROWS * COLUMNS - 1:016b}{255:08b}"
BRUSH = [int(BRUSH[start : start + 8].ljust(8, "0"), 2) for start in range(0, len(BRUSH), 8)]  # one run of 255
LABELSTUDIO = [
    {"id": 1, "data": {"image": "/data/upload/1/a.jpg"}, "annotations": [{"id": 1, "was_cancelled": False, "result": [
        {"id": "r", "type": "rectanglelabels", "from_name": "l", "to_name": "image", "original_width": COLUMNS,
         "original_height": ROWS, "image_rotation": 0,
         "value": {"x": 10, "y": 10, "width": 40, "height": 30, "rotation": 5, "rectanglelabels": ["cat"]}},
        {"id": "p", "type": "polygonlabels", "from_name": "l", "to_name": "image", "original_width": COLUMNS,
         "original_height": ROWS, "value": {"points": [[10, 10], [60, 20], [30, 80]], "polygonlabels": ["dog"]}},
        {"id": "k", "type": "keypointlabels", "from_name": "l", "to_name": "image", "original_width": COLUMNS,
         "original_height": ROWS, "value": {"x": 50, "y": 50, "width": 1, "keypointlabels": ["cat"]}},
        {"id": "b", "type": "brushlabels", "from_name": "l", "to_name": "image", "original_width": COLUMNS,
         "original_height": ROWS, "value": {"format": "rle", "brushlabels": ["dog"], "rle": BRUSH}},
        {"id": "c", "type": "choices", "from_name": "c", "to_name": "image", "value": {"choices": ["cat"]}},
    ]}]},
]  # fmt: skip
SUPERVISELY = {
    "size": {"height": ROWS, "width": COLUMNS}, "tags": [], "objects": [
        {"classTitle": "cat", "geometryType": "polygon",
         "points": {"exterior": [[2, 3], [20, 4], [9, 18]], "interior": [[[6, 6], [9, 6], [9, 9]]]}},
        {"classTitle": "dog", "geometryType": "rectangle", "points": {"exterior": [[2, 3], [20, 9]], "interior": []}},
    ],
}  # fmt: skip
DATUMARO = {
    "info": {}, "categories": {"label": {"labels": [{"name": "cat"}, {"name": "dog"}]}},
    "items": [{"id": "a", "image": {"path": "a.jpg", "size": [ROWS, COLUMNS]}, "annotations": [
        {"type": "bbox", "label_id": 0, "bbox": [2, 3, 9, 9], "z_order": 1},
        {"type": "polygon", "label_id": 1, "points": [2, 3, 20, 4, 9, 18]},
        {"type": "mask", "label_id": 1, "rle": {"size": [ROWS, COLUMNS], "counts": [9, 99, ROWS * COLUMNS - 108]}},
        {"type": "label", "label_id": 0},
    ]}],
}  # fmt: skip
CREATEML = [{"image": "a.jpg", "annotations": [
    {"label": "cat", "coordinates": {"x": 9, "y": 9, "width": 5, "height": 4}}]}]  # fmt: skip
VIA = {"a.jpg12": {"filename": "a.jpg", "size": 12, "file_attributes": {}, "regions": [
    {"shape_attributes": {"name": "rect", "x": 2, "y": 3, "width": 5, "height": 4},
     "region_attributes": {"class": "cat"}},
    {"shape_attributes": {"name": "polygon", "all_points_x": [2, 20, 9], "all_points_y": [3, 4, 18]},
     "region_attributes": {"class": {"dog": True}}},
]}}  # fmt: skip
PANOPTIC = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": ROWS, "width": COLUMNS}],
    "categories": [{"id": 1, "name": "cat", "isthing": 1}, {"id": 7, "name": "grass", "isthing": 0}],
    "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [
        {"id": 1, "category_id": 1, "iscrowd": 0}, {"id": 258, "category_id": 7, "iscrowd": 1}]}],
}  # fmt: skip


def panoptic(folder: Path) -> None:
    written({"p.json": PANOPTIC}, "images/a.jpg")(folder)
    numbers = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    numbers[2:9, 3:9, 0], numbers[12:] = 1, (2, 1, 0)
    (folder / "p").mkdir()
    Image.fromarray(numbers).save(folder / "p/a.png")


STUDIO_MIN = [
    {"id": 1, "image": "/data/a.jpg", "annotator": 1, "choice": "cat", "label": [
        {"x": 10, "y": 10, "width": 40, "height": 30, "rotation": 0, "rectanglelabels": ["cat"],
         "original_width": COLUMNS, "original_height": ROWS}]},
]  # fmt: skip
VIDEO = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><size>2</size><mode>interpolation</mode>
<labels><label><name>cat</name></label></labels><original_size><width>{COLUMNS}</width><height>{ROWS}</height>
</original_size></task></meta>
<track id="0" label="cat">
<box frame="0" xtl="2" ytl="3" xbr="9" ybr="8" outside="0" occluded="0" keyframe="1"></box>
<box frame="1" xtl="3" ytl="3" xbr="9" ybr="8" outside="1" occluded="0" keyframe="1"></box></track>
</annotations>
"""
CVAT = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>
<image id="0" name="a.jpg" width="{COLUMNS}" height="{ROWS}">
<box label="cat" xtl="2.0" ytl="3.0" xbr="20.0" ybr="18.5" rotation="10" occluded="0" z_order="1"></box>
<polygon label="dog" points="2,3;20,4;9,18" occluded="0" z_order="0"></polygon>
<polyline label="dog" points="2,3;20,4" occluded="0"></polyline>
<points label="cat" points="5.5,6.5" occluded="0"></points>
<ellipse label="cat" cx="10" cy="10" rx="4" ry="3"></ellipse>
<mask label="dog" rle="3, 4, 9" left="2" top="3" width="4" height="4"></mask>
<tag label="cat"></tag>
</image>
</annotations>
"""
VOC = f"""<annotation><filename>a.jpg</filename>
<size><width>{COLUMNS}</width><height>{ROWS}</height><depth>3</depth></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>18</ymax></bndbox>
</object>
<object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
</object></annotation>
"""
STROKES = f"""<annotation><size><width>{COLUMNS}</width><height>{ROWS}</height></size><segmented>1</segmented>
<polygon><tag>cat</tag><point><X>3</X><Y>4</Y></point><point><X>13</X><Y>9</Y></point></polygon>
<polygon><tag>background</tag><point><X>30</X><Y>2</Y></point></polygon></annotation>
"""
CLICKS = {"a": [{"x": 3, "y": 4, "cls": 8, "rank": 1}, {"x": 9, "y": 9, "cls": 12, "rank": 2}]}
RECIPE = "method: cam\nseed: 3\ndata: {root: photos, train: tags.csv, classes: [cat, dog]}\n" + (
    "seeds: {strict: 0.6, crf: {iterations: 4}}\nclassifier: {fit: {epochs: 2, lr: 0.01}}\n"
)
COMPARISON = "seed: 1\ndata: {root: photos, train: tags.csv}\nmethods:\n  cam: {seeds: {strict: 0.6}}\n  drawn: {}\n"
YOLO = "0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.6 0.2 0.3 0.8\n"


def voc(folder: Path) -> None:
    """Write a VOC folder."""
    lists = {"ImageSets/Segmentation/train.txt": "a\nb\n", "ImageSets/Main/cat_train.txt": "a  1\nb -1\n"}
    files = {**lists, "Annotations/a.xml": VOC, "Annotations/b.xml": "<annotation></annotation>"}
    written({**files, "classes.txt": "background\ncat\ndog\n"}, "JPEGImages/a.jpg", "JPEGImages/b.jpg")(folder)
    for name in ("SegmentationClass", "SegmentationObject"):
        (folder / name).mkdir()
        label_map(folder / name, "a.png")


def read_label_maps(folder: Path) -> None:
    rules = MaskRules(Classes(("cat", "dog")))
    read_mask(folder / "map.png", rules)
    read_strokes(folder / "map.png", rules)


def palette(folder: Path) -> None:
    """Write masks in colours, and what the colours mean."""
    written({"classes.txt": "cat\n", "t.csv": "image,label\na.jpg,cat\n"}, "images/a.jpg")(folder)
    (folder / "m").mkdir()
    (folder / "m/labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n")
    colours = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    colours[3:9, 4:20] = 250, 50, 83
    Image.fromarray(colours).save(folder / "m/a.png")


def own_labels(folder: Path) -> None:
    """Write weakseg's own file of drawn labels, and photographs."""
    written({"t.csv": "image,label\na.jpg,cat\n"}, "images/a.jpg")(folder)
    drawn = Drawn(
        boxes=(Box(1, 2, 3, 9, 12.5),), points=(Point(2, 3.5, 4.5),), scribbles=(Scribble(0, ((1.0, 1.0), (9.0, 3.0))),)
    )
    image = DrawnImage((ROWS, COLUMNS), drawn, {"seconds": 10.0}, frozenset({1}))
    write_drawn(folder / "d.json", DrawnFile("all", Classes(("cat", "dog")), {"a": image}))


def tags(name: str, content: Any) -> Subject:
    """Return a folder of photographs with a label file as a subject."""
    config = DataConfig(train=name, images="images")
    return dataset(config, written({name: content}, "images/a.jpg", "images/b.jpg"), name)


def one_photograph(name: str, content: Any) -> Subject:
    """Return labels of one photograph as a subject."""
    make = written({name: content, "data.yaml": "names: [cat, dog]\n"}, "a.jpg")
    return Subject(f"photograph/{name}", make, lambda folder: labels_of(folder / "a.jpg", folder / name), (name,))


READERS = (
    tags("t.csv", "image,label\na.jpg,cat\na.jpg,dog\nb.jpg,\n"),
    tags("wide.csv", "image,cat,dog\na.jpg,1,0\nb.jpg,,1\n"),
    tags("t.json", {"a.jpg": ["cat"], "b.jpg": []}),
    tags("t.jsonl", '{"image": "a.jpg", "labels": ["cat"]}\n{"image": "b.jpg", "labels": []}\n'),
    tags("points.csv", "image,label,x,y\na.jpg,cat,3,4\nb.jpg,dog,5,6\n"),
    tags("boxes.csv", "image,label,xmin,ymin,xmax,ymax\na.jpg,cat,3,4,9,9\nb.jpg,dog,1,1,5,6\n"),
    dataset(DataConfig(format="voc", train="train"), voc, "Annotations/*", "ImageSets/*/*", "*.txt", truth=True),
    dataset(DataConfig(format="voc", train="train", tags="main"), voc, "ImageSets/Main/*", "Segm*/*.png", truth=True),
    dataset(DataConfig(format="coco", train="c.json"), written({"c.json": COCO}, "images/a.jpg", "images/b.jpg"),
            "*.json", truth=True),
    dataset(DataConfig(format="coco", train="c.json", labels="regions"),
            written({"c.json": COCO}, "images/a.jpg", "images/b.jpg"), "c.*", truth=True),
    dataset(DataConfig(format="labelme", train="l"), written({"l/a.json": LABELME}, "l/a.jpg"), "l/*.json"),
    dataset(DataConfig(format="cvat", train="c.xml"), written({"c.xml": CVAT}, "images/a.jpg"), "*.xml"),
    dataset(DataConfig(format="cvat", train="v.xml"),
            written({"v.xml": VIDEO}, "images/frame_000000.jpg", "images/frame_000001.jpg"), "v.xml"),
    dataset(DataConfig(format="labelstudio", train="s.json"), written({"s.json": LABELSTUDIO}, "images/a.jpg"),
            "*.json"),
    dataset(DataConfig(format="supervisely", train="ann"),
            written({"ann/a.jpg.json": SUPERVISELY}, "images/a.jpg"), "ann/*"),
    dataset(DataConfig(format="datumaro", train="d.json"), written({"d.json": DATUMARO}, "images/a.jpg"), "d.json"),
    dataset(DataConfig(format="createml", train="m.json"), written({"m.json": CREATEML}, "images/a.jpg"), "m.json"),
    dataset(DataConfig(format="via", train="v.json"), written({"v.json": VIA}, "images/a.jpg"), "v.json"),
    dataset(DataConfig(format="coco_panoptic", train="p.json"), panoptic, "p.json", "p/*"),
    dataset(DataConfig(format="yolo", train="images"),
            written({"labels/a.txt": YOLO, "data.yaml": "names: {0: cat, 1: dog}\n"}, "images/a.jpg"),
            "labels/*", "data.yaml"),
    dataset(DataConfig(format="scribblesup", train="s"), written({"s/a.xml": STROKES}, "images/a.jpg"), "s/*"),
    dataset(DataConfig(train="t.csv", class_map="m.yaml"),
            written({"t.csv": "image,label\na.jpg,cat\n", "m.yaml": "rename: {cat: tom}\nmerge: {pet: [dog]}\n"},
                    "images/a.jpg"), "m.yaml"),
    dataset(DataConfig(train="t.csv", drawn="d.json", classes=("aeroplane", "cat", "dog")),
            written({"t.csv": "image,label\na.jpg,cat\n", "d.json": CLICKS}, "images/a.jpg"), "d.json"),
    dataset(DataConfig(train="t.csv", drawn="m", labels="regions"), palette, "m/*"),
    dataset(DataConfig(train="t.csv", drawn="d.json", classes=("cat", "dog")), own_labels,
            "d.json", name="weakseg"),
    *(one_photograph(*pair) for pair in (
        ("a.json", LABELME), ("coco.json", COCO), ("cvat.xml", CVAT), ("studio.json", LABELSTUDIO), ("voc.xml", VOC),
        ("strokes.xml", STROKES), ("min.json", STUDIO_MIN), ("a.txt", YOLO),
        ("tags.csv", "image,label\na.jpg,cat\n"),
    )),
    Subject("class map", written({"m.yaml": "rename: {a: b}\nignore: [void]\n"}),
            lambda f: read_class_map(f / "m.yaml")),
    Subject("label maps", label_map, read_label_maps),
    Subject("photographs", photographs, read_photographs),
    Subject("photographs ", photographs, read_photographs),
    Subject("a data set's photographs", written({"t.csv": "image,label\na.jpg,cat\nb.png,dog\n"}, "images/a.jpg",
            "images/b.png"), lambda f: check_dataset(open_labelled_folder(f / "images", f / "t.csv")), ("images/*",)),
)  # fmt: skip


def graph() -> PixelGraph:
    pattern = Pattern(torch.tensor([0, 2, 4], dtype=torch.int32), torch.tensor([0, 1, 0, 1], dtype=torch.int32), 2)
    return PixelGraph(torch.ones(2, 3), (1, 2), SparseMatrix(pattern, torch.ones(4)))


def objects() -> Instances:
    masks = np.zeros((2, ROWS, COLUMNS), np.bool_)
    masks[0, 2:9, 3:12], masks[1, 5:, 20:] = True, True
    return Instances.of(masks, [1, 2], scores=[0.5, 1.0])


def artefact(kind: str, value: Any, suffix: str = ".safetensors") -> Subject:
    """Return an artefact with ``save`` and ``load`` as a subject."""
    name = f"a{suffix}"
    return Subject(kind, lambda f: value.save(f / name), lambda f: type(value).load(f / name))


def learner() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


class Sums:
    """What a caller accumulates."""

    def __init__(self) -> None:
        self.sums = {"a": torch.ones(3)}

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums = {name: value + 0 for name, value in state["sums"].items()}


def save_training(folder: Path) -> None:
    records = [{"epoch": 1, "loss": 0.5, "seconds": 1.0}]
    StateFile(folder / "state.pt", {"epochs": 3}).save(Progress(*learner(), 1, records), Sums())


def network(path: Path) -> None:
    """Save the head of a made-up kind, whose width its header says."""
    save_model(path, torch.nn.Linear(8, 3), {"kind": "line", "classes": ["a", "b", "c"], "width": 8, "levels": [1, 2]})


def read_network(path: Path) -> None:
    def build(file: Any) -> torch.nn.Module:
        def line() -> torch.nn.Module:
            return torch.nn.Linear(file.header["width"], len(file.header["classes"]))

        return line()

    load_model(path, {"line": build})
    read_header(path)


def finished(folder: Path) -> None:
    """Write what a comparison and a run leave, without their products."""
    recipe = load_recipe("cam", ["--data.train=t.csv"])
    from weakseg.methods.recipes import recipe_as_json

    entry = {"method": "cam", "settings": recipe_as_json(recipe), "steps": {"classifier": "steps/classifier-1"}}
    manifest = {"step": "classifier", "key": "k", "settings": {}, "versions": {}, "complete": True, "summary": {}}
    files = {"results.json": {"methods": [entry]}, "steps/classifier-1/manifest.json": manifest}
    written({**files, "data/place.json": {"root": "photos"}})(folder)
    network(folder / "steps/classifier-1/model.safetensors")


def published(folder: Path) -> None:
    """Write what ``weakseg publish`` leaves, of which a card is no data."""
    network(folder / "model.safetensors")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    seal(folder, {"classes": ["cat"], "segmenter": "model.safetensors", "labeller": None})


def read_published(folder: Path) -> None:
    if is_publication(folder):
        found = open_publication(folder)
        left_beside(found)
        read_header(found.model)


def stored(folder: Path) -> None:
    """Write a step of a run folder, and what guards it."""
    store = Store(folder)
    _, manifest = store.open_step("seeds", "k", {"strict": 0.5})
    store.finish_step("seeds", manifest, {"images": 2, "failures": [{"image_id": "a", "step": "s", "reason": "r"}]})
    store.settle("recipe.json", {"method": "cam", "seed": 1}, "settings")
    settle(folder, {"scales": [1.0, 2.0]}, images=folder)
    (folder / "failures.csv").write_text("image,step,reason\na,seeds,because\n")


def read_stored(folder: Path) -> None:
    store = Store(folder)
    store.open_step("seeds", "k", {"strict": 0.5})
    store.settle("recipe.json", {"method": "cam", "seed": 1}, "settings")
    settle(folder, {"scales": [1.0, 2.0]}, images=folder)
    read_failures(folder)


def taken_in(folder: Path) -> None:
    written({"t.csv": "image,label\na.jpg,cat\nb.jpg,dog\n"}, "images/a.jpg", "images/b.jpg")(folder)
    read_taken_in(folder)


def read_taken_in(folder: Path) -> None:
    found = open_dataset(DataConfig(root=str(folder), train="t.csv"))
    take_in(found, folder / "records", engine=LocalEngine())


def external(folder: Path) -> None:
    """Write activations as other programs write them."""
    maps = np.random.default_rng(0).random((2, 6, 8)).astype(np.float32)
    np.save(folder / "a.npy", {"keys": np.array([0, 2]), "cam": torch.from_numpy(maps)})  # type: ignore[arg-type]
    np.savez(folder / "b.npz", values=maps, classes=["cat", "sheep"])


def read_external(folder: Path) -> None:
    maps = ExternalMaps(folder, Classes(("cat", "dog", "sheep")), ExternalConfig())
    for name in "ab":
        maps.load(WeakSample(name, folder / "x.jpg", Tags(frozenset({1, 3}))), (ROWS, COLUMNS))


PROMPTS = [Prompt(1, Box(1, 0, 0, 4, 4)), Prompt(2, Box(2, 1, 2, 9, 12))]


def answered(folder: Path) -> None:
    """Write what was proposed for two boxes, one without an answer."""
    pixels = np.random.default_rng(0).random((2, ROWS, COLUMNS)) < 0.5
    found = {PROMPTS[0]: Segment(pixels[0], ""), PROMPTS[1]: Segment(pixels[1], "error", "masks of another size")}
    save_answers(folder / "a.proposals.json", found, (ROWS, COLUMNS))


def read_answered(folder: Path) -> None:
    load_asked(folder / "a.proposals.json")
    load_answers(folder / "a.proposals.json", PROMPTS, (ROWS, COLUMNS))


ARTEFACTS = (
    artefact("activations", Activations(torch.rand(2, 6, 8), (1, 3), (ROWS, COLUMNS))),
    artefact("scores", Scores(torch.rand(2, 6, 8), (0, 3), (ROWS, COLUMNS), 4)),
    artefact("reduced scores", Scores(torch.rand(1, 3, 4), (0,), (ROWS, COLUMNS), 4, (12, 16))),
    artefact("pixel graph", graph()),
    artefact("features", FeatureMaps((torch.rand(2, 6, 8),) * 2, (Cells(0.0, 4),) * 2, (ROWS, COLUMNS))),
    artefact("instances", objects(), ".instances.json"),
    Subject("external activations", external, read_external),
    Subject("proposals", answered, read_answered),
    Subject("label map", label_map, lambda f: LabelMap.load(f / "map.png")),
    Subject("model", lambda f: network(f / "model.safetensors"), lambda f: read_network(f / "model.safetensors")),
    Subject("state", save_training,
            lambda f: StateFile(f / "state.pt", {"epochs": 3}).load(*learner(), Sums())),
    Subject("comparison", finished, lambda f: open_finished(f).model_of("classifier"), ("**/*",)),
    Subject("publication", published, read_published, ("config.json",)),
    Subject("run folder", stored, read_stored, ("**/*",)),
    Subject("records", taken_in, read_taken_in, ("records.json",)),
    Subject("recipe", written({"r.yaml": RECIPE}), lambda f: load_recipe(str(f / "r.yaml"))),
    Subject("recipes", written({"r.yaml": "base: low.yaml\nseed: 2\n", "low.yaml": COMPARISON}),
            lambda f: load_recipes(str(f / "r.yaml"), [])),
)  # fmt: skip

SUBJECTS: tuple[Subject, ...] = (*READERS, *ARTEFACTS)
