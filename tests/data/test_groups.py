import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest

from cases import each
from weakseg.data.groups import TagGroups
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, DataError

Present = Sequence[frozenset[int]]


def images(present: Sequence[Sequence[int]], unknown: Sequence[int] = ()) -> list[WeakSample]:
    tags = [Tags(frozenset(classes), frozenset(unknown) - frozenset(classes)) for classes in present]
    return [WeakSample(f"image{index:04}", Path("a.jpg"), one) for index, one in enumerate(tags)]


def many(count: int, classes: int = 12, seed: int = 0) -> list[WeakSample]:
    """Return images of 0 to 4 classes, of which some are rare."""
    rng = Random(seed)
    return images([[1 + int(classes * rng.random() ** 2) for _ in range(rng.randrange(5))] for _ in range(count)])


def best_partners(
    samples: Sequence[WeakSample], anchor: int, pool_size: int, partners: int
) -> tuple[set[int], set[int]]:
    """Return who is sure to be in the pool, and who may be, by sorting all images."""
    own = samples[anchor].tags.present
    keys = {
        index: (-len(own & sample.tags.present), len(own ^ sample.tags.present))
        for index, sample in enumerate(samples)
        if sample.tags.present and index != anchor
    }
    shared = sum(key[0] < 0 for key in keys.values())
    size = min(pool_size, shared) if shared >= partners else partners
    last = sorted(keys.values())[size - 1]
    within = {index for index, key in keys.items() if key < last}
    tied = {index for index, key in keys.items() if key == last}
    return (within | tied, set()) if len(within) + len(tied) == size else (within, tied)


class TestMembers:
    def test_of_the_card(self) -> None:
        # group-wsss.md, oracle 11: labels [100], [100], [110], [010], [001]
        groups = TagGroups(images([[1], [1], [1, 2], [2], [3]]), 3)
        for seed in range(20):
            assert groups.members(0, Random(seed)) == (0, 1, 2)
        found = [groups.members(4, Random(seed)) for seed in range(20)]
        assert {len(set(one)) for one in found} == {3}
        assert {one[0] for one in found} == {4}

    @each("pool_size", [0, 3, 7, 40])
    def test_partners_are_drawn_from_the_best(self, pool_size: int) -> None:
        samples = many(40)
        groups = TagGroups(samples, 4, pool_size=pool_size)
        for anchor in groups.anchors:
            within, tied = best_partners(samples, anchor, pool_size or 12, 3)
            seen: set[int] = set()
            for seed in range(8):
                first, *partners = groups.members(anchor, Random(seed))
                assert first == anchor
                assert len(set(partners)) == 3
                assert set(partners) <= within | tied
                overlap = [len(samples[anchor].tags.present & samples[one].tags.present) for one in partners]
                assert overlap == sorted(overlap, reverse=True)
                seen |= set(partners)
            assert len(seen) > 3 or len(within | tied) == 3

    def test_every_image_of_the_pool_is_as_likely(self) -> None:
        # the anchor's own tags, a better level in full, and 5 of a level of 10: 2 of the 8 in the pool are drawn
        samples = images([[1, 2]] * 2 + [[1, 2, 3]] * 2 + [[1]] * 6 + [[2]] * 4)
        groups = TagGroups(samples, 3, pool_size=8)
        draws = 2000
        counts = Counter(one for seed in range(draws) for one in groups.members(1, Random(seed))[1:])
        expected = {0: 1 / 4, 2: 1 / 4, 3: 1 / 4, **dict.fromkeys(range(4, 14), 5 / 10 / 4)}
        assert set(counts) == set(expected)
        for index, share in expected.items():
            assert abs(counts[index] - draws * share) < 4 * np.sqrt(draws * share * (1 - share)), index

    def test_unknown_classes_are_not_shared(self) -> None:
        samples = [
            *images([[1]]),
            *(WeakSample(f"b{i}", Path("b.jpg"), Tags(frozenset({2}), frozenset({1}))) for i in range(9)),
        ]
        groups = TagGroups([*samples, WeakSample("c", Path("c.jpg"), Tags(frozenset({1, 2})))], 2)
        assert {groups.members(0, Random(seed)) for seed in range(20)} == {(0, 10)}

    def test_random_partners(self) -> None:
        samples = images([[1]] * 5 + [[2]] * 5)
        groups = TagGroups(samples, 3, random=True)
        counts = Counter(one for seed in range(3000) for one in groups.members(7, Random(seed))[1:])
        assert set(counts) == set(range(10)) - {7}
        assert all(abs(count - 3000 * 2 / 9) < 4 * np.sqrt(3000 * 2 / 9) for count in counts.values())

    def test_single_images(self) -> None:
        assert TagGroups(many(10), 1).epoch(0, 0).shape[1] == 1
        assert TagGroups(images([[1], [2]]), 1).members(1, Random(0)) == (1,)

    def test_one_class_for_all(self) -> None:
        groups = TagGroups(images([[1]] * 6), 3)
        counts = Counter(one for seed in range(600) for one in groups.members(2, Random(seed))[1:])
        assert set(counts) == {0, 1, 3, 4, 5}
        assert min(counts.values()) > 180


class TestEpoch:
    @each("random", [False, True])
    def test_every_image_is_the_anchor_once(self, random: bool) -> None:
        samples = many(60)
        groups = TagGroups(samples, 4, random=random)
        drawn = groups.epoch(3, 1)
        assert drawn.shape == (len(groups.anchors), 4)
        assert drawn[:, 0].tolist() == list(groups.anchors) == [i for i, s in enumerate(samples) if s.tags.present]
        assert all(len(set(row)) == 4 for row in drawn.tolist())
        assert not np.array_equal(drawn, groups.epoch(3, 2))
        assert not np.array_equal(drawn, groups.epoch(4, 1))

    @each("random", [False, True])
    def test_order_of_images_changes_nothing(self, random: bool) -> None:
        samples = many(60)
        shuffled = Random(1).sample(samples, len(samples))
        found = [
            {
                tuple(ordered[index].id for index in row)
                for row in TagGroups(ordered, 4, random=random).epoch(3, 1).tolist()
            }
            for ordered in (samples, shuffled)
        ]
        assert found[0] == found[1]

    def test_fewer_images_than_a_group_has(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            groups = TagGroups(images([[1], [2], [1]]), 5)
        assert groups.size == 3
        assert "3 images instead of 5" in caplog.text
        assert [sorted(row) for row in groups.epoch(0, 0).tolist()] == [[0, 1, 2]] * 3
        assert groups.epoch(0, 0)[0].tolist() == [0, 2, 1]
        assert TagGroups(images([[1]]), 4).epoch(0, 0).tolist() == [[0]]

    def test_images_without_tags(self, caplog: pytest.LogCaptureFixture) -> None:
        samples = images([[1], [], [1], []], unknown=[2])
        with caplog.at_level(logging.WARNING):
            groups = TagGroups(samples, 2)
        assert "2 of 4 images" in caplog.text
        assert groups.anchors == (0, 2)
        assert groups.epoch(0, 0).tolist() == [[0, 2], [2, 0]]
        with pytest.raises(DataError, match=r"image0001.*tag it"):
            groups.members(1, Random(0))


class TestPartition:
    @each("size", [1, 2, 3, 4, 7])
    def test_each_image_once_with_those_that_share_a_class(self, size: int) -> None:
        samples = many(97)
        groups = TagGroups(samples, 4).partition(size)
        assert sorted(index for group in groups for index in group) == list(TagGroups(samples, 4).anchors)
        for group in groups:
            assert 1 <= len(group) <= size
            assert frozenset.intersection(*(samples[index].tags.present for index in group))
        assert len(groups) <= len(TagGroups(samples, 4).anchors) / size + 12  # a group that is not full for each class

    @each(
        ("present", "sizes"),
        [
            ([[1]] * 8 + [[1, 2]] * 4 + [[2, 3]] * 4, [4, 4, 4, 4]),
            ([[1]] * 5 + [[2]], [1, 2, 3]),  # one that shares nothing with others is alone, and no other one
            ([[1], [1, 2], [1, 3], [1, 4], [1, 5]], [2, 3]),  # rare classes are not cut off
            ([[1], [1, 2], [2], [2]], [2, 2]),  # who has no other class is not left alone
        ],
    )
    def test_sizes(self, present: list[list[int]], sizes: list[int]) -> None:
        assert sorted(map(len, TagGroups(images(present), 4).partition())) == sizes

    def test_most_have_the_same_tags(self) -> None:
        groups = TagGroups(images([[1]] * 40 + [[1, 2]] * 40), 4).partition()
        assert [sorted(group) for group in groups] == [
            list(range(a, a + 4)) for a in [*range(40, 80, 4), *range(0, 40, 4)]
        ]

    def test_order_of_images_changes_nothing(self) -> None:
        samples = many(50)
        shuffled = Random(1).sample(samples, len(samples))
        found = [
            {tuple(ordered[index].id for index in group) for group in TagGroups(ordered, 4).partition()}
            for ordered in (samples, shuffled)
        ]
        assert found[0] == found[1]


class TestBadInput:
    @each(
        ("arguments", "message"),
        [
            ({"size": 0}, "size: need >= 1, got 0"),
            ({"size": 4, "pool_size": 2}, "pool_size.*3 partners, got 2"),
            ({"size": 4, "pool_size": -1}, "pool_size.*got -1"),
            ({"size": 4, "pool_size": 9, "random": True}, "pool_size: random groups have no pool"),
        ],
    )
    def test_settings(self, arguments: dict[str, int], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            TagGroups(many(10), **arguments)

    def test_no_tags(self) -> None:
        with pytest.raises(DataError, match="no image has a tag"):
            TagGroups(images([[], []], unknown=[1]), 2)
