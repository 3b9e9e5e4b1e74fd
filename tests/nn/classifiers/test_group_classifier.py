import pytest
import torch
from torch import Tensor

from weakseg.graph.image_group import complete_edges
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers.group import ClassMaps, GroupClassifier
from weakseg.nn.losses import tag_loss
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.group import ImageGraphConfig, official
from weakseg.settings.group_classify import GroupHeadConfig, GroupOutput

LIGHT = GroupHeadConfig(channels=16, graph=ImageGraphConfig(gru_kernel=1))
NONE = torch.zeros(2, 0, dtype=torch.long)
SIZES = ((64, 96), (96, 64), (64, 64))


def classifier(config: GroupHeadConfig = LIGHT, convolutions: int = 0) -> GroupClassifier:
    torch.manual_seed(0)
    model = GroupClassifier(
        build_backbone(BackboneConfig("resnet10t", 16, "none")), 3, config, convolutions=convolutions
    )
    for parameter in model.graph.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def images(*sizes: tuple[int, int]) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(3, *size) * 255 for size in sizes]


class TestEvidence:
    def test_the_average_comes_before_its_positive_part(self) -> None:
        maps = ClassMaps(torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[-4.0, 3.0]]]]))
        assert maps.evidence().tolist() == [[[[0.0, 1.0]]]]
        assert maps.evidence("graph").tolist() == [[[[0.0, 3.0]]]]
        assert maps.evidence("intermediate").tolist() == [[[[2.0, 0.0]]]]

    @pytest.mark.parametrize(("config", "convolutions"), [(LIGHT, 0), (GroupHeadConfig(channels=16), 1)])
    @torch.inference_mode()
    def test_without_edges_each_image_is_alone(self, config: GroupHeadConfig, convolutions: int) -> None:
        model, pictures = classifier(config, convolutions), images(*SIZES)
        found = model.group_evidence(pictures, NONE, "average")
        for image, one in zip(pictures, found, strict=True):
            torch.testing.assert_close(model.evidence(image[None], (1, 2, 3))[0], one, rtol=1e-4, atol=1e-5)

    @torch.inference_mode()
    def test_the_order_of_a_group_does_not_count(self) -> None:
        model, pictures = classifier(), images(*SIZES)
        edges = complete_edges(torch.zeros(3, dtype=torch.long))
        outputs: tuple[GroupOutput, ...] = ("average", "graph")
        for output in outputs:
            found = model.group_evidence(pictures, edges, output)
            turned = model.group_evidence(pictures[::-1], edges, output)[::-1]
            for one, other in zip(found, turned, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        alone = model.group_evidence(pictures, NONE, "graph")
        assert not torch.allclose(alone[0], model.group_evidence(pictures, edges, "graph")[0], rtol=1e-2)

    @torch.inference_mode()
    def test_the_intermediate_head_hears_nobody(self) -> None:
        model, pictures = classifier(), images(*SIZES)
        edges = complete_edges(torch.zeros(3, dtype=torch.long))
        found, alone = (model.group_evidence(pictures, given, "intermediate") for given in (edges, NONE))
        for one, other in zip(found, alone, strict=True):
            assert one.equal(other)


class TestForward:
    def test_features_in_place_of_images(self) -> None:
        model, batch = classifier(), torch.stack(images((64, 64), (64, 64)))
        edges = torch.tensor([[0, 1], [1, 0]])
        with torch.no_grad():
            whole = model(batch, further=("intermediate",), edges=edges)
            found = model(model.backbone(batch), further=("intermediate",), edges=edges, are_features=True)
        assert whole.logits.equal(found.logits) and whole.further["intermediate"].equal(found.further["intermediate"])

    def test_without_its_own_loss_the_first_head_learns_nothing(self) -> None:
        model, batch = classifier(), torch.stack(images((64, 64), (64, 64)))
        tag_loss(model(batch, edges=torch.tensor([[0, 1], [1, 0]])).logits, torch.ones(2, 3)).backward()
        assert model.head.weight.grad is None
        assert all(p.grad is not None for p in (*model.reduction.parameters(), *model.graph.parameters()))

    def test_states_may_be_class_scores(self) -> None:
        model = classifier(GroupHeadConfig(channels=16, states="scores", graph=official()))
        batch, edges = torch.stack(images(*[(64, 64)] * 3)), complete_edges(torch.zeros(3, dtype=torch.long))
        found = model(batch, further=("maps",), edges=edges)
        assert model.readout is None and set(model.rate_factors) == {"reduction.", "graph."}
        assert found.further["maps"].graph.shape == (3, 3, 4, 4)
        found.logits.sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())

    def test_every_part_has_a_rate(self) -> None:
        plain = GroupHeadConfig(graph=ImageGraphConfig(gru_kernel=1))
        assert set(classifier().rate_factors) == {"reduction.", "graph.", "readout."}
        model = GroupClassifier(build_backbone(BackboneConfig("resnet10t", 16, "none")), 3, plain)
        assert set(model.rate_factors) == {"graph.", "readout."} and model.head.in_channels == 512

    def test_gradient_by_finite_differences(self) -> None:
        """Through both heads, the graph and the readout."""
        model = classifier(GroupHeadConfig(channels=8, graph=ImageGraphConfig(gru_kernel=1, dropout=False))).double()
        edges = complete_edges(torch.zeros(2, dtype=torch.long))
        torch.manual_seed(2)
        states = torch.rand(2, 8, 2, 3, dtype=torch.float64, requires_grad=True)

        def scores(given: Tensor, head: Tensor, readout: Tensor) -> Tensor:
            weights = {"head.weight": head, "readout.weight": readout}
            return torch.func.functional_call(
                _Maps(model), {f"model.{n}": w for n, w in weights.items()}, (given, edges)
            )

        assert model.readout is not None
        heads = [weight.detach().clone().requires_grad_() for weight in (model.head.weight, model.readout.weight)]
        assert torch.autograd.gradcheck(scores, (states, *heads), atol=1e-6)


class _Maps(torch.nn.Module):
    """The average of both heads as a module, for calls with other weights."""

    def __init__(self, model: GroupClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, states: Tensor, edges: Tensor) -> Tensor:
        return self.model.class_maps(states, edges).scores()
