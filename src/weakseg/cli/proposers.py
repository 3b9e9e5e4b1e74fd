"""Short flags for who proposes the masks of boxes on one photograph."""

from dataclasses import replace

from jsonargparse import ArgumentParser, Namespace

from weakseg.photograph.config import SegmentOptions

FLAGS = {
    "proposer": "what finds the object in a box: grabcut, or a network, sam2 or sam3 (extra 'sam')",
    "proposer_file": "folder of that network's checkpoint, or its name on the hub",
    "proposer_device": "where that network runs: cpu or cuda",
}


def add_proposer(parser: ArgumentParser) -> None:
    """Add the flags to a verb."""
    for name in FLAGS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=str, default="", help=FLAGS[name])


def with_proposer(options: SegmentOptions, given: Namespace) -> SegmentOptions:
    """Return options in which the flags that were given count.

    Raises:
        ConfigError: If they mean nothing, or what the proposer needs is missing.
    """
    wanted = {name: given[name] for name in FLAGS if given[name]}
    seeds = options.drawn.seeds
    if wanted:
        seeds = replace(seeds, boxes=replace(seeds.boxes, **wanted))
        options = replace(options, drawn=replace(options.drawn, seeds=seeds))
    if seeds.boxes.proposes:
        from weakseg.stages.proposers import check_proposer

        check_proposer(seeds.boxes)
    return options
