from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from full_disks import no_file_longer_than
from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.groups import TagGroups
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, DataError, OutputError
from weakseg.graph.image_group import group_edges
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import GroupClassifier
from weakseg.nn.weights import MODEL_FILE, load_weights
from weakseg.settings.accumulate import AccumulationConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.group import ImageGraphConfig, official
from weakseg.settings.group_classify import (
    GroupActivateConfig,
    GroupClassifierConfig,
    GroupDrawConfig,
    GroupHeadConfig,
)
from weakseg.stages.accumulated import ACCUMULATED_FILE, AccumulatedMaps
from weakseg.stages.activate import activate_image
from weakseg.stages.activate_group import activate_group
from weakseg.stages.classify import TagData, load_classifier
from weakseg.stages.frozen import FrozenFeatures
from weakseg.stages.group import GroupData, GroupLoss, train_group
from weakseg.training.loop import FitPlace

CONFIG = GroupClassifierConfig(
    BackboneConfig("resnet10t", 16, "none"),
    convolutions=0,
    frozen=True,
    augment=AugmentConfig((64, 80), 64),
    fit=FitConfig(epochs=2, batch_size=2, lr=0.01),
    head=GroupHeadConfig(channels=8, graph=ImageGraphConfig(rounds=2, gru_kernel=1)),
    groups=GroupDrawConfig(size=3),
)

ACCUMULATING = replace(
    CONFIG,
    augment=AugmentConfig(crop=64, warp=True, long_side=None, variants=2),
    accumulate=True,
    accumulation=AccumulationConfig("probability"),
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    folder = tmp_path_factory.mktemp("generated")
    sizes = [(48, 64), (64, 48)]
    for index in range(8):
        Image.fromarray(draw(index, sizes[index % 2])[0]).save(folder / f"{index}.png")
    tags = [frozenset({c for c in (1, 2) if index & c}) for index in range(8)]
    return [WeakSample(str(i), folder / f"{i}.png", Tags(shown)) for i, shown in enumerate(tags)]


def trained(samples: list[WeakSample], folder: Path, config: GroupClassifierConfig = CONFIG) -> dict[str, Tensor]:
    records = train_group(samples, samples, Classes(CLASSES), config=config, place=FitPlace(folder))
    assert len(records) == config.fit.epochs and 0 <= records[-1]["mAP"] <= 100
    return load_weights(folder / MODEL_FILE)


class TestTraining:
    def test_what_learns(self, samples: list[WeakSample], tmp_path: Path) -> None:
        found = trained(samples, tmp_path / "a")
        lazy = replace(CONFIG, fit=replace(CONFIG.fit, lr=1e-30, weight_decay=0))
        start = trained(samples, tmp_path / "b", lazy)
        changed = {name for name in found if not found[name].equal(start[name])}
        assert changed == {name for name in found if not name.startswith("backbone.")}

    @pytest.mark.parametrize("config", [CONFIG, ACCUMULATING], ids=["plain", "accumulating"])
    def test_neither_order_nor_interruption_counts(
        self, samples: list[WeakSample], tmp_path: Path, config: GroupClassifierConfig
    ) -> None:
        whole = trained(samples, tmp_path / "whole", config)
        files = ["metrics.jsonl", MODEL_FILE, "state.pt"] + [ACCUMULATED_FILE] * config.accumulate
        assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == sorted(files)
        other = trained(samples[::-1], tmp_path / "other", config)
        torch.testing.assert_close(other, whole, rtol=0, atol=0)

        class Stop(KeyboardInterrupt):
            pass

        calls: list[int] = []

        def stopping(self: GroupData, index: int, epoch: int) -> Any:
            calls.append(index)
            if len(calls) == 12:  # in the second epoch
                raise Stop
            return load(self, index, epoch)

        load = GroupData.load
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(GroupData, "load", stopping)
            with pytest.raises(Stop):
                trained(samples, tmp_path / "cut", config)
        torch.testing.assert_close(trained(samples, tmp_path / "cut", config), whole, rtol=0, atol=0)
        if config.accumulate:
            maps = [(tmp_path / name / ACCUMULATED_FILE).read_bytes() for name in ("whole", "cut")]
            assert maps[0] == maps[1]

    def test_mixed_precision(self, samples: list[WeakSample], tmp_path: Path) -> None:
        config = replace(ACCUMULATING, fit=replace(ACCUMULATING.fit, precision="bf16"))
        assert all(value.isfinite().all() for value in trained(samples, tmp_path, config).values())
        assert (tmp_path / ACCUMULATED_FILE).is_file()

    def test_fewer_images_than_a_group_has(self, samples: list[WeakSample], tmp_path: Path) -> None:
        config = replace(CONFIG, groups=GroupDrawConfig(size=6))
        assert all(value.isfinite().all() for value in trained(samples[1:3], tmp_path, config).values())

    def test_images_without_a_tag_can_be_left_out(self, samples: list[WeakSample], tmp_path: Path) -> None:
        """Then the rest is learned as if they were not there."""
        out = replace(CONFIG, groups=GroupDrawConfig(size=3, untagged="left_out"))
        tagged = [sample for sample in samples if sample.tags.present]
        assert len(tagged) == 6
        found, expected = trained(samples, tmp_path / "a", out), trained(tagged, tmp_path / "b", out)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        kept = trained(samples, tmp_path / "c")
        assert not kept["head.weight"].equal(found["head.weight"])

    def test_a_backbone_may_learn(self, samples: list[WeakSample], tmp_path: Path) -> None:
        config = replace(CONFIG, frozen=False, fit=replace(CONFIG.fit, epochs=1))
        lazy = replace(config, fit=replace(config.fit, lr=1e-30, weight_decay=0))
        found, start = trained(samples, tmp_path / "a", config), trained(samples, tmp_path / "b", lazy)
        name = "backbone.model.conv1.0.weight"
        assert not found[name].equal(start[name])

    def test_no_tags(self, samples: list[WeakSample], tmp_path: Path) -> None:
        untagged = [replace(sample, tags=Tags(frozenset())) for sample in samples]
        with pytest.raises(DataError, match="no image has a tag"):
            trained(untagged, tmp_path)

    def test_activations_of_anchors_are_accumulated(self, samples: list[WeakSample], tmp_path: Path) -> None:
        whole = replace(CONFIG.augment, long_side=None, warp=True)
        config = replace(CONFIG, augment=whole, accumulate=True, accumulation=AccumulationConfig("probability"))
        records = train_group(
            samples[:7], samples, Classes(CLASSES), config=config, place=FitPlace(tmp_path), held=samples[7:]
        )
        told = records[-1]["accumulated"]
        assert told["none"] == 0 and told["trained"] == 2 and told["accepted"] + told["last"] == 6
        store = AccumulatedMaps.open(tmp_path / ACCUMULATED_FILE, Classes(CLASSES), samples)
        assert store.activations("3", 4).class_ids == (1, 2) and store.activations("0", 4).class_ids == ()

    def test_settings_that_contradict(self) -> None:
        with pytest.raises(ConfigError, match="the head before the graph learns nothing"):
            replace(CONFIG, intermediate_weight=0.0)
        with pytest.raises(ConfigError, match=r"loader_workers: .* by one process; got 2"):
            replace(CONFIG, fit=replace(CONFIG.fit, loader_workers=2))
        with pytest.raises(ConfigError, match="dropout: that of groups has none"):
            replace(CONFIG, dropout=0.5)
        side_by_side = r"senders: 2 messages side by side, but groups have 5 images; set it to 4"
        with pytest.raises(ConfigError, match=side_by_side):
            replace(CONFIG, head=GroupHeadConfig(graph=official()), groups=GroupDrawConfig(5))
        with pytest.raises(ConfigError, match="with 1 nobody sends, and what compares cells would not learn"):
            replace(CONFIG, groups=GroupDrawConfig(1))
        with pytest.raises(ConfigError, match="with 1 nobody is drawn"):
            GroupDrawConfig(1, draw="random")
        with pytest.raises(ConfigError, match="pool_size: 1 with size 4"):
            GroupDrawConfig(pool_size=1)


class TestExamples:
    def data(self, samples: list[WeakSample], untagged: tuple[int, ...] = (0, 4)) -> GroupData:
        images = TagData(samples, 2, CONFIG.augment, 0)
        return GroupData(images, TagGroups(samples, 3), untagged, 0)

    def test_every_image_is_an_anchor_and_looks_alike_in_all_groups(self, samples: list[WeakSample]) -> None:
        data = self.data(samples)
        assert sorted(data.anchors) == list(range(8)) and len(data) == 8
        for index, anchor in enumerate(data.anchors):
            images, targets, _, number = data.load(index, 1)
            assert number == anchor
            assert images.shape == (3, 3, 64, 64) and targets.shape == (3, 2)
            assert images[0].equal(data.images.load(anchor, 1)[0])
            shared = targets[1:] @ targets[0]
            assert (shared > 0).all() if samples[anchor].tags.present else not targets.any()

    def test_few_images_without_a_tag(self, samples: list[WeakSample]) -> None:
        data = self.data(samples, (4,))
        images, targets, _, _ = data.load(len(data) - 1, 0)
        assert images[0].equal(images[2]) and not targets.any()

    def test_features_are_computed_once_an_epoch(self, samples: list[WeakSample], tmp_path: Path) -> None:
        data, seen = self.data(samples), []
        backbone = build_backbone(CONFIG.backbone)
        backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
        data.features = FrozenFeatures(backbone, 8, tmp_path)
        for epoch in (0, 1):
            first = [data.load(index, epoch)[0] for index in range(len(data))]
            assert len(seen) == 8 * (epoch + 1) and {tuple(shape) for shape in seen} == {(1, 3, 64, 64)}
        with torch.no_grad():
            expected = backbone.eval()(data.images.load(data.anchors[0], 1)[0][None])[0]
        torch.testing.assert_close(first[0][0], expected, rtol=1e-3, atol=1e-4)
        assert not list(tmp_path.iterdir())

    def test_features_that_the_disk_has_no_room_for(self, samples: list[WeakSample], tmp_path: Path) -> None:
        """A map over a file would end the process later."""
        data = self.data(samples)
        data.features = FrozenFeatures(build_backbone(CONFIG.backbone), 8, tmp_path)
        said = r"features of 8 images need 0\.0 GB in training, and [\d.]+ are free \(File too large\); make room"
        with no_file_longer_than(5000), pytest.raises(OutputError, match=said):
            data.load(0, 0)
        assert not list(tmp_path.iterdir())
        data.load(0, 0)

    def test_features_of_variants_are_kept(self, samples: list[WeakSample], tmp_path: Path) -> None:
        data, seen = self.data(samples), []
        data.images = replace(data.images, config=replace(data.images.config, variants=2))
        backbone = build_backbone(CONFIG.backbone)
        backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
        data.features = FrozenFeatures(backbone, 8, tmp_path, variants=2)
        found = []
        for epoch in range(4):
            groups = [data.load(index, epoch) for index in range(len(data))]
            found.append({int(anchor): (images[0], placed) for images, _, placed, anchor in groups})
        assert len(seen) == 16
        for first, again in ((0, 2), (1, 3)):
            for index, (features, placed) in found[first].items():
                assert features.equal(found[again][index][0]) and placed.equal(found[again][index][1])
        assert not all(found[0][index][0].equal(found[1][index][0]) for index in found[0])


class TestLoss:
    def test_definition(self) -> None:
        torch.manual_seed(0)
        model = GroupClassifier(build_backbone(CONFIG.backbone), 2, CONFIG.head).eval()
        targets = torch.tensor([[[1.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
        batch = [torch.rand(2, 2, 512, 3, 3), targets, torch.zeros(2, 6), torch.tensor([5, 6])]
        loss, found = GroupLoss(CONFIG, are_features=True)(model, batch)
        expected = torch.zeros(())
        for features, tags, edges in zip(*batch[:2], ([[0, 1], [1, 0]], [[], []]), strict=True):
            given = torch.tensor(edges, dtype=torch.long)
            out = model(features, further=("maps", "intermediate"), edges=given, are_features=True)
            for logits, weight in ((out.logits, 1.0), (out.further["intermediate"], 0.4)):
                signed = torch.where(tags == 1, logits, -logits)
                expected = expected - weight * signed.sigmoid().log().mean() / 2
        torch.testing.assert_close(loss, expected)
        assert found.logits.shape == (2, 2) and found.scores.shape == (2, 2, 3, 3)
        assert found.targets.equal(targets[:, 0]) and found.indices.tolist() == [5, 6]

    def test_random_groups_are_joined_whatever_they_share(self) -> None:
        torch.manual_seed(0)
        model = GroupClassifier(build_backbone(CONFIG.backbone), 2, CONFIG.head).eval()
        for name, parameter in model.named_parameters():
            if not name.startswith("backbone."):
                torch.nn.init.normal_(parameter, std=0.5)
        batch = [torch.rand(1, 2, 512, 3, 3), torch.eye(2)[None], torch.zeros(1, 6), torch.tensor([0])]
        random = replace(CONFIG, groups=replace(CONFIG.groups, draw="random"))
        losses = [GroupLoss(config, are_features=True)(model, batch)[0] for config in (CONFIG, random)]
        assert not torch.isclose(losses[0], losses[1], rtol=1e-4)
        batch[1] = torch.zeros(1, 2, 2)  # of images without a tag nobody is joined
        losses = [GroupLoss(config, are_features=True)(model, batch)[0] for config in (CONFIG, random)]
        assert losses[0].equal(losses[1])


class TestActivations:
    def test_a_group_of_different_sizes(self, samples: list[WeakSample], tmp_path: Path) -> None:
        trained(samples, tmp_path)
        model, _ = load_classifier(tmp_path / MODEL_FILE)
        assert isinstance(model, GroupClassifier) and model.readout is not None
        for layer in (model.head, model.readout):
            torch.nn.init.uniform_(layer.weight)  # all evidence is positive
        config = GroupActivateConfig(scales=(1.0, 2.0))
        members = [samples[index] for index in (1, 2, 3)]
        images = [sample.load_image() for sample in members]
        targets = torch.from_numpy(np.stack([sample.tags.targets(2) for sample in members]))
        edges = group_edges(targets, torch.zeros(3, dtype=torch.long))
        found = activate_group(model, images, targets, edges, config)
        assert [one.class_ids for one in found] == [(1,), (2,), (1, 2)]
        assert [one.image_size for one in found] == [(64, 48), (48, 64), (64, 48)]
        assert all(one.values.amax() > 0.99 for one in found)
        alone = activate_group(model, images[:1], targets[:1], edges[:, :0], config)[0]
        expected = activate_image(model, images[0], (1,), config)
        torch.testing.assert_close(alone.values, expected.values, rtol=1e-4, atol=1e-4)
