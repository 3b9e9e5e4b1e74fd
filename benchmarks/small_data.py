"""Masks from the tags of a few photographs: what `weakseg run cam` decides for itself, against fixed settings.

    python benchmarks/small_data.py --msrc /path/to/msrc --list held --sizes 3 7 14 28 --draws 5 --work runs/small
    python benchmarks/small_data.py --coco /path/to/coco --work runs/small --rows auto low high

Photographs of MSRC are drawn by chance from a part of its training list, ``fit`` (273) or ``held`` (100). Of COCO all
of its file are taken. Each draw is a folder of its own, and a comparison of recipes/small_msrc.yaml, no segmenter.

Prints and appends one JSON line a draw and row to benchmarks/results/small_data.jsonl: photographs, mIoU of activations
at the threshold that true masks say is best, and at that of the row's seeds (``own``), of seeds and of masks over the
classes that are there, and what was decided.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rows import append_rows

from weakseg.artifacts import Activations
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_truth
from weakseg.evaluation.confusion import Confusion
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.compare import compare_methods
from weakseg.methods.recipe import Recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.pipeline.options import RunOptions
from weakseg.settings.seed import SeedConfig
from weakseg.stages.seed import seed_image
from weakseg.steps.decided import decided, decided_seeds

RECIPE = Path(__file__).parents[1] / "recipes" / "small_msrc.yaml"
PARTS = {"train": {"fit": 273, "held": 100}}  # as recipes/networks/msrc.yaml has them
FOLDERS = {"JPEGImages": "jpg", "SegmentationClass": "png"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--msrc", type=Path)
    parser.add_argument("--coco", type=Path)
    parser.add_argument("--list", default="held", choices=("fit", "held"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 7, 14, 28])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--rows", nargs="+", default=["auto", "learns", "frozen", "guide"])
    parser.add_argument("--work", type=Path, default=Path("runs/small"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.coco:
        words = ["--data.format=coco", f"--data.root={given.coco}", "--data.train=instances.json", "--data.tags=auto"]
        append_rows("small_data", measured(given, f"coco-{given.seed}", words, {"of": "coco"}))
    if given.msrc:
        for size in given.sizes:
            for draw in range(given.draws):
                name = f"{given.list}-{size}-{draw}"
                root = drawn_folder(given.msrc, given.work / "data" / name, given.list, size, draw)
                words = ["--data.root", str(root)]
                append_rows("small_data", measured(given, name, words, {"of": given.list, "size": size, "draw": draw}))


def drawn_folder(source: Path, folder: Path, part: str, size: int, draw: int) -> Path:
    """Return a folder in VOC's layout with photographs of a part of MSRC's training list."""
    config = DataConfig(root=str(source), format="voc", train="train", tags="truth", parts=PARTS, score=("fit", "held"))
    ids = [sample.id for sample in open_dataset(config).lists[part]]
    chosen = [ids[i] for i in np.random.default_rng(1000 * size + draw).permutation(len(ids))[:size]]
    for name, suffix in FOLDERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for image_id in chosen:
            shutil.copy(source / name / f"{image_id}.{suffix}", folder / name)
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "train.txt").write_text("\n".join(chosen) + "\n")
    shutil.copy(source / "classes.txt", folder)
    return folder


def measured(given: argparse.Namespace, name: str, words: list[str], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield, and print, what each row makes of one draw."""
    recipes = load_recipes(str(RECIPE), given.rows, [*words, "--seed", str(given.seed)])
    out = given.work / name
    comparison = compare_methods(recipes, out, RunOptions(workers=1))
    for method in comparison.methods:
        folders = method.products.folders
        row = {**about, "seed": given.seed, "row": method.name}
        row |= {s["name"]: round(s["mean_iou"], 2) for s in method.products.scores}
        told = decided(folders["seeds"])
        row |= {k: v for k, v in told.items() if k in ("strict", "lenient", "crf")}
        row["masks_crf"] = decided(folders["masks"]).get("crf", True)
        assert isinstance(method.recipe, CamRecipe)
        row["own"] = round(own_activations(method.recipe, decided_seeds(method.recipe.seeds, told), folders), 2)
        print(json.dumps(row), flush=True)
        yield row


def own_activations(recipe: Recipe, seeds: SeedConfig, folders: Mapping[str, Path]) -> float:
    """Return the mIoU (percent) of activations at the threshold between those that seeds are read at, without a CRF."""
    dataset = open_dataset(recipe.data)
    found = Confusion.empty(len(dataset.classes))
    for truth in open_truth(recipe.data, dataset, "train"):
        activations = Activations.load(folders["activations"] / f"{truth.id}.safetensors")
        labels = seed_image(activations, truth.sample.load_image(), seeds.without_crf).labels
        found += Confusion.of(truth.load_truth(), labels, len(dataset.classes))
    return 100 * float(found.mean_iou())


if __name__ == "__main__":
    main()
