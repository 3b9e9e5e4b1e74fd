from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cases import each
from weakseg.data.truth import TrueInstances
from weakseg.errors import EvaluationError, ShapeError
from weakseg.evaluation.instances import RegionMatches, average_precision, mask_iou, match_objects
from weakseg.instances import Instances
from weakseg.settings.evaluate import Match

SIZE = (6, 10)
MATCHES: tuple[Match, ...] = get_args(Match)
every_rule = each("match", MATCHES)


def rectangle(top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def instances(*masks: NDArray[np.bool_], ids: tuple[int, ...] = (), scores: tuple[float, ...] = ()) -> Instances:
    stacked = np.stack(masks) if masks else np.zeros((0, *SIZE), np.bool_)
    return Instances.of(stacked, ids or (1,) * len(masks), scores=scores or None)


def truth(*masks: NDArray[np.bool_], ids: tuple[int, ...] = (), crowd: tuple[bool, ...] = ()) -> TrueInstances:
    return TrueInstances(instances(*masks, ids=ids), crowd or (False,) * len(masks))


def random_masks(rng: np.random.Generator, count: int) -> list[NDArray[np.bool_]]:
    corners = [np.sort(rng.choice(limit + 1, 2, replace=False)) for limit in SIZE for _ in range(count)]
    rows, columns = corners[:count], corners[count:]
    return [rectangle(r[0], c[0], r[1], c[1]) for r, c in zip(rows, columns, strict=True)]


def scene(seed: int, images: int = 4) -> list[tuple[Instances, TrueInstances]]:
    """Return detections of two classes, all of different scores, with truth that some of them nearly meet."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(images):
        real, noise = random_masks(rng, int(rng.integers(0, 4))), random_masks(rng, int(rng.integers(0, 3)))
        ids = tuple(rng.integers(1, 3, len(real)).tolist())
        seen = [np.roll(mask, int(rng.integers(0, 2)), axis=1) for mask in real] + noise
        scores = tuple((rng.permutation(len(seen)) * images + number + 1) / 100)
        ours = instances(*seen, ids=(*ids, *rng.integers(1, 3, len(noise)).tolist()), scores=tuple(map(float, scores)))
        found.append((ours, truth(*real, ids=ids)))
    return found


def precision(pairs: list[tuple[Instances, TrueInstances]], match: Match = "best") -> NDArray[np.float64]:
    matches = RegionMatches(2, match)
    for ours, theirs in pairs:
        matches.add(ours, theirs)
    return matches.average_precision()


def slow_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def slow_precision(pairs: list[tuple[Instances, TrueInstances]], threshold: float, class_id: int) -> float:
    """The card's table, first column, line by line, for scores that all differ."""
    ranked = sorted(
        (
            (s, n, m)
            for n, (o, _) in enumerate(pairs)
            for s, c, m in zip(o.scores, o.class_ids, o.masks, strict=True)
            if c == class_id
        ),
        key=lambda entry: -entry[0],
    )
    objects = {
        (n, i): m
        for n, (_, t) in enumerate(pairs)
        for i, m in enumerate(t.objects.masks)
        if t.objects.class_ids[i] == class_id
    }
    if not objects:
        return float("nan")
    taken, points, hits = set(), [(0.0, 0.0)], 0
    for rank, (_, image, mask) in enumerate(ranked, start=1):
        overlaps = {key: slow_iou(mask, other) for key, other in objects.items() if key[0] == image}
        best = max(overlaps, key=lambda key: overlaps[key]) if overlaps else None
        if best is not None and overlaps[best] >= threshold and best not in taken:
            taken.add(best)
            hits += 1
        points.append((hits / len(objects), hits / rank))
    return sum((b[0] - a[0]) * max(p for r, p in points if r >= b[0]) for a, b in pairwise(points) if b[0] > a[0])


class TestMaskIou:
    @given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.integers(0, 4))
    def test_equal_to_one_pair_after_the_other(self, seed: int, ours: int, theirs: int) -> None:
        rng = np.random.default_rng(seed)
        found, real = rng.random((ours, *SIZE)) < 0.5, rng.random((theirs, *SIZE)) < 0.3
        expected = [[slow_iou(a, b) for b in real] for a in found]
        np.testing.assert_allclose(mask_iou(found, real), np.reshape(expected, (ours, theirs)), rtol=1e-12)

    def test_exact_halves(self) -> None:
        iou = mask_iou(rectangle(0, 0, 2, 2)[None], rectangle(0, 0, 1, 2)[None])
        assert iou.tolist() == [[0.5]]

    def test_empty_masks(self) -> None:
        nothing = np.zeros((1, *SIZE), np.bool_)
        assert mask_iou(nothing, nothing).tolist() == [[0.0]]

    def test_other_sizes_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="found is"):
            mask_iou(np.zeros((1, 2, 3), np.bool_), np.zeros((1, 3, 2), np.bool_))


class TestMatching:
    def test_a_taken_object(self) -> None:
        """weak-labels.md, oracle 12."""
        iou = np.array([[0.8, 0.1], [0.75, 0.6]])
        assert match_objects(iou, 0.5, "best").tolist() == [True, False]
        assert match_objects(iou, 0.5, "free").tolist() == [True, True]

    def test_the_threshold_itself(self) -> None:
        """weak-labels.md, oracle 12."""
        assert match_objects(np.array([[0.5]]), 0.5, "best").tolist() == [True]
        assert match_objects(np.array([[0.5]]), 0.5, "free").tolist() == [False]

    @every_rule
    def test_what_falls_short_takes_nothing(self, match: Match) -> None:
        assert match_objects(np.array([[0.4], [0.9]]), 0.5, match).tolist() == [False, True]

    @every_rule
    @each("shape", [(0, 3), (3, 0), (0, 0)])
    def test_nothing_to_match(self, match: Match, shape: tuple[int, int]) -> None:
        assert match_objects(np.zeros(shape), 0.5, match).tolist() == [False] * shape[0]

    @settings(max_examples=60)
    @given(st.sampled_from(MATCHES), st.integers(0, 2**32 - 1))
    def test_no_object_is_found_twice(self, match: Match, seed: int) -> None:
        rng = np.random.default_rng(seed)
        iou = rng.random((int(rng.integers(1, 7)), int(rng.integers(1, 4))))
        assert match_objects(iou, 0.3, match).sum() <= iou.shape[1]


class TestAveragePrecision:
    def test_three_detections_of_three_objects(self) -> None:
        """weak-labels.md, oracle 11: 1/3 * 1 + 1/3 * 2/3."""
        found = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 3)
        assert found == pytest.approx(5 / 9)

    def test_nothing_found_and_nothing_there(self) -> None:
        """weak-labels.md, oracle 11."""
        nothing = np.zeros(0)
        assert average_precision(nothing, nothing.astype(np.bool_), 2) == 0
        assert np.isnan(average_precision(np.array([0.5]), np.array([False]), 0))

    def test_precision_is_that_of_the_best_later_point(self) -> None:
        """Right, wrong, right, right: 1/3 * 1 + 2/3 * 3/4."""
        found = average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, True]), 3)
        assert found == pytest.approx(1 / 3 + 2 / 3 * 3 / 4)

    def test_equal_scores_are_one_point(self) -> None:
        """Of four equal detections two are right, of two objects: precision 1/2 at recall 1."""
        for right in ([True, True, False, False], [False, False, True, True]):
            assert average_precision(np.full(4, 0.5), np.array(right), 2) == pytest.approx(0.5)


class TestRegionMatches:
    @each("seed", range(12))
    def test_equal_to_the_slow_way(self, seed: int) -> None:
        pairs = scene(seed)
        expected = [[slow_precision(pairs, t, class_id) for class_id in (1, 2)] for t in (0.25, 0.5, 0.7, 0.75)]
        np.testing.assert_allclose(precision(pairs), expected, rtol=1e-12)

    @every_rule
    @each("seed", range(6))
    def test_monotone_transforms_of_scores_change_nothing(self, match: Match, seed: int) -> None:
        """weak-labels.md, oracle 13."""
        pairs = scene(seed)
        squared = [
            (instances(*o.masks, ids=o.class_ids, scores=tuple(s**3 / 2 for s in o.scores)) if len(o) else o, t)
            for o, t in pairs
        ]
        np.testing.assert_array_equal(precision(pairs, match), precision(squared, match))

    @every_rule
    @each("seed", range(6))
    def test_the_order_of_images_does_not_matter(self, match: Match, seed: int) -> None:
        pairs = scene(seed)
        equal = [(Instances(o.runs, o.class_ids, (0.5,) * len(o), o.boxes, SIZE), t) for o, t in pairs]
        for images in (pairs, equal):  # of different scores, and all of one
            np.testing.assert_array_equal(precision(images, match), precision(images[::-1], match))

    @each("seed", range(6))
    def test_duplicates_are_wrong(self, seed: int) -> None:
        """weak-labels.md, oracle 13: doubled masks never help, and hurt where anything was found."""
        pairs = scene(seed)
        doubled = [(o.chosen([*range(len(o)), *range(len(o))]), t) for o, t in pairs]
        once, twice = precision(pairs), precision(doubled)
        seen = np.isfinite(once)
        assert (twice[seen] <= once[seen]).all()
        assert ((twice < once) | (once == 0) | ~seen).all()

    @every_rule
    def test_truth_against_itself_is_perfect(self, match: Match) -> None:
        pairs = [(t.objects, t) for _, t in scene(3)]
        found = precision(pairs, match)
        assert np.isfinite(found).any() and (found[np.isfinite(found)] == 1).all()

    def test_classes_without_truth_are_left_out(self) -> None:
        square = rectangle(0, 0, 3, 3)
        found = precision([(instances(square, square, ids=(1, 2)), truth(square))])
        assert (found[:, 0] == 1).all() and np.isnan(found[:, 1]).all()

    def test_objects_are_found_in_their_own_class_alone(self) -> None:
        square = rectangle(0, 0, 3, 3)
        found = precision([(instances(square, ids=(2,)), truth(square, square, ids=(1, 2)))])
        assert (found == [[0, 1]] * 4).all()

    def test_void_pixels_count_in_the_union(self) -> None:
        """Whatever the truth leaves open is no part of an object: 12 of 20 pixels are right."""
        found = precision([(instances(rectangle(0, 0, 4, 5)), truth(rectangle(0, 0, 4, 3)))])
        assert found[:, 0].tolist() == [1, 1, 0, 0]

    def test_images_without_prediction(self) -> None:
        matches = RegionMatches(1)
        matches.add(None, truth(rectangle(0, 0, 3, 3)))
        matches.add(instances(rectangle(0, 0, 3, 3)), truth(rectangle(0, 0, 3, 3)))
        assert matches.average_precision().tolist() == [[0.5]] * 4 and matches.truths.tolist() == [2]

    def test_crowds_are_no_objects(self) -> None:
        matches = RegionMatches(1)
        matches.add(instances(rectangle(0, 0, 3, 3)), truth(rectangle(0, 0, 3, 3), crowd=(True,)))
        assert np.isnan(matches.average_precision()).all() and matches.truths.tolist() == [0]

    def test_other_sizes_classes_and_words_are_refused(self) -> None:
        small = Instances.of(np.ones((1, 2, 2), np.bool_), [1])
        with pytest.raises(EvaluationError, match="same size needed"):
            RegionMatches(1).add(small, truth(rectangle(0, 0, 3, 3)))
        with pytest.raises(EvaluationError, match="objects of class 5 but there are 2 classes"):
            RegionMatches(2).add(instances(rectangle(0, 0, 3, 3), ids=(5,)), truth())
        with pytest.raises(EvaluationError, match="expected best or free"):
            RegionMatches(1, "any")  # type: ignore[arg-type]
