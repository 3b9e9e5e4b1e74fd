"""``weakseg cvat``."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import add_overwrite, build_parser, check_output, out_path, parse
from weakseg.errors import ConfigError

ACTIONS = ("pull", "push")
OF_PULL, OF_PUSH = (
    ("out", "labels_only"),
    ("method", "product", "images", "classes", "score", "polygons", "skip_unknown"),
)


def main(words: Sequence[str]) -> int:
    """Bring the labels of a task of CVAT here, or masks there."""
    given = parse(_parser(), words)
    _check(given)
    from weakseg.cli.cvat_task import pulled, pushed

    return pulled(given) if given.action == "pull" else pushed(given)


def _parser() -> ArgumentParser:
    parser = build_parser(
        "cvat",
        "Bring boxes, points, lines and outlines of a task on a CVAT server here, or masks there.\n"
        "Credentials are those of the environment: CVAT_ACCESS_TOKEN, or CVAT_USERNAME and CVAT_PASSWORD; else a\n"
        "profile that cvat-cli has saved. Needs the extra 'cvat': pip install 'weakseg[cvat]'.",
        "  weakseg cvat pull 12 --out photos --host https://app.cvat.ai\n"
        "  weakseg run a2gnn --data.root photos --data.format cvat --data.train annotations.xml --out out\n"
        "  weakseg cvat push 12 out --dry-run\n"
        "  weakseg cvat push 12 out --replace auto\n"
        "  weakseg cvat push 12 masks --classes classes.txt",
    )
    parser.add_argument("action", type=str, help="pull or push")
    parser.add_argument("task", type=int, help="number of the task, as in its address")
    parser.add_argument("source", type=Path, nargs="?", help="push: folder of a run, a comparison, objects or masks")
    parser.add_argument("--host", type=str, default="", help="address of the server; else CVAT_HOST")
    parser.add_argument("--organization", type=str, default="", help="short name of the organization of the task")
    parser.add_argument("--profile", type=str, default="", help="profile of cvat-cli, in place of host and credentials")
    parser.add_argument("--insecure", action="store_true", help="leave the server's certificate unchecked")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--out", type=out_path, help="pull: folder of annotations.xml and images")
    parser.add_argument("--labels-only", action="store_true", help="pull: no photographs")
    add_overwrite(parser, "pull: annotations.xml")
    parser.add_argument("--method", type=str, default="", help="push: which method of a comparison")
    parser.add_argument("--product", type=str, default="", help="push: step of a run, such as predictions")
    parser.add_argument("--images", type=Path, help="push: folder of the images, for their names; a run knows its own")
    parser.add_argument("--classes", type=Path, help="push: class names, one a line; a run knows its own")
    parser.add_argument("--score", type=float, default=0.0, help="push: leave out objects of a lower score")
    parser.add_argument("--polygons", action="store_true", help="push: polygons, not masks; the same pixels")
    parser.add_argument(
        "--replace",
        choices=("none", "auto", "all"),
        default="none",
        help="push: take away, on frames of what is pushed, masks that a program made, or all shapes",
    )
    parser.add_argument(
        "--skip-unknown", action="store_true", help="push: leave out classes that the task has no label of"
    )
    return parser


def _check(given: Namespace) -> None:
    """Refuse flags that do not go together."""
    if given.action not in ACTIONS:
        raise ConfigError(f"cvat {given.action}: no such action; there are 'pull' and 'push'")
    pulls = given.action == "pull"
    others = [
        *(name for name in (OF_PUSH if pulls else OF_PULL) if given[name]),
        *(["source"] * (pulls and bool(given.source))),
    ]
    others += ["replace"] * (pulls and given.replace != "none") + ["overwrite"] * (not pulls and given.overwrite)
    if others:
        flag = "a source" if others[0] == "source" else f"--{others[0].replace('_', '-')}"
        raise ConfigError(f"cvat {given.action}: {flag} belongs to {'push' if pulls else 'pull'}; leave it out")
    if pulls and given.out is None:
        raise ConfigError("--out: needed by pull; name the folder that gets annotations.xml and images")
    if not pulls and given.source is None:
        raise ConfigError("cvat push: name the run, or the folder of objects or masks, after the task")
    if not 0 <= given.score <= 1:
        raise ConfigError(f"--score: must lie in [0, 1], got {given.score}")
    if pulls and not given.dry_run:
        check_output("--out", given.out / "annotations.xml", overwrite=given.overwrite)
