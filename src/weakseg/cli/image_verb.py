"""Verbs that do one stage for a folder of images: what they share, written once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import (
    add_run_options,
    add_settings,
    build_parser,
    check_there,
    conclude,
    out_path,
    parse,
    run_options,
    settings_of,
    settle,
)

if TYPE_CHECKING:
    from weakseg.data.sample import WeakSample
    from weakseg.pipeline.options import RunOptions
    from weakseg.pipeline.plan import Failure
    from weakseg.pipeline.units import Job


def every_image(given: Namespace) -> "Sequence[WeakSample]":
    """Return all images of the folder ``--images``."""
    from weakseg.data.dataset import open_plain_folder

    return open_plain_folder(given.images)


@dataclass(frozen=True)
class ImageVerb:
    """A verb that maps a job over images.

    Attributes:
        name: The verb.
        description: First lines of its help.
        examples: Last lines of its help.
        config: Dataclass of the stage's settings; each is a flag.
        product: What it makes, in the plural.
        job: From arguments, settings and device to the job.
        inputs: Flags of required files and folders, with their help, beside ``--images`` and ``--out``.
        samples: From arguments to the images.
        extend: Adds flags that only this verb has.
        shown: Flags of settings that the short help shows.
        finish: Does what is left when all images are done, from arguments and images, and returns what failed.
        beside: Flags of inputs that ``extend`` adds and that may be left out, with their help.
    """

    name: str
    description: str
    examples: str
    config: type[Any]
    product: str
    job: "Callable[[Namespace, Any, str], Job]"
    inputs: Mapping[str, str] = field(default_factory=dict)
    samples: "Callable[[Namespace], Sequence[WeakSample]]" = every_image
    extend: Callable[[ArgumentParser], None] = lambda parser: None
    shown: Sequence[str] = ()
    finish: "Callable[[Namespace, RunOptions], list[Failure]]" = lambda given, options: []
    beside: Mapping[str, str] = field(default_factory=dict)

    def main(self, words: Sequence[str]) -> int:
        """Run the verb; an interrupted call goes on where it stopped."""
        parser = build_parser(self.name, self.description, self.examples)
        required = {**self.inputs, "images": "folder of the images", "out": f"folder of the {self.product}"}
        for name, text in required.items():
            kind = out_path if name == "out" else Path
            parser.add_argument(f"--{name}", type=kind, required=True, help=text)
        self.extend(parser)
        add_settings(parser, self.config)
        add_run_options(parser)
        given = parse(parser, words, shown=self.shown)
        beside = {name: text for name, text in self.beside.items() if given[name]}
        check_there(given, {"images": required["images"], **self.inputs, **beside})
        from weakseg.pipeline.runner import write_failures
        from weakseg.pipeline.shards import failures_of
        from weakseg.pipeline.spread import run_units

        options, config = run_options(given), settings_of(given, self.config)
        job, samples = self.job(given, config, options.device), self.samples(given)
        settings = {name: value for name, value in asdict(job).items() if not isinstance(value, Path)}  # type: ignore[call-overload]
        settings.pop("device")
        inputs = {name: getattr(job, name, given[name]) for name in self.inputs}
        inputs |= {name: given[name] for name in beside}
        share, listed = options.share, failures_of(given.out, options.share)
        samples = share.part(samples) if share else samples
        with settle(given.out, settings, share, images=given.images, **inputs):
            units, engine = job.units(samples), options.make_engine()
            failures = run_units(job, units, title=self.name, engine=engine, share=share)
            write_failures(given.out, failures, listed.name)
        done = f"{len(samples) - len(failures)} {self.product}: {given.out.resolve()}"
        if share:
            done += f"; shard {share}: when all have ended, run it without --shard"
            return conclude(failures, done, listed=listed)
        return conclude([*failures, *self.finish(given, options)], done, listed=listed)
