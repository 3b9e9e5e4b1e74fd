"""The report of single photographs that were segmented without training."""

from collections.abc import Mapping

from weakseg.photograph.overlay import draw_activation, draw_labels, shrink
from weakseg.photograph.segmentation import Segmentation
from weakseg.report.model import Card, Panel, Report

BY = {"cam": "mask by CRF", "wsgcn": "mask by WSGCN"}


def build_demo_report(photographs: Mapping[str, Mapping[str, Segmentation]]) -> Report:
    """Return a report with one card a photograph.

    Args:
        photographs: By name: the masks ``cam`` and ``wsgcn`` of tags, and by name of the kind those of drawn labels.
    """
    tags = {name: masks["cam"].tags for name, masks in photographs.items()}
    return Report(
        title="weakseg demo",
        subtitle="From cheap labels to masks, with ImageNet features and no training",
        notes=(
            "The classifier's evidence for a tag is the activation; where it is high or low it gives seeds. What they "
            "leave open a dense CRF can decide, or WSGCN: a small graph network that is trained on the seeds of this "
            "one photograph. A2GNN, another such network, completes the seeds of a box or of scribbles. A click on the "
            "object and one beside it are decided by two small regressions on what each place has to do with them, "
            "whose weights come from other photographs.",
            "The number under a mask is its reliability: an estimate, by what the mask looks like, of the probability "
            "that it overlaps the object well (IoU of 0.6 or more). The reliability of a photograph is that of its "
            "mask by CRF.",
        ),
        cards=tuple(_card(name, masks) for name, masks in photographs.items()),
        settings={"tags": {name: ", ".join(words) for name, words in tags.items()}},
    )


def _card(name: str, masks: Mapping[str, Segmentation]) -> Card:
    result = masks["cam"]
    photo = shrink(result.image)
    heat = result.activations.values.amax(0).numpy()
    panels = (
        Panel("photograph", photo),
        Panel("activation", draw_activation(photo, heat), "activation"),
        Panel("seeds", draw_labels(photo, result.seeds.labels), "labels"),
        *(
            Panel(f"{BY.get(kind, f'from {kind}')}: {found.reliability:.2f}", draw_labels(photo, found.mask), "labels")
            for kind, found in masks.items()
        ),
    )
    return Card(name, result.tags, panels, reliability=result.reliability)
