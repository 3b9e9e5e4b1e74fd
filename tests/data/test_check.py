import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from weakseg.data import check, crowded
from weakseg.data.annotations import Box, Drawn, Point
from weakseg.data.check import ImageRecord, SplitCounts, check_dataset, probe_image, summarize_dataset
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.file_state import FileState
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError


@pytest.fixture
def dataset(tmp_path: Path, write_image) -> Dataset:
    """Train a (cat), b (untagged, dog unknown), broken, gone; val c (cat and dog; the same file as a)."""
    for name, rows, columns, seed in (("a", 4, 9, 0), ("b", 5, 3, 1), ("c", 4, 9, 0)):
        write_image(tmp_path / f"{name}.png", rows, columns, seed=seed)
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    tags = {"a": Tags(frozenset({1})), "b": Tags(frozenset(), frozenset({2})), "c": Tags(frozenset({1, 2}))}
    train = [WeakSample(n, tmp_path / f"{n}.png", tags.get(n, Tags(frozenset()))) for n in ("a", "b", "broken", "gone")]
    return Dataset(
        Classes(("cat", "dog", "bird")),
        {"train": tuple(train), "val": (WeakSample("c", tmp_path / "c.png", tags["c"]),)},
    )


def test_record_of_an_image(dataset: Dataset) -> None:
    sample = dataset.splits["train"][0]
    content, status = sample.image_path.read_bytes(), sample.image_path.stat()
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    file = FileState(digest, len(content), status.st_mtime_ns, status.st_ctime_ns)
    assert probe_image(sample) == ImageRecord(rows=4, columns=9, file=file)


def test_counts(dataset: Dataset) -> None:
    report = check_dataset(dataset)
    assert report.num_images == 5
    assert report.splits == {
        "train": SplitCounts(num_images=4, num_untagged=3, present=(1, 0, 0), unknown=(0, 1, 0)),
        "val": SplitCounts(num_images=1, num_untagged=0, present=(1, 1, 0), unknown=(0, 0, 0)),
    }
    assert (report.smallest, report.largest) == ((4, 3), (5, 9))


def test_failures_are_listed_and_the_rest_goes_on(dataset: Dataset) -> None:
    failures = check_dataset(dataset).failures
    assert [(f.image_id, f.path.name) for f in failures] == [("broken", "broken.png"), ("gone", "gone.png")]
    assert "broken.png: cannot be read as an image" in failures[0].reason
    assert "gone.png: no such image" in failures[1].reason


def test_warnings_name_absent_classes_and_copies(dataset: Dataset) -> None:
    report = check_dataset(dataset)
    assert report.absent_classes == ("dog", "bird")
    assert report.duplicates == report.leaks == ((("train", "a"), ("val", "c")),)
    assert [warning.partition(":")[0] for warning in report.warnings[:2]] == ["class 'dog'", "class 'bird'"]
    assert report.warnings[-1].startswith("train image 'a' and val image 'c' are the same image; remove one, or scores")


def test_images_that_may_show_something_are_a_warning(dataset: Dataset) -> None:
    report = check_dataset(dataset)
    assert report.doubtful == ("b",)
    told = [warning for warning in report.warnings_of_learning if "no class for certain" in warning]
    assert len(told) == 1 and told[0].startswith("1 training images") and "'b'" in told[0]
    drawn = replace(dataset.splits["train"][1], drawn=Drawn(boxes=(Box(2, 0.0, 0.0, 2.0, 2.0),)))
    assert not check_dataset(Dataset(dataset.classes, {"train": (drawn,)})).doubtful


def test_very_many_images_of_one_folder_are_a_warning(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = dataset.splits["train"][0]
    names = [*(f"day/{n}" for n in range(4)), "a", "b", "night/c", "night/d", "night/e"]
    many = {"train": tuple(replace(sample, id=name) for name in names)}
    report = check_dataset(replace(dataset, splits=many))
    assert report.fullest == ("day", 4)
    for most, said in ((4, []), (3, ["4 images lie in the folder 'day', and so will what is made of them"])):
        monkeypatch.setattr(crowded, "MANY_IN_A_FOLDER", most)
        assert [
            warning.partition("; that costs")[0] for warning in report.warnings if "made of them" in warning
        ] == said


def test_copies_within_one_split_are_no_leak(tmp_path: Path, write_image) -> None:
    for number in range(6):
        write_image(tmp_path / f"{number}.png")
    samples = tuple(WeakSample(str(n), tmp_path / f"{n}.png", Tags(frozenset({1}))) for n in range(6))
    report = check_dataset(Dataset(Classes(("cat",)), {"train": samples}))
    assert report.leaks == ()
    warning = report.warnings[-1]
    assert "train image '0' and train image '1'" in warning and "and 2 more are the same image; keep one" in warning


def test_clean_data_set(tmp_path: Path, write_image) -> None:
    tags = [Tags(frozenset({class_id})) for class_id in (1, 1, 1, 2, 2, 2)]
    for number in range(len(tags)):
        write_image(tmp_path / f"{number}.png", 1, 1, seed=number)
    samples = tuple(WeakSample(str(n), tmp_path / f"{n}.png", each) for n, each in enumerate(tags))
    report = check_dataset(Dataset(Classes(("cat", "dog")), {"train": samples}))
    assert (report.failures, report.warnings, report.smallest, report.largest) == ((), (), (1, 1), (1, 1))


def test_no_image_can_be_read(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(sample: WeakSample) -> ImageRecord:
        raise DataError("no")

    monkeypatch.setattr(check, "probe_image", fail)
    report = check_dataset(dataset)
    assert len(report.failures) == 5
    assert (report.smallest, report.largest) == (None, None)


def test_each_file_is_probed_once(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[str] = []

    def probe(sample: WeakSample) -> ImageRecord:
        probed.append(sample.id)
        return probe_image(sample)

    twice = Dataset(dataset.classes, {"train": dataset.splits["train"], "val": dataset.splits["train"]})
    monkeypatch.setattr(check, "probe_image", probe)
    report = check_dataset(twice)
    assert probed == ["a", "b", "broken", "gone"]
    assert report.leaks == ((("train", "a"), ("val", "a")), (("train", "b"), ("val", "b")))


def test_summary_needs_every_image(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="image 'a': neither"):
        summarize_dataset(dataset, {}, {})


def test_labels_outside_of_their_photograph_are_a_warning(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "a.png", 40, 60)
    drawn = Drawn(boxes=(Box(1, 0, 0, 40, 60), Box(1, 0, 0, 40, 180)), points=(Point(0, 5, 5), Point(0, 5, 600)))
    dataset = Dataset(Classes(("cat",)), {"train": (WeakSample("a", tmp_path / "a.png", Tags(frozenset({1})), drawn),)})
    (warning,) = check_dataset(dataset).warnings
    assert warning == (
        "image 'a': box of 'cat' at (0, 0, 180, 40) is by 67% outside of the photograph of 60 x 40 pixels; "
        "2 labels are outside; do labels and photographs belong together?"
    )


def test_names_that_are_probably_not_meant_so(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "a.png")
    sample = WeakSample("a", tmp_path / "a.png", Tags(frozenset({1, 2, 3})))
    report = check_dataset(Dataset(Classes(("Cat", "cat", "car, dog")), {"train": (sample,)}))
    assert [warning.partition(";")[0] for warning in report.warnings][-2:] == [
        "classes 'Cat' and 'cat' are written alike but for case, spaces or Unicode form",
        "class 'car, dog' holds ','",
    ]
