"""How far the reliability of masks of runs can be trusted, measured with true masks; and how its weights were found.

    python benchmarks/run_reliability.py runs/grm_msrc:irnet runs/labels_msrc:boxes-free

For each run, or method of a comparison, one JSON line a kind of label and list of images: masks, how many have
IoU >= 0.6, the area under the ROC curve of that by reliability, the share of bad masks in the fifth with the lowest and
the highest reliability, and the mean reliability. ``--cues FILE`` keeps what was measured. ``--fit CUE...`` prints the
regression of all masks on these cues for each kind of label, and the area under the ROC curve by cross-validation over
images.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_truth
from weakseg.methods import METHODS
from weakseg.methods.finished import open_finished
from weakseg.pipeline.plan import Role
from weakseg.stages.reliability import MOST, reliability_in_run
from weakseg.stages.weak_seeds import counted
from weakseg.steps.reliability import RELIABILITY, ReliabilityJob, Sources, label_of

GOOD = 0.6
FOLDS = 10

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="run folder, or FOLDER:METHOD of a comparison")
    parser.add_argument("--cues", type=Path, help="JSON file of what was measured; read where it is there")
    parser.add_argument("--fit", nargs="+", default=[], metavar="CUE", help="fit a regression on these cues")
    parser.add_argument("--lists", nargs="+", default=[""], help="lists of images; empty: all")
    given = parser.parse_args()
    if given.cues and given.cues.exists():
        rows = json.loads(given.cues.read_text())
    else:
        rows = [row for run in given.runs for row in measured(run, given.lists)]
        if given.cues:
            given.cues.write_text(json.dumps(rows))
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[(row["label"],) if given.fit else (row["label"], row["run"], row["list"])].append(row)
    for key, members in sorted(groups.items()):
        told = fitted(members, given.fit) if given.fit else summary(members)
        print(json.dumps({"of": "/".join(key), **told}))


def measured(run: str, lists: Iterable[str]) -> Iterable[Row]:
    """Yield what is known of each mask of a run, and its true IoU."""
    folder, _, method = run.partition(":")
    finished = open_finished(Path(folder), method)
    dataset = open_dataset(finished.recipe.data)
    plan = METHODS[finished.recipe.method].build(finished.recipe, dataset)
    step = next(step for step in plan if step.name == RELIABILITY)
    place = {name: finished.step_folder(name) for name in step.needs}
    seeds, plain = (
        next((place[one.name] for one in plan if one.name in place and one.role == role), None)
        for role in (Role.SEEDS, Role.PLAIN)
    )
    masks, use = place[next(iter(step.needs))], step.settings["use"]  # the masks are what it needs first
    job = ReliabilityJob(masks, masks, Sources(seeds, plain), use)
    for listed in lists:
        for true in open_truth(finished.recipe.data, dataset, "train", listed):
            sample = next(one for one in dataset.splits["train"] if one.id == true.id)
            truth = true.load_truth()
            found = LabelMap.load(masks / f"{true.id}.png").labels
            for class_id, cues in job.cues(sample).items():
                one, other = (found == class_id) & (truth != UNDECIDED), truth == class_id
                overlap = float((one & other).sum() / max(1, (one | other).sum()))
                label = label_of(counted(sample, use).drawn, class_id)
                yield {
                    "run": run.rpartition("/")[2],
                    "list": listed,
                    "label": label,
                    "image": true.id,
                    "class": class_id,
                    "iou": overlap,
                    "cues": cues,
                }


def summary(rows: list[Row]) -> Row:
    """Return how far the reliability of masks agrees with their IoU."""
    good = np.array([row["iou"] >= GOOD for row in rows])
    values = np.array([reliability_in_run(row["label"], row["cues"]).value for row in rows])
    order, fifth = np.argsort(values, kind="stable"), max(1, len(rows) // 5)
    return {
        "masks": len(rows),
        "good": round(float(good.mean()), 3),
        "roc": round(float(roc_auc_score(good, values)), 3) if len(set(good.tolist())) > 1 else None,
        "lowest_bad": round(float((~good[order[:fifth]]).mean()), 3),
        "highest_bad": round(float((~good[order[-fifth:]]).mean()), 3),
        "reliability": round(float(values.mean()), 3),
    }


def fitted(rows: list[Row], names: list[str]) -> Row:
    """Return a logistic regression on standardised cues, as ``Regression`` has it, and its ROC by cross-validation."""
    rows = [row for row in rows if row["cues"]["area"] > 0]
    values = np.array([[row["cues"].get(name, np.nan) for name in names] for row in rows])
    good = np.array([row["iou"] >= GOOD for row in rows])
    mean, deviation = np.nanmean(values, 0), np.nanstd(values, 0) + 1e-9
    scaled = np.nan_to_num(np.clip((values - mean) / deviation, -MOST, MOST))
    images = [row["image"] for row in rows]
    odds = cross_val_predict(
        LogisticRegression(), scaled, good, groups=images, cv=GroupKFold(FOLDS), method="decision_function"
    )
    model = LogisticRegression().fit(scaled, good)
    cues = {
        name: (float(f"{m:.3g}"), float(f"{d:.3g}"), round(float(w), 2))
        for name, m, d, w in zip(names, mean, deviation, model.coef_[0], strict=True)
    }
    roc = round(float(roc_auc_score(good, odds)), 3)
    return {"masks": len(rows), "roc": roc, "bias": round(float(model.intercept_[0]), 2), "cues": cues}


if __name__ == "__main__":
    main()
