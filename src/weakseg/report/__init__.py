"""One HTML page that shows a run: figures, tables, charts and a gallery of images; it needs no network."""

from weakseg.photograph.overlay import difference, draw_activation, draw_labels, shrink
from weakseg.report.model import Card, Chart, FailedImage, KeyFigure, Panel, Report, Table
from weakseg.report.render import render, save
from weakseg.report.selection import Selection, choose

__all__ = [
    "Card",
    "Chart",
    "FailedImage",
    "KeyFigure",
    "Panel",
    "Report",
    "Selection",
    "Table",
    "choose",
    "difference",
    "draw_activation",
    "draw_labels",
    "render",
    "save",
    "shrink",
]
