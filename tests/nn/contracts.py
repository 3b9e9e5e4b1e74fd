"""What every member of a family of networks has to do, as classes that the tests of the members inherit."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.classifiers import CLASSIFIERS, TagClassifier
from weakseg.nn.models import Builder, load_model
from weakseg.nn.output import Output
from weakseg.nn.segmenters import SEGMENTERS
from weakseg.nn.weights import load_into, save_model
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.training.optimizers import build_optimizer

PHOTOGRAPH = (213, 320)  # rows and columns of a photograph of MSRC
SIZES = ((1, 1), (33, 5), (95, 161))


def photographs(*size: int, count: int = 1) -> Tensor:
    """Return ``(count, 3, H, W)`` noise on the scale 0..255."""
    return 255 * torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    return math.ceil(size[0] / stride), math.ceil(size[1] / stride)


def assert_levels(
    backbone: Backbone,
    levels: list[Tensor],
    size: tuple[int, int],
    cells: Callable[[tuple[int, int], int], tuple[int, int]] = cells,
) -> None:
    """The levels are those that the backbone says, the finest first; images that it pads have more fine cells."""
    shapes = backbone.level_shapes()
    assert [level.shape[1] for level in levels] == [channels for channels, _ in shapes]
    strides = [stride for _, stride in shapes]
    assert strides == sorted(strides) and strides[-1] == backbone.stride
    rows, columns = (backbone.stride * n for n in cells(size, backbone.stride))
    for level, stride in zip(levels, strides, strict=True):
        assert level.shape[2:] == cells((rows, columns) if backbone.pads else size, stride)


def without_gradient(model: nn.Module) -> set[str]:
    """Return the parameters that should learn and do not; ConvNeXt's norm behind the features is one of timm's head."""
    found = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    return {name for name in found if ".head.norm." not in f".{name}"}


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield all tensors of an output."""
    if isinstance(value, Tensor):
        yield value
    else:
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def assert_statistics_stay(model: nn.Module, loss: Tensor) -> None:
    """A step of training changes no buffer."""
    before = {name: value.clone() for name, value in model.named_buffers()}
    loss.backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).step()
    torch.testing.assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)


def assert_grouped(model: nn.Module) -> None:
    """Each parameter that learns is in exactly one group; norms, biases, positions and tokens in one without decay."""
    groups = build_optimizer(model, FitConfig(weight_decay=0.01)).param_groups
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    spared = {id(p) for name, p in model.named_parameters() if name.endswith(("pos_embed", "_token"))}
    for group in groups:
        decayed = {parameter.ndim > 1 and id(parameter) not in spared for parameter in group["params"]}
        assert decayed == {group["weight_decay"] == 0.01}


class BackboneContract:
    """``config`` names the member."""

    config: BackboneConfig

    def cells(self, size: tuple[int, int], stride: int) -> tuple[int, int]:
        """Return how many rows and columns a map of a stride has; cam.md, 2.1: each step of 2 maps n to ceil(n / 2)."""
        return cells(size, stride)

    @pytest.fixture(scope="class")
    def backbone(self) -> Backbone:
        torch.manual_seed(0)
        return build_backbone(self.config)

    @pytest.mark.parametrize("size", [*SIZES, PHOTOGRAPH])
    def test_one_cell_for_each_stride_begun(self, backbone: Backbone, size: tuple[int, int]) -> None:
        assert backbone.stride == self.config.output_stride
        with torch.no_grad():
            features = backbone.eval()(photographs(*size))
        assert features.shape == (1, backbone.channels, *self.cells(size, backbone.stride))

    def test_levels(self, backbone: Backbone) -> None:
        images = photographs(*PHOTOGRAPH)
        with torch.no_grad():
            features, levels = backbone.eval().features_and_levels(images)
            for one, other in zip(levels, backbone.levels(images), strict=True):
                torch.testing.assert_close(one, other)
            torch.testing.assert_close(features, backbone(images))
        assert_levels(backbone, levels, PHOTOGRAPH, self.cells)

    def test_cells(self, backbone: Backbone) -> None:
        assert backbone.cells() == backbone.cells(backbone.stride) and backbone.cells().stride == backbone.stride
        for _, stride in backbone.level_shapes():
            assert abs(backbone.cells(stride).first) < 2 * stride and backbone.cells(stride).stride == stride

    def test_images_of_a_batch_do_not_touch_each_other(self, backbone: Backbone) -> None:
        images = photographs(40, 56, count=3)
        with torch.no_grad():
            torch.testing.assert_close(backbone.eval()(images)[1:2], backbone(images[1:2]), rtol=1e-3, atol=1e-4)

    def test_evaluation_is_deterministic(self, backbone: Backbone) -> None:
        images = photographs(64, 48)
        with torch.no_grad():
            assert backbone.eval()(images).equal(backbone(images))

    def test_all_is_trained_but_the_statistics(self, backbone: Backbone) -> None:
        # cam.md, oracle 13; segmentation-stage.md, oracle 5.
        backbone.train().zero_grad()
        loss = backbone(photographs(64, 64, count=2)).square().mean()
        assert_statistics_stay(backbone, loss)
        assert not without_gradient(backbone) and all(p.requires_grad for p in backbone.parameters())

    def test_statistics_of_the_batch(self, backbone: Backbone) -> None:
        norms = [m for m in backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        backbone.norm_statistics = "batch"
        assert all(norm.training for norm in norms if backbone.train())
        backbone.norm_statistics = "stored"
        assert not any(norm.training for norm in norms if backbone.train())

    def test_a_state_can_be_loaded(self, backbone: Backbone) -> None:
        other = build_backbone(self.config, pretrained=False)
        load_into(other, backbone.state_dict(), "backbone")
        with torch.no_grad():
            assert other.eval()(photographs(64, 48)).equal(backbone.eval()(photographs(64, 48)))

    def test_it_can_be_frozen_from_the_finest_level_on(self, backbone: Backbone) -> None:
        backbone.freeze_finest(1)
        fixed = [p for p in backbone.parameters() if not p.requires_grad]
        assert 0 < len(fixed) < len(list(backbone.parameters()))
        first = next(p for p in backbone.parameters() if p.requires_grad).requires_grad_(requires_grad=False)
        backbone.freeze_finest(1)
        backbone.freeze_finest(0)
        assert {id(p) for p in backbone.parameters() if not p.requires_grad} == {id(first), *map(id, fixed)}
        with pytest.raises(ConfigError, match=r"fit\.frozen_levels: the backbone has \d levels, got 9"):
            backbone.requires_grad_(requires_grad=True).freeze_finest(9)

    def test_norms_can_be_frozen_with_scale_and_shift(self, backbone: Backbone) -> None:
        backbone.freeze_norms()
        kinds = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
        norms = [m for m in backbone.modules() if isinstance(m, kinds)]
        fixed = {id(p) for p in backbone.parameters() if not p.requires_grad}
        assert fixed == {id(p) for norm in norms for p in norm.parameters()}
        backbone.freeze_finest(0)

    def test_every_parameter_is_in_one_group(self, backbone: Backbone) -> None:
        assert_grouped(TagClassifier(backbone.requires_grad_(requires_grad=True), 2))


class NetworkContract:
    """What classifiers and segmenters share; ``header`` is what a file says of the member."""

    header: dict[str, Any]
    builders: dict[str, Builder[Any]]

    def build(self) -> Any:
        """Return the member for two classes, with random weights."""
        raise NotImplementedError

    def options(self, count: int) -> dict[str, Any]:
        """Return further arguments of ``forward`` for so many images."""
        return {}

    @pytest.fixture(scope="class")
    def model(self) -> Any:
        torch.manual_seed(0)
        return self.build()

    def all_of(self, model: Any, images: Tensor) -> Output:
        found: Output = model(images, further=model.gives, **self.options(len(images)))
        return found

    def test_further_outputs(self, model: Any) -> None:
        images = photographs(50, 75, count=2)
        with torch.no_grad():
            plain, found = model.eval()(images), self.all_of(model, images)
        assert plain.further == {} and set(found.further) == set(model.gives)
        torch.testing.assert_close(plain.logits, found.logits, rtol=1e-4, atol=1e-5)
        assert_levels(model.backbone, found.further["levels"], (50, 75))
        with pytest.raises(ConfigError, match=r"gives no 'dreams'; beside logits it gives 'levels'"):
            model(images, further=("levels", "dreams"))

    def test_evaluation_is_deterministic(self, model: Any) -> None:
        images = photographs(64, 48)
        with torch.no_grad():
            first, second = (list(tensors(self.all_of(model.eval(), images))) for _ in range(2))
        assert all(one.equal(other) for one, other in zip(first, second, strict=True))

    def test_the_gradient_reaches_what_is_trained(self, model: Any) -> None:
        model.train().zero_grad()
        found = self.all_of(model, photographs(64, 64, count=2))
        assert_statistics_stay(model, torch.stack([part.square().mean() for part in tensors(found)]).sum())
        assert not without_gradient(model)

    def test_every_parameter_is_in_one_group(self, model: Any) -> None:
        assert_grouped(model)

    def test_places(self, model: Any) -> None:
        assert model.cells == model.backbone.cells() and model.device == torch.device("cpu")

    def test_saved_and_loaded_it_is_the_same(self, model: Any, tmp_path: Path) -> None:
        save_model(tmp_path / "m.safetensors", model, {**self.header, "classes": ["a", "b"]})
        loaded, header = load_model(tmp_path / "m.safetensors", self.builders)
        assert type(loaded) is type(model) and not loaded.training and header["classes"] == ["a", "b"]
        torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
        with torch.no_grad():
            assert loaded(photographs(33, 50)).logits.equal(model.eval()(photographs(33, 50)).logits)

    def test_files_of_others_are_refused(self, model: Any, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        save_model(path, model, {**self.header, "classes": ["a", "b", "c"]})
        with pytest.raises(CheckpointError, match="belongs to another model"):
            load_model(path, self.builders)
        save_model(path, model, {"kind": self.header["kind"], "classes": ["a", "b"]})
        with pytest.raises(CheckpointError, match=f"describes no network of kind '{self.header['kind']}'"):
            load_model(path, self.builders)


class ClassifierContract(NetworkContract):
    builders = CLASSIFIERS

    @pytest.mark.parametrize("size", [*SIZES, PHOTOGRAPH])
    def test_logits_and_evidence(self, model: Any, size: tuple[int, int]) -> None:
        with torch.no_grad():
            logits = model.eval()(photographs(*size, count=2)).logits
            evidence = model.evidence(photographs(*size), (2,))
        assert logits.shape == (2, 2)
        assert evidence.shape == (1, 1, *cells(size, model.cells.stride)) and float(evidence.min()) >= 0


class SegmenterContract(NetworkContract):
    builders = SEGMENTERS

    @pytest.mark.parametrize("size", [*SIZES, PHOTOGRAPH])
    def test_logits(self, model: Any, size: tuple[int, int]) -> None:
        with torch.no_grad():
            logits = model.eval()(photographs(*size, count=2)).logits
        assert logits.shape == (2, 3, *cells(size, model.cells.stride))
