import itertools
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from weakseg.errors import ConfigError
from weakseg.methods import METHODS
from weakseg.methods.recipes import load_recipe, read_settings, recipe_as_json, recipe_parser, settings_of
from weakseg.methods.shared_recipe import load_recipes

KNOWN = f"methods: {', '.join(METHODS)}"


@pytest.mark.parametrize("method", METHODS)
def test_a_method_name_means_its_defaults(method: str) -> None:
    assert load_recipe(method) == METHODS[method].recipe()


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("method: cam\nseed: 3\nseeds:\n  strict: 0.6\n")
    recipe: Any = load_recipe(str(path), ["--seeds.strict=0.7", "--seeds.crf.iterations", "2"])
    assert (recipe.seed, recipe.seeds.strict, recipe.seeds.crf.iterations) == (3, 0.7, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: cam\nseedz:\n  strict: 0.5\n", "seedz"),
        ("method: cam\nseeds:\n  strct: 0.5\n", "strct"),
        ("method: cam\nseeds:\n  strict: much\n", "much"),
        ("method: cam\nseeds:\n  background: sky\n", "sky"),
        ("method: camera\n", f"method 'camera' is unknown; {KNOWN}"),
        ("seed: 1\n", "method None is unknown"),
        ("- a\n", "a recipe is a mapping of settings, got list"),
        ("method: [\n", "cannot be read as YAML"),
        ("method: cam\nseeds:\n  strict: 0.1\n  lenient: 0.2\n", "0 <= lenient <= strict <= 1"),
        (
            "method: cam\nclassifier:\n  backbone:\n    output_stride: 7\n",
            "backbone.output_stride: 8, 14, 16 or 32, got 7",
        ),
    ],
)
def test_a_bad_recipe_names_file_and_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_recipe(str(path))
    assert message in str(error.value)


class TestBase:
    """``base`` names a recipe that the file says the differences of."""

    @staticmethod
    def write(folder: Path, **files: str) -> str:
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text)
        return str(folder / "top.yaml")

    def test_settings_win_one_by_one_over_several_files(self, tmp_path: Path) -> None:
        top = self.write(
            tmp_path,
            low="method: cam\nseed: 3\nseeds: {strict: 0.6, lenient: 0.2}\ndata: {classes: [cat, dog]}\n",
            middle="base: low.yaml\nseeds: {lenient: 0.1}\ndata: {classes: [cow]}\n",
            top="base: middle.yaml\nsegmenter: {fit: {lr: 1e-3}}\nseed: 4\n",
        )
        recipe: Any = load_recipe(top)
        assert (recipe.method, recipe.seed, recipe.seeds.strict, recipe.seeds.lenient) == ("cam", 4, 0.6, 0.1)
        assert recipe.segmenter.fit.lr == 0.001 and recipe.data.classes == ("cow",)
        assert "base" not in read_settings(Path(top))

    def test_methods_are_the_files_own_where_it_has_any(self, tmp_path: Path) -> None:
        low = "seed: 3\nmethods: {cam: {seeds: {strict: 0.6}}, supervised: {}}\n"
        top = self.write(tmp_path, low=low, top="base: low.yaml\nmethods: {cam: {seeds: {lenient: 0.1}}}\n")
        own: dict[str, Any] = load_recipes(top)
        assert list(own) == ["cam"] and own["cam"].seeds.strict != 0.6 and own["cam"].seed == 3
        self.write(tmp_path, top="base: low.yaml\nseed: 4\n")
        assert {name: recipe.seed for name, recipe in load_recipes(top).items()} == {"cam": 4, "supervised": 4}

    def test_of_several_bases_later_ones_win(self, tmp_path: Path) -> None:
        (tmp_path / "parts").mkdir()
        top = self.write(
            tmp_path,
            low="method: cam\nseed: 3\nseeds: {strict: 0.6, lenient: 0.2}\nsegmenter: {fit: {lr: 1e-3, epochs: 2}}\n",
            other="segmenter: {fit: {lr: 2e-3}, augment: {crop: 64}}\nseed: 5\n",
            top="base: [low.yaml, parts/deeper.yaml]\nseed: 4\n",
        )
        self.write(tmp_path / "parts", deeper="base: []\nsegmenter: {fit: {lr: 3e-3}}\npredictions: {flip: false}\n")
        recipe: Any = load_recipe(top)
        assert (recipe.seed, recipe.seeds.strict, recipe.segmenter.fit.epochs) == (4, 0.6, 2)
        assert recipe.segmenter.fit.lr == 0.003 and not recipe.predictions.flip
        self.write(tmp_path, top="base: [parts/deeper.yaml, low.yaml, other.yaml]\n")
        recipe = load_recipe(top)
        assert (recipe.seed, recipe.segmenter.fit.lr, recipe.segmenter.augment.crop) == (5, 0.002, 64)

    def test_a_file_may_be_a_base_twice_but_not_without_end(self, tmp_path: Path) -> None:
        names = ["low", *(f"b{number}" for number in range(7))]
        texts = {b: f"base: [{a}.yaml, {a}.yaml]\n" for a, b in itertools.pairwise(names)}  # 2^7 readings of the lowest
        top = self.write(tmp_path, low="method: cam\nseed: 3\n", top="base: [b1.yaml, b2.yaml]\n", **texts)
        assert load_recipe(top).seed == 3
        self.write(tmp_path, top="base: b6.yaml\n")
        with pytest.raises(ConfigError, match=r"top\.yaml: base: there are more than 100 files"):
            load_recipe(top)

    @pytest.mark.parametrize(
        ("base", "message"),
        [
            ("../outside.yaml", "outside of the folder of the recipe"),
            ("/dev/zero", "outside of the folder"),
            ("~/outside.yaml", "no such file"),
            ("link.yaml", "outside of the folder"),
            ("pipe.yaml", "no such file"),
            (".", "no such file"),
            ("[1]", "is no file name"),
            ("[[top.yaml]]", "is no file name"),
            ("{low.yaml: 1}", "is no file name"),
            ("7", "is no file name"),
            ('"a\\0b"', "no usable path"),
            ("x" * 5000, "no usable path"),
            ("''", "is no file name"),
        ],
    )
    def test_a_base_that_is_no_file_beside_it_is_refused(self, tmp_path: Path, base: str, message: str) -> None:
        folder = tmp_path / "recipes"
        folder.mkdir()
        (tmp_path / "outside.yaml").write_text("method: cam\n")
        (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
        os.mkfifo(folder / "pipe.yaml")
        with pytest.raises(ConfigError, match=message) as caught:
            read_settings(Path(self.write(folder, top=f"base: {base}\n")))
        assert len(str(caught.value)) < 600

    @pytest.mark.parametrize(
        "text", ["a: " + "[" * 5000, "method: &a [*a]", "method: cam\nseed: " + "9" * 5000, "method: cam\nmethod: psa"]
    )
    def test_text_that_hurts_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match=r"top\.yaml: cannot be read as YAML") as caught:
            load_recipe(self.write(tmp_path, top=text))
        assert len(str(caught.value)) < 600

    @pytest.mark.parametrize(
        ("base", "message"),
        [
            ("top.yaml", "is based on itself"),
            ("low.yaml", "is based on itself"),
            ("gone.yaml", "'gone.yaml': no such"),
        ],
    )
    def test_a_base_that_is_none_is_refused(self, tmp_path: Path, base: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            load_recipe(self.write(tmp_path, low="base: top.yaml\nmethod: cam\n", top=f"base: {base}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("segmenter: 5", "segmenter: a section is a mapping of settings, got 5"),
        ("segmenter: {fit: [1]}", r"segmenter\.fit: a section is a mapping of settings, got \[1\]"),
        ("seeds: {strct: 1}", r"seeds\.strct: no such setting; did you mean seeds\.strict\?"),
        ("seeds: {strict: abc}", r"seeds\.strict: need a number or 'auto', got 'abc'"),
        (
            "activations: {scales: '1,2'}",
            r"activations\.scales: need a list of numbers, such as \[1\.0,1\.5\], got '1,2'",
        ),
        ("segmenter: {fit: {lr: -1}}", r"segmenter\.fit\.lr: need > 0, got -1\.0"),
        (
            "segmenter: {fit: {schedule: {kind: step, power: 2, at: [1]}}}",
            r"segmenter\.fit\.schedule\.power: belongs to",
        ),
        ("data: {void: abc}", r"data\.void: need 'auto' or 'none' or a whole number, got 'abc'"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(f"method: cam\n{text}\n")
    with pytest.raises(ConfigError, match=rf"r\.yaml: {message}"):
        load_recipe(str(tmp_path / "r.yaml"))


def test_a_section_of_which_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("method: cam\nseeds:\nsegmenter: {fit: }\n")
    assert load_recipe(str(tmp_path / "r.yaml")) == load_recipe("cam")


def test_a_missing_recipe_names_the_methods() -> None:
    with pytest.raises(ConfigError, match=f"neither a recipe file nor a method; {KNOWN}"):
        load_recipe("nowhere.yaml")


def test_a_method_cannot_be_changed_by_an_override() -> None:
    with pytest.raises(ConfigError, match="for method 'cam'"):
        load_recipe("cam", ["--method=supervised"])


def leaves(config: type, prefix: str = "") -> set[str]:
    """Names of all settings of a config dataclass, dotted."""
    names: set[str] = set()
    for field in fields(config):
        inner = field.default_factory() if callable(field.default_factory) else field.default  # type: ignore[misc]
        name = f"{prefix}{field.name}"
        names |= leaves(type(inner), f"{name}.") if is_dataclass(inner) else {name}
    return names


@pytest.mark.parametrize("method", METHODS)
def test_flags_are_the_fields_of_the_dataclass(method: str) -> None:
    flags = {o[2:] for action in recipe_parser(method)._actions for o in action.option_strings if o.startswith("--")}
    assert leaves(METHODS[method].recipe) <= flags
    sections = {flag for flag in flags if any(other.startswith(f"{flag}.") for other in flags)}
    assert flags - sections - {"config", "print_config"} == leaves(METHODS[method].recipe)
    assert settings_of(method) == (sections, leaves(METHODS[method].recipe) - {"method"})


def test_the_place_of_the_data_is_no_setting() -> None:
    assert recipe_as_json(load_recipe("cam", ["--data.root=/a"])) == recipe_as_json(
        load_recipe("cam", ["--data.root=/b"])
    )
