"""Whole runs of the methods that learn a graph, on a tiny generated data set."""

import json
from pathlib import Path

import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap, Scores
from weakseg.cli.main import main
from weakseg.files import read_json

COMMON = [
    *(word for word in FAST if not word.startswith(("--seeds", "--activations", "--masks"))),
    "--classifier.fit.epochs=1",
    "--segmenter.fit.epochs=1",
    "--activations.scales=[1.0]",
    "--masks.crf.iterations=1",
]
TRAINED = ("{}.fit.epochs=1", "{}.fit.batch_size=4", "{}.augment.crop=64", "{}.augment.long_side=[64,80]")
GCN = ["--completion.gcn.steps=10", "--completion.partial.crf.iterations=1", "--completion.partial.min_seeds=2"]
BOUNDARY = ["--seeds.crf.iterations=1", *(f"--{word.format('boundary')}" for word in TRAINED)]
AFFINITY = ["--readings.crf.iterations=1", *(f"--{word.format('affinity')}" for word in TRAINED)]
SEAM = ["--classifier.loss.scale=0.5", "--classifier.backbone.output_stride=16"]
RECAM = [f"--{word.format('recam')}" for word in TRAINED]
METHODS = {
    "irnet": (BOUNDARY, {"seeds", "walk"}),
    "recam": ([*BOUNDARY, *RECAM], {"seeds", "walk"}),
    "psa": (AFFINITY, {"foreground", "background", "walk"}),
    "seam": ([*AFFINITY, *SEAM], {"foreground", "background", "walk"}),
    "wsgcn-i": ([*BOUNDARY, *GCN], {"seeds", "partial", "completed"}),
    "wsgcn-p": ([*AFFINITY, *GCN], {"foreground", "background", "partial", "completed"}),
    "wsgcn-p from seeds": (
        [*AFFINITY, *GCN, "--partial_from=seeds", "--seeds.crf.iterations=1"],
        {"foreground", "background", "seeds", "completed"},
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tiny") / "data", 6)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_from_tags_to_a_report(method: str, data: Path, tmp_path: Path) -> None:
    settings, products = METHODS[method]
    words = ["run", method.partition(" ")[0], "--out", str(tmp_path / "out"), "--workers", "1", *folder_arguments(data)]
    assert main([*words, *COMMON, *settings]) == 0
    out, tags = tmp_path / "out", json.loads((data / "tags.json").read_text())
    for product in {"activations", "before_crf", "masks"} | products:
        suffixes = {path.suffix for path in (out / product).iterdir()} - {".json", ".jsonl"}
        assert {path.stem for path in (out / product).glob(f"*{min(suffixes)}")} == {n[:-4] for n in tags}
        assert len(suffixes) == 1
    assert (out / ("boundary" if "boundary" in str(settings) else "affinity") / "model.safetensors").exists()
    assert (out / "partial").exists() is ("partial" in products)
    assert (out / "report.html").stat().st_size > 10_000
    names = [score["name"] for score in read_json(out / "evaluation" / "results.json")["scores"]]
    assert {"activations", "before_crf", "masks", "predictions"} <= set(names)
    for name, shown in tags.items():
        ids = {0, *({"disc": 1, "square": 2}[tag] for tag in shown)}
        scores = Scores.load(out / ("walk" if "walk" in products else "completed") / f"{name[:-4]}.safetensors")
        assert set(scores.label_ids) == ids and scores.image_size == (48, 64)
        for product in ("before_crf", "masks"):
            mask = LabelMap.load(out / product / name)
            assert mask.label_ids <= ids and mask.labels.shape == (48, 64)
    steps = [path for path in out.iterdir() if path.is_dir() and path.name not in ("data", "evaluation")]
    stamps = {path: path.stat().st_mtime_ns for step in steps for path in step.rglob("*")}
    assert main([*words, *COMMON, *settings]) == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    labels = ["--images", str(data / "images"), "--labels", str(data / "tags.json"), "--out", str(tmp_path / "new")]
    assert main(["label", str(out), *labels, "--workers", "1"]) == 0
    made, again = ({p.name: p.read_bytes() for p in (f / "masks").glob("*.png")} for f in (out, tmp_path / "new"))
    assert made == again and len(made) == len(tags)
    listed = [
        sorted(r.split(",")[:2] for r in (f / "masks.csv").read_text().splitlines()) for f in (out, tmp_path / "new")
    ]
    assert listed[0] == listed[1] and len(listed[0]) == 1 + sum(map(len, tags.values()))
    assert not {"foreground", "background", "segmenter"} & {p.name for p in (tmp_path / "new").iterdir()}
