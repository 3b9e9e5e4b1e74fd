"""``weakseg queue`` on a run whose masks are known: cones on the objects, one of which is far too small."""

import csv
import shutil
from pathlib import Path

import pytest

from generated import write_cones
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.annotations import Box, Drawn
from weakseg.data.classes import Classes
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.paths import read_classes
from weakseg.files import read_json, write_json
from weakseg.methods.finished import open_finished
from weakseg.methods.queue import Since, known_photographs
from weakseg.pipeline.plan import Kind
from weakseg.stages.known import uncertain_region

Capture = pytest.CaptureFixture[str]
SUFFIX = Kind.RELIABILITY.suffix
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of one method, whose masks are trusted ever more, and its data beside."""
    root = tmp_path_factory.mktemp("queue")
    write_cones(root / "data", 8, middle=0.4)
    words = ["--data.format=folder", f"--data.root={root / 'data'}", "--data.train=tags.json", "--workers=1"]
    words += [f"--activations.from_folder={root / 'data' / 'cams'}", "--seeds.crf.iterations=0"]
    words += ["--masks.crf.iterations=2", "--seeds.strict=0.45", "--seeds.lenient=0.35"]
    assert main(["compare", "cam", "--methods=cam", f"--out={root / 'out'}", *words]) == 0
    for number, path in enumerate(sorted(_doubts(root).glob(f"*{SUFFIX}"))):
        write_json(path, [{**one, "reliability": number / 8} for one in read_json(path)])
    return root


def _listed(run: Path, path: Path, *words: str) -> Rows:
    path.unlink(missing_ok=True)
    assert main(["queue", str(run / "out"), "--first", "0", "--out", str(path), *words]) == 0
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _doubts(run: Path) -> Path:
    (folder,) = (run / "out" / "steps").glob("reliability-*")
    return folder


def test_the_table_and_the_file_say_the_same(run: Path, tmp_path: Path, capsys: Capture) -> None:
    rows = _listed(run, tmp_path / "queue.csv")
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["image", "class", "label", "gain", "seconds", "where", "why"]
    assert [line.split()[:3] for line in said[1 : len(rows) + 1]] == [
        [r["image"], r["class"], r["label"]] for r in rows
    ]
    rates = [float(row["gain"]) / float(row["seconds"]) for row in rows]
    assert rows and rates == pytest.approx(sorted(rates, reverse=True), abs=1e-4)
    files = _doubts(run).glob(f"*{SUFFIX}")
    known = {(path.name.removesuffix(SUFFIX), one["class_id"]) for path in files for one in read_json(path)}
    names = read_classes(run / "out", ()) or ()
    assert {(row["image"], names.index(row["class"]) + 1) for row in rows} <= known
    assert "of 6 photographs" in said[-2] and said[-1] == f"{tmp_path / 'queue.csv'}: {len(rows)} labels"


def test_a_mask_that_is_not_trusted_comes_sooner_with_its_reasons(run: Path, tmp_path: Path) -> None:
    changed = tmp_path / "run"
    shutil.copytree(run / "out", changed / "out")
    last = _listed(changed, tmp_path / "queue.csv", "--kinds", "box")[-1]
    path = _doubts(changed) / f"{last['image']}{SUFFIX}"
    write_json(path, [{**one, "reliability": 0.0, "reasons": ["it is in pieces"]} for one in read_json(path)])
    *sooner, behind = _listed(changed, tmp_path / "queue.csv", "--kinds", "box")
    found = next(row for row in sooner if (row["image"], row["class"]) == (last["image"], last["class"]))
    assert behind["image"] != last["image"] and float(found["gain"]) > float(last["gain"])
    assert found["reason"].startswith("its mask is doubtful (reliability 0.00); it is in pieces")


def test_the_region_lies_where_mask_and_seeds_differ(run: Path, tmp_path: Path) -> None:
    (masks,), (seeds,) = ((run / "out" / "steps").glob(f"{name}-*") for name in ("masks", "seeds"))
    names = read_classes(run / "out", ()) or ()
    shown = [row for row in _listed(run, tmp_path / "queue.csv") if row["left"]]
    assert shown
    for row in shown:
        class_id = names.index(row["class"]) + 1
        own, grown = (LabelMap.load(folder / f"{row['image']}.png").labels == class_id for folder in (masks, seeds))
        left, top, right, bottom = (int(row[side]) for side in ("left", "top", "right", "bottom"))
        inside = (own != grown)[top:bottom, left:right]
        assert all(inside.any(axis)[index] for axis in (0, 1) for index in (0, -1))


def test_what_people_have_said_counts(run: Path, tmp_path: Path, capsys: Capture) -> None:
    before = _listed(run, tmp_path / "queue.csv")
    accepted, drawn = (name for name in sorted({row["image"] for row in before})[:2])
    (tmp_path / "checked.csv").write_text(f"image,verdict\n{accepted},accepted\nnowhere,rejected\n")
    classes = Classes(read_classes(run / "out", ()) or ())
    size = LabelMap.load(run / "data" / "masks" / f"{drawn}.png").labels.shape
    boxes = tuple(
        Box(classes.names.index(row["class"]) + 1, 1.0, 1.0, 20.0, 20.0) for row in before if row["image"] == drawn
    )
    file = DrawnFile("boxes", classes, {drawn: DrawnImage((size[0], size[1]), Drawn(boxes=boxes))})
    write_drawn(tmp_path / "drawn.json", file)
    words = ["--labels", str(tmp_path / "drawn.json"), "--verdicts", str(tmp_path / "checked.csv")]
    after = _listed(run, tmp_path / "queue.csv", *words)
    assert {row["image"] for row in before} - {row["image"] for row in after} == {accepted, drawn}
    assert "1 photographs are accepted" in capsys.readouterr().out


def test_of_a_rejected_mask_more_is_expected_of_a_label(run: Path, tmp_path: Path) -> None:
    before = _listed(run, tmp_path / "queue.csv", "--kinds", "box")[-1]
    (tmp_path / "checked.csv").write_text(f"image,verdict\n{before['image']},rejected\n")
    rows = _listed(run, tmp_path / "queue.csv", "--kinds", "box", "--verdicts", str(tmp_path / "checked.csv"))
    after = next(row for row in rows if (row["image"], row["class"]) == (before["image"], before["class"]))
    assert float(after["gain"]) > float(before["gain"]) and after["reason"].startswith("its mask was rejected")


def test_the_file_of_the_page_says_what_is_accepted_and_rejected(run: Path, tmp_path: Path) -> None:
    before = _listed(run, tmp_path / "queue.csv", "--kinds", "box")
    names = list(read_classes(run / "out", ()) or ())
    (first, *_), last = before, before[-1]
    records: dict[str, dict[str, object]] = {first["image"]: {"mask": {}, "verdict": "accepted"}}
    records |= {last["image"]: {"tags": [last["class"]], "verdict": "rejected"}, "i99": {"size": "large"}}
    size = LabelMap.load(run / "data" / "masks" / f"{first['image']}.png").labels.shape
    images = {name: {"size": list(size), **record} for name, record in records.items()}
    write_json(tmp_path / "weakseg.json", {"weakseg": 1, "kind": "page", "classes": names, "images": images})
    after = _listed(run, tmp_path / "queue.csv", "--kinds", "box", "--labels", str(tmp_path / "weakseg.json"))
    assert first["image"] not in {row["image"] for row in after}
    found = next(row for row in after if (row["image"], row["class"]) == (last["image"], last["class"]))
    assert found["reason"].startswith("its mask was rejected")


def test_the_first_and_the_kinds(run: Path, capsys: Capture) -> None:
    assert main(["queue", str(run / "out"), "--first", "2", "--kinds", "click,stroke"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[3].startswith("2 of ")
    assert {line.split()[2] for line in lines[1:3]} <= {"click", "stroke"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kinds", "polygon"], "there is no 'polygon'; choose 'tag', 'click', 'stroke' or 'box'"),
        (["--first", "-1"], "--first: must be 0 or more, got -1"),
        (["--labels", "nowhere.json"], "nowhere.json"),
        (["--verdicts", "nowhere.csv"], "nowhere.csv"),
        (["--method", "irnet"], "has no method 'irnet'"),
    ],
)
def test_bad_words(run: Path, capsys: Capture, words: list[str], message: str) -> None:
    assert main(["queue", str(run / "out"), *words]) == 2
    assert message in capsys.readouterr().err


def test_bad_input(run: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["queue", str(tmp_path)]) == 2
    assert "no run folder" in capsys.readouterr().err
    (tmp_path / "checked.csv").write_text("image,verdict\nnowhere,rejected\n")
    assert main(["queue", str(run / "out"), "--verdicts", str(tmp_path / "checked.csv")]) == 2
    assert "verdicts: of 1 images none is a training image" in capsys.readouterr().err
    (tmp_path / "there.csv").write_text("kept")
    assert main(["queue", str(run / "out"), "--out", str(tmp_path / "there.csv")]) == 2
    assert (tmp_path / "there.csv").read_text() == "kept"


def test_a_run_without_reliability_is_refused(run: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["--data.format=folder", f"--data.root={run / 'data'}", "--data.train=tags.json", "--until=activations"]
    words += [f"--activations.from_folder={run / 'data' / 'cams'}", "--workers=1"]
    assert main(["compare", "cam", "--methods=cam", f"--out={tmp_path / 'out'}", *words]) == 0
    capsys.readouterr()
    assert main(["queue", str(tmp_path / "out")]) == 2
    assert "method 'cam' has left no reliability of masks" in capsys.readouterr().err


def test_help(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["queue", "--help"])
    assert "weakseg queue out --labels weakseg.json" in capsys.readouterr().out


def test_a_whole_run_is_asked_where_its_segmenter_differs(run: Path, tmp_path: Path) -> None:
    """Of a run without photographs held out, the segmenter's view of the training images is looked at."""
    data, out = run / "data", tmp_path / "run"
    words = ["--data.format=folder", f"--data.root={data}", "--data.train=tags.json", "--workers=1"]
    words += [f"--activations.from_folder={data / 'cams'}", "--seeds.crf.iterations=0", "--masks.crf.iterations=2"]
    words += ["--seeds.strict=0.45", "--seeds.lenient=0.35", "--segmenter.fit.epochs=1", "--segmenter.augment.crop=64"]
    assert main(["run", "cam", f"--out={out}", *words]) == 0
    names, known = read_classes(out, ()) or (), known_photographs(open_finished(out), Since())
    shown = [(one.id, each) for one in known for each in one.classes if each.disagreement is not None]
    assert shown and len(known) == 6
    for image_id, each in shown:
        class_id = names.index(each.name) + 1
        own, seen = (
            LabelMap.load(out / name / f"{image_id}.png").labels == class_id for name in ("masks", "predictions")
        )
        assert each.disagreement == pytest.approx(1 - (own & seen).sum() / (own | seen).sum())
        assert each.region == uncertain_region(own, seen)
    assert main(["queue", str(out), "--out", str(out / "queue.csv")]) == 0
