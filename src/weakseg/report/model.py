"""Everything a report page shows, as frozen dataclasses validated at construction."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from weakseg.checks import check_rgb_uint8
from weakseg.errors import ShapeError
from weakseg.graph.class_graph import check_relations
from weakseg.report.formatting import Cell, check_within, known

PanelKind = Literal["photo", "activation", "labels", "difference"]


@dataclass(frozen=True)
class KeyFigure:
    """One number of the page's head.

    Attributes:
        label: What it counts.
        value: The number; None is shown as a dash, text is shown as it is.
        note: Unit or comparison, in a few words.
    """

    label: str
    value: Cell
    note: str = ""


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a card.

    Attributes:
        title: Caption.
        image: ``(h, w, 3)`` uint8 RGB; ``shrink`` keeps the page light.
        kind: What it shows; the page explains the colours of the kinds that occur.
    """

    title: str
    image: NDArray[np.uint8]
    kind: PanelKind = "photo"

    def __post_init__(self) -> None:
        """Check the picture and the kind."""
        check_rgb_uint8(f"panel {self.title!r}", self.image)
        if not self.image.size:
            raise ShapeError(f"panel {self.title!r}: the image is empty, {self.image.shape}")
        if self.kind not in get_args(PanelKind):
            raise ShapeError(f"panel {self.title!r}: kind {self.kind!r} is none of {get_args(PanelKind)}")


@dataclass(frozen=True)
class Card:
    """One image of the gallery.

    Attributes:
        image_id: Unique in the report.
        class_names: The image's tags; the gallery is filtered by them.
        panels: Pictures side by side, at least one.
        iou: Agreement with the truth in [0, 1]; None or NaN where there is no truth.
        reliability: Of its least reliable mask, in [0, 1]; None or NaN where there is none.
        note: A remark under the pictures.
        doubts: What speaks against its masks.
        judged: Whether it can be accepted or rejected.
    """

    image_id: str
    class_names: tuple[str, ...]
    panels: tuple[Panel, ...]
    iou: float | None = None
    reliability: float | None = None
    note: str = ""
    doubts: tuple[str, ...] = ()
    judged: bool = False

    def __post_init__(self) -> None:
        """Check that there is a picture and that the measures are fractions."""
        if not self.panels:
            raise ShapeError(f"card {self.image_id!r}: needs at least one panel")
        check_within(f"card {self.image_id!r}: iou", self.iou, 1.0)
        check_within(f"card {self.image_id!r}: reliability", self.reliability, 1.0)


@dataclass(frozen=True)
class Table:
    """Rows under column names; columns of numbers are aligned and share their decimals.

    Attributes:
        title: Caption.
        columns: Column names.
        rows: One cell per column; None and NaN are shown as a dash, text as it is.
        note: A remark under the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Check that every row has one cell per column."""
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ShapeError(
                    f"table {self.title!r}: row {number} has {len(row)} cells for {len(self.columns)} columns"
                )


@dataclass(frozen=True)
class Chart:
    """Percent per class, one bar per series.

    Attributes:
        title: Caption.
        series: ``{series name: {class name: percent}}``; None and NaN mean that the class did not occur.
        note: A remark under the chart.
    """

    title: str
    series: Mapping[str, Mapping[str, float | None]]
    note: str = ""

    def __post_init__(self) -> None:
        """Check that all values are percentages."""
        for name, values in self.series.items():
            for class_name, value in values.items():
                check_within(f"chart {self.title!r}, series {name!r}, class {class_name!r}", value, 100.0)


@dataclass(frozen=True, eq=False)
class PictureTable:
    """Pictures in rows and columns: of several images, a column each, or of several kinds, an image a row.

    Attributes:
        title: Caption.
        columns: What each column is of.
        rows: Name of each row, and its pictures, ``(h, w, 3)`` uint8 RGB; ``None`` where there is none.
        note: A remark under the pictures.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[NDArray[np.uint8] | None, ...]], ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Check that every row has one place per column, and the pictures."""
        for name, pictures in self.rows:
            where = f"pictures {self.title!r}: row {name!r}"
            if len(pictures) != len(self.columns):
                raise ShapeError(f"{where} has {len(pictures)} places for {len(self.columns)} columns")
            for picture in pictures:
                if picture is not None:
                    check_rgb_uint8(where, picture)

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return sum(picture is not None for _, pictures in self.rows for picture in pictures)


@dataclass(frozen=True, eq=False)
class ClassGraphPicture:
    """What classes have to do with each other, as a matrix and as a drawing of the strongest relations.

    Attributes:
        title: Caption.
        names: M classes.
        relations: ``(M, M)`` float64, finite, >= 0, symmetric; the diagonal is not drawn.
        note: A remark under the drawing.
        fallbacks: Sentences on classes that were not found as they are written.
    """

    title: str
    names: tuple[str, ...]
    relations: NDArray[np.float64]
    note: str = ""
    fallbacks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the matrix."""
        check_relations(self.relations, self.names)


@dataclass(frozen=True)
class FailedImage:
    """An image that a stage had to leave out.

    Attributes:
        image_id: Which image.
        stage: Where it failed.
        reason: What to do about it, or the error's message.
    """

    image_id: str
    stage: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The complete input of one page; every part but the title may be left empty.

    Attributes:
        title: Headline.
        subtitle: Data set, split, commit: what the figures were measured on.
        key_figures: Tiles under the headline.
        warnings: What a reader must know before believing a figure.
        notes: Remarks of less weight.
        details: How things were measured, further down.
        tables: Results.
        charts: Figures per class.
        class_graphs: How classes are related.
        changes: What reasoning about classes changes.
        groups: Images that were looked at together.
        groups_note: How to read them.
        cards: The gallery.
        cards_note: Which images the gallery shows, where it does not show all: ``choose(...).sentence``.
        legend: ``{class name: class id}`` of the label colours, without background and undecided.
        failures: Images left out.
        settings: The run's configuration, nested by section.
    """

    title: str
    subtitle: str = ""
    key_figures: tuple[KeyFigure, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    class_graphs: tuple[ClassGraphPicture, ...] = ()
    changes: tuple[PictureTable, ...] = ()
    groups: tuple[PictureTable, ...] = ()
    groups_note: str = ""
    cards: tuple[Card, ...] = ()
    cards_note: str = ""
    legend: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[FailedImage, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that image ids are unique and class ids are those of classes."""
        repeated = [image_id for image_id, count in Counter(card.image_id for card in self.cards).items() if count > 1]
        if repeated:
            raise ShapeError(f"report: one card per image; repeated: {repeated[:5]}")
        if wrong := {name: class_id for name, class_id in self.legend.items() if not 1 <= class_id <= 254}:
            raise ShapeError(f"report: class ids of the legend are 1..254, got {wrong}")

    @property
    def measure(self) -> Literal["iou", "reliability"]:
        """What the gallery is ranked by: IoU where any card has one, else reliability."""
        return "iou" if any(known(card.iou) is not None for card in self.cards) else "reliability"
