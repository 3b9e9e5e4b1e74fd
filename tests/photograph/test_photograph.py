"""A photograph that is marked again and again: the same masks as from one call each, with less work."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import weakseg
from generated import draw
from weakseg import Photograph, Segmentation, SegmentOptions, read_marks
from weakseg.errors import DataError
from weakseg.methods.a2gnn import problem as problems
from weakseg.photograph import computed
from weakseg.photograph.config import DrawnOptions
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages import weak_seeds

BALL, BRICK = ("ball", (8, 4, 30, 40)), ("brick", (38, 8, 56, 40))
STROKES = [("brick", [(42, 20), (52, 22)]), ("background", [(2, 2), (2, 60), (120, 90)])]
KINDS: dict[str, dict[str, Any]] = {
    "tags": {"tags": ["cup", "soccer ball"]},
    "boxes": {"boxes": [BALL, BRICK]},
    "strokes": {"scribbles": STROKES},
    "points": {"points": [("brick", (46, 24)), ("background", (4, 90))]},
    "points of words": {"points": [("cup", (46, 24))]},
    "boxes and strokes": {"boxes": [BRICK], "scribbles": STROKES},
    "a named tag and boxes": {"tags": ["ball"], "boxes": [BRICK]},
}
BY_WORDS = SegmentOptions("a2gnn", drawn=DrawnOptions(seeds=WeakSeedConfig()))


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return draw(3, (96, 128))[0]


def assert_equal(found: Segmentation, expected: Segmentation) -> None:
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_array_equal(found.seeds.labels, expected.seeds.labels)
    np.testing.assert_array_equal(found.image, expected.image)
    assert found.tags == expected.tags and found.activations.class_ids == expected.activations.class_ids
    assert found.activations.values.equal(expected.activations.values)


@pytest.mark.parametrize("kind", KINDS)
def test_one_call_is_what_segment_gives(kind: str, image: NDArray[np.uint8]) -> None:
    assert_equal(Photograph(image).segment(read_marks(**KINDS[kind])), weakseg.segment(image, **KINDS[kind]))


def test_clicks_are_no_method_of_other_marks(image: NDArray[np.uint8]) -> None:
    for kind in ("boxes", "tags"):
        with pytest.raises(DataError, match=f"method: 'clicks' is of points and strokes, and {kind} decide here"):
            Photograph(image).segment(read_marks(**KINDS[kind]), SegmentOptions("clicks"))
    found = Photograph(image).segment(read_marks(**KINDS["points"]), SegmentOptions("clicks"))
    assert_equal(found, Photograph(image).segment(read_marks(**KINDS["points"])))


@pytest.mark.parametrize("kind", ["tags", "boxes"])
def test_every_method_is_what_segment_gives(kind: str, image: NDArray[np.uint8]) -> None:
    photograph = Photograph(image)
    for method in ("cam", "wsgcn", "a2gnn"):
        options = SegmentOptions(method=method)  # type: ignore[arg-type]
        found = photograph.segment(read_marks(**KINDS[kind]), options)
        assert_equal(found, weakseg.segment(image, **KINDS[kind], options=options))


def test_further_marks_give_exactly_what_a_fresh_photograph_gives(image: NDArray[np.uint8]) -> None:
    photograph = Photograph(image)
    moved = [("ball", (9, 4, 30, 41)), BRICK]
    further: list[dict[str, Any]] = [
        {"boxes": [BALL]},
        {"boxes": [BALL, BRICK]},
        {"boxes": [BRICK, BALL]},
        {"boxes": moved},
        {"scribbles": STROKES[:1]},
        {"scribbles": STROKES},
        {"scribbles": [*STROKES, ("ball", [(20, 10), (20, 30)])]},
        {"points": [("cup", (46, 24))]},
        {"points": [("cup", (46, 24)), ("dog", (20, 20))]},
        {"tags": ["cup"]},
        {"boxes": [BALL, BRICK]},
    ]
    for marks in further:
        assert_equal(photograph.segment(read_marks(**marks)), Photograph(image).segment(read_marks(**marks)))


def test_marks_change_no_picture(image: NDArray[np.uint8]) -> None:
    before = image.copy()
    Photograph(image).segment(read_marks(**KINDS["boxes and strokes"]))
    np.testing.assert_array_equal(image, before)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of the costly parts was computed."""
    counted: Counter[str] = Counter()

    def count(place: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(place, name)

        def counting(*arguments: Any, **settings: Any) -> Any:
            counted[name] += 1
            return original(*arguments, **settings)

        monkeypatch.setattr(place, name, counting)

    for name in ("free_graph", "decoding_crf", "activate_image", "build_word_classifier", "cell_maps"):
        count(computed, name)
    count(problems, "crf_kernel")
    count(weak_seeds, "walk_graph_of")
    count(cv2, "grabCut")
    return counted


class TestOnce:
    def test_boxes(self, image: NDArray[np.uint8], calls: Counter[str]) -> None:
        photograph = Photograph(image)
        photograph.segment(read_marks(boxes=[BALL]))
        once = {"free_graph": 1, "crf_kernel": 1, "decoding_crf": 1}
        assert calls == {**once, "grabCut": 1}
        photograph.segment(read_marks(boxes=[BALL, BRICK]))
        assert calls == {**once, "grabCut": 2}
        photograph.segment(read_marks(boxes=[BALL, BRICK]))
        assert calls == {**once, "grabCut": 2}

    def test_strokes(self, image: NDArray[np.uint8], calls: Counter[str]) -> None:
        photograph = Photograph(image)
        for count in (1, 2):
            photograph.segment(read_marks(scribbles=STROKES[:count]))
            once = {"free_graph": 1, "walk_graph_of": 1, "crf_kernel": 1, "decoding_crf": 1}
            assert calls - Counter(grabCut=3) == once
        for count in (1, 2):
            photograph.segment(read_marks(scribbles=STROKES[:count]), SegmentOptions("clicks"))
        assert calls["cell_maps"] == 1

    def test_points(self, image: NDArray[np.uint8], calls: Counter[str]) -> None:
        photograph, points = Photograph(image), [("brick", (46, 24)), ("background", (4, 90)), ("brick", (50, 28))]
        for count in (1, 2, 3):
            photograph.segment(read_marks(points=points[:count]))
        assert calls == {"cell_maps": 1, "decoding_crf": 1}
        photograph.segment(read_marks(points=points), SegmentOptions("a2gnn"))
        assert calls["walk_graph_of"] == calls["free_graph"] == 1

    def test_boxes_and_strokes_share_graph_and_crf(self, image: NDArray[np.uint8], calls: Counter[str]) -> None:
        photograph = Photograph(image)
        for marks in (KINDS["boxes"], KINDS["strokes"], KINDS["boxes"]):
            photograph.segment(read_marks(**marks))
        assert calls - Counter(grabCut=9) == {"free_graph": 1, "walk_graph_of": 1, "crf_kernel": 1, "decoding_crf": 1}

    def test_words(self, image: NDArray[np.uint8], calls: Counter[str]) -> None:
        photograph = Photograph(image)
        for place in ((46, 24), (47, 25)):
            photograph.segment(read_marks(points=[("cup", place)]), BY_WORDS)
        photograph.segment(read_marks(["cup"]), SegmentOptions(method="wsgcn"))
        assert calls["activate_image"] == 1
        assert calls["build_word_classifier"] == 2  # of activations, and of what the whole photograph says
        photograph.segment(read_marks(["dog"]), SegmentOptions(method="wsgcn"))
        assert calls["activate_image"] == 2

    def test_other_settings_compute_what_they_change(self, image: NDArray[np.uint8], calls: Counter[str]) -> None:
        photograph, marks, drawn = Photograph(image), read_marks(boxes=[BALL]), DrawnOptions()
        photograph.segment(marks)
        crf = replace(drawn.decode, crf=replace(drawn.decode.crf, iterations=1))
        photograph.segment(marks, SegmentOptions(drawn=replace(drawn, decode=crf)))
        assert calls == {"free_graph": 1, "crf_kernel": 1, "decoding_crf": 2, "grabCut": 1}
        wider = replace(drawn.graph, max_side=64)
        photograph.segment(marks, SegmentOptions(drawn=replace(drawn, graph=wider)))
        assert calls == {"free_graph": 2, "crf_kernel": 2, "decoding_crf": 2, "grabCut": 1}

    def test_another_photograph_shares_nothing(self, image: NDArray[np.uint8], calls: Counter[str]) -> None:
        for _ in range(2):
            Photograph(image).segment(read_marks(boxes=[BALL]))
        assert set(calls.values()) == {2}


def test_what_an_error_leaves_is_of_no_harm(image: NDArray[np.uint8]) -> None:
    photograph, good = Photograph(image), read_marks(boxes=[BALL])
    for _ in range(2):
        with pytest.raises(DataError, match="none is on the background, and tag 'qwxz'"):
            photograph.segment(read_marks(points=[("qwxz", (5, 5))]), BY_WORDS)
    assert_equal(photograph.segment(good), Photograph(image).segment(good))


class TestMarking:
    def test_marks_are_added_and_undone(self, image: NDArray[np.uint8]) -> None:
        photograph = Photograph(image)
        assert photograph.mark(scribbles=STROKES[0]) is photograph
        photograph.mark("brick", scribbles=STROKES[1:]).mark(points=("ball", 20, 10))
        assert photograph.marks == read_marks(["brick"], scribbles=STROKES, points=[("ball", (20, 10))])
        assert photograph.undo().marks == read_marks(["brick"], scribbles=STROKES)
        assert_equal(photograph.segment(), weakseg.segment(image, scribbles=STROKES))
        photograph.undo().undo()
        assert photograph.marks == read_marks()
        with pytest.raises(DataError, match="nothing is marked that could be undone"):
            photograph.undo()
        with pytest.raises(DataError, match="say what the photograph shows"):
            photograph.segment()

    def test_a_malformed_mark_leaves_those_of_before(self, image: NDArray[np.uint8]) -> None:
        photograph = Photograph(image).mark("cup")
        for wrong in ({"boxes": ("cup", 1, 2)}, {"tags": "cup"}):
            with pytest.raises(DataError):
                photograph.mark(**wrong)  # type: ignore[arg-type]
        assert photograph.marks == read_marks("cup")

    def test_what_was_doubted_stands_in_the_result(
        self, image: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
    ) -> None:
        result = weakseg.segment(image, ["brick"], boxes=[("ball", 8, 4, 30, 40)])
        assert result.warnings == ("nothing is drawn of 'brick', but of others: it will not be in the mask",)
        assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [*result.warnings]
        assert "ImageNet has 2 of 468 kinds" in weakseg.segment(image, "flower").warnings[0]

    def test_clicks_beside_a_box_correct_its_mask(self, image: NDArray[np.uint8]) -> None:
        before = weakseg.segment(image, boxes=[("ball", 8, 4, 30, 40)]).mask
        after = weakseg.segment(image, boxes=[("ball", 8, 4, 30, 40)], points=("brick", 46, 24))
        assert after.mask[24, 46] == 2 and not (before == 2).any()
        assert ((before == 1) == (after.mask == 1)).mean() > 0.95 and set(after.reliabilities) == {"ball", "brick"}

    def test_the_mask_is_the_best_of_its_scores(self, image: NDArray[np.uint8]) -> None:
        result = weakseg.segment(image, boxes=[BRICK])
        inside = np.zeros(result.mask.shape, bool)
        inside[8:40, 38:56] = True
        agreed = result.scores.argmax(0) == result.mask
        assert agreed[inside].mean() > 0.99 and np.allclose(result.scores.sum(0), 1, atol=1e-3)


def test_a_draft_is_the_mask_of_the_seeds(image: NDArray[np.uint8]) -> None:
    photograph, marks, drafts = Photograph(image), read_marks(boxes=[BALL]), list[Segmentation]()
    found = photograph.segment(marks, draft=drafts.append)
    assert [draft.tags for draft in drafts] == [found.tags]
    assert np.array_equal(drafts[0].mask, np.where(found.seeds.labels == 255, 0, found.seeds.labels))
    assert_equal(found, Photograph(image).segment(marks))
    photograph.segment(marks, draft=drafts.append)  # is known already
    Photograph(image).segment(read_marks(points=[("ball", (20, 20)), ("background", (1, 1))]), draft=drafts.append)
    assert len(drafts) == 1


def test_what_a_draft_ends_is_made_anew(image: NDArray[np.uint8]) -> None:
    def end(draft: Segmentation) -> None:
        raise KeyboardInterrupt

    photograph, marks = Photograph(image), read_marks(boxes=[BALL])
    with pytest.raises(KeyboardInterrupt):
        photograph.segment(marks, draft=end)
    assert_equal(photograph.segment(marks), Photograph(image).segment(marks))


def test_corrections_train_nothing_anew_and_painting_on_a_mask_changes_no_other(image: NDArray[np.uint8]) -> None:
    photograph, drafts = Photograph(image), list[Segmentation]()
    first = photograph.segment(read_marks(boxes=[BALL])).mask
    kept = first.copy()
    first[:] = 1
    assert np.array_equal(photograph.segment(read_marks(boxes=[BALL]), draft=drafts.append).mask, kept)
    photograph.segment(read_marks(boxes=[BALL], points=[("background", (30, 30))]), draft=drafts.append)
    assert not drafts
