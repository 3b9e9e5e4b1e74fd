import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import dense_reference as dense
from a2gnn_problems import BOXES, DOUBLE, KINDS, SMALL, STEPS, graph_of, problem, sample_of, uniform
from cases import assert_exact
from weakseg.artifacts import LabelMap, Scores
from weakseg.data.annotations import Box
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, ShapeError
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.graph.pixel_graph import build_pixel_graph
from weakseg.methods.a2gnn.batch import A2gnnBatch
from weakseg.methods.a2gnn.config import GRAPHNET, PRESETS, RADIUS_CELLS, A2gnnConfig, KernelConfig, fast
from weakseg.methods.a2gnn.problem import A2gnnProblem, build_cell_problem, crf_kernel, image_cells, pixel_seeds
from weakseg.methods.a2gnn.train import A2gnnSolution, a2gnn_memory, compute_terms, total, train_a2gnn
from weakseg.nn.graphs import per_image
from weakseg.nn.graphs.graph_layers import build_network, initial_weights
from weakseg.nn.graphs.per_image import kept_units
from weakseg.ops.readout import GridReadout
from weakseg.ops.stencil import half_square
from weakseg.ops.tiles import grid_places
from weakseg.rng import generator_for
from weakseg.settings.graph_network import NetworkConfig, NetworkKind
from weakseg.stages.decode import enlarge_scores


def seed_map(one: A2gnnProblem) -> NDArray[np.int64]:
    """Return label indices of the padded image."""
    assert isinstance(one.readout, GridReadout) and one.seeds.pixels is not None
    found = np.full([8 * cells for cells in one.readout.size], 255)
    found[tuple(one.seeds.pixels.T.numpy())] = one.seeds.labels.numpy()
    return found


def reference(
    one: A2gnnProblem, config: A2gnnConfig, kept: Sequence[Tensor | None] | None = None
) -> tuple[Tensor, dict[str, float]]:
    """Return the nodes' probabilities and the losses after training one image densely, step by step."""
    assert isinstance(one.readout, GridReadout)
    network, size = config.network, one.readout.size
    drawn = [generator_for(0, one.image_id, "a2gnn/init")]
    first = initial_weights(build_network(network), one.features.shape[1], [len(one.label_ids)], drawn)
    weights = [w[0].double().requires_grad_() for w in first]
    affinity, mask = one.affinity.to_dense(), dense.square_mask(size, 1)
    kernel = torch.zeros_like(affinity) if one.kernel is None else one.kernel.to_dense()
    pixels, moments = dense.pixel_matrix(size, 8), dense.adam_moments(weights)

    def terms(check: str, units: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        hidden, logits = dense.a2gnn_outputs(
            network.kind, weights, one.features, affinity, mask, beta=network.beta, heads=network.heads, kept=units
        )
        found = dense.a2gnn_terms(
            hidden, logits, pixels, seed_map(one), one.usable_boxes, kernel, score=config.point_score, check=check
        )
        return logits, found

    for step in range(config.first_steps + config.second_steps):
        second = step >= config.first_steps
        _, found = terms(config.consistency if second else "none", kept[step] if kept else None)
        loss = found["seeds"] + config.points_weight * (found["points"] + found["pull"])
        loss = loss + config.crf_weight * found["crf"] * second
        dense.adam_step(weights, loss, moments, step + 1, lr=config.lr, decay=config.weight_decay)
    with torch.no_grad():
        logits, found = terms(config.consistency)
    return logits.softmax(1), {name: float(value) for name, value in found.items()}


def probs_of(found: A2gnnSolution) -> Tensor:
    return found.scores.values.flatten(1).T


def assert_same(found: A2gnnSolution, expected: A2gnnSolution, tolerance: float = 1e-7) -> None:
    torch.testing.assert_close(found.scores.values, expected.scores.values, rtol=0, atol=tolerance)
    assert found.losses == pytest.approx(expected.losses, abs=tolerance)
    assert (found.scores.label_ids, found.warnings) == (expected.scores.label_ids, expected.warnings)


class TestOneImage:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("boxes", [(), BOXES])
    def test_equals_the_dense_version(self, kind: NetworkKind, boxes: Sequence[Box]) -> None:
        # twenty steps in two phases: values, gradients and optimiser
        config = replace(
            STEPS, network=replace(SMALL, kind=kind), consistency="centred", background_outside_boxes=False
        )
        one = problem(boxes=boxes)
        (found,) = train_a2gnn([one], config)
        probs, losses = reference(one, config)
        torch.testing.assert_close(probs_of(found), probs, rtol=0, atol=1e-6)
        assert found.losses == pytest.approx(losses, abs=1e-6)
        assert (losses["points"] > 0) == bool(boxes)

    @pytest.mark.parametrize(
        "change",
        [
            {"point_score": "logit"}, {"consistency": "published"}, {"points_weight": 0.3}, {"weight_decay": 0.1},
            {"crf_weight": 0.5}, {"second_steps": 0}, {"first_steps": 0}, {"lr": 0.003},
        ],
    )  # fmt: skip
    def test_other_settings_equal_the_dense_version(self, change: dict[str, Any]) -> None:
        config = replace(STEPS, background_outside_boxes=False, **change)
        one = problem(boxes=BOXES, config=config, seed=3)
        probs, losses = reference(one, config)
        (found,) = train_a2gnn([one], config)
        torch.testing.assert_close(probs_of(found), probs, rtol=0, atol=1e-6)
        assert found.losses == pytest.approx(losses, abs=1e-6)

    def test_dropout_equals_the_dense_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one, masks = problem(), []

        def noted(*args: Any) -> Tensor | None:
            masks.append(kept_units(*args))
            return masks[-1]

        monkeypatch.setattr(per_image, "kept_units", noted)
        config = replace(STEPS, network=replace(SMALL, dropout=0.5))
        (found,) = train_a2gnn([one], config)
        assert len(masks) == 20 and not masks[0].equal(masks[1])
        probs, losses = reference(one, config, [mask[0][one.places] for mask in masks])
        torch.testing.assert_close(probs_of(found), probs, rtol=0, atol=1e-6)
        assert found.losses == pytest.approx(losses, abs=1e-6)

    def test_the_gradient_is_that_of_the_dense_version(self) -> None:
        # closed forms of every term at once, in double precision
        config = replace(STEPS, consistency="centred", crf_weight=0.5)
        one = problem(boxes=BOXES, config=config)
        batch, network = A2gnnBatch([one]), build_network(config.network)
        drawn = initial_weights(network, 6, [3], [torch.Generator().manual_seed(0)])
        weights = [w.double().requires_grad_() for w in drawn]
        loss = total(compute_terms(batch, batch.run(network, weights, None), config, second_phase=True), config)
        size, inner = (3, 4), [w[0] for w in weights]
        outputs = dense.a2gnn_outputs(
            "a2gnn", inner, one.features, one.affinity.to_dense(), dense.square_mask(size, 1), beta=10
        )
        assert one.kernel is not None
        kernel, pixels = one.kernel.to_dense(), dense.pixel_matrix(size, 8)
        terms = dense.a2gnn_terms(*outputs, pixels, seed_map(one), one.usable_boxes, kernel, check="centred")
        expected = terms["seeds"] + terms["points"] + terms["pull"] + 0.5 * terms["crf"]
        assert_exact(loss, expected)
        assert_exact(*(torch.autograd.grad(value, weights) for value in (loss, expected)))

    def test_in_single_precision(self) -> None:
        one, config = problem(boxes=BOXES), replace(STEPS, first_steps=3, second_steps=2)
        (found,) = train_a2gnn([problem(boxes=BOXES, dtype=torch.float32)], config)
        (expected,) = train_a2gnn([one], config)
        assert found.scores.values.dtype == torch.float32
        torch.testing.assert_close(found.scores.values.double(), expected.scores.values, rtol=0, atol=1e-3)

    def test_the_check_starts_from_the_original_seeds(self) -> None:
        # a2gnn.md, section 4, 4: in the second phase alone, nothing is removed for good.
        one = problem(boxes=BOXES)
        first = replace(STEPS, second_steps=0)
        with_check, without = (train_a2gnn([one], replace(first, consistency=kind))[0] for kind in ("centred", "none"))
        assert with_check.scores.values.equal(without.scores.values)
        later = [train_a2gnn([one], replace(STEPS, consistency=kind))[0] for kind in ("centred", "none", "published")]
        assert not later[0].scores.values.equal(later[1].scores.values)
        assert later[1].scores.values.equal(later[2].scores.values)  # as published it never fires
        assert len(one.seeds.labels) == (seed_map(one) != 255).sum()


class TestManyImages:
    SETTINGS = (
        {"size": (20, 27), "boxes": BOXES}, {"size": (9, 50), "present": (2,)}, {"size": (8, 8), "present": (1, 2, 3)},
        {"size": (40, 11), "boxes": BOXES[:1]},
    )  # fmt: skip

    def problems(self) -> list[A2gnnProblem]:
        return [problem(**settings, seed=seed) for seed, settings in enumerate(self.SETTINGS)]  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", KINDS)
    def test_equal_each_alone(self, kind: NetworkKind) -> None:
        # a2gnn.md, section 6: parameters are disjoint and Adam is elementwise; dropout draws by image.
        network = replace(SMALL, kind=kind, dropout=0.5)
        config = replace(STEPS, network=network, consistency="centred", first_steps=4, second_steps=4)
        problems, tolerance = self.problems(), 1e-5 if kind == "gat" else 1e-7  # rounding alone moves its biases
        together = train_a2gnn(problems, config)
        for one, found in zip(problems, together, strict=True):
            assert found.scores.values.shape == (len(one.label_ids), *one.readout.size)  # type: ignore[attr-defined]
            assert_same(found, train_a2gnn([one], config)[0], tolerance)
        for found, expected in zip(train_a2gnn(problems[::-1], config)[::-1], together, strict=True):
            assert_same(found, expected, tolerance)

    def test_memory_decides_how_many_go_together(self) -> None:
        problems = self.problems()
        for found, expected in zip(
            train_a2gnn(problems, replace(STEPS, memory_mb=1)), train_a2gnn(problems, STEPS), strict=True
        ):
            assert_same(found, expected)

    def test_two_runs_are_equal_bit_for_bit(self) -> None:
        config = replace(STEPS, network=replace(SMALL, dropout=0.5))
        one, other = (train_a2gnn(self.problems(), config) for _ in range(2))
        for found, expected in zip(one, other, strict=True):
            assert found.scores.values.equal(expected.scores.values) and found.losses == expected.losses

    def test_random_numbers_go_by_image_and_seed(self) -> None:
        one, few = problem(), replace(STEPS, first_steps=1, second_steps=0)
        found, same, other = train_a2gnn([one, replace(one), replace(one, image_id="b")], few)
        assert_same(same, found)
        assert not other.scores.values.equal(found.scores.values)
        assert not train_a2gnn([one], few, seed=1)[0].scores.values.equal(found.scores.values)

    def test_none(self) -> None:
        assert train_a2gnn([], STEPS) == []

    def test_memory_grows_with_everything(self) -> None:
        one = a2gnn_memory(problem(), STEPS)
        assert a2gnn_memory(problem((40, 27)), STEPS) > one
        assert a2gnn_memory(problem(boxes=BOXES), STEPS) > one
        assert a2gnn_memory(problem(dtype=torch.float32), STEPS) == pytest.approx(one / 2)
        for kind in ("gcn", "gat"):
            config = replace(STEPS, network=replace(SMALL, kind=kind))  # type: ignore[arg-type]
            assert a2gnn_memory(problem(), config) > a2gnn_memory(
                problem(), replace(STEPS, network=replace(SMALL, kind="mlp"))
            )


class TestGeometry:
    def test_padding_changes_nothing(self) -> None:
        # a2gnn.md, oracle 19: 375 x 500, and the same padded to 376 x 504 by hand, agree where both are.
        grid, config = (47, 63), replace(STEPS, first_steps=2, second_steps=2, crf_weight=0.3)
        graph = graph_of(grid, dtype=torch.float32)
        colors = 0.1 * uniform(3, 375, 500, dtype=torch.float32)
        labels = np.full((375, 500), 255, np.uint8)
        labels[10:60, 20:90], labels[300:, 400:] = 0, 1
        found = []
        for padding in ((0, 0), (1, 4)):
            readout = GridReadout((375 + padding[0], 500 + padding[1]))
            seeds = LabelMap(np.pad(labels, ((0, padding[0]), (0, padding[1])), constant_values=255))
            padded = torch.nn.functional.pad(colors, (0, padding[1], 0, padding[0]))
            one = A2gnnProblem(
                "a",
                graph.features,
                graph.affinity,
                readout,
                (0, 1),
                pixel_seeds(seeds, (0, 1), readout),
                (Box(1, 290, 380, 375, 500),),
                crf_kernel(padded, readout, KernelConfig()),
                grid_places(grid),
            )
            (solution,) = train_a2gnn([one], config)
            scores = solution.scores
            assert scores.stride == 8 and scores.image_size == readout.image_size
            cells = (8, scores.image_size)
            found.append(enlarge_scores(scores.values, scores.image_size, "logits", cells=cells))
        torch.testing.assert_close(found[0], found[1][:, :375, :500], rtol=0, atol=1e-6)

    def test_grids_that_differ_are_refused(self) -> None:
        image, seeds = np.zeros((20, 27, 3), np.uint8), LabelMap(np.zeros((20, 27), np.uint8))
        with pytest.raises(ShapeError, match=r"graph is \(3, 5\) but image in cells is \(3, 4\)"):
            image_cells(image, graph_of((3, 5)), STEPS)
        cells = image_cells(image, graph_of((3, 4)), STEPS)
        with pytest.raises(ShapeError, match="seeds"):
            build_cell_problem(sample_of(), cells, LabelMap(seeds.labels[1:]), STEPS, num_classes=2)


def planted(
    boxes: Sequence[Box] = (), seeded: Sequence[tuple[int, int, int]] = ((20, 8, 0), (20, 56, 1))
) -> A2gnnProblem:
    """Return an image with two flat halves, 8 x 8 cells, one-hot features, and single seeds (row, column, label)."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255
    halves = torch.zeros(2, 8, 8)
    halves[0, :, :4] = halves[1, :, 4:] = 1
    offsets = half_square(4)
    graph = build_pixel_graph(halves, feature_affinity(10 * halves, offsets), offsets)
    labels = np.full((64, 64), 255, np.uint8)
    for row, column, label in seeded:
        labels[row, column] = label
    config = replace(A2gnnConfig(), crf_weight=0.3)
    cells = image_cells(image, graph, config)
    return build_cell_problem(sample_of(boxes, (1,)), cells, LabelMap(labels), config, num_classes=2)


class TestPlanted:
    @pytest.mark.parametrize("kind", KINDS)
    def test_two_seeds_are_enough(self, kind: NetworkKind) -> None:
        # a2gnn.md, oracle 20: perfect within 50 steps.
        network = NetworkConfig(kind, edge_bias=True)  # without, GAT cannot tell the halves' neighbours apart so soon
        config = replace(PRESETS["tags"], network=network, first_steps=25, second_steps=25)
        (found,) = train_a2gnn([planted()], config)
        assert found.scores.values.argmax(0).equal((torch.arange(8) > 3).long().expand(8, 8))
        assert found.warnings == ()

    def test_boxes_speak_for_a_class_without_seeds(self) -> None:
        one = planted((Box(1, 0, 32, 64, 64),), ((20, 8, 0),))
        (found,) = train_a2gnn([one], fast(A2gnnConfig()))
        assert found.scores.values.argmax(0).equal((torch.arange(8) > 3).long().expand(8, 8))
        assert any("boxes but no seed" in line for line in found.warnings)

    def test_background_outside_of_boxes(self) -> None:
        # a2gnn.md, section 4, 34: nodes that no pixel of the box looks at; those that one does are left alone.
        one = planted((Box(1, 16, 32, 40, 64),))
        kept, free = (
            train_a2gnn([one], replace(fast(A2gnnConfig()), background_outside_boxes=on))[0].scores.values
            for on in (True, False)
        )
        rows = torch.arange(8)
        near = ((rows >= 1) & (rows <= 5))[:, None] & (rows >= 3)
        assert float(kept[1][~near].max()) == 2**-24 and kept[1][near].equal(free[1][near])
        assert kept.sum(0).allclose(torch.ones(8, 8))
        assert float(free[1, 7, 7]) > 0.5

    def test_scores_survive_being_stored(self, tmp_path: Path) -> None:
        (found,) = train_a2gnn([planted()], fast(A2gnnConfig()))
        found.scores.save(tmp_path / "a.safetensors")
        again = Scores.load(tmp_path / "a.safetensors")
        assert again.stride == 8 and float(again.values.min()) > 0
        torch.testing.assert_close(again.values, found.scores.values, rtol=2e-3, atol=1e-7)


class TestWhatIsMissing:
    """a2gnn.md, section 8: finite results, and a line that says so."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"labels": (1, 2, 255)}, "no seed of the background"),
            ({"labels": (0, 255)}, r"classes \[1, 2\] have no seed and no box"),
            ({"labels": (0, 1, 255)}, r"classes \[2\] have no seed and no box"),
            ({"labels": (0, 1, 255), "boxes": BOXES}, r"classes \[2\] have boxes but no seed"),
            ({"labels": (255,), "boxes": BOXES}, "no seed of the background"),
            ({"boxes": (Box(1, 50, 50, 60, 60), Box(1, 5, 5, 5, 9))}, "2 of 2 boxes lie outside"),
            ({"boxes": (Box(1, 3, 3, 4, 20),)}, "1 boxes are narrower than a node"),
            ({"labels": (0, 1, 3, 255)}, r"seeds of \[3\] were ignored"),
        ],
    )
    def test_it_goes_on(self, kind: NetworkKind, settings: dict[str, Any], message: str) -> None:
        config = replace(STEPS, network=replace(SMALL, kind=kind, dropout=0.5), consistency="centred")
        (found,) = train_a2gnn([problem(**settings)], config)
        self.assert_fine(found)
        assert any(re.search(message, line) and line.startswith("0: ") for line in found.warnings)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [(1, 1), (8, 8), (3, 60), (17, 1)])
    def test_small_images(self, kind: NetworkKind, size: tuple[int, int]) -> None:
        config = replace(STEPS, network=replace(SMALL, kind=kind), consistency="published")
        self.assert_fine(train_a2gnn([problem(size, BOXES)], config)[0])

    def test_one_node_has_its_own_label(self) -> None:
        (found,) = train_a2gnn([problem((8, 8), labels=(2,))], replace(STEPS, first_steps=50))
        assert float(found.scores.values[2, 0, 0]) > 0.9

    def test_overlapping_boxes(self) -> None:
        boxes = (Box(1, 2, 2, 18, 20), Box(2, 2, 2, 18, 20))
        for contested in ("kept", "dropped"):
            config = replace(STEPS, contested=contested, least_evidence=0.5)  # type: ignore[arg-type]
            self.assert_fine(train_a2gnn([problem(boxes=boxes)], config)[0])

    @pytest.mark.parametrize("kind", KINDS)
    def test_features_that_are_zero(self, kind: NetworkKind) -> None:
        one = problem(boxes=BOXES)
        for features in (torch.zeros_like(one.features), one.features * (torch.arange(12) > 5)[:, None]):
            config = replace(STEPS, network=replace(SMALL, kind=kind))
            self.assert_fine(train_a2gnn([replace(one, features=features)], config)[0])

    def test_nothing_to_learn_from(self) -> None:
        one = problem(labels=(255,))
        scores = Scores(torch.full((3, 3, 4), 1 / 3), (0, 1, 2), (20, 27), 8)
        background, fallback, trained = train_a2gnn([one, replace(one, fallback=scores), problem(seed=1)], STEPS)
        assert not background.scores.values.argmax(0).any() and fallback.scores is scores
        assert set(background.losses.values()) == {0.0}
        assert background.warnings[0] == "0: no seeds and no boxes: nothing was trained"
        assert trained.warnings == ()

    def test_one_label(self) -> None:
        (found,) = train_a2gnn(
            [problem(present=(), labels=(0, 255), config=replace(STEPS, restrict_to_tags=False))], STEPS
        )
        assert found.scores.label_ids == (0, 1, 2, 3)
        self.assert_fine(found)

    @staticmethod
    def assert_fine(found: A2gnnSolution) -> None:
        assert bool(torch.isfinite(found.scores.values).all())
        torch.testing.assert_close(
            found.scores.values.sum(0), torch.ones(found.scores.values.shape[1:], dtype=DOUBLE), rtol=0, atol=1e-5
        )
        assert all(math.isfinite(value) for value in found.losses.values())


class TestProblems:
    @pytest.mark.parametrize(
        ("tags", "restrict", "expected"),
        [
            (Tags(frozenset({2})), True, (0, 2)),
            (Tags(frozenset({2}), frozenset({3})), True, (0, 2, 3)),
            (Tags(frozenset()), True, (0, 1, 2, 3)),
            (Tags(frozenset({2})), False, (0, 1, 2, 3)),
        ],
    )
    def test_labels_that_the_network_knows(self, tags: Tags, restrict: bool, expected: tuple[int, ...]) -> None:
        # a2gnn.md, section 4, 34
        image, seeds = np.zeros((8, 8, 3), np.uint8), LabelMap(np.array([[0, 2] + [255] * 6] * 8, np.uint8))
        config = replace(STEPS, restrict_to_tags=restrict)
        cells = image_cells(image, graph_of((1, 1)), config)
        one = build_cell_problem(WeakSample("a", Path("a.png"), tags), cells, seeds, config, num_classes=3)
        assert one.label_ids == expected
        assert one.seeds.labels.tolist() == [0, expected.index(2)] * 8

    def test_a_kernel_only_where_it_counts(self) -> None:
        assert problem(config=replace(STEPS, crf_weight=0)).kernel is None
        (found,) = train_a2gnn([problem(config=replace(STEPS, crf_weight=0))], STEPS)
        assert found.losses["crf"] == 0

    @pytest.mark.parametrize(
        "change",
        [{"features": torch.zeros(11, 6)}, {"label_ids": (1, 2)}, {"label_ids": (0, 2, 1)}, {"label_ids": (0, 1)},
         {"readout": GridReadout((9, 9))}],
    )  # fmt: skip
    def test_parts_that_do_not_fit_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ShapeError, match="0: "):
            replace(problem(), **change)

    def test_negative_edges_are_refused(self) -> None:
        # graph-baselines.md, section 8
        one = problem()
        negative = replace(one.affinity, values=-one.affinity.values)
        with pytest.raises(ShapeError, match="affinity"):
            replace(one, affinity=negative)


class TestConfig:
    def test_published_values(self) -> None:
        # a2gnn.md, 2.13
        boxes = PRESETS["boxes"]
        assert (boxes.first_steps, boxes.second_steps, boxes.lr, boxes.crf_weight) == (150, 150, 0.035, 0.01)
        for kind in ("scribbles", "points", "tags"):
            other = PRESETS[kind]
            assert (other.first_steps, other.second_steps, other.lr, other.crf_weight) == (50, 50, 0.03, 0.3)
        assert all(preset.weight_decay == 5e-4 for preset in PRESETS.values())
        assert RADIUS_CELLS == {"boxes": 4, "scribbles": 4, "points": 3, "tags": 3}
        network = boxes.network
        assert (network.kind, network.hidden, network.dropout, network.propagations, network.beta) == (
            "a2gnn",
            256,
            0.5,
            3,
            10,
        )
        assert fast(boxes) == replace(boxes, first_steps=50, second_steps=50)
        assert (GRAPHNET.network.kind, GRAPHNET.network.adjacency, GRAPHNET.lr) == ("gcn", "binary", 0.01)

    @pytest.mark.parametrize(
        "change",
        [{"first_steps": -1}, {"lr": 0.0}, {"memory_mb": 0}, {"crf_weight": -1.0}, {"weight_decay": float("nan")},
         {"least_evidence": 1.1}, {"point_score": "score"}, {"consistency": "centered"}, {"contested": "both"}],
    )  # fmt: skip
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=r"completion\.\w+: "):
            A2gnnConfig(**change)

    @pytest.mark.parametrize("change", [{"radius_cells": 0}, {"sigma_rgb": 0.0}, {"sampling": "nearest"}])
    def test_impossible_kernels_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="kernel"):
            KernelConfig(**change)
