"""Fusion of activations and saliency: the published example, each rule alone, and what cannot be fused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from weakseg.artifacts import Activations
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, ShapeError, StoreError
from weakseg.settings.saliency import FusionConfig
from weakseg.settings.seed import SeedConfig
from weakseg.stages.saliency_seeds import (
    FusionEffects,
    effects_of,
    fuse_saliency,
    load_effects,
    saliency_seeds,
    save_effects,
    tell_effects,
)

PLAIN = FusionConfig()
SALIENT = SeedConfig(background="saliency")


def levels(*rows: list[int]) -> torch.Tensor:
    """Values of 8-bit maps, as their files are read."""
    return torch.from_numpy(np.array(rows, np.float32) / 255)


def fused(saliency: torch.Tensor, *maps: torch.Tensor, config: FusionConfig = PLAIN) -> list[list[int]]:
    stack = torch.stack(maps) if maps else torch.zeros(0, *saliency.shape)
    labels: list[list[int]] = fuse_saliency(stack, range(1, len(maps) + 1), saliency, config)[0].tolist()
    return labels


def test_the_example_of_the_card() -> None:
    # pixel (0, 2): both maps above 0.9; (1, 1): background 1 - 10 / 255 = .961 and class 6 at 1
    saliency = levels([0, 0, 40, 255], [0, 10, 255, 255])
    third = levels([0, 100, 255, 250], [0, 20, 200, 120])
    sixth = levels([0, 0, 255, 50], [0, 255, 60, 130])
    labels, effects = fuse_saliency(torch.stack([third, sixth]), (3, 6), saliency, PLAIN)
    assert labels.tolist() == [[0, 0, 255, 3], [0, 255, 3, 6]]
    assert effects == FusionEffects(8, 0, 2, 0, 0, False)


def test_the_floor_decides_what_little_attention_is_worth() -> None:
    saliency, map_ = levels([255, 255, 0, 0]), torch.tensor([[0.2, 1.0, 0.0, 0.0]])
    assert fused(saliency, map_) == [[1, 1, 0, 0]]
    labels, effects = fuse_saliency(map_[None], (1,), saliency, FusionConfig(floor=0.3))
    assert labels.tolist() == [[255, 1, 0, 0]] and (effects.floor, effects.attended) == (1, 1)


def test_nothing_salient_and_no_or_constant_maps() -> None:
    black = torch.zeros(2, 3)
    peak = torch.tensor([[1.0, 0.95, 0.5], [0.0, 0.0, 0.0]])
    open_ = FusionConfig(min_foreground=0.0)
    assert fused(black, peak, config=open_) == [[255, 255, 0], [0, 0, 0]]  # never the class
    for maps in ((), (torch.full((2, 3), 0.7),)):
        assert fused(black, *maps) == [[255] * 3] * 2  # no pixel of a class: undecided altogether
        assert fused(black, *maps, config=open_) == [[0] * 3] * 2
    effects = fuse_saliency(torch.full((1, 2, 3), 0.7), (4,), black, PLAIN)[1]
    assert (effects.flat, effects.small, effects.voided) == ((4,), 6, True)


def test_an_image_without_classes_is_background_whatever_draws_the_eye() -> None:
    saliency = np.zeros((24, 32), np.float32)
    saliency[:12] = 1
    found = saliency_seeds(Activations(torch.zeros(0, 6, 8), (), (24, 32)), saliency, SALIENT)
    assert (found.labels.labels == 0).all() and found.effects == FusionEffects(24 * 32, 0, 0, 0, 0, voided=False)


def test_the_rules_alone_leave_an_image_without_classes_undecided() -> None:
    saliency = levels([0, 31, 32, 255])
    assert fused(saliency) == [[255] * 4]
    assert fused(saliency, config=FusionConfig(min_foreground=0.0)) == [[0, 0, 255, 255]]  # 32 levels are salient


def test_exactly_the_least_foreground_keeps_an_image() -> None:
    map_ = torch.zeros(10, 10)
    map_[0, 0] = 1
    saliency = map_.clone()
    labels, effects = fuse_saliency(map_[None], (1,), saliency, PLAIN)
    assert (labels == 1).sum() == 1 and (labels == 0).sum() == 99 and not effects.voided
    map_, saliency = (torch.zeros(10, 11) for _ in range(2))
    map_[0, 0] = saliency[0, 0] = 1
    labels, effects = fuse_saliency(map_[None], (1,), saliency, PLAIN)
    assert (labels == 255).all() and (effects.small, effects.voided) == (110, True)


def test_background_that_is_attended_or_salient_is_undecided() -> None:
    # a = 0, .85, .3, 1; the background wins at .9 and .5: the one is attended, the other salient
    saliency, map_ = levels([0, 26, 128, 255]), torch.tensor([[0.0, 0.85, 0.3, 1.0]])
    assert fused(saliency, map_) == [[0, 255, 255, 1]]
    assert fused(saliency, map_, config=FusionConfig(attention=0.85)) == [[0, 0, 255, 1]]
    assert fused(saliency, map_, config=FusionConfig(saliency_below=0.6)) == [[0, 255, 0, 1]]
    assert fused(saliency, map_, config=FusionConfig(conflict=0.84)) == [[0, 255, 255, 1]]


def test_equal_scores_go_to_the_first_and_maps_are_stretched() -> None:
    saliency = torch.tensor([[1.0, 0.5, 1.0, 0.0]])
    one = torch.tensor([[0.4, 0.3, 0.3, 0.2]])  # stretched: 1, .5, .5, 0
    other = torch.tensor([[0.1, 0.1, 0.5, 0.1]])  # 0, 0, 1, 0
    assert fused(saliency, one, other) == [[1, 255, 2, 0]]  # .5 and .5 at the second: background, which is salient


def test_definition_pixel_by_pixel() -> None:
    generator = torch.Generator().manual_seed(0)
    maps, saliency = torch.rand(3, 9, 11, generator=generator), torch.rand(9, 11, generator=generator) ** 3
    config = FusionConfig(0.7, 0.6, 0.2, 0.4, 0.0)
    found = fuse_saliency(maps, (2, 5, 9), saliency, config)[0]
    low, high = maps.amin((1, 2)), maps.amax((1, 2))
    for row in range(9):
        for column in range(11):
            own = [float((maps[k, row, column] - low[k]) / (high[k] - low[k])) for k in range(3)]
            shown = float(saliency[row, column])
            scores = [score if score >= 0.4 else 0.0 for score in (1 - shown, *own)]
            label = (0, 2, 5, 9)[scores.index(max(scores))]
            if sum(score > 0.7 for score in scores) > 1 or (label == 0 and (shown >= 0.2 or max(own) > 0.6)):
                label = 255
            assert found[row, column] == label


def test_maps_on_cells_and_large_images() -> None:
    values = torch.zeros(1, 6, 8)
    values[0, :3] = 1
    saliency = np.zeros((24, 32), np.float32)
    saliency[:12] = 1
    found = saliency_seeds(Activations(values, (7,), (24, 32)), saliency, SALIENT)
    assert found.labels.labels.shape == (24, 32) and found.effects.pixels == 24 * 32
    assert (found.labels.labels[:10] == 7).all() and (found.labels.labels[14:] == 0).all()
    double = Activations(values, (7,), (48, 64), stride=8)
    wide = saliency_seeds(double, saliency.repeat(2, 0).repeat(2, 1), replace(SALIENT, max_side=32))
    assert wide.effects.pixels == 24 * 32 and wide.labels.labels.shape == (48, 64)


def test_maps_that_cannot_be_meant() -> None:
    activations, saliency = Activations(torch.rand(1, 4, 4), (1,), (16, 16)), np.zeros((16, 16), np.float32)
    for wrong, message in (
        (saliency[:, :8], r"saliency is \(16, 8\) but image is \(16, 16\)"),
        (saliency + 1.5, r"saliency: expected finite values in \[0, 1\]"),
        (saliency * np.nan, r"saliency: expected finite values in \[0, 1\]"),
        (np.full((16, 16), 200, np.uint8), r"saliency: expected float32 in \[0, 1\], got uint8; divide"),
    ):
        with pytest.raises(ShapeError, match=message):
            saliency_seeds(activations, wrong, SALIENT)
    with pytest.raises(ConfigError, match=r"seeds\.background: 'saliency' is wanted here, got 'threshold'"):
        saliency_seeds(activations, saliency, SeedConfig())


def test_settings_without_meaning_or_effect() -> None:
    for name in ("conflict", "attention", "saliency_below", "floor", "min_foreground"):
        for value in (-0.1, 1.1, float("nan")):
            with pytest.raises(ConfigError, match=rf"seeds\.fusion\.{name}"):
                FusionConfig(**{name: value})
    with pytest.raises(ConfigError, match=r"seeds\.fusion: has no effect with background 'threshold'"):
        SeedConfig(fusion=FusionConfig(floor=0.3))
    assert SALIENT.unused == "" and SeedConfig(strict=0.5).unused == ""
    told = SeedConfig("saliency", strict=0.5, max_side=64, unary="scores").unused
    assert told == "seeds: with background 'saliency' strict, unary do nothing; fusion counts"


def test_effects_are_kept_summed_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = {"a": FusionEffects(100, 1, 20, 30, 0, False), "b": FusionEffects(300, 3, 0, 10, 250, True, (2,))}
    for image_id, effects in kept.items():
        save_effects(tmp_path, image_id, effects)
        assert load_effects(effects_of(tmp_path, image_id)) == effects
    samples = [WeakSample(image_id, tmp_path, Tags(frozenset())) for image_id in kept]
    caplog.set_level("INFO")
    sums, warnings = tell_effects(samples, tmp_path, "seeds")
    assert sums == {
        "images": 2, "pixels": 400, "floor": 4, "conflict": 20, "attended": 40, "small": 250, "voided": 1, "flat": 1,
    }  # fmt: skip
    assert warnings == [
        "seeds: too little of a class, so that nothing is decided: b",
        "seeds: a class with the same activation everywhere, which cannot appear: b",
    ]
    assert caplog.messages[0] == (
        "seeds: of all pixels the floor has relabelled 1 %, undecided by conflicts are 5 %, as salient or attended "
        "background 10 %, for want of objects 62 %, on 1 of 2 images"
    )
    effects_of(tmp_path, "a").write_text('{"pixels": 3}')
    with pytest.raises(StoreError, match=r"a\.json: does not say what the rules have done; delete it"):
        tell_effects(samples, tmp_path, "seeds")
