"""The page of a comparison whose products were laid out by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from weakseg.methods.compare import ComparedMethod, Comparison, MethodProducts
from weakseg.methods.figures import MethodFigures
from weakseg.methods.recipe import Recipe
from weakseg.methods.supervised.config import SupervisedRecipe
from weakseg.pipeline.plan import Failure, Kind, Role, Step, StepResult, Work
from weakseg.report.compare import build_comparison_report, figures_table
from weakseg.settings.fit import FitConfig
from weakseg.settings.segment import SegmentConfig

NOTHING = Work("tests.nothing", lambda context: StepResult())
STEPS = (
    Step("activations", Kind.ACTIVATIONS, {}, {}, NOTHING, Role.START),
    Step("seeds", Kind.LABELS, {}, {}, NOTHING, Role.SEEDS),
    Step("masks", Kind.LABELS, {}, {}, NOTHING, Role.RESULT),
    Step("instances", Kind.INSTANCES, {}, {}, NOTHING),
)


def with_products(method: ComparedMethod, **changes: Any) -> ComparedMethod:
    return replace(method, products=replace(method.products, **changes))


@pytest.fixture
def compared(recipe: Recipe, leave_steps: Callable[..., dict[str, Any]], tmp_path: Path) -> Comparison:
    """Two methods with seeds in common; the masks of the second are two columns further off."""
    methods = []
    for name, shift in (("near", 1), ("far", 3)):
        score = leave_steps(tmp_path / name, shift)
        folders = {step: tmp_path / "near" / step for step in ("activations", "seeds")}
        folders["masks"] = tmp_path / name / "masks"
        figures = MethodFigures(after_crf=score["mean_iou"], peak_mb=100.0 if name == "near" else None)
        products = MethodProducts(STEPS, folders, {"masks": [score]})
        methods.append(ComparedMethod(name, recipe, products, figures, ()))
    return Comparison(tmp_path, tuple(methods), [Failure("i99", "seeds", "torn")])


def test_columns_without_a_figure_are_left_out(compared):
    table = figures_table(compared)
    near, far = (method.figures.after_crf for method in compared.methods)
    assert table.columns == ("method", "after CRF, mIoU %", "peak MB")
    assert table.rows == (("near", near, 100.0), ("far", far, None)) and near > far
    assert "(wall clock, 2 processes)" in table.note


def test_several_lists_have_a_column_each(compared):
    agreement = {"fit": {"after_crf": 70.0, "coverage": 50.0}, "held": {"after_crf": 60.0}, "val": {"segmenter": 40.0}}
    methods = [
        replace(method, figures=MethodFigures(after_crf=70.0, coverage=50.0, segmenter=40.0, lists=lists))
        for method, lists in zip(compared.methods, (agreement, {"fit": {"after_crf": 50.0}}), strict=True)
    ]
    table = figures_table(replace(compared, methods=tuple(methods)))
    names = ("after CRF, mIoU %: fit", "after CRF, mIoU %: held", "coverage %", "segmenter, mIoU %")
    assert table.columns == ("method", *names)
    assert [row[1:] for row in table.rows] == [(70.0, 60.0, 50.0, 40.0), (50.0, None, 50.0, 40.0)]


def test_one_reference_for_percentages(compared):
    near, far = compared.methods
    data = near.recipe.data
    true = [SupervisedRecipe(data=data), SupervisedRecipe(data=data, void_is_background=True)]
    true.append(SupervisedRecipe(data=data, segmenter=SegmentConfig(fit=FitConfig(epochs=99))))
    methods = [
        replace(method, name=name, recipe=recipe, figures=MethodFigures(segmenter=value))
        for name, method, recipe, value in (
            ("near", near, near.recipe, 60.0), ("far", far, replace(far.recipe, seed=1), 70.0),
            ("true", far, true[0], 80.0), ("complete", far, true[1], 75.0), ("longer", far, true[2], 90.0),
        )
    ]  # fmt: skip
    table = figures_table(replace(compared, methods=tuple(methods)))
    assert table.columns == ("method", "segmenter, mIoU %", "of the reference %")
    assert [row[2] for row in table.rows] == [75.0, None, None, 93.75, None]
    lists = ({"fit": {"segmenter": 50.0}, "held": {"segmenter": 30.0}}, {"fit": {"segmenter": 80.0}})
    both = [
        replace(methods[index], figures=MethodFigures(lists=found)) for index, found in zip((0, 2), lists, strict=True)
    ]
    table = figures_table(replace(compared, methods=tuple(both)))
    assert table.columns[3:] == ("of the reference %: fit",)
    assert [row[3] for row in table.rows] == [62.5, None]


def test_tables_and_figures(compared, tmp_path):
    report = build_comparison_report(compared)
    assert report.title == f"near, far: {tmp_path.name}"
    assert [figure.label for figure in report.key_figures] == ["near", "far"]
    methods, agreement, steps = report.tables
    assert methods == figures_table(compared)
    assert [row[:3] for row in agreement.rows] == [("near", "masks", "train"), ("far", "masks", "train")]
    assert [row[:2] for row in steps.rows] == [
        ("activations", "near, far"), ("seeds", "near, far"), ("masks", "near"), ("masks", "far"),
    ]  # fmt: skip
    assert report.warnings == ("activations were slow", "seeds were slow", "masks were slow")
    assert list(report.charts[0].series) == list(report.settings) == ["near", "far"]
    assert [failure.image_id for failure in report.failures] == ["i99"]


def test_cards_show_all_masks_side_by_side(compared):
    scores = {method.name: method.products.scores[0]["per_image"] for method in compared.methods}
    cards = {card.image_id: card for card in build_comparison_report(compared).cards}
    assert len(cards) == 6
    card = cards["i01"]
    assert [panel.title for panel in card.panels] == [
        "photograph", "activation", "near", "far", "near against truth", "far against truth",
    ]  # fmt: skip
    assert card.iou == pytest.approx((scores["near"]["i01"] + scores["far"]["i01"]) / 200)
    assert card.note == f"near {scores['near']['i01']:.1f}, far {scores['far']['i01']:.1f}"


def test_without_truth_masks_are_shown_all_the_same(compared):
    blind = [with_products(replace(method, figures=MethodFigures()), scored={}) for method in compared.methods]
    report = build_comparison_report(replace(compared, methods=tuple(blind)))
    assert (report.key_figures, report.charts, report.details) == ((), (), ())
    assert [panel.title for panel in report.cards[0].panels][-2:] == ["near", "far"]
    assert {card.iou for card in report.cards} == {None}


def test_objects_have_a_table_of_their_own(compared):
    score = {
        "name": "instances", "protocol": {"split": "train"}, "images": 6, "missing": 0, "objects": 8,
        "mean_ap_region": {"0.5": 80.0}, "coco": {"ap": 40.0, "ap50": 75.0},
    }  # fmt: skip
    near, far = compared.methods
    report = build_comparison_report(
        replace(compared, methods=(with_products(near, scored={"instances": [score]}), far))
    )
    assert report.tables[2].rows[0][:3] == ("near: instances", "train", 80.0)


def test_methods_without_masks_show_their_activations(compared, tmp_path):
    score = {**compared.methods[0].products.scored["masks"][0], "name": "activations", "per_image": {}}
    near, far = (with_products(m, steps=STEPS[:1], scored={"activations": [score]}) for m in compared.methods)
    apart = with_products(far, folders={"activations": tmp_path / "far" / "activations"})
    report = build_comparison_report(replace(compared, methods=(near, apart)))
    titles = ["photograph", "activation of near", "activation of far"]
    assert [[panel.title for panel in card.panels] for card in report.cards] == [titles]
    assert report.key_figures[0].label == "near" and "mIoU % of the activations" in str(report.key_figures[0])
    assert report.charts[0].title == "IoU of each class, percent, activations"
    both = build_comparison_report(replace(compared, methods=(near, far)))
    assert [panel.title for panel in both.cards[0].panels] == ["photograph", "activation"]


def test_a_method_that_made_nothing_to_see_has_no_card(compared, tmp_path):
    bare = with_products(compared.methods[0], steps=STEPS[1:2], scored={})
    assert build_comparison_report(replace(compared, methods=(bare,))).cards == ()
