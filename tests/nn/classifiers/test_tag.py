from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest
import skimage.data
import torch
from contracts import ClassifierContract
from timm.data import ImageNetInfo

from weakseg.errors import CheckpointError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import CLASSIFIERS, TagClassifier, build_imagenet_classifier
from weakseg.nn.models import load_model
from weakseg.nn.weights import save_model
from weakseg.ops.cam import merge_evidence
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.training.optimizers import part_factors


@pytest.fixture(scope="module")
def imagenet() -> TagClassifier:
    return build_imagenet_classifier()


def photo(name: str, long_side: int = 256) -> torch.Tensor:
    """Return a photograph of scikit-image as ``(1, 3, H, W)``."""
    image = getattr(skimage.data, name)()
    return image_tensor(resize_image(image, scaled_size(image.shape[:2], long_side / max(image.shape[:2]))))[None]


class TestImageNetClassifier:
    @pytest.mark.parametrize(
        ("name", "wanted"),
        [("cat", {281, 282, 283, 284, 285}), ("coffee", {967, 968, 504})],  # house cats; espresso, cup, coffee mug
    )
    def test_the_top_three_show_the_photograph(self, imagenet: TagClassifier, name: str, wanted: set[int]) -> None:
        with torch.no_grad():
            top = imagenet(photo(name)).logits[0].topk(3).indices.tolist()
        assert set(top) & wanted, [ImageNetInfo("imagenet-1k").index_to_description(index) for index in top]

    def test_the_cat_has_evidence_where_it_is(self, imagenet: TagClassifier) -> None:
        # skimage.data.cat(): the face fills the middle and the right; the left fifth is a wall.
        with torch.no_grad():
            evidence = imagenet.evidence(photo("cat"), (286,))[0, 0]
        columns = evidence.sum(0) / evidence.sum()
        assert columns[: len(columns) // 5].sum() < 0.1

    def test_it_comes_in_evaluation_mode(self, imagenet: TagClassifier) -> None:
        assert not any(module.training for module in imagenet.modules())


class TestEvidence:
    def test_pooling_and_the_linear_layer_commute(self, imagenet: TagClassifier) -> None:
        # cam.md, oracle 2: the mean of the map before ReLU is the logit.
        images = torch.cat([photo("cat", 120), photo("cat", 120).flip(-1)])
        with torch.no_grad():
            maps = torch.nn.functional.conv2d(imagenet.backbone(images), imagenet.head.weight)
            torch.testing.assert_close(maps.mean((2, 3)), imagenet(images).logits, rtol=1e-5, atol=1e-5)

    def test_rows_are_class_ids(self, imagenet: TagClassifier) -> None:
        image = photo("cat", 120)
        with torch.no_grad():
            every = imagenet.evidence(image, range(1, 1001))
            some = imagenet.evidence(image, (3, 286, 1000))
            expected = torch.nn.functional.conv2d(imagenet.backbone(image), imagenet.head.weight).relu()
        torch.testing.assert_close(every, expected)
        torch.testing.assert_close(some, every[:, [2, 285, 999]], rtol=1e-5, atol=1e-5)
        assert some.min() >= 0

    def test_mirror_image_gives_the_mirrored_map(self, imagenet: TagClassifier) -> None:
        # cam.md, oracle 4, at scale 1.
        image = photo("cat", 120)
        ids, size = (282, 286), (32, 48)
        with torch.no_grad():
            one, mirrored = (
                merge_evidence([imagenet.evidence(torch.cat([x, x.flip(-1)]), ids)], size)
                for x in (image, image.flip(-1))
            )
        torch.testing.assert_close(mirrored.flip(-1), one, rtol=1e-4, atol=1e-4)


class TestTagClassifier(ClassifierContract):
    config = BackboneConfig("resnet10t", 32, "none")
    header: ClassVar[dict[str, Any]] = {"kind": "classifier", "backbone": asdict(config)}

    def build(self, dropout: float = 0.0) -> TagClassifier:
        torch.manual_seed(0)
        return TagClassifier(build_backbone(self.config), 2, dropout=dropout)

    def test_the_linear_layer_has_no_bias(self, model: TagClassifier) -> None:
        assert [name for name, _ in model.named_parameters() if name.startswith("head")] == ["head.weight"]

    def test_dropout_is_off_in_evaluation(self) -> None:
        model, image = self.build(0.5), 255 * torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            torch.testing.assert_close(model.eval()(image).logits, model(image).logits, rtol=0, atol=0)
            assert not torch.equal(model.train()(image).logits, model(image).logits)


class TestOnWholeCells(TestTagClassifier):
    config = BackboneConfig("convnext_atto", 16, "none")
    header: ClassVar[dict[str, Any]] = {"kind": "classifier", "backbone": asdict(config)}


class TestConvolutions:
    def model(self, convolutions: int) -> TagClassifier:
        torch.manual_seed(0)
        return TagClassifier(
            build_backbone(BackboneConfig("vgg16_conv5_thin", 8, "none")), 3, convolutions=convolutions
        )

    def test_by_hand(self) -> None:
        model, images = self.model(2), 255 * torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            x = model.backbone(images)
            for layer in (model.convolutions[0], model.convolutions[2]):
                x = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1).relu()  # type: ignore[arg-type]
            scores = torch.nn.functional.conv2d(x, model.head.weight)
            found = model(images, further=("scores", "levels"))
            torch.testing.assert_close(found.further["scores"], scores)
            torch.testing.assert_close(found.logits, scores.mean((2, 3)))
            torch.testing.assert_close(model.evidence(images, (1, 3)), scores[:, [0, 2]].relu())
            assert found.logits.equal(model(images).logits)

    def test_they_learn_as_fast_as_the_head(self) -> None:
        assert part_factors(self.model(1), FitConfig(head_lr_factor=10.0)) == {
            "backbone.": 1.0,
            "head.": 10.0,
            "convolutions.": 10.0,
        }
        assert part_factors(self.model(0), FitConfig()) == {"backbone.": 1.0, "head.": 10.0}

    def test_what_a_file_may_say(self, tmp_path: Path) -> None:
        model = self.model(2)
        backbone = asdict(BackboneConfig("vgg16_conv5_thin", 8, "none"))
        header = {"kind": "classifier", "classes": ["a", "b", "c"], "backbone": backbone}
        save_model(tmp_path / "m.safetensors", model, {**header, "convolutions": 2})
        found, _ = load_model(tmp_path / "m.safetensors", CLASSIFIERS)
        assert all(found.state_dict()[name].equal(value) for name, value in model.state_dict().items())
        for count in (-1, 9, "2", True, 10**9):
            save_model(tmp_path / "m.safetensors", model, {**header, "convolutions": count})
            with pytest.raises(CheckpointError, match=r"describes no network .*is no number of convolutions"):
                load_model(tmp_path / "m.safetensors", CLASSIFIERS)
        save_model(tmp_path / "m.safetensors", model, header)  # as of files from before
        with pytest.raises(CheckpointError, match="belongs to another model"):
            load_model(tmp_path / "m.safetensors", CLASSIFIERS)
