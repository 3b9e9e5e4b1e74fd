"""The model card of what is published: Markdown, and above it the fields that model hubs read."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import yaml

from weakseg.artifacts import voc_palette
from weakseg.evaluation.instance_protocol import describe_objects
from weakseg.evaluation.protocol import describe_protocol, titled
from weakseg.methods.publish import Source
from weakseg.methods.recipe import Recipe
from weakseg.methods.supervised.config import SupervisedRecipe
from weakseg.report.formatting import Cell, flatten_settings, format_column
from weakseg.report.gallery import agreement_table, objects_table
from weakseg.report.model import Table
from weakseg.settings.predict import PredictConfig
from weakseg.steps.segment import MASKS, PREDICTIONS, in_round
from weakseg.version import __version__

FEW = 200  # photographs
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")
LICENSES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "unlicense", "openrail", "unknown"),
    *("gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "other"),
)
"""Some of the identifiers that model hubs know; any other licence is ``other`` there, with its name beside."""


@dataclass(frozen=True)
class Shared:
    """What somebody chose for a publication.

    Attributes:
        name: What the folder is called.
        title: Of the card.
        license: Identifier or name; empty: none was chosen.
        example: File of an example's mask in the folder; empty: there is none.
    """

    name: str
    title: str
    license: str = ""
    example: str = ""


def render_card(source: Source, shared: Shared) -> str:
    """Return the card as Markdown."""
    recipe = source.recipe
    predictions = recipe.predictions if recipe else PredictConfig()
    rounds = f", {recipe.rounds} rounds" if recipe and recipe.rounds > 1 else ""
    text = (
        _environment()
        .get_template("card.md.j2")
        .render(
            front=front_matter(source, shared),
            title=shared.title,
            name=shared.name,
            source=source,
            recipe=recipe,
            rounds=rounds,
            version=__version__,
            classes=source.classes.names,
            learned=_learned(source, recipe),
            classes_table=_classes_table(source),
            counts_table=_counts_table(source),
            data=list(_data_sentences(source)),
            figures=[_markdown(table) for table in _tables(source)],
            protocols=list(_protocols(source)),
            limitations=list(_limitations(source, recipe)),
            instances=source.header.get("kind") == "instance segmenter",
            flags=predict_flags(predictions),
            arguments=_arguments(predictions),
            example=shared.example,
            licence=_licence(shared.license, source.header.get("init", {})),
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def front_matter(source: Source, shared: Shared) -> str:
    """Return the fields that model hubs read, as YAML."""
    recipe, told = source.recipe, {}
    if shared.license:
        known = shared.license.lower()
        told = {"license": known} if known in LICENSES else {"license": "other", "license_name": shared.license}
    method = [recipe.method] if recipe else []
    tags = ["weakseg", "semantic-segmentation", "weakly-supervised-segmentation", *method]
    if isinstance(recipe, SupervisedRecipe):
        tags.remove("weakly-supervised-segmentation")
    return yaml.safe_dump(
        {**told, "library_name": "weakseg", "pipeline_tag": "image-segmentation", "tags": tags},
        sort_keys=False,
        allow_unicode=True,
    )


def predict_flags(config: PredictConfig) -> str:
    """Return the flags of ``weakseg predict`` that say what differs from its defaults."""
    usual = dict(flatten_settings(asdict(PredictConfig())))
    changed = [(name, text) for name, text in flatten_settings(asdict(config)) if usual.get(name) != text]
    return "".join(f" --{name} {shlex.quote(text.replace(', ', ',').strip('[]'))}" for name, text in changed)


def _arguments(config: PredictConfig) -> str:
    """Return the arguments of ``PredictConfig`` that differ from its defaults, but for nested ones."""
    usual = PredictConfig()
    values = {one.name: getattr(config, one.name) for one in fields(config)}
    changed = {k: v for k, v in values.items() if v != getattr(usual, k) and not is_dataclass(v)}
    return ", ".join(f"{name}={value!r}" for name, value in changed.items())


def _learned(source: Source, recipe: Recipe | None) -> str:
    """Return in words what kind of labels a run was given."""
    if isinstance(recipe, SupervisedRecipe):
        return "masks of pixels that people drew"
    found = source.counts.get("splits", {}).get("train", {}).get("labels", {})
    return f"weak labels: {' and '.join(found)}" if found else "weak labels"


def _classes_table(source: Source) -> str:
    """Return values, names and colours of classes, and how many photographs and pixels each had."""
    names = ("background", *source.classes.names)
    shown = source.counts.get("splits", {}).get("train", {}).get("showing", {})
    pixels = source.header.get("masks", {}).get("pixels", {})
    columns: dict[str, list[Cell]] = {
        "value": list(range(len(names))),
        "class": [_text(name) for name in names],
        "colour": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in voc_palette()[: len(names)].tolist()],
    }
    if shown:
        columns["training photographs that show it"] = [None, *(shown.get(name) for name in names[1:])]
    if pixels:
        columns["pixels of its training masks"] = [pixels.get(name) for name in names]
    return _grid(columns)


def _counts_table(source: Source) -> str:
    """Return how many photographs each split has, by the strongest label of each."""
    splits: Mapping[str, Any] = source.counts.get("splits", {})
    if not splits:
        why = "the run is older than such counts; the same command again counts them" if source.finished else "no run"
        return f"Not counted ({why})."
    kinds = list(dict.fromkeys(kind for told in splits.values() for kind in told["labels"]))
    columns: dict[str, list[Cell]] = {
        "split": list(splits),
        "photographs": [told["images"] for told in splits.values()],
    }
    columns |= {f"strongest label: {kind}": [told["labels"].get(kind, 0) for told in splits.values()] for kind in kinds}
    return _grid(columns)


def _data_sentences(source: Source) -> Iterator[str]:
    """Yield what else there is to say of the data."""
    if "val" in source.counts.get("splits", {}):
        yield "It did not learn from `val`."
    if left := source.counts.get("unreadable"):
        yield f"{left} of them could not be read, and were left out."
    if source.counts:
        yield "None of the photographs is part of this publication."


def _tables(source: Source) -> Iterator[Table]:
    """Yield the tables of the figures, as the report has them, and IoU of each class of what is published."""
    if source.scores:
        yield agreement_table(source.scores)
    if published := [score for score in source.scores if score["name"] in _published(source)]:
        names = list(published[0]["iou"])
        rows = tuple((name, *(score["iou"].get(name) for score in published)) for name in map(str, names))
        yield Table("IoU of each class, percent", ("class", *map(titled, published)), rows)
    if source.objects:
        yield objects_table({titled(score): score for score in source.objects})


def _published(source: Source) -> set[str]:
    """Return the names of the products that what is published has made."""
    rounds = source.recipe.rounds if source.recipe else 1
    return {in_round(PREDICTIONS, rounds)} if source.model else {MASKS}


def _protocols(source: Source) -> Iterator[str]:
    yield from (f"{titled(score)}: {describe_protocol(score)}." for score in source.scores)
    yield from (f"{titled(score)}: {describe_objects(score)}." for score in source.objects)


def _limitations(source: Source, recipe: Recipe | None) -> Iterator[str]:
    """Yield what a reader should know before using it."""
    if source.model and not isinstance(recipe, SupervisedRecipe):
        yield "It learned outlines from masks that a program made of weak labels: they are less exact than drawn ones."
    if source.model:
        yield "It knows no other class than these: everything else is background to it."
    if source.models:
        yield "The labeller believes the tags: a class that is tagged gets pixels, one that is not gets none."
    training: Mapping[str, Any] = source.counts.get("splits", {}).get("train", {})
    if training and training["images"] < FEW:
        yield f"It learned from {training['images']} photographs; how it does on others than such is not known."
    pixels: Mapping[str, int] = source.header.get("masks", {}).get("pixels", {})
    if missing := [_text(name) for name, count in pixels.items() if not count]:
        yield f"No pixel of its training masks was of {', '.join(missing)}: it never predicts them."
    of_training = [score for score in source.scores if score["protocol"].get("split") == "train"]
    if of_training and len(of_training) == len(source.scores):
        yield "All figures are of photographs that it learned from, which flatters it."
    elif of_training:
        yield "Figures of the split `train` are of photographs that it learned from, which flatters it."
    init = source.header.get("init", {})
    if init.get("pixel_masks"):
        yield f"It started from {_text(str(init.get('network')))}, which learned from masks that people drew."
    if recipe and source.model:
        side = recipe.predictions.max_side
        yield f"Photographs are reduced to a long side of {side} pixels; what is small then is missed."


def _licence(given: str, init: Mapping[str, Any]) -> str:
    start = init.get("network") or init.get("backbone")
    of_others = "Licences of the photographs that it learned from"
    of_others += (
        f", and of the weights that it started from (`{start}`), hold beside it." if start else " hold beside it."
    )
    if given:
        return f"{_text(given)}. {of_others}"
    return f"**Missing.** Nobody has said what may be done with this model; ask its author. {of_others}"


def _markdown(table: Table) -> str:
    """Return a table of a report as Markdown."""
    columns = {name: [row[index] for row in table.rows] for index, name in enumerate(table.columns)}
    texts = {
        _text(name): [_text(one) if isinstance(one, str) else one for one in cells] for name, cells in columns.items()
    }
    return "\n\n".join(filter(None, (f"**{table.title}**", _grid(texts), table.note)))


def _grid(columns: Mapping[str, Sequence[Cell]]) -> str:
    """Return columns, by their titles, as a table of Markdown; texts are escaped already."""
    rows = zip(*(format_column(cells) for cells in columns.values()), strict=True)
    lines = [list(columns), ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: str) -> str:
    """Return text in which nothing is Markdown."""
    return SPECIAL.sub(r"\\\1", " ".join(value.split()))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: files("weakseg.report").joinpath(name).read_text(encoding="utf-8")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["text"] = _text
    return environment
