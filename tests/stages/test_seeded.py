import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from cases import each
from generated import CLASSES, draw
from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, DataError
from weakseg.nn.losses import boundary_loss, floored, seeding_loss
from weakseg.nn.segmenters import Segmenter, build_segmenter
from weakseg.nn.weights import load_weights, read_header
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.fit import FitConfig
from weakseg.settings.grow import BoundaryConfig, GrowthConfig, GrowthKind, SeededConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.stages.grow import Grower, Outputs
from weakseg.stages.seeded import GROWTH_FOLDER, SeedData, SeededLoss, check_seeded, grow_image, train_seeded
from weakseg.stages.segment import MaskData, load_segmenter
from weakseg.training.loop import FitPlace

MODEL = SegmenterConfig(BackboneConfig("vgg16_pool5_thin", 8, "none"), "score")
CONFIG = SeededConfig(
    MODEL,
    AugmentConfig(None, 48, warp=True),
    FitConfig(epochs=2, batch_size=2, lr=1e-3),
    boundary=BoundaryConfig(crf=CrfParams(2, 1.0, 1.0, 4.0, 20.0, 1.0)),
)
GROWTH = GrowthConfig(neighbors=3, threshold=0.2, link_weight=0.1)


def write(folder: Path, count: int = 4) -> list[WeakSample]:
    """Write images, and as seeds two thirds of their masks; the tags are those of the masks."""
    samples = []
    for index in range(count):
        image, mask = draw(index)
        tags = frozenset(np.unique(mask[mask > 0]).tolist())
        mask[np.random.default_rng(index).random(mask.shape) < 1 / 3] = UNDECIDED
        Image.fromarray(image).save(folder / f"{index}.png")
        LabelMap(mask).save(folder / f"seeds/{index}.png")
        samples.append(WeakSample(str(index), folder / f"{index}.png", Tags(tags)))
    return samples


def train(
    folder: Path, out: str, config: SeededConfig = CONFIG, growth: GrowthConfig = GROWTH, count: int = 4
) -> list[dict[str, Any]]:
    samples = write(folder, count)
    place = FitPlace(folder / out, 3)
    return train_seeded(samples, folder / "seeds", Classes(CLASSES), config=config, growth=growth, place=place)


def products(folder: Path) -> dict[str, Any]:
    """Return weights, pictures, and what was noted of each epoch but its time."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    pictures = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}
    weights = {name: value.numpy().tobytes() for name, value in load_weights(folder / "model.safetensors").items()}
    return {
        "weights": weights,
        "pictures": pictures,
        "records": [{name: line[name] for name in line if name != "seconds"} for line in lines],
    }


def network() -> Segmenter:
    torch.manual_seed(0)
    return build_segmenter(MODEL, len(CLASSES))


def batch_of(samples: Sequence[WeakSample], folder: Path) -> list[Tensor]:
    data = SeedData(MaskData(samples, folder / "seeds", len(CLASSES), CONFIG.augment, 0))
    return [torch.stack(parts) for parts in zip(*(data.load(i, 0) for i in range(len(data))), strict=True)]


class TestLoss:
    @each("kind", get_args(GrowthKind))
    def test_it_is_made_of_the_parts(self, tmp_path: Path, kind: GrowthKind) -> None:
        samples, model = write(tmp_path), network().eval()
        batch, growth = batch_of(samples, tmp_path), GrowthConfig(kind)
        for weight in (0.0, 0.7):
            grower = Grower(growth, replace(CONFIG.boundary, weight=weight))
            loss, counts = SeededLoss(grower, samples, 0.1)(model, batch)
            found = model(batch[0], further=("levels",))
            probs = floored(found.logits.softmax(1))
            grown = Grower(growth, CONFIG.boundary).batch(*batch[:3], Outputs(probs, found.further["levels"]))
            expected = seeding_loss(probs, torch.stack([one.labels for one in grown]))
            refined = torch.stack([one.refined for one in grown if one.refined is not None])
            torch.testing.assert_close(loss, expected + weight * boundary_loss(probs, refined))
            assert counts.cells == 4 * 36 and counts.seeded == sum(one.counts.seeded for one in grown)

    def test_every_parameter_learns(self, tmp_path: Path) -> None:
        samples, model = write(tmp_path), network().train()
        loss, _ = SeededLoss(Grower(GROWTH, CONFIG.boundary), samples, 0.1)(model, batch_of(samples, tmp_path))
        loss.backward()
        assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in model.head.parameters())

    def test_outputs_that_are_not_finite_are_named(self, tmp_path: Path) -> None:
        samples, model = write(tmp_path), network()
        batch = batch_of(samples, tmp_path)
        batch[0][2] = torch.nan
        with pytest.raises(ConfigError, match="outputs are not finite for '2', 1 of 4 images of a batch; lower"):
            SeededLoss(Grower(GROWTH, CONFIG.boundary), samples, 0.1)(model.eval(), batch)


class TestTraining:
    @pytest.mark.parametrize("kind", get_args(GrowthKind))
    def test_it_counts_shows_and_says_what_grows(self, tmp_path: Path, kind: GrowthKind) -> None:
        growth = GrowthConfig(kind) if kind in ("none", "regions") else GrowthConfig(kind, threshold=0.2, neighbors=3)
        records = train(tmp_path, "out", replace(CONFIG, fit=replace(CONFIG.fit, epochs=3)), growth)
        assert [record["epoch"] for record in records] == [1, 2, 3]
        for record in records:
            found = record["growth"]
            assert found["cells"] == 4 * 36 and found["present"] == 4
            assert 0 < found["seeded"] <= found["labelled"] <= found["cells"]
        model, classes = load_segmenter(tmp_path / "out/model.safetensors")
        assert classes == Classes(CLASSES)
        header = read_header(tmp_path / "out/model.safetensors")
        assert header["growth"]["kind"] == kind and header["seeds"]["images"] == 4
        names = sorted(str(p.relative_to(tmp_path / "out" / GROWTH_FOLDER)) for p in tmp_path.rglob("growth/*/*.png"))
        assert names == [f"{image}/{epoch:03}.png" for image in (1, 2, 3) for epoch in (0, 1, 2, 3)]
        seeds, last = (LabelMap.load(tmp_path / f"out/growth/3/{n}.png").labels for n in ("000", "003"))
        assert (last[seeds != UNDECIDED] == seeds[seeds != UNDECIDED]).all()
        sample = WeakSample("3", tmp_path / "3.png", Tags(frozenset({1, 2})))
        mask = LabelMap.load(tmp_path / "seeds/3.png").labels
        again = grow_image(model, sample, mask, CONFIG, Grower(growth, CONFIG.boundary))
        assert np.array_equal(again.labels.numpy(), last)

    def test_killed_and_resumed_leaves_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        train(tmp_path, "whole")
        load = SeedData.load
        for stop in ((0, 1), (1, 2)):
            seen: list[int] = []

            def stopped(
                self: SeedData, index: int, epoch: int, stop: tuple[int, int] = stop, seen: list[int] = seen
            ) -> tuple[Tensor, ...]:
                seen.append(epoch)
                if epoch == stop[0] and seen.count(epoch) > stop[1]:
                    raise KeyboardInterrupt
                return load(self, index, epoch)

            out = f"stopped in {stop[0]}"
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(SeedData, "load", stopped)
                train(tmp_path, out)
            assert (tmp_path / out / "state.pt").exists() == (stop[0] > 0)
            train(tmp_path, out)
            assert products(tmp_path / out) == products(tmp_path / "whole")

    def test_threads_change_nothing(self, tmp_path: Path) -> None:
        samples, model = write(tmp_path), network().eval()
        batch = batch_of(samples, tmp_path)
        one, three = (
            SeededLoss(Grower(GROWTH, CONFIG.boundary, threads=threads), samples, 0.1)(model, batch)
            for threads in (1, 3)
        )
        assert one[0].equal(three[0]) and one[1] == three[1]

    def test_what_cannot_grow_is_said_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        samples = write(tmp_path)
        known = replace(samples[1], tags=Tags(frozenset({2})))  # its disc is said to be absent, its square has no seed
        place = FitPlace(tmp_path / "out", 0)
        LabelMap(np.full((48, 64), UNDECIDED, np.uint8)).save(tmp_path / "seeds/0.png")
        train_seeded(
            [samples[0], known], tmp_path / "seeds", Classes(CLASSES), config=CONFIG, growth=GROWTH, place=place
        )
        said = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert sum("of 1 classes of the images 1 have no seed there" in line for line in said) == 1
        assert sum(line == "1 images have no background seed" for line in said) == 1
        assert sum("seeded pixels are of classes that their image does not show; dropped" in line for line in said) == 1

    def test_outputs_that_are_not_finite_stop_it_and_the_epochs_before_are_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load = SeedData.load

        def damaged(self: SeedData, index: int, epoch: int) -> tuple[Tensor, ...]:
            image, *rest = load(self, index, epoch)
            return image * (torch.inf if epoch == 1 and index == 2 else 1), *rest

        monkeypatch.setattr(SeedData, "load", damaged)
        with pytest.raises(ConfigError, match=r"the network's outputs are not finite for '2'.*lower fit\.lr"):
            train(tmp_path, "out")
        lines = (tmp_path / "out/metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1]
        assert not (tmp_path / "out/model.safetensors").exists()

    def test_seeds_without_a_decided_pixel_are_refused(self, tmp_path: Path) -> None:
        samples = write(tmp_path)
        for sample in samples:
            LabelMap(np.full((48, 64), UNDECIDED, np.uint8)).save(tmp_path / f"seeds/{sample.id}.png")
        with pytest.raises(DataError, match="none of the pixels of 4 images is decided"):
            train_seeded(
                samples,
                tmp_path / "seeds",
                Classes(CLASSES),
                config=CONFIG,
                growth=GROWTH,
                place=FitPlace(tmp_path / "out", 0),
            )


@each(
    ("model", "words"),
    [(SegmenterConfig(multi_scale=(0.5,)), "scales"), (SegmenterConfig(MODEL.backbone, "pspnet"), "auxiliary")],
)
def test_networks_with_further_losses_are_refused(model: SegmenterConfig, words: str) -> None:
    config = replace(CONFIG, model=model, augment=AugmentConfig(None, 49, warp=True))
    with pytest.raises(ConfigError, match=f"labels grow at the cells of the logits alone, and .* losses on {words}"):
        check_seeded(config, GROWTH)


def test_the_whole_image_is_seen(tmp_path: Path) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[-1, -1] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    seeds = np.zeros((40, 60), np.uint8)
    seeds[20:] = 1
    sample = WeakSample("a", tmp_path / "a.png", Tags(frozenset({1})))

    for augment, size in ((AugmentConfig(None, 48, warp=True), (48, 48)), (AugmentConfig((80, 100), 48), (60, 90))):
        sizes = []
        model = network()
        model.backbone.register_forward_pre_hook(lambda _, inputs, sizes=sizes: sizes.append(inputs[0].shape[2:]))
        config = replace(CONFIG, augment=augment)
        grown = grow_image(model, sample, seeds, config, Grower(GrowthConfig("none"), BoundaryConfig(0.0)))
        assert sizes == [size] and grown.labels.unique().tolist() == [0, 1]
