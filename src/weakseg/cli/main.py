"""``weakseg VERB ...``: finds the verb's module and turns errors into messages and exit codes."""

import difflib
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from weakseg.errors import WeaksegError
from weakseg.version import __version__

VERBS = {
    "demo": "segment photographs that come with the installation, from tags, and show a report",
    "segment": "mask of one photograph from tags, with no training",
    "words": "search the vocabulary that 'segment' knows",
    "run": "a whole recipe: data to masks, a trained segmenter, scores and a report",
    "compare": "several methods from the same activations: figures, and masks side by side",
    "label": "masks of new tagged images with the trained labeller of a run",
    "activate": "class activation maps of tagged images",
    "seed": "confident labels from activations",
    "refine": "masks from seeds, by a dense CRF",
    "train-segmenter": "train a segmenter on masks",
    "predict": "masks of images with a trained segmenter",
    "train-instances": "train Mask R-CNN on instance masks",
    "predict-instances": "objects of images with a trained instance segmenter",
    "export": "objects or masks as COCO or VOC files",
    "evaluate": "compare masks or instances with ground truth",
    "report": "write the HTML report of a run folder",
    "data": "look at a data set: 'weakseg data check', or simulate weak labels from true masks",
    "doctor": "versions, devices, and which optional parts are there",
}
STAGES = {"activate", "seed", "refine", "train-segmenter", "predict", "train-instances", "predict-instances"}
RESUMABLE = {"run", "compare", "label", *STAGES}
EXIT_OK, EXIT_ERROR, EXIT_INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all went well, 1 when some images failed (they are named), 2 on an error, 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return EXIT_OK
    if words[0] == "--version":
        print(f"weakseg {__version__}")
        return EXIT_OK
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin lose to other programs; read by torch
    verb = words[0]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        print(
            f"weakseg: no command {verb!r}; " + (f"did you mean {near[0]!r}?" if near else "see weakseg --help"),
            file=sys.stderr,
        )
        return EXIT_ERROR
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("weakseg").setLevel(logging.INFO)
    return _guarded(verb, words[1:])


def overview() -> str:
    """Return the list of commands."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return (
        "usage: weakseg COMMAND ...\n\nFrom cheap labels to pixel masks and trained segmentation models.\n\n"
        + "\n".join(lines)
        + "\n\n'weakseg COMMAND --help' shows the options of a command, with examples."
    )


def _guarded(verb: str, words: Sequence[str]) -> int:
    try:
        module = importlib.import_module(f"weakseg.cli.{verb.replace('-', '_')}")
        return int(module.main(words))
    except WeaksegError as error:
        print(f"weakseg {verb}: {error}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except KeyboardInterrupt:
        kept = "; what is finished is kept, the same command goes on from there" if verb in RESUMABLE else ""
        print(f"\nweakseg {verb}: stopped{kept}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception:  # a bug: its trace helps to find it; 1 would mean that images failed
        traceback.print_exc()
        print(f"weakseg {verb}: this is a bug of weakseg; please report it with the lines above", file=sys.stderr)
        return EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
