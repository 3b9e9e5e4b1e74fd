"""weakseg: from cheap labels to pixel masks and trained segmentation models, with graphs."""

from typing import TYPE_CHECKING

from weakseg.lazy import imported_late
from weakseg.version import __version__

__all__ = [
    "Box",
    "LabelMap",
    "Marks",
    "Photograph",
    "PredictConfig",
    "RunOptions",
    "SegmentOptions",
    "Segmentation",
    "__version__",
    "compare_methods",
    "instances_from_boxes",
    "label_images",
    "load_recipe",
    "load_recipes",
    "load_rgb",
    "load_segmenter",
    "predict_image",
    "read_marks",
    "run",
    "run_recipe",
    "segment",
    "segment_each",
    "segment_group",
    "segment_labelled",
]

if TYPE_CHECKING:
    from weakseg.api import run, segment, segment_each, segment_group, segment_labelled
    from weakseg.artifacts import LabelMap
    from weakseg.data.annotations import Box
    from weakseg.data.image import load_rgb
    from weakseg.methods.compare import compare_methods
    from weakseg.methods.label import label_images
    from weakseg.methods.recipes import load_recipe
    from weakseg.methods.run import run_recipe
    from weakseg.methods.shared_recipe import load_recipes
    from weakseg.photograph.config import SegmentOptions
    from weakseg.photograph.marks import Marks, read_marks
    from weakseg.photograph.photograph import Photograph
    from weakseg.photograph.segmentation import Segmentation
    from weakseg.pipeline.options import RunOptions
    from weakseg.settings.predict import PredictConfig
    from weakseg.stages.box_instances import instances_from_boxes
    from weakseg.stages.predict import predict_image
    from weakseg.stages.segment import load_segmenter

__getattr__ = imported_late(
    __name__,
    {
        "Box": "data.annotations",
        "LabelMap": "artifacts",
        "Marks": "photograph.marks",
        "Photograph": "photograph.photograph",
        "PredictConfig": "settings.predict",
        "RunOptions": "pipeline.options",
        "SegmentOptions": "photograph.config",
        "Segmentation": "photograph.segmentation",
        "compare_methods": "methods.compare",
        "instances_from_boxes": "stages.box_instances",
        "label_images": "methods.label",
        "load_recipe": "methods.recipes",
        "load_recipes": "methods.shared_recipe",
        "load_rgb": "data.image",
        "load_segmenter": "stages.segment",
        "predict_image": "stages.predict",
        "read_marks": "photograph.marks",
        "run": "api",
        "run_recipe": "methods.run",
        "segment": "api",
        "segment_each": "api",
        "segment_group": "api",
        "segment_labelled": "api",
    },
)
