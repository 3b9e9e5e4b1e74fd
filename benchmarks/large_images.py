"""What a photograph of 6,000 x 6,000 pixels takes, in tiles and as a whole that is reduced; and what tiles are worth.

    python benchmarks/large_images.py cost --photograph cat.jpg --box 417,149,515,228 --tag dog \
        --classifier CLASSIFIER/model.safetensors --segmenter SEGMENTER/model.safetensors
    python benchmarks/large_images.py outlines --coco /path/to/coco [--photographs 30]
    python benchmarks/large_images.py segmenter --msrc /path/to/msrc --segmenter SEGMENTER/model.safetensors

``cost`` enlarges a photograph to 6,000 pixels a side, with noise so that it is no smooth one, and runs each verb in a
process of its own: seconds of wall time, and the largest resident memory of the process. The ratio is the time in tiles
over that of the whole alone; ``--only`` takes some of the verbs.

``outlines`` has true masks: COCO's photographs (every second one, which no setting was chosen on) are segmented from a
box when reduced to 160 pixels, as a large one is when reduced to 1,024; then outlines are found on all pixels, in tiles
of 128 that share 32, and in one tile that is the photograph. IoU with the truth; and how many pixels within 5 of true
outlines differ between many tiles and one, within 4 pixels of the borders of tiles and elsewhere.

``segmenter``: one that was trained on MSRC's train looks at photographs of val from the 67th on (how the whole
and tiles are joined was chosen on the others): ``small things``: 24 photographs side by side on two sheets, and the
whole sheet reduced to 240 pixels; ``photographs``, reduced to 107 pixels; ``close-ups``: six, enlarged three times, and
the whole reduced to 320. mIoU in percent of the whole alone, and of the whole and tiles.

Prints and appends JSON lines to benchmarks/results/large_images.jsonl.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rows import append_rows

SIDE, NOISE, LIMIT_MB, SMALL = 6000, 6.0, 3 * 1024, 160
BAND, SEAM = 5, 4
SHEET_CELL = (213, 320)
Mask = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    cost = parts.add_parser("cost")
    cost.add_argument("--photograph", type=Path, required=True)
    cost.add_argument("--box", required=True, help="left,top,right,bottom of an object in the photograph as it is")
    cost.add_argument("--tag", required=True, help="a word of ImageNet, and a class of the classifier")
    cost.add_argument("--classifier", type=Path, required=True)
    cost.add_argument("--segmenter", type=Path, required=True)
    cost.add_argument("--only", nargs="*", default=[])
    cost.add_argument("--ways", nargs="*", default=["tiles", "whole"], choices=["tiles", "whole"])
    outlines = parts.add_parser("outlines")
    outlines.add_argument("--coco", type=Path, required=True)
    outlines.add_argument("--photographs", type=int, default=30)
    segmenter = parts.add_parser("segmenter")
    segmenter.add_argument("--msrc", type=Path, required=True)
    segmenter.add_argument("--segmenter", type=Path, required=True)
    given = parser.parse_args()
    if given.part == "cost":
        measure_costs(given)
    elif given.part == "segmenter":
        measure_segmenter(given.msrc, given.segmenter)
    else:
        measure_outlines(given.coco, given.photographs)


def measure_costs(given: argparse.Namespace) -> None:
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = enlarge(given.photograph, folder / "large" / "large.png", given.box)
        for way in given.ways:
            for verb, words in commands(folder, place, given, way).items():
                if given.only and verb not in given.only:
                    continue
                row = {"verb": verb, "way": way, **run_verb(words)}
                if way == "tiles":
                    seconds[verb] = row["seconds"]
                elif verb in seconds:
                    row["ratio"] = round(seconds[verb] / row["seconds"], 2)
                print(json.dumps(row), flush=True)
                append_rows("large_images", [row], part="cost", side=SIDE)


def enlarge(source: Path, target: Path, box: str) -> tuple[int, ...]:
    """Write a photograph of 6,000 x 6,000 pixels, and return where a box is then."""
    target.parent.mkdir()
    with Image.open(source) as image:
        columns, rows = image.size
        pixels = np.array(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    draw = np.random.default_rng(0)
    for top in range(0, SIDE, 500):
        part = pixels[top : top + 500]
        pixels[top : top + 500] = np.clip(part + draw.normal(0, NOISE, part.shape), 0, 255)
    Image.fromarray(pixels).save(target, compress_level=1)
    scales = (SIDE / columns, SIDE / rows) * 2
    return tuple(round(float(value) * scale) for value, scale in zip(box.split(","), scales, strict=True))


def commands(folder: Path, place: tuple[int, ...], given: argparse.Namespace, way: str) -> dict[str, list[str]]:
    """Return the words of each verb; those of cam go on with what the verb before has left."""
    left, top, right, bottom = place
    image, images, out = str(folder / "large" / "large.png"), str(folder / "large"), folder / way
    (folder / "tags.csv").write_text(f"image,tags\nlarge.png,{given.tag}\n")
    wide, high = right - left, bottom - top
    stroke = f"{left + wide // 3},{top + high // 2} {right - wide // 3},{top + high // 2}"
    middle = max(left - wide, 0), max(top - high, 0)
    beside = f"background {middle[0]},{middle[1]} {middle[0]},{min(bottom + high, SIDE - 1)}"
    drawn = ["--drawn.decode.tiles.tile", "0", "--drawn.surroundings", "0"] if way == "whole" else []
    tagged = ["--masks.tiles.tile", "0", "--activations.tiles.tile", "0"] if way == "whole" else []
    own, alone = ["--tiles.tile", "0"] if way == "whole" else [], ["--images", images, "--workers", "1", "--out"]
    mask = ["--overwrite", "--out", str(folder / "mask.png")]
    activations, seeds = str(out / "activations"), str(out / "seeds")
    return {
        "segment box": ["segment", image, "--boxes", f"thing {left},{top},{right},{bottom}", *mask, *drawn],
        "segment strokes": ["segment", image, "--scribbles", f"thing {stroke}", "--scribbles", beside, *mask, *drawn],
        "segment tag": ["segment", image, "--tags", given.tag, *mask, *tagged],
        "predict": ["predict", "--model", str(given.segmenter), *alone, str(out / "predicted"), *own],
        "predict crf": ["predict", "--model", str(given.segmenter), *alone, str(out / "crf"), "--crf", "true", *own],
        "activate": [
            *("activate", "--model", str(given.classifier), "--labels", str(folder / "tags.csv")),
            *(*alone, activations, *own),
        ],
        "seed": ["seed", "--activations", activations, *alone, seeds],
        "refine": ["refine", "--seeds", seeds, *alone, str(out / "masks"), *own],
    }


def run_verb(words: list[str]) -> dict[str, float]:
    """Return seconds and peak resident memory of a verb, in a process of its own.

    Raises:
        RuntimeError: If it fails.
    """
    start = time.perf_counter()
    code = "import sys; from weakseg.cli.main import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(words)}: ended with {child.returncode}")
    peak = used.ru_maxrss / 1024
    return {"seconds": round(time.perf_counter() - start, 1), "peak_mb": round(peak), "within": peak <= LIMIT_MB}


def measure_outlines(root: Path, photographs: int) -> None:
    import first_contact

    from weakseg import Photograph
    from weakseg.artifacts import Scores
    from weakseg.methods.a2gnn.config import A2GNN_CRF
    from weakseg.ops.resample import resize_image, scaled_size
    from weakseg.photograph.marks import Marks
    from weakseg.settings.tiles import TileConfig
    from weakseg.stages.decode import keep_to_boxes
    from weakseg.stages.refine import best_labels
    from weakseg.stages.tiled import sharpened_labels

    first_contact.SIDE = 640
    tiles, rows = TileConfig(128, 32, 128), []
    for scene in list(first_contact.of_coco(root, "test"))[:photographs]:
        size = (scene.image.shape[0], scene.image.shape[1])
        drawn = first_contact.label(scene, "boxes", 0)
        small = resize_image(scene.image, scaled_size(size, 1.0, max_side=SMALL))
        factors = small.shape[0] / size[0], small.shape[1] / size[1]
        marked = replace(drawn, boxes=tuple(box.scaled(*factors) for box in drawn.boxes))
        decided = Photograph(small).segment(Marks(("thing",), marked)).decided
        if decided is None:
            continue
        whole = Scores(decided.values, decided.label_ids, size)
        found = {
            "whole": best_labels(whole),
            "tiles": sharpened_labels(whole, scene.image, A2GNN_CRF, tiles),
            "one": sharpened_labels(whole, scene.image, A2GNN_CRF, replace(tiles, tile=max(size), overlap=0)),
        }
        masks = {name: keep_to_boxes(mask, drawn.boxes).labels == 1 for name, mask in found.items()}
        outline, seam = near_outlines(scene.truth), near_borders(size, tiles.tile, tiles.overlap)
        differ = masks["tiles"] != masks["one"]
        row = {
            f"iou {name}": float((mask & scene.truth).sum() / (mask | scene.truth).sum())
            for name, mask in masks.items()
        }
        rows.append({**row, "seams": share(differ, outline & seam), "elsewhere": share(differ, outline & ~seam)})
    told = {name: round(float(np.nanmean([row[name] for row in rows])), 4) for name in rows[0]}
    better = sum(row["iou tiles"] > row["iou whole"] for row in rows)
    print(json.dumps({"photographs": len(rows), **told, "better": better}))
    append_rows("large_images", [{"photographs": len(rows), **told, "better": better}], part="outlines", small=SMALL)


def measure_segmenter(root: Path, path: Path) -> None:
    from weakseg.ops.resample import resize_image, resize_labels
    from weakseg.settings.predict import PredictConfig
    from weakseg.settings.tiles import TileConfig
    from weakseg.stages.predict import predict_image
    from weakseg.stages.segment import load_segmenter

    model, _ = load_segmenter(path)
    ids = (root / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[66:]
    shown = [photograph(root, name) for name in ids]
    sizes = [(3 * truth.shape[0], 3 * truth.shape[1]) for _, truth in shown[:6]]
    near = [(resize_image(i, size), resize_labels(t, size)) for (i, t), size in zip(shown, sizes, strict=False)]
    parts = {
        "small things": ([sheet(shown[:12]), sheet(shown[12:24])], 240, TileConfig(320, 64, 320)),
        "photographs": (shown, 107, TileConfig(128, 32, 128)),
        "close-ups": (near, 320, TileConfig(320, 64, 320)),
    }
    for name, (scenes, side, tiles) in parts.items():
        row: dict[str, object] = {"scenes": name, "number": len(scenes)}
        for way, config in (("whole", TileConfig(tile=0)), ("tiles", tiles)):
            settings = PredictConfig(max_side=side, mask_side=side, tiles=config, tiles_for="labels")
            row[way] = mean_iou([(predict_image(model, image, settings).labels, truth) for image, truth in scenes])
        print(json.dumps(row), flush=True)
        append_rows("large_images", [row], part="segmenter")


def photograph(root: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    from weakseg.artifacts import LabelMap
    from weakseg.data.image import load_rgb

    image = load_rgb(next((root / "JPEGImages").glob(f"{name}.*")))
    return image, LabelMap.load(root / "SegmentationClass" / f"{name}.png").labels


def sheet(shown: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return photographs in rows of three, upright ones turned, with void where nothing lies."""
    high, wide = SHEET_CELL
    rows = -(-len(shown) // 3)
    pixels, truth = np.zeros((rows * high, 3 * wide, 3), np.uint8), np.full((rows * high, 3 * wide), 255, np.uint8)
    for number, (image, labels) in enumerate(shown):
        if image.shape[0] > image.shape[1]:
            image, labels = image.transpose(1, 0, 2), labels.T
        image, labels = image[:high, :wide], labels[:high, :wide]
        top, left = number // 3 * high, number % 3 * wide
        pixels[top : top + image.shape[0], left : left + image.shape[1]] = image
        truth[top : top + image.shape[0], left : left + image.shape[1]] = labels
    return pixels, truth


def mean_iou(pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> float:
    """Return the mean IoU in percent of the labels that the truth has, of one matrix; void is left out."""
    counts = np.zeros((256, 256), np.int64)
    for found, truth in pairs:
        known = truth != 255
        np.add.at(counts, (truth[known], found[known]), 1)
    right, there = np.diag(counts), counts.sum(1) > 0
    return round(100 * float(np.mean(right[there] / (counts.sum(0) + counts.sum(1) - right)[there])), 2)


def near_outlines(truth: Mask) -> Mask:
    kernel, there = np.ones((2 * BAND + 1,) * 2, np.uint8), truth.astype(np.uint8)
    found: Mask = (cv2.dilate(there, kernel) > 0) & (cv2.erode(there, kernel) == 0)
    return found


def near_borders(size: tuple[int, int], side: int, overlap: int) -> Mask:
    from weakseg.ops.blend import tile_rows

    found = np.zeros(size, bool)
    for tile in (tile for row in tile_rows(size, side, overlap) for tile in row):
        for edge in {tile.rows.start, tile.rows.stop} - {0, size[0]}:
            found[max(0, edge - SEAM) : edge + SEAM] = True
        for edge in {tile.columns.start, tile.columns.stop} - {0, size[1]}:
            found[:, max(0, edge - SEAM) : edge + SEAM] = True
    return found


def share(mask: Mask, of: Mask) -> float:
    return float(mask[of].mean()) if of.any() else float("nan")


if __name__ == "__main__":
    main()
