import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from weakseg.graph.image_group import complete_edges
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import GroupClassifier
from weakseg.ops.resample import image_tensor
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.group import ImageGraphConfig, official, parameter_free
from weakseg.settings.group_classify import GroupHeadConfig
from weakseg.stages.group_view import view_group

EDGES = complete_edges(torch.zeros(3, dtype=torch.long))
GRAPHS = {
    "low_rank": GroupHeadConfig(channels=16),
    "full": GroupHeadConfig(channels=16, graph=ImageGraphConfig(affinity="full", reduction=4)),
    "cosine": GroupHeadConfig(graph=parameter_free()),
    "transposed": GroupHeadConfig(channels=16, graph=ImageGraphConfig(reverse="transposed", projection_bias=True)),
    "scores": GroupHeadConfig(channels=16, states="scores", graph=official()),
}


def classifier(config: GroupHeadConfig) -> GroupClassifier:
    torch.manual_seed(0)
    model = GroupClassifier(build_backbone(BackboneConfig("resnet10t", 16, "none")), 3, config)
    for name, parameter in model.named_parameters():
        if not name.startswith("backbone."):
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((64, 96), (96, 64), (80, 80))]


def compared(model: GroupClassifier, states: Tensor, *, as_receiver: bool) -> Tensor:
    """Return ``(h, w, width)``: what cells of one image, ``(1, C, h, w)``, ask or answer."""
    graph = model.graph
    if graph.config.affinity == "cosine":
        asked = F.normalize(states, dim=1) * (graph.config.sharpness if as_receiver else 1.0)
    else:
        asked = graph.query(states) if as_receiver else graph.key(states)
    return asked[0].permute(1, 2, 0)


@pytest.mark.parametrize("name", GRAPHS)
@torch.inference_mode()
def test_attention_is_what_the_first_messages_are_made_by(name: str, images: list[NDArray[np.uint8]]) -> None:
    model = classifier(GRAPHS[name])
    view = view_group(model, images, EDGES, 2)
    assert sorted(view.attention) == [1, 2]
    states = [model.states(image_tensor(image)[None]) for image in images]
    if model.readout is None:
        states = [model.head(one) for one in states]
    asked = compared(model, states[0], as_receiver=True)[view.cell]
    for sender, found in view.attention.items():
        scores = compared(model, states[sender], as_receiver=False) @ asked
        expected = scores.flatten().softmax(0).reshape(scores.shape)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)
        torch.testing.assert_close(found.sum(), torch.tensor(1.0))
        assert found.amax() > 1.05 * found.mean()


@torch.inference_mode()
def test_maps_of_both_heads_and_the_cell(images: list[NDArray[np.uint8]]) -> None:
    model = classifier(GRAPHS["low_rank"])
    pixels = [image_tensor(image) for image in images]
    before, after = (model.group_evidence(pixels, EDGES, output) for output in ("intermediate", "graph"))
    average = view_group(model, images, EDGES, 2)
    for index in range(3):
        torch.testing.assert_close(average.intermediate[index], before[index][1])
        torch.testing.assert_close(average.graph[index], after[index][1])
    for output, evidence in (("intermediate", before), ("graph", after)):
        view = view_group(model, images, EDGES, 2, output=output)
        assert evidence[0][1].amax() > 0 and evidence[0][1][view.cell] == evidence[0][1].amax()
    model.head.weight.neg_()  # where nothing speaks for a class, the cell that speaks least against it
    assert model.readout is not None
    model.readout.weight.zero_()
    scores = model.class_maps(*(model.group_states(pixels)[:1]), EDGES, model.group_states(pixels)[1]).intermediate
    assert view_group(model, images, EDGES, 2, output="intermediate").cell == divmod(
        int(scores[0, 1, :4, :6].argmax()), 6
    )


def test_no_attention_where_there_is_none(images: list[NDArray[np.uint8]]) -> None:
    means = GroupHeadConfig(channels=16, graph=ImageGraphConfig(messages="mean"))
    silent = GroupHeadConfig(channels=16, graph=ImageGraphConfig(messages="none"))
    for config in (means, silent):
        assert view_group(classifier(config), images, EDGES, 1).attention == {}
    model, apart = classifier(GRAPHS["low_rank"]), torch.zeros(2, 0, dtype=torch.long)
    assert view_group(model, images[:1], apart, 1).attention == {}
    one_way = torch.tensor([[2, 0], [0, 1]])
    assert list(view_group(model, images, one_way, 1).attention) == [2]
