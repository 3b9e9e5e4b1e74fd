import pytest

from weakseg.errors import ConfigError
from weakseg.methods.a2gnn.config import PRESETS
from weakseg.photograph.config import DrawnOptions, SegmentOptions, free_completion, quick
from weakseg.settings.weak_seeds import WeakSeedConfig


def test_a_method_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="method: 'auto', 'cam', 'wsgcn' or 'a2gnn', got 'crf'"):
        SegmentOptions(method="crf")  # type: ignore[arg-type]


def test_which_labels_count_is_no_setting_of_one_photograph() -> None:
    with pytest.raises(ConfigError, match=r"drawn\.seeds\.use: .* got 'points'; draw the labels alone"):
        DrawnOptions(seeds=WeakSeedConfig(use="points"))


@pytest.mark.parametrize(("kind", "steps"), [("boxes", 15), ("scribbles", 30), ("points", 30), ("tags", 30)])
def test_training_while_somebody_waits_is_short_and_small(kind: str, steps: int) -> None:
    config = quick(kind)
    assert (config.first_steps, config.second_steps, config.network.hidden) == (steps, steps, 32)
    assert (config.lr, config.crf_weight) == (PRESETS[kind].lr, PRESETS[kind].crf_weight)


def test_graphs_of_drawn_labels_have_cells_of_eight_pixels() -> None:
    drawn = DrawnOptions()
    assert drawn.boxes_graph.stride == drawn.strokes_graph.stride == 8
    assert drawn.strokes_graph.levels == 1 and drawn.boxes_graph.max_side == 320
    assert (drawn.boxes, drawn.strokes) == (quick("boxes"), quick("scribbles"))


def test_a_graph_that_was_not_learned_is_completed_by_one_step_of_propagation() -> None:
    completion = free_completion()
    assert completion.gcn.propagation.kind == "affinity" and completion.smoothness.color_denominator == 0.02
