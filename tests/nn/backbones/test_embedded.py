import pytest
import timm
import torch
from torch import nn

from weakseg.errors import CheckpointError
from weakseg.nn.backbones import build_backbone, embedded_backbone, embedded_state, load_embedded
from weakseg.settings.backbone import BackboneConfig

STRIDES = (8, 16, 32)


def batch(rows: int, columns: int) -> torch.Tensor:
    return 255 * torch.rand(1, 3, rows, columns, generator=torch.Generator().manual_seed(0))


class TestEmbeddedWeights:
    def test_all_values_are_those_of_the_package(self) -> None:
        model = build_backbone(BackboneConfig()).model
        installed = list(embedded_state().values())
        assert len(installed) == len(model.state_dict()) + 2  # and the classifier
        for value, expected in zip(model.state_dict().values(), installed, strict=False):
            torch.testing.assert_close(value, expected, rtol=0, atol=0)

    def test_input_range_and_epsilon_are_those_of_their_training(self) -> None:
        backbone = build_backbone(BackboneConfig())
        torch.testing.assert_close(backbone.mean.flatten(), torch.full((3,), 0.498))
        torch.testing.assert_close(backbone.std.flatten(), torch.full((3,), 0.502))
        assert {m.eps for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}

    def test_stride_does_not_change_the_weights(self) -> None:
        states = [build_backbone(BackboneConfig(output_stride=stride)).state_dict() for stride in STRIDES]
        for state in states[1:]:
            torch.testing.assert_close(state, states[0], rtol=0, atol=0)

    def test_another_model_is_refused(self) -> None:
        with pytest.raises(CheckpointError, match="shapes differ from timm's efficientnet_lite0"):
            load_embedded(timm.create_model("resnet10t", num_classes=0))


class TestEmbedded:
    @pytest.mark.parametrize("size", [(1, 1), (97, 130), (64, 33)])
    def test_equals_timm_without_importing_it(self, size: tuple[int, int]) -> None:
        ours, theirs = embedded_backbone(), build_backbone(BackboneConfig()).eval()
        with torch.no_grad():
            (found, levels), (expected, others) = (m.features_and_levels(batch(*size)) for m in (ours, theirs))
        assert found.equal(expected) and all(a.equal(b) for a, b in zip(levels, others, strict=True))
        assert ours.level_shapes() == theirs.level_shapes() and ours.cells() == theirs.cells()
        assert (ours.channels, ours.stride, ours.pads) == (theirs.channels, theirs.stride, theirs.pads)
