"""Operators, graphs and networks answer on a GPU what they answer on the processor."""

from dataclasses import replace

import pytest
import torch

import a2gnn_problems
from agreement import DOUBLE, NETWORK, SINGLE, assert_agree, assert_case_agrees
from device_cases import CASES, flattened, photograph, probabilities
from device_networks import NETWORKS, gcn_problems
from sparse_graphs import GRAPHS, noise
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.methods.wsgcn.config import GcnConfig
from weakseg.methods.wsgcn.gcn import train_gcn
from weakseg.nn.segmenters.instance import build_instance_segmenter
from weakseg.ops.crf import dense_crf, unary_from_scores
from weakseg.ops.sparse import SparseMatrix
from weakseg.settings.crf import CrfParams
from weakseg.settings.instance_segment import InstanceModelConfig

LOOSE = {  # what a search that stops by a number finds, and what a basis of nearly dependent vectors gives
    "objects_of_centres": NETWORK,
    "walks_of_low_rank": NETWORK,
    "walks_that_return": NETWORK,
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_operator(name: str) -> None:
    assert_case_agrees(CASES[name], "cuda", LOOSE.get(name, DOUBLE))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network(name: str) -> None:
    in_single = name in ("recam_classifier", "backbone convnext_atto")
    assert_case_agrees(NETWORKS[name], "cuda", SINGLE * 10 if in_single else NETWORK)


@pytest.mark.parametrize("build", GRAPHS)
def test_a_product_with_a_graph_of_any_form(build: type[SparseMatrix]) -> None:
    matrix = build()
    x = noise(matrix.shape[1], 3)
    assert_agree(matrix.to("cuda") @ x.cuda(), matrix @ x, DOUBLE)


def test_the_crf_in_single_precision() -> None:
    # ten updates amplify the rounding of the lattice's weights: labels are compared, few pixels are on the edge
    image, scores = photograph(60, 80), probabilities("cpu").float()[:, :1, :1].expand(3, 60, 80)
    unary = unary_from_scores((scores + 0.1 * noise(3, 60, 80, dtype=torch.float32)).clamp(0.01, 1))
    found, expected = (dense_crf(unary.to(d), image.to(d), CrfParams()) for d in ("cuda", "cpu"))
    assert found.is_cuda
    assert float((found.argmax(0).cpu() == expected.argmax(0)).float().mean()) >= 0.995
    assert_agree(found.sum(0), torch.ones(60, 80), 1e-5)


def test_dropout_is_drawn_image_by_image_on_the_device() -> None:
    # a GPU's generator gives other numbers than the processor's, and the same whatever an image's company is
    config, both = GcnConfig(steps=5), gcn_problems()
    together = train_gcn(both, config, device="cuda")
    alone = [train_gcn([one], config, device="cuda")[0] for one in both]
    assert_agree([one.probs for one in together], [one.probs for one in alone], NETWORK)
    dropped = replace(a2gnn_problems.STEPS, network=replace(a2gnn_problems.SMALL, dropout=0.5))
    problems = [a2gnn_problems.problem(boxes=a2gnn_problems.BOXES), a2gnn_problems.problem((9, 50), seed=1)]
    scores = [one.scores.values for one in train_a2gnn(problems, dropped, device="cuda")]
    assert_agree(scores, [train_a2gnn([one], dropped, device="cuda")[0].scores.values for one in problems], NETWORK)


def test_objects_are_found() -> None:
    # proposals are drawn at random in training, so that losses differ; what is found does not
    torch.manual_seed(0)
    model = build_instance_segmenter(InstanceModelConfig(width=16, hidden=32, mask_layers=1, proposals=32), 2).eval()
    model, image = model.double(), 255 * torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        expected = model.find(image, score=0.0, most=5)
        found = model.to("cuda").find(image.cuda(), score=0.0, most=5)
    assert all(part.is_cuda for part in (found.boxes, found.scores, found.masks))
    assert_agree([found.scores, found.boxes], [expected.scores, expected.boxes], NETWORK)


def test_results_are_on_the_device() -> None:
    assert next(iter(flattened(torch.ones(1, device="cuda")))).device == torch.device("cpu")
    assert photograph(2, 2).cuda().is_cuda
