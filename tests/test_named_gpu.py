"""Branches for GPUs, run with true values where there is none: see ``named_gpu``."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import a2gnn_problems
import wsgcn_problems
from agreement import DOUBLE, NETWORK, assert_agree
from cases import each
from device_cases import CASES, CELLS, SIZE, grid, photograph, uniform
from device_networks import NETWORKS
from device_stages import STAGES, train_tiny, train_tiny_in_two
from named_gpu import Event, named_gpu
from sparse_graphs import noise
from tiny import CONFIG
from weakseg.data.annotations import Box
from weakseg.methods.a2gnn.batch import A2gnnBatch
from weakseg.methods.a2gnn.config import A2gnnConfig
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.methods.wsgcn.config import GcnConfig, PropagationConfig, PropagationKind
from weakseg.methods.wsgcn.gcn import train_gcn
from weakseg.ops.crf import build_crf
from weakseg.ops.tree_filter import minimum_spanning_tree, tree_filter
from weakseg.ops.walk import walk
from weakseg.settings.crf import CrfParams

LEFT_OUT = (  # of the networks here, for want of time; tests/gpu has them all
    "affinity_network",
    "backbone",
    "segmenter a",
    "segmenter d",
    "segmenter l",
    "segmenter s",
    "segmenter_",
    "a2gnn agnn",
    "a2gnn gcn",
    "a2gnn mlp",
    "tag_classifier",
    "wsgcn affinity_plain",
)


class TestRules:
    """The GPU in name refuses what a real one does; otherwise the tests below could not fail."""

    @each(
        "mixed",
        [
            lambda x, y: x + y,
            lambda x, y: torch.cat([x, y]),
            lambda x, y: y[x.long()],
            lambda x, y: torch.where(x > 0, x, y),
            lambda x, y: x.index_add(0, torch.arange(3), x),
            lambda x, y: torch.sparse_csr_tensor(torch.arange(4), torch.arange(3), x, (3, 3)),
            lambda x, y: torch.rand(3, generator=torch.Generator(), device=x.device),
            lambda x, y: torch.rand(3, generator=torch.Generator("cuda")),
            lambda x, y: torch.nn.Linear(3, 2)(x),
        ],
    )
    def test_two_devices_are_refused(self, mixed: Callable[[Any, Any], Any]) -> None:
        with named_gpu(), pytest.raises(RuntimeError, match="device"):
            mixed(torch.rand(3).cuda(), torch.rand(3))

    @each("taken", [lambda x: x.numpy(), lambda x: torch.tensor([1.0]).numpy() + x.detach().__array__()])
    def test_numpy_is_refused(self, taken: Callable[[Any], Any]) -> None:
        with named_gpu(), pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            taken(torch.rand(1).cuda())

    @each(
        ("waiting", "event"),
        [
            (lambda x: float(x.sum()), ("fetch", "item")),
            (lambda x: bool((x > 0).all()), ("fetch", "item")),
            (lambda x: x.tolist(), ("fetch", "tolist")),
            (lambda x: x.cpu(), ("fetch", "to")),
            (lambda x: x.nonzero(), ("size", "nonzero")),
            (lambda x: x[x > 0], ("size", "index by a mask")),
            (lambda x: x.long().bincount(), ("size", "bincount")),
            (lambda x: x.unique(), ("size", "_unique2")),
            (lambda x: x.repeat_interleave(x.long()), ("size", "repeat_interleave")),
            (lambda x: torch.tensor([1.0], device=x.device), ("upload", "tensor")),
            (lambda x: x[[0, 1]], ("upload", "index by a list")),
            (lambda x: torch.rand(3).to(x), ("upload", "to")),
        ],
    )
    def test_what_waits_is_noted(self, waiting: Callable[[Any], Any], event: tuple[str, str]) -> None:
        with named_gpu() as seen:
            x = torch.rand(3).cuda()
            seen.clear()
            waiting(x)
        assert event in [found[:2] for found in seen]

    def test_nothing_else_is_noted(self) -> None:
        with named_gpu() as seen:
            x = torch.rand(3, 4).cuda().requires_grad_()
            seen.clear()
            y = torch.zeros(3, 4, device="cuda")
            y[:, 1:] = 1.0
            (x * 2 + y).relu().softmax(1).index_select(0, torch.arange(3, device="cuda")).sum().backward()
        assert seen == [] and x.device.type == "cuda" and x.is_cuda and type(x.grad) is type(x)


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_operator_on_a_gpu_in_name(name: str) -> None:
    with named_gpu():
        found = CASES[name]("cuda")
    assert_agree(found, CASES[name]("cpu"), DOUBLE)


@pytest.mark.parametrize("name", sorted(name for name in NETWORKS if not name.startswith(LEFT_OUT)))
def test_a_network_on_a_gpu_in_name(name: str) -> None:
    with named_gpu():
        found = NETWORKS[name]("cuda")
    assert_agree(found, NETWORKS[name]("cpu"), NETWORK)


@each("seed", [None, 0, 1])
def test_points_of_boxes_are_the_same_ones_on_a_gpu(seed: int | None) -> None:
    # without a seed all scores are equal: of each line the first pixel is picked
    problems = [
        a2gnn_problems.problem(boxes=a2gnn_problems.BOXES),
        a2gnn_problems.problem(boxes=(Box(2, 3, 3, 4, 20),)),
    ]
    nodes = sum(len(problem.features) for problem in problems)
    logits = torch.zeros(nodes, 3) if seed is None else noise(nodes, 3, dtype=torch.float32, seed=seed)
    logits, config = logits.double(), a2gnn_problems.STEPS

    def picked(device: str) -> Any:
        windows = A2gnnBatch(problems, device).windows
        assert windows is not None
        return windows.pick(logits.to(device), config)

    with named_gpu():
        found = picked("cuda")
    assert_agree(found, picked("cpu"), 0.0)


def waits_a_step(work: Callable[[int], object], few: int, many: int) -> dict[Event, float]:
    """Return what lets the processor wait once more with each further step."""
    found = []
    for steps in (few, many):
        with named_gpu() as seen:
            work(steps)
        found.append(Counter(seen))
    more = found[1] - found[0]
    return {event: count / (many - few) for event, count in more.items()}


class TestInnerLoops:
    """No step of what is repeated waits for the device."""

    def test_mean_field_updates(self) -> None:
        def infer(steps: int) -> None:
            crf = build_crf(photograph(16, 21).cuda(), CrfParams(iterations=steps), dtype=torch.float64)
            unary = noise(3, 16, 21).cuda().requires_grad_()
            crf.infer(unary).square().sum().backward()

        assert waits_a_step(infer, 2, 4) == {}

    @each(("error", "few", "many"), [(0.0, 3, 6), (1e-3, 40, 160)])
    def test_walks(self, error: float, few: int, many: int) -> None:
        def walked(steps: int) -> None:
            values = noise(CELLS, 2).cuda().requires_grad_()
            walk(grid("cuda"), values, steps, error=error).square().sum().backward()

        assert waits_a_step(walked, few, many) == {}

    def test_levels_of_a_tree(self) -> None:
        def filtered(rows: int) -> None:
            tree = minimum_spanning_tree(noise(3, rows, SIZE[1]).cuda())
            values = noise(rows * SIZE[1], 2, 3).cuda().requires_grad_()
            tree_filter(values, uniform(rows * SIZE[1], 2).cuda(), tree).sum().backward()

        assert waits_a_step(filtered, 3, 9) == {}

    @each("kind", ["walk", "walk_maxsym", "affinity"])
    def test_completion_by_wsgcn(self, kind: PropagationKind) -> None:
        problems = [wsgcn_problems.problem((4, 5)), wsgcn_problems.problem((3, 4), 2, seed=1)]

        def train(steps: int) -> None:
            train_gcn(problems, GcnConfig(PropagationConfig(kind, walk_steps=16), steps=steps), device="cuda")

        assert waits_a_step(train, 1, 3) == {}

    @each(("boxes", "change"), [((), {}), (a2gnn_problems.BOXES, {"consistency": "centred"})])
    def test_completion_by_a2gnn(self, boxes: Any, change: dict[str, Any]) -> None:
        dropped = {"network": replace(a2gnn_problems.SMALL, dropout=0.5)}
        assert self.waits_of_a2gnn(boxes, {**change, **dropped}) == {}

    @each(
        ("change", "operations"),
        [
            ({"least_evidence": 0.3}, {"index by a mask"}),
            ({"contested": "dropped"}, {"unique_dim", "unique_consecutive", "_unique2", "index by a mask"}),
        ],
    )
    def test_how_many_points_of_boxes_count_has_to_be_known(self, change: dict[str, Any], operations: set[str]) -> None:
        waits = self.waits_of_a2gnn(a2gnn_problems.BOXES, change)
        assert waits and {event.operation for event in waits} <= operations and sum(waits.values()) <= 10

    @staticmethod
    def waits_of_a2gnn(boxes: Any, change: dict[str, Any]) -> dict[Event, float]:
        """Return what waits once more with each further step of both phases."""
        problems = [a2gnn_problems.problem(boxes=boxes), a2gnn_problems.problem((9, 50), seed=1)]
        config: A2gnnConfig = replace(a2gnn_problems.STEPS, **change)
        of_steps = [replace(config, first_steps=n, second_steps=n) for n in range(3)]
        return waits_a_step(lambda n: train_a2gnn(problems, of_steps[n], device="cuda"), 1, 2)

    def test_training_steps(self, tmp_path: Path) -> None:
        # the batch goes up; the loss of each step comes back, for whoever follows a training, and nothing else
        def train(steps: int) -> None:
            train_tiny(tmp_path / str(steps), "cuda", replace(CONFIG, epochs=1, clip_norm=1.0), count=2 * steps)

        waits = waits_a_step(train, 2, 4)
        assert {event[:2] for event in waits} <= {("upload", "to"), ("fetch", "item")}
        assert sum(count for event, count in waits.items() if event.kind == "fetch") <= 1
        assert sum(count for event, count in waits.items() if event.kind == "upload") == 2


class TestTraining:
    def test_weights(self, tmp_path: Path) -> None:
        with named_gpu():
            found = train_tiny(tmp_path / "a", "cuda")
        assert_agree(found, train_tiny(tmp_path / "b", "cpu"), DOUBLE)

    def test_an_interrupted_training_goes_on(self, tmp_path: Path) -> None:
        with named_gpu():
            found = train_tiny_in_two(tmp_path / "a", "cuda")
        assert_agree(found, train_tiny(tmp_path / "b", "cpu"), DOUBLE)


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_on_a_gpu_in_name(name: str) -> None:
    with named_gpu():
        found = STAGES[name]("cuda")
    assert_agree(found, STAGES[name]("cpu"), DOUBLE)
