import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.formats.tags import read_shown, read_table, read_tags
from weakseg.data.paths import image_id_of
from weakseg.data.sample import Tags
from weakseg.errors import DataError

CLASSES = Classes(("cat", "dog"))
NONE, CAT, DOG, BOTH = (Tags(frozenset(ids)) for ids in ([], [1], [2], [1, 2]))
EXPECTED = {"a": BOTH, "b": NONE, "c": DOG}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "image,label\na.jpg,cat\nb.jpg,\nc.jpg,dog\na.jpg,dog\n"),
        ("t.csv", "label,image\ncat,a.jpg\n,b.jpg\ndog,c.jpg\ndog,a.jpg\n"),
        ("t.CSV", "image,labels\na.jpg,cat;dog\nb.jpg,\nc.jpg,dog\n"),
        ("t.csv", "image,labels\na.jpg,dog|cat\nb.jpg,\nc.jpg, dog ;\n"),
        ("t.csv", "image,cat,dog\na.jpg,1,1\nb.jpg,0,0\nc.jpg,0,1\n"),
        ("t.csv", "\ufeff image , dog,cat\r\n a.jpg,1, 1\r\n\r\nb.jpg,0,0\r\nc.jpg,1,0\r\n"),
        ("t.csv", 'image,labels\n"a.jpg","cat;dog"\n"b.jpg",""\nc.jpg,dog'),
        ("t.json", '{"a.jpg": ["cat", "dog"], "b.jpg": [], "c.jpg": ["dog"]}'),
        (
            "t.jsonl",
            '{"image": "a.jpg", "labels": ["dog", "cat"]}\n\n{"image": "b.jpg", "labels": []}\n'
            '{"labels": ["dog"], "image": "c.jpg"}\n',
        ),
    ],
)
def test_every_form(tmp_path: Path, name: str, text: str) -> None:
    assert read_tags(write(tmp_path, name, text), CLASSES) == EXPECTED


def test_order_is_that_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "image,label\nz.jpg,cat\na.jpg,\nz.jpg,dog\n")
    assert list(read_tags(path, CLASSES)) == ["z", "a"]


def test_unknown_is_a_state_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "image,cat,dog\na.jpg,1,\nb.jpg,,\nc.jpg,0,\n")
    expected = {"a": Tags(frozenset({1}), frozenset({2})), "b": Tags(frozenset(), frozenset({1, 2}))}
    assert read_tags(path, CLASSES) == expected | {"c": Tags(frozenset(), frozenset({2}))}


def test_a_class_without_column_is_unknown(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "image,cat\na.jpg,0\n")
    assert read_tags(path, CLASSES) == {"a": Tags(frozenset(), frozenset({2}))}


@pytest.mark.parametrize("name", sorted(BACKGROUND_NAMES))
def test_background_is_no_class(tmp_path: Path, name: str) -> None:
    for text in (
        f"image,label\na.jpg,{name}\n",
        f"image,labels\na.jpg,{name}\n",
        f"image,cat,dog,{name}\na.jpg,0,0,1\n",
    ):
        table = read_table(write(tmp_path, "t.csv", text))
        assert name not in table.class_names
        assert table.bind(CLASSES) == {"a": NONE}


def test_names_are_found_before_classes_exist(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "t.json", '{"a": ["dog"], "b": ["ant"]}')).class_names == {"ant", "dog"}
    assert read_table(write(tmp_path, "t.csv", "image,cat,dog\na,0,0\n")).class_names == {"cat", "dog"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        # another kind of file
        ("t.txt", "a.jpg cat", r"t\.txt: no kind of label file; give a file that ends in \.csv, \.json, \.jsonl"),
        ("t", "a.jpg cat", r"t: no kind of label file"),
        # empty
        ("t.csv", "", r"t\.csv: the file is empty"),
        ("t.csv", "\n \n", r"t\.csv: the file is empty"),
        ("t.json", " ", r"t\.json: the file is empty"),
        ("t.jsonl", "\n", r"t\.jsonl: lists no images"),
        ("t.csv", "image,label\n", r"t\.csv: lists no images"),
        ("t.json", "{}", r"t\.json: lists no images"),
        # header
        (
            "t.csv",
            "photo,label\na.jpg,cat\n",
            r"t\.csv:1: got header 'photo,label'; want 'image,label'.*'image,labels'",
        ),
        ("t.csv", "image\na.jpg\n", r"t\.csv:1: got header 'image'; want"),
        ("t.csv", ",image,cat\n0,a.jpg,1\n", r"t\.csv:1: column '' is empty or repeated"),
        ("t.csv", "image,cat,cat\na.jpg,1,1\n", r"t\.csv:1: column 'cat' is empty or repeated"),
        # unknown class
        ("t.csv", "image,label\na.jpg,cat\nb.jpg,catt\n", r"t\.csv:3: unknown class 'catt'; did you mean 'cat'"),
        ("t.csv", "image,labels\na.jpg,cat;bird\n", r"t\.csv:2: unknown class 'bird'; known classes: cat, dog"),
        ("t.csv", "image,cat,bird\na.jpg,1,0\n", r"t\.csv:1: unknown class 'bird'"),
        ("t.json", '{"a.jpg": ["Cat"]}', r"t\.json: image 'a\.jpg': unknown class 'Cat'; did you mean 'cat'"),
        ("t.jsonl", '\n{"image": "a", "labels": ["bird"]}', r"t\.jsonl:2: unknown class 'bird'"),
        # said twice
        ("t.json", '{"a.jpg": [],\n "a.jpg": ["cat"]}', r"t\.json:1: .*'a\.jpg' appears twice"),
        # cells and fields
        ("t.csv", "image,cat,dog\na.jpg,yes,0\n", r"t\.csv:2: 'yes' in column 'cat'; write 1 \(present\), 0"),
        ("t.csv", "image,cat,dog\na.jpg,1,-1\n", r"t\.csv:2: '-1' in column 'dog'"),
        ("t.csv", "image,label,score\na.jpg,cat,1\n", r"t\.csv:2: 'cat' in column 'label'.*only one beside 'image'"),
        ("t.csv", "image,cat,dog\na.jpg,1\n", r"t\.csv:2: 2 fields"),
        ("t.csv", "image,label\n,cat\n", r"t\.csv:2: expected the name of an image, got ''"),
        ("t.csv", 'image,label\n"a.jpg,cat\n', r"t\.csv:2: malformed CSV"),
        ("t.csv", 'image,label\n"a"b,cat\n', r"t\.csv:2: malformed CSV"),
        # JSON of another shape
        ("t.json", "[1]", r"t\.json: expected an object .*got a list"),
        ("t.json", '{"a.jpg": "cat"}', r"t\.json: image 'a\.jpg': expected a list of class names, got text 'cat'"),
        ("t.json", '{"a.jpg": null}', r"image 'a\.jpg': expected a list of class names, got null None; write \[\]"),
        ("t.json", '{"a.jpg": [1]}', r"image 'a\.jpg': expected class names, got 1"),
        ("t.json", '{"a.jpg": [""]}', r"image 'a\.jpg': expected class names, got ''"),
        ("t.json", '{" ": ["cat"]}', r"expected the name of an image, got ' '"),
        ("t.json", '{"a.jpg": ["cat"]', r"t\.json:1: malformed JSON"),
        ("t.json", '{\n"a.jpg": [cat]}', r"t\.json:2: malformed JSON"),
        ("t.jsonl", '{"image": "a", "label": []}', r"t\.jsonl:1: expected .*got keys \['image', 'label'\]"),
        ("t.jsonl", '{"image": "a", "labels": [], "unknown": []}', r"t\.jsonl:1: .*'unknown'\]; change"),
        ("t.jsonl", '["a"]', r"t\.jsonl:1: expected .*got a list"),
        ("t.jsonl", '{"image": 3, "labels": []}', r"t\.jsonl:1: expected the name of an image, got 3"),
        ("t.jsonl", '{"image": "a", "labels": "cat"}', r"t\.jsonl:1: expected a list of class names, got text"),
    ],
)
def test_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_tags(write(tmp_path, name, text), CLASSES)


UNKNOWN = Tags(frozenset(), frozenset({1, 2}))


@pytest.mark.parametrize(
    ("name", "text", "where", "message", "expected"),
    [
        # said twice: harmless, or the classes of the second row are unknown
        ("t.csv", "image,label\na,cat\nb,dog\na,cat\n", ":4", "'a' with label 'cat' is already at .*t.csv:2", CAT),
        ("t.csv", "image,label\na,\nb,dog\na,\n", ":4", "'a' with label '' is already at .*t.csv:2", NONE),
        ("t.csv", "image,label\na,cat\nb,dog\na,\n", ":4", "'a' is said to have no label, but has 'cat' at", CAT),
        ("t.csv", "image,label\na,\nb,dog\na,cat\n", ":2", "'a' is said to have no label, but has 'cat' at", CAT),
        (
            "t.csv",
            "image,labels\na,cat\nb,dog\na,dog\n",
            ":4",
            "image 'a' is already at .*t.csv:2; keep one row",
            Tags(frozenset({1}), frozenset({2})),
        ),
        ("t.csv", "image,cat,dog\na,1,0\nb,0,1\na,1,0\n", ":4", "image 'a' is already at .*t.csv:2", CAT),
        (
            "t.jsonl",
            '{"image": "a", "labels": ["cat"]}\n{"image": "b", "labels": ["dog"]}\n{"image": "a", "labels": ["dog"]}',
            ":3",
            "image 'a' is already at .*t.jsonl:1",
            Tags(frozenset({1}), frozenset({2})),
        ),
        # one id for two names
        (
            "t.csv",
            "image,label\na.jpg,cat\nb,dog\na.png,dog\n",
            ":4",
            "'a.png' and 'a.jpg' .* both have the image id 'a'",
            CAT,
        ),
        ("t.csv", "image,labels\na,cat\nb,dog\n./a,dog\n", ":4", "'./a' and 'a' .* both have the image id 'a'", CAT),
        (
            "t.json",
            '{"a.jpg": [], "b": ["dog"], "a": []}',
            ": image 'a'",
            "'a' and 'a.jpg' .* both have the image id",
            NONE,
        ),
        # rows and cells
        ("t.csv", "image,label\nb,dog\na,cat,dog\n", ":3", r"3 fields \['a', 'cat', 'dog'\].*has 2", UNKNOWN),
        ("t.csv", "image,cat,dog\nb,0,1\na,1\n", ":3", "2 fields", UNKNOWN),
        ("t.csv", "image,cat,dog\nb,0,1\na,yes,0\n", ":3", "'yes' in column 'cat'", Tags(NONE.present, CAT.present)),
        (
            "t.csv",
            "image,cat,dog\nb,0,1\na,yes,1\n",
            ":3",
            "'yes' in column 'cat'",
            Tags(frozenset({2}), frozenset({1})),
        ),
        ("t.csv", "image,label\nb,dog\na,\n,cat\n", ":4", "expected the name of an image, got ''", NONE),
        # JSON
        (
            "t.json",
            '{"b": ["dog"], "a": "cat"}',
            ": image 'a'",
            "expected a list of class names, got text 'cat'",
            UNKNOWN,
        ),
        (
            "t.json",
            '{"b": ["dog"], "a": null}',
            ": image 'a'",
            "expected a list of class names, got null None",
            UNKNOWN,
        ),
        (
            "t.json",
            '{"b": ["dog"], "a": [1, "cat"]}',
            ": image 'a'",
            "expected class names, got 1",
            Tags(frozenset({1}), frozenset({2})),
        ),
        (
            "t.json",
            '{"b": ["dog"], "a": [], " ": ["cat"]}',
            ": image ' '",
            "expected the name of an image, got ' '",
            NONE,
        ),
        (
            "t.jsonl",
            '{"image": "b", "labels": ["dog"]}\n{"image": "a", "labels": []}\n{"image": "c"',
            ":3",
            "malformed JSON",
            NONE,
        ),
        (
            "t.jsonl",
            '{"image": "b", "labels": ["dog"]}\n{"image": "a", "labels": []}\n{"image": "c", "label": []}',
            ":3",
            r"expected .*got keys \['image', 'label'\]",
            NONE,
        ),
    ],
)
def test_rows_that_are_left_out(tmp_path: Path, name: str, text: str, where: str, message: str, expected: Tags) -> None:
    """The others stay, and no class of which such a row may speak is absent."""
    table = read_table(write(tmp_path, name, text))
    ((place, reason),) = table.dropped.items()
    assert place == f"{tmp_path / name}{where}" and re.match(message, reason)
    assert table.bind(CLASSES) == {"a": expected, "b": DOG}
    images = read_shown(tmp_path / name).images
    shown = {image_id_of(image.name): (image.tags, image.dropped) for image in images}
    assert shown["b"] == ({"dog"}, {}) and shown["a"][0] == {CLASSES.name_of(i) for i in expected.present}


@pytest.mark.parametrize(
    "text",
    [
        "filename,label\na.jpg,cat\nb.jpg,\nc.jpg,dog\na.jpg,dog\n",
        "file_name,class\na.jpg,cat\nb.jpg,\nc.jpg,dog\na.jpg,dog\n",
        "Image_Path;Label\na.jpg;cat\nb.jpg;\nc.jpg;dog\na.jpg;dog\n",
        "filename\tlabels\na.jpg\tcat, dog\nb.jpg\t\nc.jpg\tdog\n",
        "image;tags\na.jpg;cat,dog\nb.jpg;\nc.jpg;dog\n",
        "\ufefffilename, Unlabeled, cat, dog\na.jpg, 0, 1, 1\nb.jpg, 1, 0, 0\nc.jpg, 0, 0, 1\n",
        "image,cat,dog\na.jpg,1.0,True\nb.jpg,0.0,false\nc.jpg,0,1\n",
        "image;dog;cat\r\na.jpg;1;1\r\nb.jpg;0;0\r\nc.jpg;1;0\r\n",
    ],
)
def test_dialects_of_csv(tmp_path: Path, text: str) -> None:
    """Other names of columns, semicolons, tabs, what Roboflow writes, and numbers as pandas writes them."""
    table = read_table(write(tmp_path, "_classes.csv", text))
    assert table.class_names == {"cat", "dog"} and not table.dropped
    assert table.bind(CLASSES) == EXPECTED


def test_one_class_that_is_called_class(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "t.csv", "image,class\na,1\nb,0\n"))
    assert table.bind(Classes(("class",))) == {"a": CAT, "b": NONE}


def test_verified_labels_of_open_images(tmp_path: Path) -> None:
    text = "ImageID,Source,LabelName,Confidence\na,v,cat,1\na,v,dog,0\nb,m,dog,0.7\nc,v,dog,1\n"
    table = read_table(write(tmp_path, "t.csv", text))
    assert table.bind(CLASSES) == {"a": CAT, "b": UNKNOWN, "c": Tags(frozenset({2}), frozenset({1}))}
    assert list(table.dropped) == [f"{tmp_path / 't.csv'}:4"]


def test_what_the_class_map_ignores_is_unknown_where_it_is_a_class(tmp_path: Path) -> None:
    ignore = ClassMap(ignore=frozenset({"dog"}))
    for text in ("image,label\na,cat\na,dog\nb,\n", "image,cat,dog\na,1,1\nb,0,0\n", "image,labels\na,cat;dog\nb,\n"):
        tags = read_table(write(tmp_path, "t.csv", text)).mapped(ignore).bind(CLASSES)
        assert tags["a"] == Tags(frozenset({1}), frozenset({2}))
        assert 1 not in tags["b"].present | tags["b"].unknown
    merged = ClassMap(merge={"pet": ("cat", "dog")}, ignore=frozenset({"pet"}))
    tags = read_table(write(tmp_path, "t.json", '{"a": ["cat"], "b": []}')).mapped(merged).bind(Classes(("pet", "ant")))
    assert tags == {"a": Tags(frozenset(), frozenset({1})), "b": NONE}


def test_a_long_list_of_columns_takes_no_longer_than_its_length(tmp_path: Path) -> None:
    names = ",".join(f"c{n}" for n in range(20_000))
    table = read_table(write(tmp_path, "t.csv", f"image,{names}\na{',0' * 20_000}\n"))
    assert len(table.class_names) == 20_000


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.jsonl"])
def test_not_utf8(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes("image,label\nä.jpg,cat\n".encode("latin-1"))
    with pytest.raises(DataError, match=re.escape(name) + r":2: label file is not UTF-8 \(byte 0xe4\)"):
        read_tags(tmp_path / name, CLASSES)


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.jsonl"])
def test_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=re.escape(name) + ": no such label file; give"):
        read_tags(tmp_path / name, CLASSES)


def test_line_of_a_row_after_a_field_with_line_breaks(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", 'image,label\n"a\nb.jpg",cat\nc.jpg,bird\n')
    with pytest.raises(DataError, match=r"t\.csv:4: unknown class 'bird'"):
        read_tags(path, CLASSES)


# --- round trips -------------------------------------------------------------------------------------------------

State = bool | None
Content = dict[str, dict[str, State]]

PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
IMAGES = st.text(PRINTABLE, min_size=1).filter(lambda name: name == name.strip())
LABELS = st.text(PRINTABLE.filter(lambda c: c not in ";|"), min_size=1).filter(
    lambda name: name == name.strip() and name not in BACKGROUND_NAMES | {"image", "label", "labels"}
)


@st.composite
def contents(draw: st.DrawFn, states: tuple[State, ...]) -> tuple[Classes, Content]:
    """Return classes, and for each image the state of each class."""
    names = draw(st.lists(LABELS, min_size=1, max_size=4, unique=True))
    images = draw(st.lists(IMAGES, min_size=1, max_size=5, unique_by=image_id_of))
    rows = [draw(st.lists(st.sampled_from(states), min_size=len(names), max_size=len(names))) for _ in images]
    return Classes(tuple(names)), {
        image: dict(zip(names, row, strict=True)) for image, row in zip(images, rows, strict=True)
    }


def present(states: dict[str, State]) -> list[str]:
    return [name for name, state in states.items() if state]


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_long(path: Path, content: Content) -> None:
    write_csv(path, [["image", "label"]] + [[i, n] for i, row in content.items() for n in present(row) or [""]])


def write_wide(path: Path, content: Content) -> None:
    cells = {True: "1", False: "0", None: ""}
    names = list(next(iter(content.values())))
    write_csv(path, [["image", *names]] + [[i, *(cells[row[n]] for n in names)] for i, row in content.items()])


def write_list(path: Path, content: Content) -> None:
    write_csv(path, [["image", "labels"]] + [[i, ";".join(present(row))] for i, row in content.items()])


def write_json(path: Path, content: Content) -> None:
    path.write_text(json.dumps({image: present(row) for image, row in content.items()}))


def write_jsonl(path: Path, content: Content) -> None:
    lines = [json.dumps({"image": image, "labels": present(row)}, ensure_ascii=False) for image, row in content.items()]
    path.write_text("\n".join(lines), encoding="utf-8")


def as_tags(classes: Classes, content: Content) -> dict[str, Tags]:
    ids = {name: class_id for class_id, name in enumerate(classes.names, start=1)}
    return {
        image_id_of(image): Tags(
            frozenset(ids[name] for name, state in row.items() if state),
            frozenset(ids[name] for name, state in row.items() if state is None),
        )
        for image, row in content.items()
    }


ROUND_TRIP = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("t.csv", write_long),
        ("t.csv", write_wide),
        ("t.csv", write_list),
        ("t.json", write_json),
        ("t.jsonl", write_jsonl),
    ],
)
@ROUND_TRIP
@given(drawn=contents((True, False)))
def test_round_trip(
    tmp_path: Path, name: str, writer: Callable[[Path, Content], None], drawn: tuple[Classes, Content]
) -> None:
    classes, content = drawn
    writer(tmp_path / name, content)
    assert read_tags(tmp_path / name, classes) == as_tags(classes, content)


@ROUND_TRIP
@given(drawn=contents((True, False, None)))
def test_round_trip_with_unknown(tmp_path: Path, drawn: tuple[Classes, Content]) -> None:
    classes, content = drawn
    write_wide(tmp_path / "t.csv", content)
    assert read_tags(tmp_path / "t.csv", classes) == as_tags(classes, content)
    assert read_table(tmp_path / "t.csv").class_names == set(classes.names)
