"""Comparisons on a tiny generated data set: what is shared, what is measured, and what is refused."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.compare import aligned
from weakseg.cli.main import main
from weakseg.data.dataset import Dataset
from weakseg.errors import ConfigError, DataError
from weakseg.files import read_json
from weakseg.methods import METHODS, Method
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.cam.plan import build_plan
from weakseg.methods.compare import compare_methods, labelling_plan
from weakseg.methods.figures import MethodFigures, final_product, measure
from weakseg.methods.shared_recipe import load_recipes
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure, Kind, Step, StepContext, StepResult, way_to
from weakseg.pipeline.runner import run_plan, step_folders
from weakseg.pipeline.store import MANIFEST, Store, keyed_place
from weakseg.report import Table

OPTIONS = RunOptions(1, "cpu")


@dataclass(frozen=True)
class TwinRecipe(CamRecipe):
    method: str = "twin"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("compared") / "data")


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> str:
    """A second method with the plan of ``cam``."""
    monkeypatch.setitem(METHODS, "twin", Method(TwinRecipe, build_plan))
    return "twin"


def words(data: Path, *more: str) -> list[str]:
    return [*folder_arguments(data), *FAST, *more]


def stamps(out: Path) -> dict[str, int]:
    """When each finished step but the evaluation was written."""
    found = (out / "steps").glob(f"*/{MANIFEST}")
    return {p.parent.name: p.stat().st_mtime_ns for p in found if not p.parent.name.startswith("evaluation")}


class TestSharedSteps:
    """Hand-made plans whose steps count their calls."""

    @staticmethod
    def plan(log: list[str], threshold: float) -> list[Step]:
        def model(context: StepContext) -> StepResult:
            log.append("model")
            (context.folder / "weights").write_text("w")
            return StepResult({}, [Failure("x", context.folder.name, "torn")])

        def seeds(context: StepContext) -> StepResult:
            log.append(f"seeds {threshold}")
            assert (context.inputs["model"] / "weights").read_text() == "w"
            return StepResult({"images": 4})

        return [
            Step("model", Kind.CLASSIFIER, {}, {}, model),
            Step("seeds", Kind.SEEDS, {"model": Kind.CLASSIFIER}, {"threshold": threshold}, seeds),
        ]

    def test_a_step_of_the_same_key_is_found_again(self, tmp_path: Path) -> None:
        log: list[str] = []
        for threshold in (0.5, 0.4, 0.5):
            failures = run_plan(self.plan(log, threshold), Store(tmp_path, place=keyed_place), "data", OPTIONS)
            assert failures == [Failure("x", "model", "torn")]
        assert log == ["model", "seeds 0.5", "seeds 0.4"]

    def test_folders_say_where_products_are(self, tmp_path: Path) -> None:
        store = Store(tmp_path, place=keyed_place)
        plans = [self.plan([], threshold) for threshold in (0.5, 0.4)]
        for plan in plans:
            run_plan(plan, store, "data", OPTIONS)
        one, two = (step_folders(plan, store, "data") for plan in plans)
        assert one["model"] == two["model"] and one["seeds"] != two["seeds"]
        assert one["model"].parent == tmp_path / "steps" and one["model"].name[:6] == "model-"
        assert len(one["model"].name) == len("model-") + 12
        assert sorted(p.name for p in (tmp_path / "steps").iterdir()) == sorted(
            folder.name for folder in {*one.values(), *two.values()}
        )
        assert step_folders(plans[0], Store(tmp_path / "run"), "data")["seeds"] == tmp_path / "run" / "seeds"

    def test_other_data_share_nothing(self, tmp_path: Path) -> None:
        log: list[str] = []
        for content in ("a", "b"):
            run_plan(self.plan(log, 0.5), Store(tmp_path, place=keyed_place), content, OPTIONS)
        assert log.count("model") == 2

    def test_the_manifest_has_time_and_memory(self, tmp_path: Path) -> None:
        store, plan = Store(tmp_path), self.plan([], 0.5)
        run_plan(plan, store, "data", OPTIONS)
        summary = read_json(tmp_path / "seeds" / MANIFEST)["summary"]
        assert summary["seconds"] >= 0 and summary["peak_mb"] > 10
        assert (summary["images"], summary["workers"], summary["resumed"]) == (4, 1, False)

    def test_a_step_that_was_interrupted_has_no_time(self, tmp_path: Path) -> None:
        def stop(context: StepContext) -> StepResult:
            (context.folder / "half.png").write_bytes(b"x")
            raise KeyboardInterrupt

        store = Store(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            run_plan([Step("masks", Kind.MASKS, {}, {}, stop)], store, "data", OPTIONS)
        steps = [Step("masks", Kind.MASKS, {}, {}, lambda context: StepResult({"images": 2}))]
        run_plan(steps, store, "data", OPTIONS)
        figures = measure(steps, step_folders(steps, store, "data"), {})
        assert figures.seconds_an_image is None and figures.peak_mb


class TestFigures:
    """A plan as graph methods have it, with manifests made by hand."""

    @staticmethod
    def plan() -> list[Step]:
        def nothing(context: StepContext) -> StepResult:
            return StepResult()

        needs: dict[str, tuple[Kind, tuple[str, ...]]] = {
            "classifier": (Kind.CLASSIFIER, ()),
            "activations": (Kind.ACTIVATIONS, ("classifier",)),
            "seeds": (Kind.SEEDS, ("activations",)),
            "boundary": (Kind.BOUNDARY, ("seeds",)),
            "partial": (Kind.SEEDS, ("activations", "boundary")),
            "completed": (Kind.SCORES, ("partial", "boundary")),
            "aside": (Kind.SCORES, ("activations",)),
            "labels": (Kind.MASKS, ("completed",)),
            "masks": (Kind.MASKS, ("completed",)),
            "segmenter": (Kind.SEGMENTER, ("masks",)),
            "predictions": (Kind.PREDICTIONS, ("segmenter",)),
            "evaluation": (Kind.EVALUATION, ("activations", "partial", "masks", "predictions")),
        }
        kinds = {name: kind for name, (kind, _) in needs.items()}
        return [Step(n, kind, {m: kinds[m] for m in wanted}, {}, nothing) for n, (kind, wanted) in needs.items()]

    def folders(self, root: Path) -> dict[str, Path]:
        store = Store(root)
        for number, step in enumerate(self.plan()):
            _, manifest = store.open_step(step.name, step.name, {})
            mapped = step.produces in (Kind.ACTIVATIONS, Kind.SEEDS, Kind.SCORES, Kind.MASKS)
            summary = {"seconds": 10.0 * 2**number, "peak_mb": 100.0 + number, "resumed": False}
            store.finish_step(step.name, manifest, {**summary, **({"images": 10} if mapped else {})})
        return {step.name: root / step.name for step in self.plan()}

    def test_the_way_to_the_masks(self) -> None:
        assert final_product(self.plan()) == "masks" and final_product([]) == ""
        way = [step.name for step in way_to(self.plan(), "masks")]
        assert way == ["classifier", "activations", "seeds", "boundary", "partial", "completed", "masks"]

    def test_time_and_memory_are_those_between_activations_and_masks(self, tmp_path: Path) -> None:
        steps, _ = labelling_plan(self.plan(), segmenter=False)
        figures = measure(steps, self.folders(tmp_path), {})
        assert figures.train_seconds == 10 * 2**3
        assert figures.seconds_an_image == 2**2 + 2**4 + 2**5 + 2**8  # seeds, partial, completed, masks
        assert figures.peak_mb == 108.0
        assert (figures.before_crf, figures.after_crf, figures.segmenter) == (None, None, None)

    def test_agreement_is_read_by_kind_and_name(self, tmp_path: Path) -> None:
        names = ("activations", "seeds", "partial", "labels", "masks", "predictions")
        scores: dict[str, Any] = {n: {"mean_iou": i, "coverage": 10 * i} for i, n in enumerate(names, 1)}
        folders = self.folders(tmp_path)
        figures = measure(self.plan(), folders, scores)
        assert (figures.after_crf, figures.coverage, figures.segmenter) == (5, 30, 6)

    def test_before_the_crf_are_labels_of_the_same_scores_else_activations(self, tmp_path: Path) -> None:
        names = ("activations", "labels", "masks")
        scores: dict[str, Any] = {n: {"mean_iou": i, "coverage": 0} for i, n in enumerate(names, 1)}
        assert measure(self.plan(), self.folders(tmp_path), scores).before_crf == 2
        del scores["labels"]
        assert measure(self.plan(), self.folders(tmp_path), scores).before_crf == 1

    def test_coverage_without_truth_is_of_all_pixels(self, tmp_path: Path) -> None:
        folders = self.folders(tmp_path)
        LabelMap(np.array([[0, 255], [255, 1]], np.uint8)).save(folders["partial"] / "a.png")
        LabelMap(np.array([[0, 1]], np.uint8)).save(folders["partial"] / "b.png")
        assert measure(self.plan(), folders, {}).coverage == pytest.approx(100 * 4 / 6)

    def test_a_plan_without_masks_has_no_figures(self) -> None:
        assert measure(self.plan()[:3], {}, {}) == MethodFigures()

    def test_labels_only_leaves_out_the_segmenter_and_what_needs_it(self) -> None:
        plan = self.plan()
        late = Step("polished", Kind.MASKS, {"predictions": Kind.PREDICTIONS}, {}, plan[0].work)
        steps, scored = labelling_plan([*plan[:-1], late, plan[-1]], segmenter=False)
        assert [step.name for step in steps] == [step.name for step in plan[:-3]]
        assert scored == {"activations", "partial", "masks"}
        assert labelling_plan(plan, segmenter=True) == (plan[:-1], scored | {"predictions"})


class TestSharedRecipe:
    def write(self, folder: Path, text: str) -> str:
        (folder / "r.yaml").write_text(text)
        return str(folder / "r.yaml")

    def test_common_then_own_then_overrides(self, tmp_path: Path, twin: str) -> None:
        source = self.write(
            tmp_path,
            "method: cam\nseed: 3\nseeds:\n  strict: 0.6\n  lenient: 0.2\nsegmenter:\n  fit:\n    lr: 1e-3\n"
            "methods:\n  twin:\n    seeds: {strict: 0.7}\n  supervised:\n",
        )
        found: Any = load_recipes(
            source, ["cam", twin, "supervised"], ["--seeds.lenient", "0.1", "--segmenter.fit.epochs=2"]
        )
        assert list(found) == ["cam", "twin", "supervised"]
        assert [(r.seeds.strict, r.seeds.lenient) for r in (found["cam"], found["twin"])] == [(0.6, 0.1), (0.7, 0.1)]
        assert {r.seed for r in found.values()} == {3}
        assert {(r.segmenter.fit.lr, r.segmenter.fit.epochs) for r in found.values()} == {(0.001, 2)}

    def test_an_override_for_one_method_wins(self, twin: str) -> None:
        given = ["--methods.twin.seeds.strict", "0.9", "--seeds.strict=0.5"]
        found: Any = load_recipes("cam", ["cam", twin], given)
        assert (found["cam"].seeds.strict, found["twin"].seeds.strict) == (0.5, 0.9)

    def test_without_a_choice_the_file_says_which_methods(self, tmp_path: Path) -> None:
        assert list(load_recipes(self.write(tmp_path, "methods: {supervised: {}, cam: {}}"))) == ["supervised", "cam"]

    @pytest.mark.parametrize(
        ("text", "methods", "overrides", "message"),
        [
            ("sedes: {strict: 1}", "cam", [], "sedes.strict: no such setting in cam"),
            ("sedes: {}", "cam", [], "sedes: no such setting in cam"),
            ("seeds: {strct: 1}", "cam,supervised", [], "seeds.strct: no such setting in cam, supervised"),
            ("seeds: {strict: 1}", "supervised", [], "no such setting in supervised; it is one of cam"),
            ("seeds: 3", "cam", [], "seeds: a section is a mapping of settings, got 3"),
            ("seeds: {strict: much}", "cam", [], "method cam: Parser key \"seeds.strict\""),
            ("methods: {cam: {seeds: {strct: 1}}}", "cam", [], "methods.cam.seeds.strct: no such setting in cam"),
            ("methods: {cam: {seeds: {strct: 1}}}", "supervised", [], "methods.cam.seeds.strct: no such setting"),
            ("methods: {supervised: {seeds: {strict: 1}}}", "cam", [], "methods.supervised.seeds.strict: no such"),
            ("methods: {cam: {data: {root: x}}}", "cam", [], "methods.cam.data.root: all methods of a comparison"),
            ("methods: {cma: {}}", "cam", [], "'cma' is unknown; did you mean 'cam'?"),
            ("methods: [cam]", "cam", [], "methods is a mapping"),
            ("seed: 1", "", [], "name at least one, such as --methods cam,"),
            ("seed: 1", "cam,cam", [], "'cam' is named twice"),
            ("seed: 1", "cam", ["--seeds.stric=0.5"], "seeds.stric: no such setting in cam"),
            ("seed: 1", "cam", ["--methods.cam.seeds.stric", "1"], "methods.cam.seeds.stric: no such setting in cam"),
            ("seed: 1", "cam", ["--methods.supervised.seed", "1"], "'supervised' is none of the chosen methods"),
            ("seed: 1", "cam", ["--seed"], "--seed: needs a value"),
            ("seed: 1", "cam", ["--method=supervised"], "method: no such setting"),
        ],
    )  # fmt: skip
    def test_a_fault_is_named(
        self, tmp_path: Path, text: str, methods: str, overrides: list[str], message: str
    ) -> None:
        with pytest.raises(ConfigError) as error:
            load_recipes(self.write(tmp_path, text), [m for m in methods.split(",") if m], overrides)
        assert message in str(error.value)

    def test_neither_file_nor_method(self) -> None:
        with pytest.raises(ConfigError, match=r"nowhere\.yaml: neither a recipe file nor a method"):
            load_recipes("nowhere.yaml", ["cam"])


@pytest.fixture(scope="module")
def out(data: Path) -> Path:
    """The folder of a comparison of ``cam`` and ``supervised``, made on the command line."""
    out = data.parent / "out"
    assert main(["compare", "cam", "--methods", "cam,supervised", "--out", str(out), *words(data), "--workers=1"]) == 0
    return out


class TestComparison:
    def test_what_it_leaves(self, out: Path) -> None:
        steps = sorted(name.rpartition("-")[0] for name in stamps(out))
        assert steps == ["activations", "classifier", "masks", "masks", "seeds"]  # supervised has masks of its own
        cam, supervised = read_json(out / "results.json")["methods"]
        assert [s["name"] for s in cam["scores"]] == ["activations", "seeds", "masks"]
        figures = cam["figures"]
        assert figures["before_crf"] == cam["scores"][0]["mean_iou"]
        assert figures["after_crf"] == cam["scores"][2]["mean_iou"]
        assert figures["coverage"] == cam["scores"][1]["coverage"]
        assert figures["segmenter"] is None and figures["train_seconds"] == 0
        assert figures["seconds_an_image"] > 0 and figures["peak_mb"] > 100
        assert (out / cam["steps"]["masks"] / "i01.png").exists()
        assert supervised["scores"] == [] and cam["settings"]["seeds"]["strict"] == 0.45
        assert (out / "failures.csv").read_text().splitlines() == ["image,step,reason"]

    def test_the_page_has_a_table_and_masks_side_by_side(self, out: Path) -> None:
        page = (out / "report.html").read_text()
        for text in (
            "after CRF, mIoU %",
            "cam against truth",
            "supervised against truth",
            "activation",
            "cam, supervised",
        ):
            assert text in page

    def test_a_second_call_computes_nothing_and_prints_the_table(
        self, out: Path, data: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = stamps(out)
        command = ["compare", "cam", "--methods=cam,supervised", "--out", str(out), *words(data), "--workers=1"]
        assert main(command) == 0
        assert stamps(out) == before
        head, *rows = capsys.readouterr().out.splitlines()[:3]
        assert head.split()[:2] == ["method", "before"] and [row.split()[0] for row in rows] == ["cam", "supervised"]
        assert len(set(map(len, (head, rows[0])))) == 1

    def test_methods_share_what_is_equal_and_take_it_again_later(self, out: Path, data: Path, twin: str) -> None:
        before = stamps(out)
        recipes = load_recipes("cam", ["cam", twin], words(data, "--methods.twin.masks.crf.iterations=1"))
        found = compare_methods(recipes, out, OPTIONS)
        new = stamps(out).keys() - before.keys()
        assert [name[:6] for name in new] == ["masks-"] and stamps(out).items() >= before.items()
        cam, other = found.methods
        assert cam.folders["seeds"] == other.folders["seeds"] and cam.folders["masks"] != other.folders["masks"]
        assert cam.scores["seeds"] is other.scores["seeds"] and set(other.scores) == set(cam.scores)
        assert other.figures.before_crf == cam.figures.before_crf

    def test_the_segmenter_when_asked_for(self, out: Path, data: Path) -> None:
        before = stamps(out)
        found = compare_methods(load_recipes("cam", ["cam"], words(data)), out, OPTIONS, segmenter=True)
        assert sorted(name.rpartition("-")[0] for name in stamps(out).keys() - before.keys()) == [
            "predictions",
            "segmenter",
        ]
        figures = found.methods[0].figures
        assert figures.segmenter == found.methods[0].scores["predictions"]["mean_iou"]

    def test_a_broken_image_is_a_failure_of_each_method_and_listed_once(
        self, out: Path, data: Path, tmp_path: Path, twin: str
    ) -> None:
        broken = tmp_path / "data"
        shutil.copytree(data, broken)
        (broken / "images" / "i03.png").write_bytes((data / "images" / "i03.png").read_bytes()[:200])
        found = compare_methods(load_recipes("cam", ["cam", twin], words(broken)), tmp_path / "out", OPTIONS)
        assert [[f.image_id for f in method.failures] for method in found.methods] == [["i03"], ["i03"]]
        assert [f.image_id for f in found.failures] == ["i03"]

    def test_without_truth_there_are_coverage_and_pictures(self, out: Path, data: Path) -> None:
        given = [*(word for word in words(data) if not word.startswith("--data.truth")), "--workers=1"]
        assert main(["compare", "cam", "--methods=cam", "--out", str(out), *given]) == 0
        figures = read_json(out / "results.json")["methods"][0]["figures"]
        assert figures["after_crf"] is None and 0 < figures["coverage"] <= 100


def test_other_code_under_the_same_key_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twin: str
) -> None:
    def build(recipe: CamRecipe, dataset: Dataset) -> list[Step]:
        first, *rest = build_plan(recipe, dataset)
        return [Step(first.name, first.produces, first.needs, first.settings, lambda context: StepResult()), *rest]

    monkeypatch.setitem(METHODS, twin, Method(TwinRecipe, build))
    recipes = load_recipes("cam", ["cam", twin], words(data))
    with pytest.raises(ConfigError, match="method twin: step 'classifier' has the name, settings and needs"):
        compare_methods(recipes, tmp_path / "out", OPTIONS)


def test_different_data_are_refused(data: Path, tmp_path: Path, twin: str) -> None:
    one = load_recipes("cam", ["cam"], words(data))
    two = load_recipes("cam", [twin], words(data, "--data.min_pixels=3"))
    with pytest.raises(ConfigError, match="methods cam and twin have different data"):
        compare_methods({**one, **two}, tmp_path / "out", OPTIONS)
    with pytest.raises(ConfigError, match="at least one method"):
        compare_methods({}, tmp_path / "out", OPTIONS)
    with pytest.raises(DataError, match="is not a folder"):
        compare_methods(load_recipes("cam", ["cam"], ["--data.root=/nowhere"]), tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()


def test_a_table_as_text() -> None:
    table = Table("t", ("method", "mIoU %", "s"), (("cam", 61.25, None), ("wsgcn-i", 7.0, 2.0)))
    assert aligned(table).splitlines() == ["method   mIoU %  s", "cam       61.25  –", "wsgcn-i    7.00  2"]
