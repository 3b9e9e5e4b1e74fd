"""Train ML-GCN's classifier."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.nn.classifiers import MLGCN_CLASSIFIER, MlgcnClassifier
from weakseg.settings.mlgcn import MlgcnConfig
from weakseg.stages.class_nodes import known_classes
from weakseg.stages.classify import classifier_builder, classifier_training, tag_data
from weakseg.training.loop import FitPlace
from weakseg.training.train import train_model


def train_mlgcn(
    train: Sequence[WeakSample],
    val: Sequence[WeakSample],
    classes: Classes,
    *,
    config: MlgcnConfig,
    place: FitPlace,
) -> list[dict[str, Any]]:
    """Train on ``train``, measure mAP on ``val``, and write ``model.safetensors`` into the place's folder.

    The file is that of a classifier: ``load_classifier`` reads it, and it holds vectors and adjacency of the classes.

    Returns:
        One record an epoch: loss, seconds, and on the last ``mAP`` in percent (NaN where ``val`` shows no class).

    Raises:
        ConfigError, DataError: As ``class_graph_of``.

    Reference:
        [chen2019mlgcn], section 3.
    """
    data = tag_data(train, classes, config, place)
    known = known_classes(config.graph, classes, data.samples, seed=place.seed)
    network = functools.partial(MlgcnClassifier, nodes=known.nodes, hidden=config.hidden)
    plain = classifier_training(data, val, classes, config)
    header = {**plain.header, "kind": MLGCN_CLASSIFIER, "class_graph": known.header, "hidden": config.hidden}
    return train_model(replace(plain, build=classifier_builder(config, network), header=header), place)
