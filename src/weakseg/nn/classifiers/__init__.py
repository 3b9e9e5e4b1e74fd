"""Classifiers of photographs by their tags, whose evidence tells where the classes are.

To add one: a module here with the network and its reader, and an entry in ``CLASSIFIERS``.
"""

from weakseg.nn.classifiers.class_graph import ClassGraphClassifier, read_class_graph_classifier
from weakseg.nn.classifiers.group import GroupClassifier, read_group_classifier
from weakseg.nn.classifiers.mlgcn import MlgcnClassifier, read_mlgcn_classifier
from weakseg.nn.classifiers.recam import RecamClassifier, read_recam_classifier
from weakseg.nn.classifiers.seam import SeamClassifier, read_seam_classifier
from weakseg.nn.classifiers.tag import TagClassifier, build_imagenet_classifier, read_classifier
from weakseg.nn.models import Builder

CLASSIFIER, SEAM_CLASSIFIER, GROUP_CLASSIFIER = "classifier", "seam-classifier", "group-classifier"
RECAM_CLASSIFIER, CLASS_GRAPH_CLASSIFIER = "recam-classifier", "class-graph-classifier"
MLGCN_CLASSIFIER = "mlgcn-classifier"
CLASSIFIERS: dict[str, Builder[TagClassifier]] = {
    CLASSIFIER: read_classifier,
    SEAM_CLASSIFIER: read_seam_classifier,
    GROUP_CLASSIFIER: read_group_classifier,
    RECAM_CLASSIFIER: read_recam_classifier,
    CLASS_GRAPH_CLASSIFIER: read_class_graph_classifier,
    MLGCN_CLASSIFIER: read_mlgcn_classifier,
}

__all__ = [
    "CLASSIFIER",
    "CLASSIFIERS",
    "CLASS_GRAPH_CLASSIFIER",
    "GROUP_CLASSIFIER",
    "MLGCN_CLASSIFIER",
    "RECAM_CLASSIFIER",
    "SEAM_CLASSIFIER",
    "ClassGraphClassifier",
    "GroupClassifier",
    "MlgcnClassifier",
    "RecamClassifier",
    "SeamClassifier",
    "TagClassifier",
    "build_imagenet_classifier",
]
