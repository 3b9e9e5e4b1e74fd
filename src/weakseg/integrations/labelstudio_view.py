"""Label Studio's labelling configuration: which controls there are, and what they label."""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from weakseg.data.formats.xml_files import xml_root
from weakseg.errors import DataError

_BRUSH, _RECTANGLE, _IMAGE = "brushlabels", "rectanglelabels", "image"
_REMEDY = "correct the labelling configuration of the project"


@dataclass(frozen=True)
class View:
    """What of a labelling configuration counts for masks of one photograph.

    Attributes:
        image: Name of the image.
        data_key: Key of a task's data at which its address stands; empty where the configuration does not say.
        brush: Name of the control that masks are results of.
        labels: What it labels; none where the labels are of each task's own.
        rectangles: Names of the controls of boxes.
    """

    image: str
    data_key: str
    brush: str
    labels: tuple[str, ...]
    rectangles: frozenset[str]


def read_view(config: object) -> View:
    """Return what a labelling configuration says.

    Of several images the first that has brush labels counts. A label is called by its alias where it has one, as in
    Label Studio's results.

    Args:
        config: The XML as text.

    Raises:
        DataError: If it is no XML, or has no image with brush labels.
    """
    where = "label_config: the labelling configuration"
    if not isinstance(config, str) or not config.strip():
        raise DataError(f"{where} is missing; {_REMEDY}")
    root = xml_root(config, where, _REMEDY)
    named = {one.get("name", ""): one for one in root.iter() if _tag(one) == _IMAGE}
    brushes = [one for one in root.iter() if _tag(one) == _BRUSH and one.get("toName", "") in named]
    if not brushes:
        raise DataError(f"{where} has no BrushLabels for an Image, which masks are results of; add them")
    image = brushes[0].get("toName", "")
    value = named[image].get("value", "")
    rectangles = [one for one in root.iter() if _tag(one) == _RECTANGLE and one.get("toName") == image]
    return View(
        image,
        value[1:] if value.startswith("$") and value[1:].isidentifier() else "",
        brushes[0].get("name", ""),
        tuple(label for one in brushes[0].iter() if _tag(one) == "label" and (label := _label(one.attrib))),
        frozenset(one.get("name", "") for one in rectangles),
    )


def _tag(element: Element) -> str:
    return element.tag.lower() if isinstance(element.tag, str) else ""


def _label(attributes: Mapping[str, str]) -> str:
    return attributes.get("alias") or attributes.get("value", "")
