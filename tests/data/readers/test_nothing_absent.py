"""Of every format: what a reader leaves out is named, leaves the rest alone, and never makes a class absent."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest
from PIL import Image

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.catalogue import FORMATS
from weakseg.errors import DataError

Entry = dict[str, Any]
ROWS, COLUMNS = 8, 10
MISSING = object()
WRONG: tuple[object, ...] = (MISSING, None, "", "nan", "inf", "?", -1e9, 1e300, True, [], {}, [[1]], "9" * 5000)


@dataclass(frozen=True)
class Case:
    """How a format is written.

    Attributes:
        entry: Returns what says that a class is at left, top, right, bottom.
        write: Writes a data set of photographs a, on which the entries are, and b, on which nothing is.
        settings: Of the data set.
        fixed: Keys of which another value, or none, makes it an entry of another class or photograph.
        texts: Whether the file holds texts alone, so that any but none is a name.
    """

    entry: Callable[[str, tuple[float, float, float, float]], Entry]
    write: Callable[[Path, list[Entry]], None]
    settings: Mapping[str, object]
    fixed: frozenset[str] = field(default_factory=frozenset)
    texts: bool = True


CASES: dict[str, Case] = {}


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def attributes(entry: Entry) -> str:
    return " ".join(f"{key}={quoteattr(str(value))}" for key, value in entry.items())


def elements(entry: Entry) -> str:
    return "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in entry.items())


def labelme(root: Path, entries: list[Entry]) -> None:
    for name, shapes in (("a", entries), ("b", [])):
        size = {"imageHeight": ROWS, "imageWidth": COLUMNS}
        put(root / f"images/{name}.json", {"imagePath": f"{name}.png", "shapes": shapes, **size})


CASES["labelme"] = Case(
    lambda label, box: {"label": label, "shape_type": "rectangle", "points": [list(box[:2]), list(box[2:])]},
    labelme,
    {"format": "labelme", "train": "images"},
    texts=False,
)


def cvat(root: Path, entries: list[Entry]) -> None:
    boxes = "".join(f"<box {attributes(entry)}/>" for entry in entries)
    images = "".join(
        f"<image name='{name}.png' width='{COLUMNS}' height='{ROWS}'>{inner}</image>"
        for name, inner in (("a", boxes), ("b", ""))
    )
    put(root / "t.xml", f"<annotations>{images}</annotations>")


CASES["cvat"] = Case(
    lambda label, box: {"label": label, **dict(zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True))},
    cvat,
    {"format": "cvat", "train": "t.xml"},
)


def labelstudio(root: Path, entries: list[Entry]) -> None:
    def item(entry: Entry) -> object:
        value = {key: entry[key] for key in entry if key != "kind"}
        size = {"original_width": COLUMNS, "original_height": ROWS}
        return {"type": "rectanglelabels", **size, "value": value}

    tasks = [
        {"data": {"image": f"{name}.png"}, "annotations": [{"result": [item(entry) for entry in there]}]}
        for name, there in (("a", entries), ("b", []))
    ]
    put(root / "t.json", tasks)


CASES["labelstudio"] = Case(
    lambda label, box: {
        "rectanglelabels": [label],
        "x": box[0] * 100 / COLUMNS,
        "y": box[1] * 100 / ROWS,
        "width": (box[2] - box[0]) * 100 / COLUMNS,
        "height": (box[3] - box[1]) * 100 / ROWS,
    },
    labelstudio,
    {"format": "labelstudio", "train": "t.json"},
    texts=False,
)


def coco(root: Path, entries: list[Entry]) -> None:
    size = {"height": ROWS, "width": COLUMNS}
    images = [{"id": number, "file_name": f"{name}.png", **size} for number, name in enumerate("ab", start=1)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    annotations = [{"id": number, "image_id": 1, **entry} for number, entry in enumerate(entries, start=1)]
    put(root / "t.json", {"images": images, "categories": categories, "annotations": annotations})


CASES["coco"] = Case(
    lambda label, box: {
        "category_id": ("cat", "dog").index(label) + 1,
        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
    },
    coco,
    {"format": "coco", "train": "t.json"},
    frozenset({"category_id"}),
    texts=False,
)


def supervisely(root: Path, entries: list[Entry]) -> None:
    def item(entry: Entry) -> Entry:
        points = {"exterior": [entry["first"], entry["last"]], "interior": []} if len(entry) > 2 else {}
        label = {"classTitle": entry["classTitle"]} if "classTitle" in entry else {}
        return {"geometryType": "rectangle", "points": points, **label}

    for name, there in (("a", entries), ("b", [])):
        size = {"height": ROWS, "width": COLUMNS}
        put(root / f"ann/{name}.png.json", {"size": size, "tags": [], "objects": [item(entry) for entry in there]})


CASES["supervisely"] = Case(
    lambda label, box: {"classTitle": label, "first": list(box[:2]), "last": list(box[2:])},
    supervisely,
    {"format": "supervisely", "train": "ann"},
    texts=False,
)


def datumaro(root: Path, entries: list[Entry]) -> None:
    labels = [{"name": name, "parent": "", "attributes": []} for name in ("cat", "dog")]
    items = [
        {"id": name, "annotations": there, "image": {"path": f"{name}.png", "size": [ROWS, COLUMNS]}}
        for name, there in (("a", [{"type": "bbox", **entry} for entry in entries]), ("b", []))
    ]
    put(root / "t.json", {"info": {}, "categories": {"label": {"labels": labels}}, "items": items})


CASES["datumaro"] = Case(
    lambda label, box: {
        "label_id": ("cat", "dog").index(label),
        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
    },
    datumaro,
    {"format": "datumaro", "train": "t.json"},
    texts=False,
)


def createml(root: Path, entries: list[Entry]) -> None:
    def item(entry: Entry) -> Entry:
        place = {key: entry[key] for key in entry if key != "label"}
        return {"coordinates": place, **({"label": entry["label"]} if "label" in entry else {})}

    there = [item(entry) for entry in entries]
    put(root / "t.json", [{"image": "a.png", "annotations": there}, {"image": "b.png", "annotations": []}])


CASES["createml"] = Case(
    lambda label, box: {
        "label": label,
        "x": (box[0] + box[2]) / 2,
        "y": (box[1] + box[3]) / 2,
        "width": box[2] - box[0],
        "height": box[3] - box[1],
    },
    createml,
    {"format": "createml", "train": "t.json"},
    texts=False,
)


def via(root: Path, entries: list[Entry]) -> None:
    def item(entry: Entry) -> Entry:
        place = {key: entry[key] for key in entry if key != "class"}
        attributes = {"class": entry["class"]} if "class" in entry else {}
        return {"shape_attributes": {"name": "rect", **place}, "region_attributes": attributes}

    images = {f"{n}.png1": {"filename": f"{n}.png", "size": 1, "regions": []} for n in "ab"}
    images["a.png1"]["regions"] = [item(entry) for entry in entries]
    put(root / "t.json", images)


CASES["via"] = Case(
    lambda label, box: {"class": label, "x": box[0], "y": box[1], "width": box[2] - box[0], "height": box[3] - box[1]},
    via,
    {"format": "via", "train": "t.json"},
    texts=False,
)


def panoptic(root: Path, entries: list[Entry]) -> None:
    size = {"height": ROWS, "width": COLUMNS}
    images = [{"id": number, "file_name": f"{name}.png", **size} for number, name in enumerate("ab", start=1)]
    categories = [{"id": number, "name": name} for number, name in enumerate(("cat", "dog"), start=1)]
    for name, there in (("a", entries), ("b", [])):
        numbers = np.zeros((ROWS, COLUMNS, 3), np.uint8)
        for number, entry in enumerate(there, start=1):
            left, top, right, bottom = (max(int(value), 0) for value in entry["box"])
            numbers[top:bottom, left:right, 0] = number
        (root / "t").mkdir(exist_ok=True)
        Image.fromarray(numbers).save(root / f"t/{name}.png")
    segments = [
        {"id": number, **{key: entry[key] for key in entry if key != "box"}}
        for number, entry in enumerate(entries, start=1)
    ]
    annotations = [
        {"image_id": number, "file_name": f"{name}.png", "segments_info": there}
        for number, (name, there) in enumerate((("a", segments), ("b", [])), start=1)
    ]
    put(root / "t.json", {"images": images, "annotations": annotations, "categories": categories})


CASES["coco_panoptic"] = Case(
    lambda label, box: {**dict.fromkeys(("id", "category_id"), ("cat", "dog").index(label) + 1), "box": box},
    panoptic,
    {"format": "coco_panoptic", "train": "t.json"},
    frozenset({"category_id", "box"}),
    texts=False,
)


def scribblesup(root: Path, entries: list[Entry]) -> None:
    def polygon(entry: Entry) -> str:
        point = "".join(elements({key: entry[key]}) for key in ("X", "Y") if key in entry)
        tag = elements({"tag": entry["tag"]}) if "tag" in entry else ""
        return f"<polygon>{tag}<point>{point}</point></polygon>"

    size = f"<size><width>{COLUMNS}</width><height>{ROWS}</height></size>"
    for name, there in (("a", entries), ("b", [])):
        put(root / f"s/{name}.xml", f"<annotation>{size}{''.join(map(polygon, there))}</annotation>")


CASES["scribblesup"] = Case(
    lambda label, box: {"tag": label, "X": box[0], "Y": box[1]},
    scribblesup,
    {"format": "scribblesup", "train": "s"},
)


def voc(root: Path, entries: list[Entry]) -> None:
    def item(entry: Entry) -> str:
        box = elements({key: entry[key] for key in ("xmin", "ymin", "xmax", "ymax") if key in entry})
        name = elements({"name": entry["name"]}) if "name" in entry else ""
        return f"<object>{name}<bndbox>{box}</bndbox></object>"

    size = f"<size><width>{COLUMNS}</width><height>{ROWS}</height></size>"
    for name, there in (("a", entries), ("b", [])):
        put(root / f"images/{name}.xml", f"<annotation>{size}{''.join(map(item, there))}</annotation>")


CASES["voc"] = Case(
    lambda label, box: {"name": label, **dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))},
    voc,
    {"format": "voc", "train": "images", "voc_base": 0},
)


def yolo(root: Path, entries: list[Entry]) -> None:
    lines = (" ".join(str(entry[key]) for key in sorted(entry)) for entry in entries)
    put(root / "labels/a.txt", "\n".join(lines))
    put(root / "data.yaml", "names: [cat, dog]")


CASES["yolo"] = Case(
    lambda label, box: {
        "0": ("cat", "dog").index(label),
        "1": (box[0] + box[2]) / 2 / COLUMNS,
        "2": (box[1] + box[3]) / 2 / ROWS,
        "3": (box[2] - box[0]) / COLUMNS,
        "4": (box[3] - box[1]) / ROWS,
    },
    yolo,
    {"format": "yolo", "train": "images"},
)


def drawn(root: Path, entries: list[Entry]) -> None:
    size = [ROWS, COLUMNS]
    images = {"a": {"size": size, "boxes": entries}, "b": {"size": size}}
    put(root / "d.json", {"weakseg": 1, "kind": "boxes", "classes": ["cat", "dog"], "images": images})
    put(root / "t.csv", "image,label\na,cat\nb,\n")


CASES["weakseg"] = Case(
    lambda label, box: {"class": label, "rectangle": [box[1], box[0], box[3], box[2]]},
    drawn,
    {"train": "t.csv", "drawn": "d.json"},
    texts=False,
)


def clicks(root: Path, entries: list[Entry]) -> None:
    put(root / "d.json", {"a": entries, "b": []})
    put(root / "t.csv", "image,label\na,cat\nb,\n")


CASES["whats_the_point"] = Case(
    lambda label, box: {"x": box[0], "y": box[1], "cls": {"cat": 8, "dog": 12}[label]},
    clicks,
    {"train": "t.csv", "drawn": "d.json"},
    texts=False,
)


def csv_table(root: Path, entries: list[Entry]) -> None:
    columns = ("image", "label", "xmin", "ymin", "xmax", "ymax")
    rows = [",".join(str(entry.get(column, "")) for column in columns) for entry in entries]
    put(root / "t.csv", "\n".join((",".join(columns), *rows, "b,,,,,")))


CASES["csv"] = Case(
    lambda label, box: {
        "image": "a",
        "label": label,
        **dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)),
    },
    csv_table,
    {"train": "t.csv"},
    frozenset({"image"}),
)


def tag_list(root: Path, entries: list[Entry]) -> None:
    put(root / "t.json", {"a": [entry.get("label") for entry in entries], "b": []})


CASES["tags"] = Case(lambda label, box: {"label": label}, tag_list, {"train": "t.json"}, texts=False)


def ring(box: tuple[float, float, float, float]) -> list[list[float]]:
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


CASES["labelme outlines"] = Case(
    lambda label, box: {"label": label, "points": ring(box), "group_id": 1},
    labelme,
    {"format": "labelme", "train": "images"},
    texts=False,
)


def cvat_outlines(root: Path, entries: list[Entry]) -> None:
    outlines = "".join(f"<polygon {attributes(entry)}/>" for entry in entries)
    images = "".join(
        f"<image name='{name}.png' width='{COLUMNS}' height='{ROWS}'>{inner}</image>"
        for name, inner in (("a", outlines), ("b", ""))
    )
    put(root / "t.xml", f"<annotations>{images}</annotations>")


CASES["cvat outlines"] = Case(
    lambda label, box: {"label": label, "points": ";".join(f"{x},{y}" for x, y in ring(box))},
    cvat_outlines,
    {"format": "cvat", "train": "t.xml"},
)
CASES["coco outlines"] = Case(
    lambda label, box: {
        "category_id": ("cat", "dog").index(label) + 1,
        "segmentation": [[value for corner in ring(box) for value in corner]],
    },
    coco,
    {"format": "coco", "train": "t.json", "labels": "regions"},
    frozenset({"category_id"}),
    texts=False,
)


def yolo_outline(label: str, box: tuple[float, float, float, float]) -> Entry:
    values = [value for x, y in ring(box) for value in (x / COLUMNS, y / ROWS)]
    return {"0": ("cat", "dog").index(label), **{str(n): value for n, value in enumerate(values, start=1)}}


CASES["yolo outlines"] = Case(yolo_outline, yolo, {"format": "yolo", "train": "images", "yolo": "segments"})


def mutations(case: Case) -> Iterator[Entry]:
    """Yield entries of dogs with one value that is missing or wrong, and some that lie outside, or have no area."""
    entry = case.entry("dog", (2, 2, 6, 6))
    for key in entry:
        for wrong in WRONG:
            if key in case.fixed or names_another(case, entry[key], wrong):
                continue
            yield {name: value for name, value in entry.items() if name != key or wrong is not MISSING} | (
                {} if wrong is MISSING else {key: wrong}
            )
    for box in ((20, 20, 30, 30), (-9, -9, -2, -2), (2, 2, 2, 6), (6, 6, 2, 2), (5, 5, 5, 5)):
        yield case.entry("dog", box)


def names_another(case: Case, value: object, wrong: object) -> bool:
    """Return whether what stands for the name of the class is another name."""
    return value in ("dog", ["dog"]) and wrong is not MISSING and (case.texts or isinstance(wrong, str)) and wrong != ""


def opened(root: Path, case: Case, entries: list[Entry], **settings: object) -> Dataset:
    for number, name in enumerate("ab"):
        (root / "images").mkdir(parents=True, exist_ok=True)
        pixels = np.full((ROWS, COLUMNS), 99 * number, np.uint8)
        Image.fromarray(pixels).save(root / f"images/{name}.png")
    case.write(root, entries)
    config = {"root": str(root), "classes": ("cat", "dog"), **case.settings, **settings}
    return open_dataset(DataConfig(**config))  # type: ignore[arg-type]


def state_of(dataset: Dataset, image: int, class_id: int) -> str:
    tags = dataset.splits["train"][image].tags
    return "present" if class_id in tags.present else "unknown" if class_id in tags.unknown else "absent"


def test_every_format_is_here() -> None:
    assert {name.partition(" ")[0] for name in CASES} == set(FORMATS)


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_out_is_never_absent(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    good = case.entry("cat", (1, 1, 4, 4))
    whole = opened(tmp_path, case, [good, case.entry("dog", (2, 2, 6, 6))])
    assert [state_of(whole, 0, class_id) for class_id in (1, 2)] == ["present", "present"] and not whole.dropped
    every = list(mutations(case))
    for entry in every:
        dataset = opened(tmp_path, case, [good, entry])
        a, b = dataset.splits["train"]
        assert state_of(dataset, 0, 2) != "absent", entry
        assert state_of(dataset, 0, 1) == "present" and a.drawn.class_ids >= whole.splits["train"][
            0
        ].drawn.class_ids - {2}
        assert not (b.tags.present or b.tags.unknown), entry
        if a.drawn.regions and 2 not in a.drawn.class_ids:  # nor is anything background
            assert a.drawn.regions[0].class_id == 255, entry
        assert dataset.dropped or 2 in a.drawn.class_ids or state_of(dataset, 0, 2) == "present", entry
        assert all(len(reason) < 600 for reason in dataset.dropped.values()), entry
    assert len(every) > 10


@pytest.mark.parametrize("name", [name for name in CASES if "coco" not in name])
def test_what_the_class_map_ignores_is_unknown_where_it_is_labelled(name: str, tmp_path: Path) -> None:
    """Where it is among the given classes all the same. COCO refuses classes that it has not."""
    case = CASES[name]
    put(tmp_path / "m.yaml", "ignore: [dog]")
    entries = [case.entry("cat", (1, 1, 4, 4)), case.entry("dog", (2, 2, 6, 6))]
    dataset = opened(tmp_path, case, entries, class_map="m.yaml")
    assert [state_of(dataset, 0, class_id) for class_id in (1, 2)] == ["present", "unknown"]
    assert [state_of(dataset, 1, class_id) for class_id in (1, 2)] == ["absent", "absent"]


def lead_outside(path: Path, outside: Path) -> None:
    """Put a link in the place of a file."""
    path.rename(outside / path.name)
    path.symlink_to(outside / path.name)


@pytest.mark.parametrize("name", CASES)
def test_a_photograph_that_lies_outside_is_left_out_alone(name: str, tmp_path: Path) -> None:
    case, root = CASES[name], tmp_path / "data"
    entries = [case.entry("cat", (1, 1, 4, 4))]
    whole = opened(root, case, entries)
    lead_outside(root / "images/b.png", tmp_path)
    dataset = opened(root, case, entries)
    assert dataset.splits["train"] == whole.splits["train"][:1]
    assert [reason for reason in dataset.dropped.values() if "leads outside the data folder" in reason]


@pytest.mark.parametrize("name", ["labelme", "supervisely", "scribblesup", "voc", "yolo"])
def test_a_label_file_that_lies_outside_is_left_out_alone(name: str, tmp_path: Path) -> None:
    case, root = CASES[name], tmp_path / "data"
    entries = [case.entry("cat", (1, 1, 4, 4))]
    if name == "yolo":
        put(root / "labels/b.txt", "")  # which need not be there
    whole = opened(root, case, entries)
    (labels,) = (path for path in root.rglob("b.*") if path.suffix != ".png")
    lead_outside(labels, tmp_path)
    config = {"root": str(root), "classes": ("cat", "dog"), **case.settings}
    dataset = open_dataset(DataConfig(**config))  # type: ignore[arg-type]
    assert dataset.splits["train"][0] == whole.splits["train"][0]
    assert all(sample.tags.unknown == {1, 2} for sample in dataset.splits["train"][1:])  # where it is there
    (reason,) = dataset.dropped.values()
    assert "leads outside the data folder" in reason
    with pytest.raises(DataError, match="leads outside the data folder"):
        (labels,) = (path for path in root.rglob("a.*") if path.suffix != ".png")
        lead_outside(labels, tmp_path)
        open_dataset(DataConfig(**config))  # type: ignore[arg-type]
