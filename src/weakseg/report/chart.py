"""Bars per class as plain geometry; the template writes them as SVG."""

from dataclasses import dataclass

from weakseg.report.formatting import UNKNOWN, known
from weakseg.report.model import Chart, Table

BAR_PX, BAR_GAP_PX, GROUP_GAP_PX, AXIS_PX = 12, 2, 10, 20
TICKS_PERCENT = (0, 25, 50, 75, 100)
SHORT_LABEL, LONGEST_LABEL = 12, 22
COLOURS = 6
MAX_GROUPS = 6


@dataclass(frozen=True)
class Bar:
    """One value: ``top`` and ``middle`` in pixels, ``width`` in percent of the plot, ``colour`` 0..5."""

    top: int
    middle: float
    width: float
    colour: int
    text: str
    label: str


@dataclass(frozen=True)
class Group:
    """The bars of one class."""

    name: str
    label: str
    middle: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class BarChart:
    """A chart ready to be drawn: a plot ``height`` pixels high and as wide as the page lets it be."""

    groups: tuple[Group, ...]
    height: int
    description: str
    short_labels: bool


def layout(chart: Chart) -> tuple[BarChart, ...]:
    """Return the bars of a chart, grouped by class in the order in which the series name them.

    More than ``MAX_GROUPS`` classes are dealt to two plots, side by side where the page is wide enough.
    """
    names = class_names(chart)
    if len(names) <= MAX_GROUPS:
        return (_plot(chart, names),) if names else ()
    half = (len(names) + 1) // 2
    return _plot(chart, names[:half]), _plot(chart, names[half:])


def class_names(chart: Chart) -> tuple[str, ...]:
    """Return the classes of all series, each once, in order of appearance."""
    return tuple(dict.fromkeys(name for values in chart.series.values() for name in values))


def values_table(chart: Chart) -> Table:
    """Return a chart's values as a table: one row per class, one column per series."""
    rows = tuple((name, *(values.get(name) for values in chart.series.values())) for name in class_names(chart))
    return Table(f"{chart.title}: values", ("class", *chart.series), rows)


def _plot(chart: Chart, names: tuple[str, ...]) -> BarChart:
    pitch = len(chart.series) * (BAR_PX + BAR_GAP_PX) - BAR_GAP_PX + GROUP_GAP_PX
    groups = tuple(_group(chart, name, AXIS_PX + GROUP_GAP_PX // 2 + row * pitch) for row, name in enumerate(names))
    short = all(len(name) <= SHORT_LABEL for name in class_names(chart))
    return BarChart(groups, AXIS_PX + len(names) * pitch, _description(groups), short)


def _group(chart: Chart, name: str, top: int) -> Group:
    bars = tuple(
        _bar(index, values.get(name), top, f"{name}, {series}")
        for index, (series, values) in enumerate(chart.series.items())
    )
    return Group(name, _shortened(name), (bars[0].middle + bars[-1].middle) / 2, bars)


def _bar(index: int, value: float | None, group_top: int, label: str) -> Bar:
    top, text = group_top + index * (BAR_PX + BAR_GAP_PX), _text(value)
    return Bar(top, top + BAR_PX / 2, round(known(value) or 0.0, 2), index % COLOURS, text, f"{label}: {text}")


def _description(groups: tuple[Group, ...]) -> str:
    return "; ".join(bar.label for group in groups for bar in group.bars)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def _text(value: float | None) -> str:
    number = known(value)
    return UNKNOWN if number is None else f"{number:.1f}"
