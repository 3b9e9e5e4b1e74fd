from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cases import each
from weakseg.graph.knn import knn_graph
from weakseg.nn.losses import floored
from weakseg.ops.crf import dense_crf
from weakseg.ops.growing import Thresholds, accepted, cut_claims, node_features, region_labels
from weakseg.ops.sparse import SparseMatrix
from weakseg.settings.crf import CrfParams
from weakseg.settings.grow import BoundaryConfig, GrowthConfig, GrowthKind
from weakseg.stages.grow import GROWTHS, Grower, Grown, GrowthCounts, Outputs, present_seeds

NAN = float("nan")
SIZE = (6, 8)
FREE = BoundaryConfig(weight=0.0)


def batch(count: int = 3) -> tuple[Tensor, Tensor, Tensor, Outputs]:
    """Return images, seeds, tags (both classes of two are present) and outputs for them; something grows in each."""
    generator = torch.Generator().manual_seed(0)
    images = 255 * torch.rand(count, 3, 48, 64, generator=generator)
    where = torch.zeros(SIZE, dtype=torch.int64)
    where[:, 5:], where[4:, :3] = 1, 2
    seeds = torch.full(SIZE, 255)
    seeds[1, 1], seeds[2, 6], seeds[5, 1] = 0, 1, 2
    labels = seeds.repeat_interleave(8, 0).repeat_interleave(8, 1).expand(count, 48, 64).clone()
    logits = 4 * F.one_hot(where, 3).permute(2, 0, 1) + torch.randn(count, 3, *SIZE, generator=generator)
    levels = [torch.randn(count, 4, *SIZE, generator=generator) + 3 * where for _ in range(2)]
    return images, labels, torch.ones(count, 2), Outputs(floored(logits.softmax(1)), levels)


def same(one: list[Grown], other: list[Grown]) -> bool:
    pairs = [(a.labels, b.labels) for a, b in zip(one, other, strict=True)]
    pairs += [(a.refined, b.refined) for a, b in zip(one, other, strict=True) if a.refined is not None]
    return all(a.equal(b) for a, b in pairs) and [a.counts for a in one] == [b.counts for b in other]


class TestGrowths:
    def test_there_is_one_for_each_kind(self) -> None:
        assert tuple(GROWTHS) == get_args(GrowthKind)

    def test_a_cut_of_each_image_is_made_of_the_parts(self) -> None:
        config = GrowthConfig(neighbors=4, link_weight=0.3, threshold=0.6)
        images, labels, tags, found = batch()
        for index, grown in enumerate(Grower(config, FREE).batch(images, labels, tags, found)):
            graph = knn_graph(node_features(found.levels, SIZE)[index], 4)
            graph = SparseMatrix(graph.pattern, graph.values * 0.3)
            probs, seeds = found.probs[index].flatten(1), grown.seeds.flatten()
            expected = accepted(cut_claims(graph, probs, seeds, (1, 2)), probs, seeds, Thresholds(0.6, 1.0))
            assert grown.labels.flatten().equal(expected) and not expected.equal(seeds)
            assert grown.refined is None

    def test_regions_grow_on_what_the_crf_refines(self) -> None:
        boundary = BoundaryConfig(crf=CrfParams(3, 1.0, 1.0, 4.0, 40.0, 2.0))
        images, labels, tags, found = batch()
        for unary in ("logprob", "prob"):
            grown = Grower(GrowthConfig("regions"), replace(boundary, unary=unary)).batch(images, labels, tags, found)
            for index, one in enumerate(grown):
                small = F.interpolate(images[index : index + 1], SIZE, mode="bilinear")[0].round().byte()
                energy = -found.probs[index] if unary == "prob" else -found.probs[index].log()
                refined = floored(dense_crf(energy, small.permute(1, 2, 0).contiguous(), boundary.crf)[None])[0]
                assert one.refined is not None and one.refined.equal(refined)
                assert one.labels.equal(region_labels(refined, one.seeds, (1, 2), Thresholds(0.85, 0.99)))

    def test_cuts_may_be_made_with_what_the_crf_refines(self) -> None:
        images, labels, tags, found = batch()
        by_crf = Grower(GrowthConfig(confidence="crf", neighbors=4), FREE).batch(images, labels, tags, found)
        refined = torch.stack([one.refined for one in by_crf if one.refined is not None])
        plain = Grower(GrowthConfig(neighbors=4), FREE).batch(images, labels, tags, Outputs(refined, found.levels))
        assert all(a.labels.equal(b.labels) for a, b in zip(by_crf, plain, strict=True))

    def test_without_growth_the_seeds_are_the_labels(self) -> None:
        for one in Grower(GrowthConfig("none"), FREE).batch(*batch()):
            assert one.labels.equal(one.seeds) and one.counts.labelled == one.counts.seeded == 3

    @each("kind", ["cut", "propagation"])
    def test_the_background_grows_where_its_threshold_lets_it(self, kind: GrowthKind) -> None:
        for limit, grows in ((1.0, False), (0.5, True)):
            config = GrowthConfig(kind, background_threshold=limit, neighbors=4)
            for one in Grower(config, FREE).batch(*batch()):
                assert bool((one.labels == 0).sum() > 1) == grows
                assert bool(((one.labels > 0) & (one.labels < 255)).sum() > 2)

    def test_the_printed_table_can_be_audited(self) -> None:
        printed = GrowthConfig(tlinks="as_printed", neighbors=4)
        found = batch()
        assert not same(Grower(printed, FREE).batch(*found), Grower(GrowthConfig(neighbors=4), FREE).batch(*found))

    @each("kind", get_args(GrowthKind))
    def test_any_number_of_threads_gives_the_same(self, kind: GrowthKind) -> None:
        config, found = GrowthConfig(kind), batch(5)
        one, three = (Grower(config, BoundaryConfig(), threads=threads).batch(*found) for threads in (1, 3))
        assert same(one, three)
        assert torch.get_num_threads() >= 1

    @each("kind", ["cut", "propagation", "regions"])
    def test_each_image_is_its_own(self, kind: GrowthKind) -> None:
        images, labels, tags, found = batch()
        grower = Grower(GrowthConfig(kind), BoundaryConfig())
        alone = [
            grower.batch(
                images[i : i + 1],
                labels[i : i + 1],
                tags[i : i + 1],
                Outputs(found.probs[i : i + 1], [level[i : i + 1] for level in found.levels]),
            )[0]
            for i in range(3)
        ]
        assert same(grower.batch(images, labels, tags, found), alone)


class TestBadImages:
    """Card, section 8."""

    @staticmethod
    def grown(kind: GrowthKind, labels: Tensor, tags: Tensor, found: Outputs | None = None) -> Grown:
        images, _, _, usual = batch(1)
        return Grower(GrowthConfig(kind), FREE).batch(images, labels[None], tags[None], found or usual)[0]

    def test_no_seed_at_all(self) -> None:
        for kind in get_args(GrowthKind):
            one = self.grown(kind, torch.full((48, 64), 255), torch.ones(2))
            assert (one.labels == 255).all()
            assert (one.counts.present, one.counts.without_seed, one.counts.without_background) == (2, 2, 1)

    def test_a_class_without_seed_does_not_grow(self) -> None:
        labels = batch(1)[1][0]
        labels[labels == 2] = 255
        for kind in get_args(GrowthKind):
            one = self.grown(kind, labels, torch.ones(2))
            assert not (one.labels == 2).any() and one.counts.without_seed == 1

    def test_background_alone(self) -> None:
        labels = torch.zeros(48, 64, dtype=torch.int64)
        labels[:20] = 255
        for kind in ("cut", "propagation", "none"):
            one = self.grown(kind, labels, torch.zeros(2))
            assert one.labels.equal(one.seeds) and one.counts.present == 0

    def test_every_pixel_seeded(self) -> None:
        labels = torch.randint(0, 3, (48, 64), generator=torch.Generator().manual_seed(3))
        for kind in get_args(GrowthKind):
            one = self.grown(kind, labels, torch.ones(2))
            assert one.labels.equal(one.seeds) and one.counts.labelled == 48

    def test_seeds_of_absent_classes_are_dropped_and_counted(self) -> None:
        labels = batch(1)[1][0]
        for kind in get_args(GrowthKind):
            one = self.grown(kind, labels, torch.tensor([1.0, 0.0]))
            assert not (one.labels == 2).any()
            assert (one.counts.absent, one.counts.present, one.counts.without_seed) == (64, 1, 0)

    def test_a_class_that_may_be_there_is_where_it_has_a_seed(self) -> None:
        labels = torch.tensor([[0, 1, 255]])
        for tags, present in (([NAN, NAN], (1,)), ([0, 1], (2,)), ([1, NAN], (1,)), ([0, 0], ())):
            found, kept = present_seeds(labels, torch.tensor(tags))
            assert found == present and bool((kept == 1).any()) == (1 in present)

    def test_one_colour(self) -> None:
        _, labels, _, found = batch(1)
        flat = Outputs(torch.full_like(found.probs, 1 / 3), [torch.ones_like(level) for level in found.levels])
        for kind in get_args(GrowthKind):
            one, again = (self.grown(kind, labels[0], torch.ones(2), flat) for _ in range(2))
            assert one.labels.equal(again.labels) and one.labels.equal(one.seeds)

    @pytest.mark.filterwarnings("ignore:k = 9 for 2 nodes")
    def test_fewer_cells_than_neighbours(self) -> None:
        labels = torch.full((48, 64), 255)
        labels[:, :16], labels[:, 48:] = 0, 1
        few = Outputs(torch.tensor([0.5, 0.45, 0.05])[None, :, None, None].expand(1, 3, 1, 2), [torch.rand(1, 3, 1, 2)])
        for kind in get_args(GrowthKind):
            assert self.grown(kind, labels, torch.ones(2), few).labels.tolist() == [[0, 1]]

    def test_many_cells(self) -> None:
        generator = torch.Generator().manual_seed(0)
        where = (torch.arange(65) > 30).long().expand(65, 65)
        logits = 3 * F.one_hot(where, 3).permute(2, 0, 1) + torch.randn(3, 65, 65, generator=generator)
        found = Outputs(floored(logits.softmax(0)[None]), [where + torch.rand(1, 4, 65, 65, generator=generator)])
        labels = torch.full((130, 130), 255)
        labels[:10, :10], labels[-10:, -10:] = 0, 1
        one = self.grown("cut", labels, torch.tensor([1.0, 0.0]), found)
        assert one.counts.labelled > 1000 and bool((one.labels[:, :31] != 1).all())

    def test_saturated_outputs(self) -> None:
        _, labels, _, found = batch(1)
        sure = floored(F.one_hot(found.probs.argmax(1), 3).permute(0, 3, 1, 2).float())
        one = self.grown("cut", labels[0], torch.ones(2), Outputs(sure, found.levels))
        assert one.counts.labelled > 3


def test_counts_add_up() -> None:
    one = GrowthCounts(1, 2, 3, 4, 5, 6, 7, 8)
    assert one + one == GrowthCounts(2, 4, 6, 8, 10, 12, 14, 16)


def test_a_seed_lost_among_others_is_counted() -> None:
    labels = torch.zeros(48, 64, dtype=torch.int64)
    labels[0, 0], labels[1, :2] = 1, 2  # both in one cell
    counts = TestBadImages.grown("none", labels, torch.ones(2)).counts
    assert (counts.lost, counts.without_seed) == (1, 1)
