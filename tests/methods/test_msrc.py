"""Quality on real photographs: a third of MSRC train, so that a change that costs points is seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.truth import open_truth
from weakseg.evaluation.protocol import score_activations, score_maps
from weakseg.methods.irnet.walk import WalkJob
from weakseg.methods.shared_recipe import load_recipes
from weakseg.methods.wsgcn.jobs import CompleteJob
from weakseg.pipeline.engine import default_workers, map_images
from weakseg.pipeline.jobs import ActivateJob, DecodeJob, RefineJob, SeedJob
from weakseg.pipeline.plan import Kind
from weakseg.stages.boundary import train_boundary
from weakseg.stages.classify import MODEL_FILE, train_classifier
from weakseg.training.loop import FitPlace

RECIPE = Path(__file__).parents[2] / "recipes" / "compare_msrc.yaml"


@pytest.mark.slow
def test_masks_from_tags_on_msrc(real_data: Path, tmp_path: Path) -> None:
    """Settings of the recipe, but one scale and a third of the images; seed 0."""
    recipes = load_recipes(
        str(RECIPE), overrides=["--data.root", str(real_data / "msrc"), "--activations.scales=[1.5]"]
    )
    irnet, wsgcn = recipes["irnet"], recipes["wsgcn-i"]
    config: DataConfig = wsgcn.data
    whole = open_dataset(config)
    train = [s for s in whole.splits["train"] if s.tags.present][::3]
    shown = train[::3]
    out = {name: tmp_path / name for name in ("classifier", "act", "seeds", "refined", "boundary", "walk", "gcn")}
    records = train_classifier(
        train, whole.splits["val"][::2], whole.classes, config=wsgcn.classifier, place=FitPlace(out["classifier"])
    )

    def run(job, samples) -> None:  # type: ignore[no-untyped-def]
        assert not map_images(job, samples, title=type(job).__name__, workers=default_workers())

    run(ActivateJob(out["classifier"] / MODEL_FILE, out["act"], wsgcn.activations), train)
    run(SeedJob(out["act"], out["seeds"], wsgcn.seeds), train)
    run(RefineJob(out["seeds"], out["refined"], recipes["cam"].masks), shown)
    train_boundary(train, out["seeds"], config=wsgcn.boundary, place=FitPlace(out["boundary"]))
    model = out["boundary"] / MODEL_FILE
    run(WalkJob(model, out["act"], out["walk"], irnet.walk), shown)
    gcn = CompleteJob(model, Kind.BOUNDARY, out["seeds"], out["gcn"], wsgcn.graph, wsgcn.completion, 14, seed=0)
    run(gcn, shown)
    plain = replace(wsgcn.masks, crf=replace(wsgcn.masks.crf, iterations=0))
    for name, decode, masks in (("walk", plain, "walked"), ("gcn", plain, "labels"), ("gcn", wsgcn.masks, "masks")):
        run(DecodeJob(out[name], tmp_path / masks, decode), shown)
    truth = open_truth(config, Dataset(whole.classes, {"train": tuple(shown)}), "train")
    found = {"activations": score_activations("activations", truth, out["act"])[0].confusion.mean_iou()}
    for name in ("refined", "walked", "labels", "masks"):
        found[name] = score_maps(name, truth, tmp_path / name).confusion.mean_iou()
    print(f"mAP {records[-1]['mAP']:.1f}", {name: round(100 * value, 1) for name, value in found.items()})
    assert records[-1]["mAP"] > 90
    assert found["activations"] > 0.5
    assert found["labels"] > max(found["activations"] + 0.02, found["walked"])
    assert found["masks"] > found["labels"]
