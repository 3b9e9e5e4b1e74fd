"""The report of single photographs that were segmented without training."""

from collections.abc import Mapping

from weakseg.api import Segmentation
from weakseg.report.model import Card, Panel, Report
from weakseg.report.overlay import draw_activation, draw_labels, shrink
from weakseg.stages.refine import RefineConfig, refine_image


def build_demo_report(segmentations: Mapping[str, Segmentation]) -> Report:
    """Return a report with one card a photograph: image, activation, seeds and two masks."""
    names = list(dict.fromkeys(tag for result in segmentations.values() for tag in result.tags))
    return Report(
        title="weakseg demo",
        subtitle="From image tags to masks, with an ImageNet classifier and nothing learned but the photograph itself",
        notes=(
            "Each photograph came with nothing but its tags. The classifier's evidence for a tag is the activation; "
            "where it is high or low it gives seeds. What they leave open a dense CRF can decide, or WSGCN: a small "
            "graph network that is trained on the seeds of this one photograph.",
        ),
        cards=tuple(_card(name, result) for name, result in segmentations.items()),
        settings={"tags": {name: ", ".join(result.tags) for name, result in segmentations.items()}, "classes": names},
    )


def _card(name: str, result: Segmentation) -> Card:
    photo = shrink(result.image)
    by_crf = refine_image(result.seeds, result.image, RefineConfig())
    heat = result.activations.values.amax(0).numpy()
    panels = (
        Panel("photograph", photo),
        Panel("activation", draw_activation(photo, heat), "activation"),
        Panel("seeds", draw_labels(photo, result.seeds.labels), "labels"),
        Panel("mask by CRF", draw_labels(photo, by_crf.labels), "labels"),
        Panel("mask by WSGCN", draw_labels(photo, result.mask), "labels"),
    )
    return Card(name, result.tags, panels, confidence=result.seeds.coverage)
