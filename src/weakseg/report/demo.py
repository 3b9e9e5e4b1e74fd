"""The report of single photographs that were segmented without training."""

from collections.abc import Mapping

from weakseg.api import Segmentation
from weakseg.report.model import Card, Panel, Report
from weakseg.report.overlay import draw_activation, draw_labels, shrink


def build_demo_report(segmentations: Mapping[str, Segmentation]) -> Report:
    """Return a report with one card a photograph: image, activation, seeds and mask."""
    names = list(dict.fromkeys(tag for result in segmentations.values() for tag in result.tags))
    return Report(
        title="weakseg demo",
        subtitle="From image tags to masks with no training: the embedded ImageNet classifier and a dense CRF",
        notes=(
            "Each photograph came with nothing but its tags. The classifier's evidence for a tag is the activation; "
            "where it is high or low it gives seeds; a dense CRF decides the rest.",
        ),
        cards=tuple(_card(name, result) for name, result in segmentations.items()),
        settings={"tags": {name: ", ".join(result.tags) for name, result in segmentations.items()}, "classes": names},
    )


def _card(name: str, result: Segmentation) -> Card:
    photo = shrink(result.image)
    heat = result.activations.values.amax(0).numpy()
    panels = (
        Panel("photograph", photo),
        Panel("activation", draw_activation(photo, heat), "activation"),
        Panel("seeds", draw_labels(photo, result.seeds.labels), "labels"),
        Panel("mask", draw_labels(photo, result.mask), "labels"),
    )
    return Card(name, result.tags, panels, confidence=result.seeds.coverage)
