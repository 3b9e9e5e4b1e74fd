"""``weakseg export-model``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import add_overwrite, build_parser, check_output, out_path, parse
from weakseg.errors import ConfigError, DataError
from weakseg.settings.predict import PredictConfig

if TYPE_CHECKING:
    from weakseg.deploy.network import Given
    from weakseg.methods.finished import FinishedRun

Format = Literal["onnx", "torch"]
Network = Literal["segmenter", "classifier"]
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
LOOKS = (
    "scales",
    "flip",
    "fusion",
    "enlarged",
    "interpolation",
    "window",
    "crf",
)  # what a file has not
DESCRIPTION = (
    "Write a trained segmenter, tag classifier or Mask R-CNN as one file that other programs run (docs/deploy.md).\n\n"
    "  onnx   photographs (uint8, RGB, any size) in, labels at their size out; normalisation, resizing and arg-max\n"
    "         are inside. Checked against torch on three sizes before it is written. 'weakseg predict' takes it, too\n"
    "  torch  a program of torch.export (.pt2) that does the same, without reducing large photographs\n\n"
    "What torch cannot export is refused, with the reason."
)
EXAMPLES = (
    "  weakseg export-model out --format onnx\n"
    "  weakseg export-model comparison --method wsgcn-i --format onnx --out segmenter.onnx\n"
    "  weakseg export-model out --network classifier --format onnx --out tags.onnx\n"
    "  weakseg export-model out/segmenter/model.safetensors --format onnx --int8 --images photos --out small.onnx"
)


def main(words: Sequence[str]) -> int:
    """Export a network."""
    given = parse(_parser(), words)
    _check(given)
    from weakseg.cli.trying import photographs_of
    from weakseg.deploy.export import export_onnx
    from weakseg.deploy.quantize import export_int8
    from weakseg.deploy.torch_file import export_torch
    from weakseg.methods.publication import is_publication, open_publication

    if is_publication(given.source):
        given.source = open_publication(given.source).model
    finished = _finished(given)
    model, out = _given(given, finished), _out(given, finished)
    check_output("--out", out, overwrite=given.overwrite)
    if given.format == "torch":
        lines = [export_torch(model, out).sentence]
    elif given.int8:
        tried = photographs_of(given, finished, model)
        agreement, loss = export_int8(model, out, tried, probabilities=given.probabilities)
        lines = [f"before 8 bits it {agreement.sentence}", f"in 8 bits, {loss.sentence}"]
    else:
        lines = [export_onnx(model, out, probabilities=given.probabilities).sentence]
    print("\n".join([f"{out}: {out.stat().st_size / 2**20:.1f} MB", *lines, *_told(given, finished, model)]))
    return 0


def _parser() -> ArgumentParser:
    parser = build_parser("export-model", DESCRIPTION, EXAMPLES)
    parser.add_argument("source", type=Path, help="folder of a run or comparison, a published one, or a model file")
    parser.add_argument("--method", type=str, default="", help="which method of a comparison")
    parser.add_argument("--network", choices=get_args(Network), default="segmenter", help="which one of a run")
    parser.add_argument("--format", choices=get_args(Format), required=True, help="what to write")
    parser.add_argument("--out", type=out_path, help="file; left out: model.onnx or model.pt2 beside the model")
    add_overwrite(parser)
    parser.add_argument("--probabilities", action="store_true", help="of onnx: these of a segmenter, too")
    parser.add_argument(
        "--max-side", type=int, default=0, help="of onnx: to which larger photographs are reduced; 0: the run's"
    )
    parser.add_argument("--int8", action="store_true", help="of onnx: 8 bits, if that costs less than a point")
    parser.add_argument("--images", type=Path, help="of --int8: photographs that it is tried on; a run has its own")
    parser.add_argument("--truth", type=Path, help="of --int8 and --images: folder of true masks (ID.png), for mIoU")
    return parser


def _check(given: Namespace) -> None:
    """Refuse flags that do not go together, and places that are not there."""
    only = {"probabilities": given.probabilities, "max_side": given.max_side, "int8": given.int8}
    for flag, used in only.items():
        if used and given.format != "onnx":
            raise ConfigError(f"--{flag.replace('_', '-')}: is for --format onnx, got {given.format}; leave it out")
    if given.max_side and given.max_side < 32:
        raise ConfigError(f"--max-side: need 0 or at least 32, got {given.max_side}")
    if given.images and not given.int8:
        raise ConfigError("--images: belong to --int8; add it, or leave them out")
    if given.truth and not given.images:
        raise ConfigError("--truth: is of the photographs that --images names; add them, or leave it out")
    if not given.source.exists():
        raise DataError(f"{given.source} does not exist; give the folder of a run or comparison, or a model file")
    if given.out and given.out.suffix != SUFFIXES[given.format]:
        raise ConfigError(f"--out: {given.out} must end in {SUFFIXES[given.format]}")


def _finished(given: Namespace) -> "FinishedRun | None":
    """Return the run that the source is; ``None``: it is a file."""
    from weakseg.methods.finished import is_finished, open_finished

    if is_finished(given.source):
        return open_finished(given.source, given.method)
    for flag, value in {"--method": given.method, "--network": given.network != "segmenter"}.items():
        if value:
            raise ConfigError(f"{flag}: {given.source} is no folder of a run or comparison; leave it out")
    return None


def _given(given: Namespace, finished: "FinishedRun | None") -> "Given":
    """Return the model file, and the sides that the run's predictions have."""
    from weakseg.deploy.network import Given
    from weakseg.nn.exported.described import Sides
    from weakseg.steps.segment import SEGMENTER, in_round

    if finished is None:
        return Given(given.source, Sides(given.max_side or Sides().seen))
    predictions = finished.recipe.predictions
    name = in_round(SEGMENTER, finished.recipe.rounds) if given.network == "segmenter" else given.network
    return Given(finished.model_of(name), Sides(given.max_side or predictions.max_side, predictions.mask_side))


def _out(given: Namespace, finished: "FinishedRun | None") -> Path:
    if given.out:
        return Path(given.out)
    if finished is None:
        return Path(given.source.with_suffix(SUFFIXES[given.format]))
    stem = "model" if given.network == "segmenter" else given.network
    return Path(given.source / f"{stem}{SUFFIXES[given.format]}")


def _told(given: Namespace, finished: "FinishedRun | None", model: "Given") -> list[str]:
    """Return what the file does otherwise than the run."""
    from weakseg.nn.exported.described import INSTANCES, SEGMENTER
    from weakseg.nn.weights import read_header

    lines = []
    if given.format == "onnx":
        lines.append(f"photographs with a longer side than {model.sides.seen} are reduced inside (--max-side)")
    kind = read_header(model.path).get("kind")
    if given.format == "onnx" and kind == SEGMENTER:
        lines.append(
            "labels are those of: weakseg predict --scales 1.0 --flip false --tiles.tile 0 "
            f"--max_side {model.sides.seen} --mask_side {model.sides.decided}"
        )
    if given.format == "onnx" and kind == INSTANCES:
        lines.append(f"objects are those of: weakseg predict-instances --max_side {model.sides.seen}")
    if finished is not None and given.network == "segmenter":
        config, plain = finished.recipe.predictions, PredictConfig(scales=(1.0,), flip=False)
        looked = [name for name in LOOKS if getattr(config, name) != getattr(plain, name)]
        if looked:
            how = ", ".join(f"{name} {getattr(config, name)}" for name in looked)
            lines.append(f"the run's own predictions are made with {how}; the file looks once, without that")
    return lines
