from weakseg.report import Chart
from weakseg.report.chart import layout, values_table


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


def test_values_as_a_table():
    table = values_table(Chart("c", {"seeds": {"cat": 40.0}, "masks": {"dog": 61.0, "cat": 55.5}}))
    assert (table.title, table.columns) == ("c: values", ("class", "seeds", "masks"))
    assert table.rows == (("cat", 40.0, 55.5), ("dog", None, 61.0))


def test_long_names_are_cut():
    (plot,) = layout(Chart("c", {"masks": {"x" * 22: 1.0, "y" * 23: 2.0}}))
    assert [group.label for group in plot.groups] == ["x" * 22, "y" * 21 + "…"]
    assert not plot.short_labels
