"""Whether two commits make the same products: masks, scores, activations, objects and weights, bit for bit.

Runs methods on 24 photographs, one epoch each, with the code of another commit and with that of this checkout, in one
environment, and compares what every step left:

    python benchmarks/products.py --before REV --data MSRC --out runs/products [--only wsgcn-i,drawn] [--fresh]

What the other commit made is kept below ``--out`` and used again. The exit code is 1 where anything differs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

PHOTOGRAPHS = 24
QUICK = ("--completion.first_steps=12", "--completion.second_steps=12")
METHODS = {
    "cam": ("cam",),
    "psa": ("psa",),
    "seam": ("seam", "--classifier.augment.crop=192", "--classifier.fit.batch_size=4"),
    "irnet": ("irnet", "--instances=true"),
    "wsgcn-i": ("wsgcn-i", "--completion.gcn.steps=60"),
    "wsgcn-p": ("wsgcn-p", "--completion.gcn.steps=60", "--partial_from=seeds"),
    "a2gnn-tags": ("a2gnn", "--seeds.use=tags", "--walk_weight=3", "--graph.features=both", *QUICK),
    "a2gnn-points": ("a2gnn", "--seeds.use=points", *QUICK),
    "a2gnn-scribbles": ("a2gnn", "--seeds.use=scribbles", *QUICK),
    "a2gnn-boxes": ("a2gnn", "--seeds.use=boxes", "--instances=true", "--completion.consistency=centred", *QUICK),
    "a2gnn-free": ("a2gnn", "--seeds.use=boxes", "--graph_from=free", "--with_activations=false", *QUICK),
    "a2gnn-superpixels": (
        *("a2gnn", "--seeds.use=scribbles", "--nodes=superpixels", "--completion.crf_weight=0", "--graph_from=free"),
        *("--with_activations=false", "--completion.network.kind=gcn", *QUICK),
    ),
    "drawn": ("drawn", "--seeds.use=boxes"),
    "supervised": ("supervised", "--void_is_background=true"),
}
SECTIONS = {  # trainings of each method, besides the segmenter
    "cam": ("classifier",),
    "psa": ("classifier", "affinity"),
    "seam": ("classifier", "affinity"),
    "irnet": ("classifier", "boundary"),
    "wsgcn-i": ("classifier", "boundary"),
    "wsgcn-p": ("classifier", "affinity"),
    "a2gnn": ("classifier", "affinity"),
    "drawn": (),
    "supervised": (),
}
RENAMED_WORDS = {"--data.tags=truth": "--data.tags=masks"}  # this checkout's word: that of commits before the rebuild
RENAMED_STEPS = {"labels": "before_crf"}  # folder before the rebuild: folder of this checkout
COMPARED = {".png", ".safetensors", ".json"}


def main() -> int:
    """Run both sides, print what differs, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default="HEAD", help="commit to compare with")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/msrc"), help="folder in VOC layout")
    parser.add_argument("--out", type=Path, default=Path("runs/products"))
    parser.add_argument("--only", default="", help="runs with commas; default: all")
    parser.add_argument("--fresh", action="store_true", help="make the products of the other commit anew, too")
    given = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    rev = subprocess.run(
        ["git", "rev-parse", "--short=12", given.before], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()
    names = [name for name in given.only.split(",") if name] or list(METHODS)
    out = given.out.resolve()
    data = chosen_photographs(given.data.resolve(), out / "data")
    other = checked_out(root, rev, out / f"code-{rev}")
    sides = {"before": (other, out / f"before-{rev}"), "now": (root / "src", out / "now")}
    shutil.rmtree(sides["now"][1], ignore_errors=True)
    if given.fresh:
        shutil.rmtree(sides["before"][1], ignore_errors=True)
    simulate(data, *sides["before"])
    different = 0
    for name in names:
        for side, (code, folder) in sides.items():
            carry_out(name, code, folder / name, data, renamed=side == "before" and code != root / "src")
        found = list(differences(sides["before"][1] / name, sides["now"][1] / name))
        different += len(found)
        print(f"{name}: {'equal' if not found else f'{len(found)} differences'}", flush=True)
        print("".join(f"  {line}\n" for line in found[:12]), end="", flush=True)
    return 1 if different else 0


def chosen_photographs(source: Path, folder: Path) -> Path:
    """Return a small data set: every 15th training photograph, and a few to predict."""
    if (folder / "done").exists():
        return folder
    lists = source / "ImageSets" / "Segmentation"
    train = (lists / "train.txt").read_text().split()[:: 373 // PHOTOGRAPHS][:PHOTOGRAPHS]
    val = (lists / "val.txt").read_text().split()[:6]
    for name, ids in (("train", train), ("val", val)):
        path = folder / "ImageSets" / "Segmentation" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{image_id}\n" for image_id in ids))
    for kind in ("JPEGImages", "SegmentationClass", "SegmentationObject"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for image_id in (*train, *val):
            for path in (source / kind).glob(f"{image_id}.*"):
                shutil.copy(path, folder / kind / path.name)
    shutil.copy(source / "classes.txt", folder / "classes.txt")
    (folder / "done").touch()
    return folder


def checked_out(root: Path, rev: str, folder: Path) -> Path:
    """Return the source folder of a commit, unpacked beside the products."""
    if not folder.exists():
        folder.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", rev, "src"], cwd=root, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder / "src"


def simulate(data: Path, code: Path, folder: Path) -> None:
    """Draw all kinds of weak labels on the photographs, once."""
    if not (data / "all.json").exists():
        words = [*data_words(data), "--kind=all", f"--out={data / 'all.json'}"]
        run_weakseg(["data", "simulate", *renamed_words(words)], code)


def data_words(data: Path) -> list[str]:
    """Return what every run says of its data."""
    return [f"--data.root={data}", "--data.format=voc", "--data.train=train", "--data.val=val", "--data.tags=truth"]


def renamed_words(words: list[str]) -> list[str]:
    """Return words as commits before the rebuild know them."""
    return [RENAMED_WORDS.get(word, word) for word in words]


def carry_out(name: str, code: Path, out: Path, data: Path, *, renamed: bool) -> None:
    """Run a method unless its products are there."""
    if (out / "finished").exists():
        return
    shutil.rmtree(out, ignore_errors=True)
    method, *settings = METHODS[name]
    epochs = [f"--{section}.fit.epochs=1" for section in (*SECTIONS[method], "segmenter")]
    words = [*data_words(data), "--data.drawn=all.json", *settings, *epochs]
    begun = time.monotonic()
    run_weakseg(["run", method, f"--out={out}", *(renamed_words(words) if renamed else words)], code)
    (out / "finished").write_text(f"{time.monotonic() - begun:.1f} s\n")


def run_weakseg(words: list[str], code: Path) -> None:
    """Run one command with the code of a source folder."""
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "weakseg", *words]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"weakseg {' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def products(folder: Path) -> dict[str, Path]:
    """Return the files of all steps by their place, as this checkout names it."""
    found = {}
    for step in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in ("data", "evaluation")):
        for path in sorted(p for p in step.rglob("*") if p.suffix in COMPARED and p.name != "manifest.json"):
            found[f"{RENAMED_STEPS.get(step.name, step.name)}/{path.relative_to(step).as_posix()}"] = path
    return found


def differences(before: Path, now: Path) -> Iterator[str]:
    """Yield every file that one side lacks, or whose content differs."""
    ours, theirs = products(now), products(before)
    for name in sorted(ours.keys() ^ theirs.keys()):
        yield f"{name}: {'made now only' if name in ours else 'made before only'}"
    for name in sorted(ours.keys() & theirs.keys()):
        if what := _different(theirs[name], ours[name]):
            yield f"{name}: {what}"


def _different(before: Path, now: Path) -> str:
    if before.suffix == ".json":
        return "" if json.loads(before.read_text()) == json.loads(now.read_text()) else "other content"
    if before.suffix == ".png":
        with Image.open(before) as old, Image.open(now) as new:
            arrays = np.asarray(old), np.asarray(new)
        return "" if np.array_equal(*arrays) else f"{float(np.mean(arrays[0] != arrays[1])):.2%} of the pixels differ"
    tensors = load_file(before), load_file(now)
    if tensors[0].keys() != tensors[1].keys():
        return f"other tensors: {sorted(tensors[0].keys() ^ tensors[1].keys())[:4]}"
    wrong = [name for name in tensors[0] if not np.array_equal(tensors[0][name], tensors[1][name])]
    if not wrong:
        return ""
    gap = max(float(np.abs(tensors[0][n].astype(np.float64) - tensors[1][n]).max(initial=0)) for n in wrong)
    return f"{len(wrong)} of {len(tensors[0])} tensors differ, by up to {gap:.3g}"


if __name__ == "__main__":
    sys.exit(main())
