"""``weakseg VERB ...``: finds the verb's module and turns errors into messages and exit codes."""

import difflib
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from weakseg.cli.ends import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    Terminated,
    as_process,
    is_of_output,
    printed,
    say,
)
from weakseg.cli.several import SeveralWanted, ended, prepare, start, told
from weakseg.crew import Crew
from weakseg.errors import WeaksegError
from weakseg.version import __version__

VERBS = {
    "demo": "segment photographs that come with the installation, from tags, and show a report",
    "segment": "mask of one photograph from tags, with no training",
    "page": "label photographs in a browser: draw a little, see the mask, correct it, train",
    "words": "search the vocabulary that 'segment' knows",
    "run": "a whole recipe: data to masks, a trained segmenter, scores and a report",
    "compare": "several methods from the same activations: figures, and masks side by side",
    "label": "masks of new tagged images with the trained labeller of a run",
    "activate": "class activation maps of tagged images",
    "saliency": "maps of what draws the eye in photographs",
    "seed": "confident labels from activations",
    "refine": "masks from seeds, by a dense CRF",
    "train-segmenter": "train a segmenter on masks",
    "predict": "masks of images with a trained segmenter",
    "train-instances": "train Mask R-CNN on instance masks",
    "predict-instances": "objects of images with a trained instance segmenter",
    "export": "objects or masks for other programs: COCO, VOC, YOLO, LabelMe, CVAT, Label Studio",
    "publish": "a folder to give away: model, card and settings; or push it to a model hub",
    "export-model": "a trained network as one file for other programs: ONNX, or torch.export",
    "cvat": "bring the labels of a task on a CVAT server here, or masks there",
    "evaluate": "compare masks or instances with ground truth",
    "queue": "what to draw next: the photographs, classes and kinds of label that help most a second",
    "sweep": "thresholds that suit a run best, by a few masks that somebody has checked",
    "report": "write the HTML report of a run folder",
    "data": "look at a data set: 'weakseg data check', or simulate weak labels from true masks",
    "knowledge": "what classes have to do with each other: a class graph from ConceptNet or WordNet, as one small file",
    "convert-weights": "published weights of the wide ResNet-38 (MXNet) as a file for 'backbone.file'",
    "weights": "fetch published weights that a setting asks for, or take a file of them",
    "doctor": "versions, devices, and which optional parts are there",
}
STAGES = {
    "activate",
    "saliency",
    "seed",
    "refine",
    "train-segmenter",
    "predict",
    "train-instances",
    "predict-instances",
}
RESUMABLE = {"run", "compare", "label", *STAGES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: of the process, or the ``arguments``.

    Returns:
        0 when all went well, 1 when some images failed (they are named), 2 on an error, 130 when interrupted (SIGINT),
        143 when ended (SIGTERM), 141 when the reader of the output has gone.
    """
    if arguments is None:
        return as_process(lambda: _command(sys.argv[1:]))
    return printed(lambda: _command(list(arguments)))


def _command(words: list[str]) -> int:
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
        say(f"weakseg: no command {verb!r}; " + (f"did you mean {near[0]!r}?" if near else "see weakseg --help"))
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
    joined: Crew | None = None
    try:
        if (joined := prepare(verb)) is None:
            return EXIT_OK
        module = importlib.import_module(f"weakseg.cli.{verb.replace('-', '_')}")
        return ended(joined, int(module.main(words)))
    except SeveralWanted as wanted:
        return start(wanted.count, [verb, *words])
    except WeaksegError as error:
        return told(joined, EXIT_ERROR, f"weakseg {verb}: {error}")
    except KeyboardInterrupt as stop:
        kept = "; what is finished is kept, the same command goes on from there" if verb in RESUMABLE else ""
        code = EXIT_TERMINATED if isinstance(stop, Terminated) else EXIT_INTERRUPTED
        return told(joined, code, f"\nweakseg {verb}: stopped{kept}")
    except Exception as error:
        if is_of_output(error):
            raise
        lines = traceback.format_exc()  # of a bug, which it helps to find; 1 would mean that images failed
        bug = f"{lines}\nweakseg {verb}: this is a bug of weakseg; please report it with the lines above"
        return told(joined, EXIT_ERROR, bug)


if __name__ == "__main__":
    sys.exit(main())
