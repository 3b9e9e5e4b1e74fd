"""Short flags for who proposes the masks of boxes on one photograph."""

from dataclasses import replace
from typing import get_args

from jsonargparse import ArgumentParser, Namespace

from weakseg.photograph.config import SegmentOptions
from weakseg.settings.box_seeds import ProposerName

DEVICE = "proposer_device"
FLAGS = {
    "proposer": f"masks of boxes by {' or '.join(get_args(ProposerName))}",
    "proposer_file": "folder of its checkpoint, or its name on a hub",
    DEVICE: "where it runs, cpu or cuda",
}


def add_proposer(parser: ArgumentParser, *, device: bool) -> None:
    """Add the flags to a verb, that of the device where no setting says it."""
    for name, about in FLAGS.items():
        if device or name != DEVICE:
            parser.add_argument(f"--{name.replace('_', '-')}", type=str, default="", help=about)


def with_proposer(options: SegmentOptions, given: Namespace) -> SegmentOptions:
    """Return options in which the flags that were given count.

    Raises:
        ConfigError: If they mean nothing, or what the proposer needs is missing.
    """
    wanted = {name: value for name in FLAGS if (value := given.get(name))}
    seeds = options.drawn.seeds
    if wanted:
        seeds = replace(seeds, boxes=replace(seeds.boxes, **wanted))
        options = replace(options, drawn=replace(options.drawn, seeds=seeds))
    if seeds.boxes.proposes:
        from weakseg.stages.proposers import check_proposer

        check_proposer(seeds.boxes)
    return options
