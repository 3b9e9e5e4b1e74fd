"""Forms of label files that are not read are named, with the way here."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.foreign import FOREIGN, foreign_form, refuse_foreign
from weakseg.data.formats.label_format import Content
from weakseg.data.readers.label_file import labels_of
from weakseg.errors import DataError

FILES: dict[str, tuple[str, object]] = {
    "VIA 3": (".json", {"project": {}, "config": {}, "file": {}, "view": {}, "metadata": {}}),
    "COCO's results of a detector": (".json", [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]),
    "Cityscapes' polygons": (
        ".json",
        {"imgHeight": 4, "imgWidth": 4, "objects": [{"label": "road", "polygon": [[0, 0]]}]},
    ),
    "BDD100K (Scalabel)": (".json", [{"name": "a.jpg", "labels": [{"category": "car", "box2d": {"x1": 1}}]}]),
    "Scalabel": (".json", {"frames": [], "config": {}}),
    "Labelbox": (".json", [{"data_row": {"id": "a"}, "projects": {}}]),
    "V7 Darwin": (".json", {"version": "2.0", "item": {"name": "a.jpg"}, "annotations": []}),
    "SuperAnnotate": (".json", {"metadata": {"name": "a.jpg"}, "instances": []}),
    "Hasty": (".json", {"label_classes": [], "images": []}),
    "SA-1B": (".json", {"image": {"file_name": "a.jpg"}, "annotations": []}),
    "GeoJSON": (".geojson", {"type": "FeatureCollection", "features": []}),
    "MIT's online LabelMe": (
        ".xml",
        "<annotation><object><name>car</name><polygon><pt><x>1</x><y>2</y></pt></polygon></object></annotation>",
    ),
    "imglab (dlib)": (".xml", "<dataset><images><image file='a.jpg'/></images></dataset>"),
    "KITTI": (".txt", "Car 0.00 0 -1.57 1 2 3 4 1 1 1 1 1 1 0\nVan 0.00 0 -1.57 1 2 3 4 1 1 1 1 1 1 0\n"),
    "DOTA": (".txt", "imagesource:GoogleEarth\ngsd:0.1\n1 2 3 2 3 4 1 4 plane 0\n"),
    "MATLAB, as masks of SBD and PASCAL Context are": (".mat", "MATLAB 5.0"),
    "TFRecord": (".tfrecord", "x"),
    "pickle or numpy": (".npy", "x"),
    "an archive": (".zip", "x"),
}


def write(folder: Path, suffix: str, content: object) -> Path:
    path = folder / f"a{suffix}"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_every_form_has_an_example() -> None:
    assert set(FILES) == {form.title for form in FOREIGN}


@pytest.mark.parametrize("title", FILES)
def test_it_is_named(tmp_path: Path, title: str) -> None:
    path = write(tmp_path, *FILES[title])
    form = next(form for form in FOREIGN if form.title == title)
    with pytest.raises(DataError) as error:
        refuse_foreign(path)
    assert str(error.value) == f"{path}: is of {title}, which is not read; {form.remedy}"


OWN: list[tuple[str, object]] = [
    (".json", {"shapes": [], "imagePath": "a.jpg", "imageHeight": 4, "imageWidth": 4, "version": "5.0"}),
    (".json", {"images": [], "annotations": [{"id": 1, "image_id": 1}], "categories": []}),
    (".json", [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": []}]}]),
    (".json", {"weakseg": 1, "kind": "any", "classes": ["a"], "images": {}}),
    (".json", {"a": [{"x": 3, "y": 4, "cls": 1, "rank": 1}]}),
    (".json", {"a.jpg": ["cat"], "b.jpg": []}),
    (".json", {"a.jpg": {"present": ["cat"]}}),
    (".json", []),
    (".json", {}),
    (".json", "{"),
    (".json", "5"),
    (".xml", "<annotation><object><name>cat</name><bndbox/></object></annotation>"),
    (".xml", "<annotation><polygon><tag>cat</tag><point><X>1</X><Y>2</Y></point></polygon></annotation>"),
    (".xml", "<annotations><image/></annotations>"),
    (".xml", "<a"),
    (".txt", "0 0.5 0.5 0.1 0.1\n"),
    (".txt", "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n"),
    (".txt", ""),
    (".csv", "image,label\na.jpg,cat\n"),
]


@pytest.mark.parametrize(("suffix", "content"), OWN)
def test_what_is_read_is_none_of_them(tmp_path: Path, suffix: str, content: object) -> None:
    assert foreign_form(Content(write(tmp_path, suffix, content))) is None


@pytest.mark.parametrize("title", FILES)
def test_it_is_named_wherever_a_label_file_is_given(tmp_path: Path, title: str) -> None:
    suffix, content = FILES[title]
    path = write(tmp_path, suffix, content)
    photograph = tmp_path / "photo.png"
    Image.new("RGB", (4, 4)).save(photograph)
    named = re.escape(f"is of {title}, which is not read")
    with pytest.raises(DataError, match=named):
        labels_of(photograph, path)
    config = {"root": str(tmp_path), "train": path.name}
    with pytest.raises(DataError, match=named):
        open_dataset(DataConfig(**config))
    if suffix in (".json", ".xml"):
        with pytest.raises(DataError, match=named):
            open_dataset(DataConfig(**config, format="labelstudio" if suffix == ".json" else "cvat"))
    (tmp_path / "tags.csv").write_text("image,label\nphoto.png,crate\n")
    with pytest.raises(DataError, match=named):
        open_dataset(DataConfig(root=str(tmp_path), train="tags.csv", drawn=path.name))
