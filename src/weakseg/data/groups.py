"""Groups of images that share classes: drawn for each image, or such that each image is in one of them."""

import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError, DataError
from weakseg.rng import random_for

logger = logging.getLogger(__name__)
Ints = NDArray[np.int64]
POOL_FACTOR = 4
BLOCK_ENTRIES = 1 << 21  # ranks that are held at once


class TagGroups:
    """Draws partners that have much in common with an image, the anchor.

    Other images are ranked by the number of classes that both show, then by the number that only one of them shows,
    then at random. Partners are drawn from the first ``pool_size``; of these, images that share no class are left out
    as long as enough others are there. What is drawn depends on tags and ids, not on the order of images.

    Args:
        samples: Images; of their tags those that are present count. Images without any are in no group.
        size: Images of a group, K.
        pool_size: Images that partners are drawn from; 0: four times as many as partners.
        random: Draw partners from all images, whatever their tags: a control.

    Attributes:
        anchors: Index in ``samples`` of each image that has a tag, in order.
        size: Images of each group; fewer than asked for where no more have a tag.

    Raises:
        ConfigError: If ``size`` is below one, or ``pool_size`` below the number of partners, or without effect.
        DataError: If no image has a tag.

    Reference:
        [li2021groupwsss], section on the graph. Differs from the paper: partners are drawn from a pool.
    """

    def __init__(self, samples: Sequence[WeakSample], size: int, *, pool_size: int = 0, random: bool = False) -> None:
        if size < 1:
            raise ConfigError(f"group.size: need >= 1, got {size}")
        if pool_size and (random or pool_size < size - 1):
            why = "random groups have no pool" if random else f"a group of {size} needs {size - 1} partners"
            raise ConfigError(f"group.pool_size: {why}, got {pool_size}; leave it at 0")
        self.anchors = tuple(index for index, sample in enumerate(samples) if sample.tags.present)
        if not self.anchors:
            raise DataError("groups: no image has a tag, so that none can be grouped; tag images")
        if untagged := len(samples) - len(self.anchors):
            logger.warning("%d of %d images have no tag that is present, and are in no group", untagged, len(samples))
        self.size = min(size, len(self.anchors))
        if self.size < size:
            logger.warning("groups have %d images instead of %d, for no more have a tag", self.size, size)
        self.pool_size = pool_size or POOL_FACTOR * (size - 1)
        self.random = random
        self._ids = [sample.id for sample in samples]
        self._sets = _TagSets([(samples[index].id, samples[index].tags.present, index) for index in self.anchors])

    def members(self, anchor: int, rng: Random) -> tuple[int, ...]:
        """Return a group: the anchor, then its partners, those first that share most.

        Args:
            anchor: Index in the images.
            rng: Where randomness comes from.

        Raises:
            DataError: If the image has no tag.
        """
        if anchor not in self._sets.places:
            raise DataError(f"image {self._ids[anchor]!r}: has no tag, so that it is in no group; tag it")
        place = self._sets.places[anchor]
        number = bisect_right(self._sets.first, place) - 1
        return self._drawn(place, next(iter(self._pools([number]))), rng)

    def epoch(self, seed: int, epoch: int) -> Ints:
        """Return the group of each anchor: ``(anchors, size)`` int64, in the order of ``anchors``."""
        row = {anchor: index for index, anchor in enumerate(self.anchors)}
        groups = np.empty((len(row), self.size), np.int64)
        first = self._sets.first
        for start, end, pool in zip(first, first[1:], self._pools(range(len(first) - 1)), strict=False):
            for place in range(start, end):
                anchor = self._sets.images[place]
                rng = random_for(seed, self._ids[anchor], f"group/{epoch}")
                groups[row[anchor]] = self._drawn(place, pool, rng)
        return groups

    def partition(self, size: int = 0) -> tuple[tuple[int, ...], ...]:
        """Return groups that have each image with a tag in exactly one of them; nothing is random.

        All images of a group share a class, and most have the same tags.

        Args:
            size: The most images of a group; 0: as many as drawn groups have.
        """
        size = size or self.size
        found: list[tuple[int, ...]] = []
        for places in self._sets.by_class(size):
            parts = np.array_split(places, -(-len(places) // size))
            found.extend(tuple(self._sets.images[place] for place in part) for part in parts)
        return tuple(found)

    def _pools(self, numbers: Iterable[int]) -> Iterator["_Pool"]:
        """Yield where partners of images of each set of tags are drawn from."""
        if not self.random:
            yield from self._sets.pools(numbers, self.size - 1, self.pool_size)
            return
        everyone = range(len(self._sets.first) - 1)
        for _ in numbers:
            yield _Pool([], everyone, self._sets.first[1:], len(self.anchors) - 1, 0)

    def _drawn(self, place: int, pool: "_Pool", rng: Random) -> tuple[int, ...]:
        own, found = place - pool.base, [place]
        known = max(len(pool.ranked) - 1, 0)
        slots = sorted(rng.sample(range(pool.size), self.size - 1))
        found += [pool.ranked[slot + (slot >= own)] for slot in slots if slot < known]
        if rest := self.size - len(found):
            own = pool.ends[-1] if pool.ranked else own  # the anchor is among those that tie, or is not
            tied = sorted(rng.sample(range(pool.ends[-1] - (not pool.ranked)), rest))
            found += [self._sets.tied(pool, number + (number >= own)) for number in tied]
        return tuple(self._sets.images[place] for place in found)


@dataclass(frozen=True)
class _Pool:
    """What partners are drawn from: images that rank before others, the anchor among them, and some of those that tie.

    Attributes:
        ranked: Places of images that are in the pool, all of them; empty where those tie that rank first.
        sets: Sets of tags that tie for the rest of it.
        ends: Cumulated number of their images.
        size: Images in the pool, the anchor apart.
        base: Place of the first image that ranks first.
    """

    ranked: Sequence[int]
    sets: Sequence[int]
    ends: Sequence[int]
    size: int
    base: int


class _TagSets:
    """Images in the order of their tags, then of their ids; those of the same tags are a set.

    Attributes:
        images: Index of the image at each place.
        places: The opposite.
        first: Where each set begins, and the last one ends.
        counts: Images of each set.
        shown: ``(sets, classes)`` float32, ones and zeros.
    """

    def __init__(self, images: Iterable[tuple[str, frozenset[int], int]]) -> None:
        rows = sorted((tuple(sorted(present)), image_id, index) for image_id, present, index in images)
        self.images = [index for _, _, index in rows]
        self.places = {index: place for place, index in enumerate(self.images)}
        sets = list(dict.fromkeys(row[0] for row in rows))
        number = {present: index for index, present in enumerate(sets)}
        self.counts = np.bincount([number[row[0]] for row in rows])
        self.first: list[int] = [0, *np.cumsum(self.counts).tolist()]
        column = {class_id: index for index, class_id in enumerate(sorted({c for present in sets for c in present}))}
        self.shown = np.zeros((len(sets), len(column)), np.float32)
        for index, present in enumerate(sets):
            self.shown[index, [column[class_id] for class_id in present]] = 1

    def pools(self, numbers: Iterable[int], partners: int, pool_size: int) -> Iterator[_Pool]:
        """Yield the pool of each set of tags.

        Sets are ranked by ``overlap (M + 2) - classes``, M the most classes of a set: first by overlap, then by
        symmetric difference.
        """
        classes = self.shown.sum(1)
        most = int(classes.max())
        best = min(pool_size + 1, len(self.counts))  # sets that have enough images, even if one each
        wanted, at_once = list(numbers), max(1, BLOCK_ENTRIES // len(self.counts))
        for start in range(0, len(wanted), at_once):
            some = wanted[start : start + at_once]
            ranks = (most + 2) * (self.shown[some] @ self.shown.T) - classes + most
            enough = np.partition(ranks, -best, axis=1)[:, -best]
            for number, row, least in zip(some, ranks, enough, strict=True):
                near = np.flatnonzero(row >= least)
                yield self._pool(number, near, row[near].astype(np.int64), (partners, pool_size, most + 1))

    def _pool(self, number: int, near: Ints, levels: Ints, sizes: tuple[int, int, int]) -> _Pool:
        """Return the pool of a set, given the sets that may be in it and their levels.

        Args:
            number: Of the set.
            near: Sets, the best.
            levels: Of these.
            sizes: Partners, images of the pool, and the level from which on a class is shared.
        """
        partners, pool_size, sharing = sizes
        images = np.bincount(levels, weights=self.counts[near], minlength=sharing + 1).astype(np.int64)
        others = images[::-1].cumsum()[::-1] - 1  # at a level or above, the anchor apart
        size = min(pool_size, int(others[sharing])) if others[sharing] >= partners else partners
        last = np.flatnonzero(others >= size)[-1]
        above, sets = np.flatnonzero(levels > last), near[levels == last]
        above = near[above[np.argsort(-levels[above], kind="stable")]]
        places = [place for index in above for place in range(self.first[index], self.first[index + 1])]
        return _Pool(places, sets.tolist(), self.counts[sets].cumsum().tolist(), size, self.first[number])

    def tied(self, pool: _Pool, number: int) -> int:
        """Return the place of an image, given its number among those that tie."""
        which = bisect_right(pool.ends, number)
        return self.first[pool.sets[which] + 1] - pool.ends[which] + number

    def by_class(self, size: int) -> Iterator[Ints]:
        """Yield each place once, with others of one class, rare classes first.

        Images that would make no group of ``size`` go on to their next class, if they have one; those that have none
        keep some of the others, to fill their group.
        """
        shown = np.repeat(self.shown > 0, self.counts, axis=0)
        order = np.argsort(shown.sum(0), kind="stable")
        for step, column in enumerate(order):
            here = np.flatnonzero(shown[:, column])
            goes_on = shown[np.ix_(here, order[step + 1 :])].any(1)
            here = here[np.argsort(goes_on, kind="stable")]
            stay = int((~goes_on).sum())
            taken = here[: max(len(here) - len(here) % size, min(len(here), stay + -stay % size))]
            if len(taken):
                yield np.sort(taken)
            shown[taken] = False
