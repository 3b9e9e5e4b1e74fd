from weakseg.report import Chart
from weakseg.report.chart import layout


def test_bars_are_as_long_as_their_values():
    (plot,) = layout(Chart("c", {"seeds": {"cat": 40.0}, "masks": {"dog": float("nan"), "cat": 55.55}}))
    assert [group.name for group in plot.groups] == ["cat", "dog"]
    assert [bar.width for group in plot.groups for bar in group.bars] == [40.0, 55.55, 0.0, 0.0]
    assert plot.description == "cat, seeds: 40.0; cat, masks: 55.5; dog, seeds: –; dog, masks: –"
    last = plot.groups[-1].bars[-1]
    assert last.top + 12 <= plot.height


def test_many_classes_are_dealt_to_two_plots():
    plots = layout(Chart("c", {"masks": {f"class {index}": 1.0 for index in range(21)}}))
    assert [len(plot.groups) for plot in plots] == [11, 10]
    assert layout(Chart("c", {})) == ()
