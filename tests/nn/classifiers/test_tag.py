from dataclasses import asdict
from typing import Any, ClassVar

import pytest
import skimage.data
import torch
from contracts import ClassifierContract
from timm.data import ImageNetInfo

from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import TagClassifier, build_imagenet_classifier
from weakseg.ops.cam import merge_evidence
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.settings.backbone import BackboneConfig


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
