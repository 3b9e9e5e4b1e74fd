import json
from pathlib import Path

import pytest

from weakseg.data.class_map import ClassMap, read_class_map
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.sample import Tags
from weakseg.data.truth import open_truth
from weakseg.errors import DataError

MAP = ClassMap({"plane": "aeroplane"}, {"animal": ("cat", "dog")}, frozenset({"void", "sky"}))
YAML = "rename: {plane: aeroplane}\nmerge: {animal: [cat, dog]}\nignore: [void, sky]\n"


def test_targets() -> None:
    assert [MAP.target(name) for name in ("plane", "cat", "dog", "void", "boat")] == [
        "aeroplane",
        "animal",
        "animal",
        None,
        "boat",
    ]
    assert MAP.names(["dog", "boat", "void", "cat", "plane"]) == ("animal", "boat", "aeroplane")
    assert ClassMap({"cloud": "sky"}, {}, frozenset({"sky"})).target("cloud") is None


def test_sources() -> None:
    assert MAP.sources("animal") == ("animal", "cat", "dog")
    assert MAP.sources("cat") == ()
    assert MAP.sources("boat") == ("boat",)


@pytest.mark.parametrize(
    ("cat", "dog", "animal"),
    [
        (True, False, True),
        (True, None, True),
        (None, True, True),
        (False, False, False),
        (False, None, None),
        (None, None, None),
    ],
)
def test_states_of_merged_classes(cat: bool | None, dog: bool | None, animal: bool | None) -> None:
    assert MAP.states({"cat": cat, "void": True, "dog": dog, "plane": None}) == {"animal": animal, "aeroplane": None}


@pytest.mark.parametrize(
    ("name", "text"), [("m.yaml", YAML), ("m.json", json.dumps({"rename": {"plane": "aeroplane"}}))]
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_class_map(tmp_path / name) == (MAP if name == "m.yaml" else ClassMap({"plane": "aeroplane"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "class map must be an object, got None"),
        ("[cat]", "class map must be an object, got a list of 1"),
        ("rename: [cat]", "rename must be an object, got a list of 1"),
        ("renames: {a: b}", "unknown key 'renames'; a class map has rename, merge and ignore"),
        ("rename: {cat: 3}", "a class name must be text, got 3"),
        ("rename: {no: cat}", "a class name must be text, got False"),
        ("merge: {animal: cat}", "the names of 'animal' must be a list, got 'cat'"),
        ("merge: {animal: [cat], beast: [cat]}", "'cat' is renamed, merged or ignored more than once"),
        ("merge: {animal: [cat]}\nignore: [cat]", "'cat' is renamed, merged or ignored more than once"),
        ("ignore: void", "the names of 'ignore' must be a list"),
        ("rename: {a: b", "cannot be read as YAML"),
        ("x: !!python/object/apply:os.system [ls]", "cannot be read as YAML"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"m\.yaml: .*{message}"):
        read_class_map(tmp_path / "m.yaml")


def test_missing_and_outside(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "cat/a.png")
    with pytest.raises(DataError, match=r"m\.yaml: no such class map"):
        open_dataset(DataConfig(root=str(tmp_path), class_map="m.yaml"))
    with pytest.raises(DataError, match=r"data\.class_map: .* leads outside"):
        open_dataset(DataConfig(root=str(tmp_path), class_map="../m.yaml"))


def test_folder_format(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(YAML)
    (tmp_path / "t.csv").write_text("image,cat,dog,void,boat\na,1,0,1,0\nb,0,,1,1\nc,0,0,1,\n")
    dataset = open_dataset(DataConfig(root=str(tmp_path), train="t.csv", class_map="m.yaml"))
    assert dataset.classes.names == ("animal", "boat")
    assert [sample.tags for sample in dataset.splits["train"]] == [
        Tags(frozenset({1})),
        Tags(frozenset({2}), frozenset({1})),
        Tags(frozenset(), frozenset({2})),
    ]


def test_voc_format(voc_root: Path) -> None:
    (voc_root / "m.yaml").write_text("merge: {animal: [cat, dog]}")
    (voc_root / "classes.txt").write_text("animal\n")
    config = {"root": str(voc_root), "format": "voc", "train": "train", "class_map": "m.yaml"}
    for source in ("annotations", "main"):
        samples = open_dataset(DataConfig(**config, tags=source)).splits["train"]  # type: ignore[arg-type]
        assert [sample.tags for sample in samples] == [Tags(frozenset({1})), Tags(frozenset())]


def test_coco_format_and_its_truth(coco_root: Path) -> None:
    config = {"root": str(coco_root), "format": "coco", "train": "train.json", "class_map": "m.yaml"}
    (coco_root / "m.yaml").write_text("merge: {animal: [cat, dog]}")
    dataset = open_dataset(DataConfig(**config))  # type: ignore[arg-type]
    assert dataset.classes.names == ("animal",)
    assert [s.tags for s in dataset.splits["train"]] == [Tags(frozenset({1})), Tags(frozenset(), frozenset({1}))]
    (coco_root / "m.yaml").write_text("ignore: [cat]")
    dataset = open_dataset(DataConfig(**config))  # type: ignore[arg-type]
    assert dataset.classes.names == ("dog",)
    truth = open_truth(DataConfig(**config), dataset, "train")[0].load_truth()  # type: ignore[arg-type]
    assert (truth[1:3, 1:3] == 255).all() and truth[0, 0] == 1 and truth[0, 5] == 0
