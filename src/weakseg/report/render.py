"""A report as one HTML page: everything inline, nothing fetched, and a policy in the page that forbids fetching."""

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from weakseg.artifacts import voc_palette
from weakseg.files import write_bytes
from weakseg.photograph.overlay import DIFFERENCE_COLOURS, heat_colours
from weakseg.report.chart import TICKS_PERCENT, layout, values_table
from weakseg.report.class_graph import layout_graph
from weakseg.report.formatting import flatten_settings, format_cell, format_column, format_percent, is_numeric, known
from weakseg.report.model import Card, Report, Table
from weakseg.report.pictures import data_uri, side_for
from weakseg.report.selection import choose
from weakseg.stages.reliability import DOUBTFUL
from weakseg.version import __version__

MAX_CARDS = 300


def save(report: Report, path: Path, *, max_cards: int = MAX_CARDS) -> None:
    """Write the page atomically.

    Where the report has more than ``max_cards`` cards, the worst, the best and an even sample are shown; the page
    and a printed line say so.

    Raises:
        StoreError: If the file cannot be written.
    """
    report = _limited(report, max_cards)
    write_bytes(path, render(report).encode("utf-8", errors="replace"))
    if report.cards_note:
        print(f"{path}: {report.cards_note}")


def render(report: Report) -> str:
    """Return the page as HTML; it holds every card of the report."""
    style, script = _part("page.css"), _part("page.js")
    return (
        _environment()
        .get_template("template.html.j2")
        .render(
            report=report,
            cards=_ordered(report),
            chips=_chips(report),
            doubtful=DOUBTFUL,
            judged=_judged(report),
            doubted=any(known(card.reliability) is not None for card in report.cards),
            kinds={panel.kind for card in report.cards for panel in card.panels} - {"photo"},
            settings=_sections(report),
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            ticks=TICKS_PERCENT,
            picture=partial(data_uri, side=side_for(_pictures(report))),
            heat_colours=heat_colours()[None].repeat(12, axis=0),
            difference_colours=DIFFERENCE_COLOURS,
            version=__version__,
        )
    )


def _judged(report: Report) -> str:
    """Return what tells the masks of a page from others, so that verdicts stay with theirs; empty: none is judged."""
    digest = hashlib.blake2b(digest_size=8)
    cards = sorted((card for card in report.cards if card.judged), key=lambda card: card.image_id)
    for card in cards:
        digest.update(card.image_id.encode())
        for panel in card.panels:
            digest.update(panel.image.tobytes())
    return digest.hexdigest() if cards else ""


def _limited(report: Report, max_cards: int) -> Report:
    """Return the report with at most ``max_cards`` cards and a sentence that says which."""
    selection = choose([getattr(card, report.measure) for card in report.cards], max_cards)
    if not selection.sentence:
        return report
    return replace(
        report, cards=tuple(report.cards[index] for index in selection.indices), cards_note=selection.sentence
    )


def _pictures(report: Report) -> int:
    """Return how many pictures the page holds."""
    tables = (*report.changes, *report.groups)
    return sum(len(card.panels) for card in report.cards) + sum(table.count for table in tables)


def _ordered(report: Report) -> list[Card]:
    """Return the cards from worst to best, unknown ones last."""

    def rank(card: Card) -> tuple[bool, float, str]:
        value = known(getattr(card, report.measure))
        return value is None, value or 0.0, card.image_id

    return sorted(report.cards, key=rank)


@dataclass(frozen=True)
class _Chip:
    """One class of the gallery's filter."""

    name: str
    count: int


def _chips(report: Report) -> list[_Chip]:
    """Return the classes that occur, in the legend's order, others after them by name."""
    counts = Counter(name for card in report.cards for name in set(card.class_names))
    return [_Chip(name, counts[name]) for name in sorted(counts, key=lambda name: (report.legend.get(name, 255), name))]


def _sections(report: Report) -> dict[str, list[tuple[str, str]]]:
    """Return the settings by their first key, single values under ``""``."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for name, text in flatten_settings(report.settings):
        sections.setdefault(name.partition(".")[0] if "." in name else "", []).append((name, text))
    return sections


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_part),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=format_percent, cell=format_cell, columns=_columns, names=_names, known=known)
    environment.globals.update(layout=layout, layout_graph=layout_graph, values_table=values_table, colour=_colour)
    return environment


@cache
def _part(name: str) -> str:
    return files("weakseg.report").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy under which only this page's own style and script run."""
    return (
        f"default-src 'none'; img-src data:; style-src {_source_hash(style)}; script-src {_source_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _columns(table: Table) -> list[tuple[bool, tuple[str, ...]]]:
    """Return, for every column, whether it is aligned as numbers, and its texts."""
    columns = [[row[index] for row in table.rows] for index in range(len(table.columns))]
    return [(is_numeric(cells), format_column(cells)) for cells in columns]


def _names(names: tuple[str, ...]) -> str:
    """Return class names for the page's script, as JSON."""
    return json.dumps(names)


def _colour(class_id: int) -> str:
    red, green, blue = voc_palette()[class_id].tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"
