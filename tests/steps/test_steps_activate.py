"""Activations from files of another program in place of a classifier's."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generated import draw, folder_arguments, write_folder
from weakseg.artifacts import Activations, LabelMap
from weakseg.cli.main import main
from weakseg.data.dataset import open_dataset
from weakseg.errors import ConfigError
from weakseg.methods import METHODS
from weakseg.methods.compare import compare_methods
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Role
from weakseg.steps.activate import activations_step


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images, and activations of all but one that know their masks."""
    root = write_folder(tmp_path_factory.mktemp("external") / "data", 8)
    for index in (0, 1, 2, 4, 5, 6, 7):
        mask = draw(index)[1]
        maps = np.stack([(mask == class_id) * 0.9 for class_id in (1, 2)])
        (root / "cams").mkdir(exist_ok=True)
        np.save(root / "cams" / f"i{index:02}.npy", {"keys": np.array([0, 1]), "cam": maps.astype(np.float32)})
    return root


@pytest.fixture
def keys_of(root: Path) -> Callable[..., dict[str, str]]:
    def keys(method: str, *more: str, cams: Path = root / "cams") -> dict[str, str]:
        recipe = load_recipe(method, [*folder_arguments(root), f"--activations.from_folder={cams}", *more])
        return step_keys(METHODS[method].build(recipe, open_dataset(recipe.data)), "data")

    return keys


def test_no_classifier_is_trained(root: Path) -> None:
    for method in ("cam", "wsgcn-i", "a2gnn"):
        recipe = load_recipe(method, [*folder_arguments(root), f"--activations.from_folder={root / 'cams'}"])
        steps = METHODS[method].build(recipe, open_dataset(recipe.data))
        assert (steps[0].name, steps[0].role, dict(steps[0].needs)) == ("activations", Role.START, {})
        assert "classifier" not in [step.name for step in steps]


def test_content_counts_and_not_the_place(root: Path, tmp_path: Path, keys_of: Callable[..., dict[str, str]]) -> None:
    other = tmp_path / "cams"
    shutil.copytree(root / "cams", other)
    (other / ".hidden").write_text("x")
    assert keys_of("cam", cams=other) == keys_of("cam", "--classifier.fit.epochs=3", "--activations.scales=[1.0]")
    assert keys_of("cam", cams=other)["activations"] != keys_of("cam", "--activations.from_ids=1")["activations"]
    np.save(other / "i01.npy", np.zeros((2, 12, 16)))
    assert not set(keys_of("cam", cams=other).values()) & set(keys_of("cam").values())


def test_settings_that_need_a_classifier(root: Path, keys_of: Callable[..., dict[str, str]]) -> None:
    with pytest.raises(ConfigError, match=r"affinity\.start: 'classifier' needs one, but .*set it to 'pretrained'"):
        keys_of("psa", "--affinity.start=classifier")
    assert "classifier" not in keys_of("seam")  # its walk, of maps that SEAM made elsewhere
    recipe = load_recipe("cam", folder_arguments(root))
    with pytest.raises(ConfigError, match=r"activations\.from_folder: these activations are those of a classifier"):
        activations_step(open_dataset(recipe.data), replace(recipe.activations, from_folder="cams"))  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"activations\.from_folder: .*nowhere is no folder"):
        keys_of("cam", cams=root / "nowhere")
    with pytest.raises(ConfigError, match="from_values"):
        keys_of("cam", "--activations.from_values=sum")


def test_two_methods_complete_the_same_activations(root: Path, tmp_path: Path) -> None:
    words = [*folder_arguments(root), f"--activations.from_folder={root / 'cams'}", "--seeds.crf.iterations=1"]
    words += ["--methods.twin.seeds.strict=0.6", "--masks.crf.iterations=1"]
    (tmp_path / "r.yaml").write_text("methods: {cam: {}, twin: {method: cam}}")
    found = compare_methods(load_recipes(str(tmp_path / "r.yaml"), (), words), tmp_path / "out", RunOptions(1, "cpu"))
    one, two = (method.products.folders["activations"] for method in found.methods)
    assert one == two and [f.image_id for f in found.failures] == ["i03"]
    assert "no activations of image 'i03'" in found.failures[0].reason
    activations = Activations.load(one / "i01.safetensors")
    assert (activations.class_ids, tuple(activations.values.shape)) == ((1,), (1, 12, 16))
    assert found.methods[0].figures.before_crf and found.methods[0].figures.after_crf
    assert not list((tmp_path / "out" / "steps").glob("classifier*"))


def test_seeds_of_them(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["seed", "--activations", str(root / "cams"), "--images", str(root / "images"), "--out"]
    out, names = str(tmp_path / "seeds"), ["--classes", str(root / "classes.txt"), "--workers=1"]
    assert main([*words, out, "--external", *names, "--unary=scores", "--crf.iterations=0"]) == 1  # one has no file
    assert "no activations of image 'i03'" in capsys.readouterr().err
    seeds, truth = LabelMap.load(tmp_path / "seeds" / "i01.png").labels, draw(1)[1]
    assert (seeds[truth == 1] == 1).mean() > 0.5 and not (seeds == 2).any()
    for more, message in {"--external": "--external needs the class names", "--from_ids=1": "add it"}.items():
        assert main([*words, str(tmp_path / "no"), more, "--workers=1"]) == 2
        assert message in capsys.readouterr().err
