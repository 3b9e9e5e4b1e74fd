import pytest

from weakseg.errors import ConfigError
from weakseg.methods.a2gnn.config import PRESETS
from weakseg.photograph.config import DrawnOptions, SegmentOptions, free_completion, quick
from weakseg.settings.weak_seeds import WeakSeedConfig


def test_a_method_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="method: 'auto', 'cam', 'wsgcn', 'a2gnn' or 'clicks', got 'crf'"):
        SegmentOptions(method="crf")  # type: ignore[arg-type]


def test_which_labels_count_is_no_setting_of_one_photograph() -> None:
    with pytest.raises(ConfigError, match=r"drawn\.seeds\.use: .* got 'points'; draw the labels alone"):
        DrawnOptions(seeds=WeakSeedConfig(use="points"))


def test_training_while_somebody_waits_is_short_and_small() -> None:
    config = quick()
    assert (config.first_steps, config.second_steps, config.network.hidden) == (15, 15, 32)
    assert (config.lr, config.crf_weight) == (PRESETS["boxes"].lr, PRESETS["boxes"].crf_weight)


def test_the_graph_of_drawn_labels_has_cells_of_eight_pixels() -> None:
    drawn = DrawnOptions()
    assert (drawn.graph.stride, drawn.graph.max_side) == (8, 320)
    assert drawn.seeds.strokes_as == "walk" and drawn.seeds.boxes_as == "grabcut"


def test_a_graph_that_was_not_learned_is_completed_by_one_step_of_propagation() -> None:
    completion = free_completion()
    assert completion.gcn.propagation.kind == "affinity" and completion.smoothness.color_denominator == 0.02
