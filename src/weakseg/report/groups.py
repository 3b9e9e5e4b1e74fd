"""What pages tell of images that were looked at in groups: how many, and pictures of some."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.methods.recipe import Recipe
from weakseg.nn.classifiers.group import GroupClassifier
from weakseg.nn.weights import MODEL_FILE
from weakseg.ops.resample import Cells, resample_cells, resize_image
from weakseg.photograph.overlay import draw_activation, draw_ring, shrink
from weakseg.pipeline.intake import STEP as INTAKE
from weakseg.pipeline.plan import TRAIN, Failure
from weakseg.pipeline.units import Unit
from weakseg.report.gallery import Labels, summary_of
from weakseg.report.model import PictureTable
from weakseg.rng import derive_seed
from weakseg.settings.group_classify import GroupActivateConfig, GroupClassifierConfig, GroupDrawConfig
from weakseg.stages.activate import seen_sizes
from weakseg.stages.classify import load_classifier
from weakseg.stages.group_view import GroupView, view_group
from weakseg.steps.group import group_units, unit_edges, unit_targets

ABOUT_GROUPS = (
    "Some groups, drawn by lot, as the trained classifier sees them at the first scale of the activations. The ring "
    "marks the cell of the first image whose score of the class is the highest. What it attends to is that of the "
    "first messages, and sums to one over the cells of each other image. Each map is drawn as a share of its own "
    "greatest value, so that brightness cannot be compared between pictures."
)
MAX_GROUPS = 4
Row = tuple[str, tuple[Labels | None, ...]]
WITHOUT = {"mean": "messages are the mean of the sender's cells", "none": "images send no messages"}


@dataclass(frozen=True)
class Grouped:
    """Images that a classifier looks at in groups.

    Attributes:
        classifier: How it was trained.
        activations: How activations are computed.
        dataset: With the images.
        units: The groups; images without a tag are alone.
        folders: Of the steps, by name.
    """

    classifier: GroupClassifierConfig
    activations: GroupActivateConfig
    dataset: Dataset
    units: Sequence[Unit]
    folders: Mapping[str, Path]

    @property
    def draw(self) -> GroupDrawConfig:
        """How images are looked at."""
        return self.activations.groups(self.classifier.groups)

    @property
    def model(self) -> Path:
        """The file of the classifier."""
        return self.folders["classifier"] / MODEL_FILE

    def describe(self) -> str:
        """Return a sentence on how many groups there are, and who is in none."""
        draw, tagged = self.draw, [unit for unit in self.units if unit.samples[0].tags.present]
        samples = [sample for unit in tagged for sample in unit.samples]
        shown = Counter(class_id for sample in samples for class_id in sample.tags.present)
        lonely = sum(all(shown[class_id] == 1 for class_id in sample.tags.present) for sample in samples)
        kind = "that share a class" if draw.draw == "shared" else "drawn at random, whatever they show"
        how = f"in {len(tagged)} groups of at most {draw.size} {kind}"
        if self.classifier.accumulate:
            how = f"in groups of {draw.size} {kind}, anew in each epoch of the training"
        if draw.size == 1:
            how = "each alone"
        return (
            f"activations: {len(samples)} images with a tag, {how}; {lonely} share no class with another one. "
            f"{len(self.units) - len(tagged)} images without a tag, in no such group."
        )

    def pictures(self, most: int, *, of: str = "") -> tuple[PictureTable, ...]:
        """Return pictures of at most so many groups of several images.

        Args:
            most: How many.
            of: What titles begin with.
        """
        units = [unit for unit in self.units if len(unit.samples) > 1]
        units.sort(key=lambda unit: derive_seed(0, unit.samples[0].id, "report/groups"))
        if not units[:most]:
            return ()
        model, _ = load_classifier(self.model)
        assert isinstance(model, GroupClassifier)
        return tuple(self._table(model, unit, of) for unit in units[:most])

    def _table(self, model: GroupClassifier, unit: Unit, of: str) -> PictureTable:
        samples, targets = unit.samples, unit_targets(unit, len(self.dataset.classes))
        images = [sample.load_image() for sample in samples]
        sizes = [seen_sizes((image.shape[0], image.shape[1]), self.activations)[0] for image in images]
        seen = [resize_image(image, size) for image, size in zip(images, sizes, strict=True)]
        class_id, edges = _class_of(samples), unit_edges(targets, self.draw)
        view = view_group(model, seen, edges, class_id, output=self.activations.output)
        name = self.dataset.classes.name_of(class_id)
        columns = tuple(
            f"{sample.id}: {', '.join(self.dataset.classes.name_of(i) for i in sorted(sample.tags.present))}"
            for sample in samples
        )
        drawing = _Drawing([shrink(image) for image in images], sizes, model.cells, view)
        shows = [class_id in sample.tags.present for sample in samples]
        return PictureTable(
            f"{of}{samples[0].id} and its group, {name}",
            columns,
            drawing.rows(name, shows),
            _sentence(samples, name, view, self.classifier.head.graph.messages),
        )


@dataclass(frozen=True)
class _Drawing:
    """Draws what was seen of a group over its photographs."""

    photos: Sequence[Labels]
    sizes: Sequence[tuple[int, int]]
    cells: Cells
    view: GroupView

    def rows(self, name: str, shows: Sequence[bool]) -> tuple[Row, ...]:
        """Return the rows of pictures; of images that do not show the class, no evidence of it."""
        indices = range(len(self.photos))
        heads = {"before the graph": self.view.intermediate, "after the graph": self.view.graph}
        found: list[Row] = [("photograph", tuple(self._ringed(i, self.photos[i]) for i in indices))]
        for title, maps in heads.items():
            drawn = tuple(self._ringed(i, self._heat(i, maps[i])) if shows[i] else None for i in indices)
            found.append((f"{name}, {title}", drawn))
        if self.view.attention:
            attended = tuple(
                self._heat(i, self.view.attention[i]) if i in self.view.attention else None for i in indices
            )
            found.append(("what the ring attends to", attended))
        return tuple(found)

    def _heat(self, index: int, values: Tensor) -> Labels:
        photo = self.photos[index]
        fine = resample_cells(values, (photo.shape[0], photo.shape[1]), self.sizes[index], self.cells)
        return draw_activation(photo, (fine / fine.amax().clamp(min=1e-12)).numpy())

    def _ringed(self, index: int, picture: Labels) -> Labels:
        """Return the anchor's picture with the ring; those of others as they are."""
        if index:
            return picture
        pixels = [self.cells.first + self.cells.stride * number for number in self.view.cell]
        ratios = [drawn / seen for drawn, seen in zip(picture.shape, self.sizes[0], strict=False)]
        row, column = ((pixel + 0.5) * ratio - 0.5 for pixel, ratio in zip(pixels, ratios, strict=True))
        return draw_ring(picture, (row, column))


def grouped(
    recipe: Recipe, dataset: Dataset, folders: Mapping[str, Path], failures: Collection[Failure]
) -> tuple[Grouped, ...]:
    """Return the groups of a plan that looks at groups and has its activations; of other plans none.

    Args:
        recipe: Its settings.
        dataset: As it was opened.
        folders: Of its steps, by name.
        failures: Of the run; images that could not be read were in no group.
    """
    classifier, activations = getattr(recipe, "classifier", None), getattr(recipe, "activations", None)
    if not isinstance(classifier, GroupClassifierConfig) or not isinstance(activations, GroupActivateConfig):
        return ()
    if not all(summary_of(folders[name]) for name in ("classifier", "activations")):
        return ()
    unreadable = {failure.image_id for failure in failures if failure.step == INTAKE}
    samples = [sample for sample in dataset.splits[TRAIN] if sample.id not in unreadable]
    return (
        Grouped(classifier, activations, dataset, group_units(samples, activations.groups(classifier.groups)), folders),
    )


def _class_of(samples: Sequence[WeakSample]) -> int:
    """Return the class of the first image that most of the others show, too; of several the first."""
    return max(sorted(samples[0].tags.present), key=lambda i: sum(i in sample.tags.present for sample in samples))


def _sentence(samples: Sequence[WeakSample], name: str, view: GroupView, messages: str) -> str:
    """Return how narrow the attention of the anchor's cell is."""
    if not view.attention:
        return f"No attention is shown: {WITHOUT[messages]}."
    shares = [f"{100 * _half(one):.0f} % of the cells of {samples[i].id}" for i, one in view.attention.items()]
    several = f"{', '.join(shares[:-1])} and {shares[-1]}" if len(shares) > 1 else shares[0]
    return (
        f"Of what the ring in {samples[0].id}, where {name} is found most, attends to in each image, half lies on "
        f"{several}; it would be 50 % if all cells were attended to alike."
    )


def _half(attention: Tensor) -> float:
    """Return the smallest share of cells that together get half of the attention."""
    shares = attention.flatten().sort(descending=True).values.cumsum(0)
    return (int((shares < 0.5).sum()) + 1) / shares.numel()
