"""Comparisons on a tiny generated data set: what is shared, what is measured, and what is refused."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.compare import aligned
from weakseg.cli.main import main
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.errors import ConfigError, DataError
from weakseg.files import read_json
from weakseg.methods import METHODS, Method
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.compare import compare_methods, compared_plan
from weakseg.methods.figures import MethodFigures, measure, measure_lists
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure, Kind, Role, Step, StepContext, StepResult, Work, result_of, way_to
from weakseg.pipeline.runner import run_plan, step_folders
from weakseg.pipeline.store import Store, keyed_place
from weakseg.report import Table
from weakseg.settings.classify import ClassifierConfig
from weakseg.stages.classify import train_classifier
from weakseg.stages.seam import train_seam
from weakseg.steps.classify import classifier_step

OPTIONS = RunOptions(1, "cpu")
CAM = METHODS["cam"]


@dataclass(frozen=True)
class TwinRecipe(CamRecipe):
    method: str = "twin"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("compared") / "data")


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> str:
    """A second method with the plan of ``cam``."""
    monkeypatch.setitem(METHODS, "twin", Method(f"{__name__}:TwinRecipe", CAM.plan_name))
    return "twin"


def words(data: Path, *more: str) -> list[str]:
    return [*folder_arguments(data), *FAST, *more]


def stamps(out: Path) -> dict[str, int]:
    """When each finished step but the evaluation was written."""
    found = (out / "steps").glob(f"*/{MANIFEST}")
    return {p.parent.name: p.stat().st_mtime_ns for p in found if not p.parent.name.startswith("evaluation")}


def masks_of(run: Callable[[StepContext], StepResult]) -> Step:
    return Step("masks", Kind.LABELS, {}, {}, Work("tests.masks", run), Role.RESULT)


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
            Step("model", Kind.MODEL, {}, {}, Work("tests.model", model)),
            Step("seeds", Kind.LABELS, {"model": Kind.MODEL}, {"threshold": threshold}, Work("tests.seeds", seeds)),
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
            run_plan([masks_of(stop)], store, "data", OPTIONS)
        steps = [masks_of(lambda context: StepResult({"images": 2}))]
        run_plan(steps, store, "data", OPTIONS)
        figures = measure(steps, step_folders(steps, store, "data"), {})
        assert figures.seconds_an_image is None and figures.peak_mb


class TestFigures:
    """A plan as graph methods have it, with manifests made by hand."""

    @staticmethod
    def plan() -> list[Step]:
        parts: dict[str, tuple[Kind, Role, tuple[str, ...]]] = {
            "classifier": (Kind.MODEL, Role.START, ()),
            "activations": (Kind.ACTIVATIONS, Role.START, ("classifier",)),
            "seeds": (Kind.LABELS, Role.SEEDS, ("activations",)),
            "boundary": (Kind.MODEL, Role.PART, ("seeds",)),
            "partial": (Kind.LABELS, Role.SEEDS, ("activations", "boundary")),
            "completed": (Kind.SCORES, Role.PART, ("partial", "boundary")),
            "aside": (Kind.SCORES, Role.PART, ("activations",)),
            "before_crf": (Kind.LABELS, Role.PLAIN, ("completed",)),
            "masks": (Kind.LABELS, Role.RESULT, ("completed",)),
            "segmenter": (Kind.MODEL, Role.AFTER, ("masks",)),
            "predictions": (Kind.LABELS, Role.AFTER, ("segmenter",)),
            "evaluation": (Kind.RESULTS, Role.CHECK, ("activations", "partial", "masks", "predictions")),
        }
        work = Work("tests.nothing", lambda context: StepResult())
        return [
            Step(name, kind, {need: parts[need][0] for need in needs}, {}, work, role)
            for name, (kind, role, needs) in parts.items()
        ]

    def folders(self, root: Path) -> dict[str, Path]:
        store = Store(root)
        for number, step in enumerate(self.plan()):
            _, manifest = store.open_step(step.name, step.name, {})
            mapped = step.kind not in (Kind.MODEL, Kind.RESULTS)
            summary = {"seconds": 10.0 * 2**number, "peak_mb": 100.0 + number, "resumed": False}
            store.finish_step(step.name, manifest, {**summary, **({"images": 10} if mapped else {})})
        return {step.name: root / step.name for step in self.plan()}

    def test_the_way_to_the_masks(self) -> None:
        result = result_of(self.plan())
        assert result is not None and result.name == "masks" and result_of([]) is None
        way = [step.name for step in way_to(self.plan(), "masks")]
        assert way == ["classifier", "activations", "seeds", "boundary", "partial", "completed", "masks"]

    def test_time_and_memory_are_those_between_activations_and_masks(self, tmp_path: Path) -> None:
        steps, _ = compared_plan(self.plan(), segmenter=False)
        figures = measure(steps, self.folders(tmp_path), {})
        assert figures.train_seconds == 10 * 2**3
        assert figures.seconds_an_image == 2**2 + 2**4 + 2**5 + 2**8  # seeds, partial, completed, masks
        assert figures.peak_mb == 108.0
        assert (figures.before_crf, figures.after_crf, figures.segmenter) == (None, None, None)

    def test_a_classifier_and_activations_of_its_own_are_the_methods_cost(self, tmp_path: Path) -> None:
        classifier, activations, *rest = self.plan()
        own = [replace(classifier, role=Role.PART), replace(activations, role=Role.PART), *rest]
        figures = measure(own, self.folders(tmp_path), {})
        assert figures.train_seconds == 10 * (2**0 + 2**3)
        assert figures.seconds_an_image == 2**1 + 2**2 + 2**4 + 2**5 + 2**8

    def test_agreement_is_read_by_role(self, tmp_path: Path) -> None:
        names = ("activations", "seeds", "partial", "before_crf", "masks", "predictions")
        scores: dict[str, Any] = {n: {"mean_iou": i, "coverage": 10 * i} for i, n in enumerate(names, 1)}
        figures = measure(self.plan(), self.folders(tmp_path), scores)
        assert (figures.after_crf, figures.coverage, figures.segmenter) == (5, 30, 6)

    def test_agreement_on_several_lists(self, tmp_path: Path) -> None:
        def rows(*lists: str) -> list[dict[str, Any]]:
            return [{"mean_iou": len(name), "coverage": 9, "protocol": {"list": name}} for name in lists]

        scores = {"partial": rows("fit", "held"), "masks": rows("fit", "held"), "predictions": rows("v")}
        figures = measure_lists(self.plan(), self.folders(tmp_path), scores)
        assert (figures.after_crf, figures.segmenter, figures.coverage) == (3, 1, 9)
        assert figures.lists == {
            "fit": {"after_crf": 3, "coverage": 9},
            "held": {"after_crf": 4, "coverage": 9},
            "v": {"segmenter": 1},
        }
        first = {name: found[:1] for name, found in scores.items()}
        assert measure_lists(self.plan(), self.folders(tmp_path), first) == replace(figures, lists={})

    def test_before_the_crf_is_the_plain_result_else_activations(self, tmp_path: Path) -> None:
        names = ("activations", "before_crf", "masks")
        scores: dict[str, Any] = {n: {"mean_iou": i, "coverage": 0} for i, n in enumerate(names, 1)}
        assert measure(self.plan(), self.folders(tmp_path), scores).before_crf == 2
        del scores["before_crf"]
        assert measure(self.plan(), self.folders(tmp_path), scores).before_crf == 1

    def test_coverage_without_truth_is_of_all_pixels(self, tmp_path: Path) -> None:
        folders = self.folders(tmp_path)
        LabelMap(np.array([[0, 255], [255, 1]], np.uint8)).save(folders["partial"] / "a.png")
        LabelMap(np.array([[0, 1]], np.uint8)).save(folders["partial"] / "b.png")
        assert measure(self.plan(), folders, {}).coverage == pytest.approx(100 * 4 / 6)

    def test_a_plan_without_masks_has_the_figures_of_its_scores(self) -> None:
        assert measure(self.plan()[:3], {}, {}) == MethodFigures()
        scores: dict[str, Any] = {"activations": {"mean_iou": 7, "coverage": 0}}
        assert measure(self.plan()[:2], {}, scores) == MethodFigures(before_crf=7)

    def test_a_plan_until_a_step(self) -> None:
        steps, scored = compared_plan(self.plan(), segmenter=False, until="activations")
        assert [step.name for step in steps] == ["classifier", "activations"] and scored == {"activations"}
        with pytest.raises(ConfigError, match="no step 'segmenter'; choose 'classifier', 'activations', 'seeds', "):
            compared_plan(self.plan(), segmenter=False, until="segmenter")
        assert compared_plan(self.plan(), segmenter=True, until="predictions")[0][-1].name == "predictions"
        with pytest.raises(ConfigError, match="'masks' comes before the segmenter"):
            compared_plan(self.plan(), segmenter=True, until="masks")

    def test_labels_only_leaves_out_the_segmenter_and_what_needs_it(self) -> None:
        plan = self.plan()
        late = Step("polished", Kind.LABELS, {"predictions": Kind.LABELS}, {}, plan[0].work)
        steps, scored = compared_plan([*plan[:-1], late, plan[-1]], segmenter=False)
        assert [step.name for step in steps] == [step.name for step in plan[:-3]]
        assert scored == {"activations", "partial", "masks"}

    def test_what_comes_after_a_segmenter_is_kept_with_it(self) -> None:
        plan = self.plan()
        needs = {"polished": Kind.LABELS, "masks": Kind.LABELS}
        late = Step("polished", Kind.LABELS, {"predictions": Kind.LABELS}, {}, plan[0].work, Role.AFTER)
        check = replace(plan[-1], needs=needs)
        assert compared_plan([*plan[:-1], late, check], segmenter=True) == ([*plan[:-1], late], set(needs))
        every = {"activations", "partial", "masks", "predictions"}
        assert compared_plan(plan, segmenter=True) == (plan[:-1], every)

    def test_the_segmenter_is_measured_by_the_last_label_maps_after_it(self, tmp_path: Path) -> None:
        plan = self.plan()[:-1]
        late = Step("polished", Kind.LABELS, {"predictions": Kind.LABELS}, {}, plan[0].work, Role.AFTER)
        scores: dict[str, Any] = {"predictions": {"mean_iou": 1}, "polished": {"mean_iou": 2}}
        assert measure([*plan, late], self.folders(tmp_path), scores).segmenter == 2


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

    def test_an_entry_may_be_based_on_a_recipe(self, tmp_path: Path) -> None:
        data = "data: {train: a.csv, truth: masks}\n"
        (tmp_path / "below").mkdir()
        self.write(tmp_path / "below", f"method: cam\nseed: 3\nseeds: {{strict: 0.6}}\n{data}")
        entries = "methods: {a: {base: below/r.yaml}, b: {base: below/r.yaml, seeds: {strict: 0.7}}, cam: {}}\n"
        found: Any = load_recipes(
            self.write(tmp_path, f"{data[:-2]}, root: x}}\nseed: 2\n{entries}"), overrides=["--data.min_pixels=3"]
        )
        assert [(r.method, r.seed, r.seeds.strict) for r in found.values()] == [
            ("cam", 3, 0.6), ("cam", 3, 0.7), ("cam", 2, found["cam"].seeds.strict)
        ]  # fmt: skip
        assert {(r.data.root, r.data.train, r.data.min_pixels) for r in found.values()} == {("x", "a.csv", 3)}

    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            ("{base: below/r.yaml}", r"methods\.cam\.data\.train: all methods of a comparison share the data"),
            ("{base: ../r.yaml}", "outside of the folder"),
            ("{base: r.yaml}", "is based on itself"),
            ("{base: gone.yaml}", "no such file"),
        ],
    )
    def test_an_entry_of_other_data_or_without_its_base_is_refused(
        self, tmp_path: Path, entry: str, message: str
    ) -> None:
        (tmp_path / "below").mkdir()
        self.write(tmp_path / "below", "data: {train: b.csv}\n")
        with pytest.raises(ConfigError, match=message):
            load_recipes(self.write(tmp_path, f"data: {{train: a.csv}}\nmethods: {{cam: {entry}}}\n"))

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
            ("seeds: {strict: much}", "cam", [], "method cam: seeds.strict: need a number or 'auto', got 'much'"),
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
        assert steps == ["activations", "classifier", "masks", "masks", "reliability", "seeds"]  # two of masks
        cam, supervised = read_json(out / "results.json")["methods"]
        assert [s["name"] for s in cam["scores"]] == ["activations", "seeds", "masks"]
        figures = cam["figures"]
        assert figures["before_crf"] == cam["scores"][0]["mean_iou"]
        assert figures["after_crf"] == cam["scores"][2]["mean_iou"]
        assert figures["coverage"] == cam["scores"][1]["coverage"]
        assert figures["segmenter"] is None and figures["train_seconds"] == 0
        assert 0 <= figures["trusted"] <= 100 and supervised["figures"]["trusted"] is None
        assert figures["seconds_an_image"] > 0 and figures["peak_mb"] > 100
        assert (out / cam["steps"]["masks"] / "i01.png").exists()
        assert supervised["scores"] == [] and cam["settings"]["seeds"]["strict"] == "auto"
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
        assert {name[:6] for name in new} == {"masks-", "reliab"} and stamps(out).items() >= before.items()
        cam, other = found.methods
        one, two = cam.products.folders, other.products.folders
        assert one["seeds"] == two["seeds"] and one["masks"] != two["masks"]
        assert cam.products.scored["seeds"] is other.products.scored["seeds"]
        assert set(other.products.scored) == set(cam.products.scored)
        assert cam.products.result == "masks" and cam.products.objects == []
        assert other.figures.before_crf == cam.figures.before_crf

    def test_until_the_activations(self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["compare", "cam", "--methods=cam", "--out", str(tmp_path), *words(data), "--workers=1"]
        assert main([*command, "--until", "masc"]) == 2 and "no step 'masc'" in capsys.readouterr().err
        assert main([*command, "--until", "activations"]) == 0
        head, row = capsys.readouterr().out.splitlines()[:2]
        assert head.split() == ["method", "before", "CRF,", "mIoU", "%"] and row.split()[0] == "cam"
        made = {path.name.partition("-")[0] for path in (tmp_path / "steps").iterdir()}
        assert made == {"classifier", "activations", "evaluation"} and (tmp_path / "report.html").is_file()

    def test_the_segmenter_when_asked_for(self, out: Path, data: Path) -> None:
        before = stamps(out)
        found = compare_methods(load_recipes("cam", ["cam"], words(data)), out, OPTIONS, segmenter=True)
        assert sorted(name.rpartition("-")[0] for name in stamps(out).keys() - before.keys()) == [
            "predictions",
            "segmenter",
        ]
        figures = found.methods[0].figures
        assert figures.segmenter == found.methods[0].products.scored["predictions"][0]["mean_iou"]

    def test_a_broken_image_is_a_failure_of_each_method_and_listed_once(
        self, out: Path, data: Path, tmp_path: Path, twin: str
    ) -> None:
        broken = tmp_path / "data"
        shutil.copytree(data, broken)
        (broken / "images" / "i03.png").write_bytes((data / "images" / "i03.png").read_bytes()[:200])
        found = compare_methods(load_recipes("cam", ["cam", twin], words(broken)), tmp_path / "out", OPTIONS)
        assert [[f.image_id for f in method.failures] for method in found.methods] == [["i03"], ["i03"]]
        assert [f.image_id for f in found.failures] == ["i03"]

    def test_a_method_of_it_labels_new_photographs(
        self, out: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        both = ["compare", "cam", "--methods=cam,supervised", "--out", str(out), *words(data), "--workers=1"]
        assert main(both) == 0  # another test may have made it of one
        images = ["--images", str(data / "images"), "--labels", str(data / "tags.json"), "--workers=1"]
        assert main(["label", str(out), *images, "--method=cam", "--out", str(tmp_path / "new")]) == 0
        cam = read_json(out / "results.json")["methods"][0]
        for path in (out / cam["steps"]["masks"]).glob("*.png"):
            assert path.read_bytes() == (tmp_path / "new" / "masks" / path.name).read_bytes()
        for method, message in {"supervised": "has no labeller", "": "name one by --method: cam, supervised"}.items():
            assert main(["label", str(out), *images, f"--method={method}", "--out", str(tmp_path / "no")]) == 2
            assert message in capsys.readouterr().err

    def test_without_truth_there_are_coverage_and_pictures(self, out: Path, data: Path) -> None:
        given = [*(word for word in words(data) if not word.startswith("--data.truth")), "--workers=1"]
        assert main(["compare", "cam", "--methods=cam", "--out", str(out), *given]) == 0
        figures = read_json(out / "results.json")["methods"][0]["figures"]
        assert figures["after_crf"] is None and 0 < figures["coverage"] <= 100


def test_two_trainers_with_equal_settings_have_different_keys(data: Path) -> None:
    dataset = open_dataset(load_recipe("cam", words(data)).data)
    config = ClassifierConfig()
    plain, equivariant = (classifier_step(dataset, config, 0, train=t) for t in (train_classifier, train_seam))
    assert (plain.name, plain.settings, plain.needs) == (equivariant.name, equivariant.settings, equivariant.needs)
    assert step_keys([plain], "data") != step_keys([equivariant], "data")


def test_what_is_made_by_other_code_is_not_shared(data: Path, twin: str) -> None:
    def build(recipe: CamRecipe, dataset: Dataset) -> list[Step]:
        first, *rest = CAM.build(recipe, dataset)
        return [replace(first, work=Work("tests.another", first.work.run)), *rest]

    recipes = load_recipes("cam", ["cam", twin], words(data))
    dataset = open_dataset(recipes["cam"].data)
    one = step_keys(CAM.build(recipes["cam"], dataset), "data")
    assert one == step_keys(METHODS[twin].build(recipes[twin], dataset), "data")
    other = step_keys(build(recipes[twin], dataset), "data")  # type: ignore[arg-type]
    assert not set(one.values()) & set(other.values())


@pytest.mark.parametrize(("method", "own"), [("cam", False), ("psa", False), ("seam", True), ("irnet", False)])
def test_whose_the_classifier_is(method: str, own: bool, data: Path) -> None:
    """The training of SEAM's classifier is its own cost; that of the others is where they all start from."""
    recipe = load_recipe(method, folder_arguments(data))
    steps = {step.name: step for step in METHODS[method].build(recipe, open_dataset(recipe.data))}
    role = Role.PART if own else Role.START
    assert [steps[name].role for name in ("classifier", "activations")] == [role, role]


@pytest.mark.parametrize(
    "change",
    ["--classifier.fit.loader_workers=2", "--segmenter.fit.loader_workers=2", "--completion.memory_mb=50"],
)
def test_settings_that_change_nothing_change_no_key(change: str, data: Path) -> None:
    keys = []
    for more in ((), (change,)):
        recipe = load_recipe("wsgcn-i", [*folder_arguments(data), *more])
        keys.append(step_keys(METHODS["wsgcn-i"].build(recipe, open_dataset(recipe.data)), "data"))
    assert keys[0] == keys[1]


def test_weights_of_a_backbone_count_by_their_content(data: Path, tmp_path: Path) -> None:
    keys = []
    for name, content in (("one", b"weights"), ("two", b"weights"), ("other", b"other weights")):
        (tmp_path / name).write_bytes(content)
        given = {"name": "resnet38", "output_stride": 8, "weights": "file", "file": tmp_path / name}
        more = [f"--classifier.backbone.{key}={value}" for key, value in given.items()]
        recipe = load_recipe("cam", [*folder_arguments(data), *more])
        keys.append(step_keys(CAM.build(recipe, open_dataset(recipe.data)), "data"))
    assert keys[0] == keys[1] and not set(keys[0].values()) & set(keys[2].values())


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
