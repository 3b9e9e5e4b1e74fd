"""Every verb, as a user types it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from generated import CLASSES, draw, write_folder
from weakseg.artifacts import Activations, LabelMap
from weakseg.cli.main import VERBS, main
from weakseg.data.classes import Classes
from weakseg.errors import ConfigError
from weakseg.methods import METHODS
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.weights import save_model
from weakseg.settings.backbone import BackboneConfig

SCREEN = 45  # lines
PREDICT = ("predict", "--model", "text.jpg", "--images", ".", "--out", "o")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("verbs") / "data", 8)


@pytest.fixture(scope="module")
def model(data: Path) -> Path:
    """An untrained classifier: what the verbs do with it does not depend on what it knows."""
    path = data.parent / "model.safetensors"
    classes = Classes(CLASSES)
    backbone = {"name": "efficientnet_lite0", "output_stride": 16, "weights": "embedded"}
    network = TagClassifier(build_backbone(BackboneConfig()), len(classes))
    save_model(path, network, {"kind": "classifier", "classes": classes.names, "backbone": backbone})
    return path


def test_stage_by_stage(
    data: Path, model: Path, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    images, labels = str(data / "images"), str(data / "tags.json")
    act, seeds, masks, segmenter, predicted = (str(tmp_path / name) for name in "asmgp")
    assert main(["activate", "--model", str(model), "--images", images, "--labels", labels, "--out", act]) == 0
    assert Activations.load(tmp_path / "a" / "i03.safetensors").class_ids == (1, 2)
    words = ["seed", "--activations", act, "--images", images, "--out", seeds, "--crf.iterations", "1"]
    assert main(words) == 1  # images of val have no activations
    assert "failed: i06 in seed: StoreError" in capsys.readouterr().err
    assert main([*words, "--strict", "0.6"]) == 1
    assert "strict: 0.45 -> 0.6" in caplog.text
    refine = ["refine", "--seeds", seeds, "--images", images, "--out", masks, "--crf.iterations", "1"]
    assert main(refine) == 1
    assert "i06,refine" in (tmp_path / "m" / "failures.csv").read_text()
    assert main([*refine, "--background", "false"]) == 1
    assert "with_background: true -> false" in caplog.text
    assert main(words) == 1  # the seeds of before
    capsys.readouterr()
    assert main(refine) == 2  # are not those that these masks are made of
    assert "m: was made with other inputs: inputs.seeds: " in capsys.readouterr().err
    assert main([*words, "--strict", "0.6"]) == main(refine) == 1
    train = ["train-segmenter", "--masks", masks, "--images", images, "--classes", str(data / "classes.txt")]
    assert main([*train, "--out", segmenter, "--fit.epochs", "1", "--augment.crop", "64"]) == 0
    weights = str(tmp_path / "g" / "model.safetensors")
    predict = ["predict", "--model", weights, "--images", images, "--out", predicted, "--crf", "true"]
    assert main([*predict, "--scales", "1.0,0.5", "--max_side", "64", "--overlays", str(tmp_path / "looks")]) == 0
    assert len(list((tmp_path / "p").glob("*.png"))) == 8
    looks = [Image.open(path) for path in (tmp_path / "looks").glob("*.jpg")]
    assert {(look.format, look.size) for look in looks} == {("JPEG", (64, 48))} and len(looks) == 8
    capsys.readouterr()
    truth = ["--truth", str(data / "masks"), "--classes", str(data / "classes.txt"), "--out", str(tmp_path / "r.json")]
    assert main(["evaluate", "--predictions", predicted, *truth]) == 0
    printed = capsys.readouterr().out
    assert "mean IoU" in printed and "undecided: error" in printed and "coverage 100.00 %" in printed
    assert json.loads((tmp_path / "r.json").read_text())["images"] == 8


def test_masks_in_another_unicode_form(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A Mac decomposes names of files: masks that come from there belong to the same photographs; others are told."""
    images, masks, refined, classes = (tmp_path / name for name in ("photos", "masks", "out", "classes.txt"))
    images.mkdir()
    masks.mkdir()
    for name in ("b\u00e4r", "fuchs"):
        shutil.copy(data / "images" / "i00.png", images / f"{name}.png")
    LabelMap(np.full(np.array(Image.open(images / "fuchs.png")).shape[:2], 1, np.uint8)).save(masks / "ba\u0308r.png")
    classes.write_text("bear\n")
    given = ["--images", str(images), "--classes", str(classes), "--out", str(tmp_path / "model")]
    tiny = ["--fit.epochs", "1", "--fit.batch_size", "1", "--augment.crop", "32"]
    assert main(["train-segmenter", "--masks", str(masks), *given, *tiny]) == 0
    assert "left out for want of masks: 1 of 2 images, such as fuchs" in caplog.text
    assert main(["refine", "--seeds", str(masks), "--images", str(images), "--out", str(refined)]) == 1
    assert (refined / "b\u00e4r.png").is_file() and not (refined / "fuchs.png").exists()


def test_truth_against_itself_is_perfect(data: Path, capsys: Capture) -> None:
    masks = str(data / "masks")
    assert main(["evaluate", "--predictions", masks, "--truth", masks, "--classes", str(data / "classes.txt")]) == 0
    assert "mean IoU   100.00" in capsys.readouterr().out


def test_evaluate_names_missing_predictions(data: Path, tmp_path: Path, capsys: Capture) -> None:
    LabelMap(draw(1)[1]).save(tmp_path / "i01.png")
    words = ["evaluate", "--predictions", str(tmp_path), "--truth", str(data / "masks"), "--classes"]
    assert main([*words, str(data / "classes.txt")]) == 0
    assert "(8 images, 7 without prediction)" in capsys.readouterr().out


def test_evaluate_refuses_another_size(data: Path, tmp_path: Path, capsys: Capture) -> None:
    LabelMap(np.zeros((3, 3), np.uint8)).save(tmp_path / "i01.png")
    words = ["evaluate", "--predictions", str(tmp_path), "--truth", str(data / "masks"), "--classes"]
    assert main([*words, str(data / "classes.txt")]) == 2
    assert "(3, 3) but the truth of 'i01' is (48, 64)" in capsys.readouterr().err


def test_data_check(data: Path, capsys: Capture) -> None:
    words = ["data", "check", "--data.root", str(data), "--data.train", "tags.json", "--data.val", "val.json"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "8 images, 2 classes" in printed and "train: 6 images, 2 without a tag" in printed


@pytest.mark.parametrize("text", ["method: cam\n", "methods: {cam: {}, supervised: {}}\n"])
def test_data_check_of_a_recipe(text: str, data: Path, tmp_path: Path, capsys: Capture) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"data: {{train: tags.json}}\n{text}")
    assert main(["data", "check", "--recipe", str(recipe), "--data.root", str(data), "--data.val", "val.json"]) == 0
    assert "8 images, 2 classes" in capsys.readouterr().out


def test_data_check_asks_what_255_is_in_true_masks(data: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(data, tmp_path / "copy")
    for path in (data / "masks").glob("*.png"):
        mask = 255 * (np.asarray(Image.open(path)) > 0)
        Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "copy/masks" / path.name)
    words = ["data", "check", "--data.root", str(tmp_path / "copy"), "--data.train", "tags.json"]
    assert main(words) == 0
    assert main([*words, "--data.truth", "masks"]) == 2
    said = capsys.readouterr()
    assert "6 images, 2 classes" in said.out and "copy/masks: the masks hold no values but 0 and 255" in said.err
    assert main([*words, "--data.truth", "masks", "--data.void", "255"]) == 0
    assert main([*words, "--data.truth", "gone"]) == 2
    assert "data.truth: " in capsys.readouterr().err


def test_data_simulate(data: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["data", "simulate", "--data.root", str(data), "--data.train", "tags.json", "--data.truth", "masks"]
    out = tmp_path / "new" / "boxes.json"
    assert main([*words, "--kind", "boxes", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    # i00 to i05 show nothing, disc, square, both, nothing, disc: 5 boxes, and 7 looks at classes that are absent
    boxes = [image["boxes"] for image in json.loads(out.read_text())["images"].values()]
    assert [len(found) for found in boxes] == [0, 1, 1, 2, 0, 1]
    seconds = 5 * 7 + 7 * 1
    assert f"6 images with boxes in {out}" in printed
    assert f"effort: {seconds / 3600:.2f} hours, 20 clicks, 0 px drawn" in printed
    assert f"true masks: {(5 * 79 + 7) / 3600:.2f} hours" in printed


def test_data_simulate_names_truth_that_cannot_be_read(data: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["data", "simulate", "--data.root", str(tmp_path / "copy"), "--data.train", "tags.json"]
    shutil.copytree(data, tmp_path / "copy")
    (tmp_path / "copy/masks/i01.png").write_bytes(b"no image")
    (tmp_path / "copy/masks/i02.png").unlink()
    assert main([*words, "--data.truth", "masks", "--kind", "points", "--out", str(tmp_path / "p.json")]) == 1
    printed = capsys.readouterr().out
    assert "failed: i01:" in printed and "left out: 1 images that have no ground truth" in printed
    assert list(json.loads((tmp_path / "p.json").read_text())["images"]) == ["i00", "i03", "i04", "i05"]


def test_data_check_names_what_cannot_be_read(data: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "tags.csv").write_text("image,label\nx.png,cat\n")
    assert main(["data", "check", "--data.root", str(tmp_path), "--data.train", "tags.csv"]) == 1
    assert "failed: x:" in capsys.readouterr().out


def test_segment_writes_mask_and_overlay(tmp_path: Path, capsys: Capture) -> None:
    photo = tmp_path / "coffee.png"
    Image.fromarray(skimage.data.coffee()[::3, ::3]).save(photo)
    out, overlay = tmp_path / "m.png", tmp_path / "o.png"
    assert main(["segment", str(photo), "--tags", "cup", "--out", str(out), "--overlay", str(overlay)]) == 0
    assert "1 cup:" in capsys.readouterr().out
    mask = LabelMap.load(out)
    assert mask.labels.shape == (134, 200) and mask.label_ids == {0, 1}
    assert Image.open(overlay).size == (200, 134)


class TestFilesOfSegment:
    @pytest.fixture
    def photo(self, tmp_path: Path) -> Path:
        Image.fromarray(draw(3)[0]).save(tmp_path / "p.png")
        return tmp_path / "p.png"

    def segment(self, photo: Path, *more: str) -> int:
        words = ["segment", str(photo), "--boxes", "ball 5,5,40,40", "--method", "cam", "--masks.crf.iterations", "0"]
        return main([*words, "--out", str(photo.with_name("m.png")), *more])

    def test_the_suffix_says_what_an_overlay_is(self, photo: Path) -> None:
        for suffix, kind in {".jpg": "JPEG", ".JPEG": "JPEG", ".png": "PNG", ".webp": "WEBP"}.items():
            overlay = photo.with_name(f"look{suffix}")
            assert self.segment(photo, "--overlay", str(overlay), "--overwrite") == 0
            assert Image.open(overlay).format == kind

    def test_nothing_is_replaced_unless_it_is_asked_for(self, photo: Path, capsys: Capture) -> None:
        mask, look = photo.with_name("m.png"), photo.with_name("look.jpg")
        look.write_bytes(b"precious")
        assert self.segment(photo, "--overlay", str(look)) == 2
        assert "look.jpg exists; give another --overlay, or --overwrite to replace it" in capsys.readouterr().err
        assert look.read_bytes() == b"precious" and not mask.exists()
        assert self.segment(photo, "--overlay", str(look), "--overwrite") == 0
        assert mask.exists() and Image.open(look).format == "JPEG"

    def test_the_photograph_is_never_replaced(self, photo: Path, capsys: Capture) -> None:
        before = photo.read_bytes()
        assert self.segment(photo, "--out", str(photo), "--overwrite") == 2
        assert "p.png is the photograph itself" in capsys.readouterr().err and photo.read_bytes() == before

    def test_labels_outside(self, photo: Path, capsys: Capture) -> None:
        assert self.segment(photo, "--boxes", "ball 500,5,540,40") == 2
        assert "box of 'ball' at (500, 5, 540, 40) is outside of the photograph of 64 x 48" in capsys.readouterr().err


def test_tags_with_commas_are_several(capsys: Capture, tmp_path: Path) -> None:
    photo = tmp_path / "coffee.png"
    Image.fromarray(skimage.data.coffee()[::6, ::6]).save(photo)
    assert main(["segment", str(photo), "--tags", "cup, spatula", "--out", str(tmp_path / "m.png")]) == 0
    assert "1 cup:" in (printed := capsys.readouterr().out) and "2 spatula:" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["segment", "nowhere.jpg", "--tags", "cat"], "nowhere.jpg: no such image"),
        (["segment", "x.jpg"], "tags"),
        (["segment", "x.jpg", "--tags", "tabby kat"], "no such image"),
        (["report", "nowhere"], "no run folder"),
        (["run", "cam"], "--out is missing; add --out OUT: run folder"),
        (["run", "--out", "o"], "RECIPE is missing: recipe file, or name of a method"),
        (
            ["run", "cam", "--out", "o", "--seeds.strct=1"],
            "--seeds.strct: no such option; did you mean --seeds.str",
        ),
        (["run", "cam", "--out", "o", "--lr=1"], "did you mean --segmenter.fit.lr or --classifier.fit.lr?"),
        (["run", "cam", "--out", "o", "--segmenter.fit.lr", "-1"], "segmenter.fit.lr: need > 0, got -1.0"),
        (
            ["run", "cam", "--out", "o", "--activations.scales", "1.0,-1"],
            "activations.scales: need > 0, got (1.0, -1.0)",
        ),
        (["segment", "x.jpg", "--tag", "cat"], "--tag: no such option; did you mean --tags?"),
        (["segment", "x.jpg", "--tags", "tabby", "cat"], "'cat' belongs to no option"),
        (
            ["segment", "x.jpg", "--method", "can"],
            "method: need 'auto', 'cam', 'wsgcn', 'a2gnn' or 'clicks', got 'can'",
        ),
        (["train-segmenter", "--fit.lr", "-1"], "--masks is missing"),
        (["data", "chekc"], "there are 'check' and 'simulate'"),
        (["data", "simulate", "--kind", "boxes"], "give --out FILE"),
        (["data", "check", "--out", "x.json"], "give --out FILE"),
        (["data", "simulate", "--out", "x.json", "--kind", "masks"], "kind"),
        (
            ["predict", "--model", "no.safetensors", "--images", ".", "--out", "o"],
            "--model: no.safetensors does not exist; give the trained segmenter",
        ),
        (
            ["predict", "--model", ".", "--images", ".", "--out", "o"],
            ".: is a folder; give a file: the model.safetensors",
        ),
        (["seed", "--activations", "a", "--images", "nowhere", "--out", "o"], "--images: nowhere does not exist"),
        (
            ["seed", "--activations", "a", "--images", ".", "--out", "o"],
            "--activations: a does not exist; give the",
        ),
        (
            ["refine", "--seeds", "text.jpg", "--images", ".", "--out", "o"],
            "--seeds: text.jpg is a file; give the",
        ),
        (
            ["train-segmenter", "--masks", "m", "--images", ".", "--classes", "c", "--out", "o"],
            "--masks: m does not exist",
        ),
        (["segment", ".", "--tags", "cat"], ".: is a folder; give one photograph"),
        (["segment", "text.jpg", "--boxes", "cat 1,2,3,4"], "text.jpg: cannot be read as an image"),
        (["segment", "text.jpg", "--tags", "cat", "--out", "there.png"], "there.png exists; give another --out"),
        (["words", "cat", "dog"], "'dog' belongs to no option"),
        (["demo", "--out", "text.jpg"], "--out: text.jpg is a file; give a folder"),
        ([*PREDICT, "--overlays", "."], "--overlays: . lies in the folder of the photographs; give another folder"),
        ([*PREDICT, "--images", "photos", "--overlays", "text.jpg"], "--overlays: text.jpg is a file; give a folder"),
        ([*PREDICT, "--images", "photos", "--overlays", "."], "--overlays: . holds other files; give a new folder"),
        (["segmnt"], "did you mean 'segment'?"),
        (["run", "cam", "--out", ""], "--out: is empty; name a folder or file"),
        (["compare", "cam", "--out", "a\0b"], "holds a null byte; correct the path"),
        (["predict", "--model", "m", "--images", ".", "--out", "~nobody-here/x"], "names an unknown home"),
        (["run", "cam", "--out", "o", "--data.root=.", "--data.train=t.csv", "--workers", "-1"], "or more, got -1"),
        (["segment", "x.png", "--tags", "cat", "--overlay", "look"], "--overlay: look must end in"),
        (["segment", "x.png", "--tags", "cat", "--out", "mask.jpg"], "--out: mask.jpg must end in .png"),
        (["evaluate", "--predictions", ".", "--truth", ".", "--classes", "classes.txt"], "classes.txt"),
        (["data", "check", "--recipe", "nowhere.yaml"], "neither a recipe file nor a method"),
        (["run", "cam", "--out", "o", "--data.root=/nowhere"], "data.root: /nowhere is not a folder"),
    ],
)
def test_errors_are_one_message_and_exit_code_two(
    words: list[str], message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "there.png").write_text("precious")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and error.count("\n") == 1 and len(error) < 400


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(verb: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "examples:" in printed and f"weakseg {verb}" in printed.split("examples:")[1]
    assert printed.count("\n") <= SCREEN and "--help-all" in printed


@pytest.mark.parametrize("method", METHODS)
def test_help_of_a_recipe_is_one_screen_and_all_of_it_is_asked_for(method: str, capsys: Capture) -> None:
    assert main(["run", method, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "--data.train" in printed and "--out PATH" in printed and printed.count("\n") <= SCREEN
    assert main(["run", method, "--help-all"]) == 0
    every = capsys.readouterr().out
    assert "--segmenter.fit.schedule.power" in every and every.count("\n") > 300
    assert method != "cam" or "--seeds.strict" in every


def test_all_options_are_asked_for(capsys: Capture) -> None:
    for verb, flag in {"segment": "--drawn.completion.network.hidden", "train-segmenter": "--fit.schedule.at"}.items():
        for words, there in ((["--help"], False), (["--help-all"], True)):
            with pytest.raises(SystemExit):
                main([verb, *words])
            assert (flag in capsys.readouterr().out) == there


def test_overview_and_version(capsys: Capture) -> None:
    assert main([]) == main(["--help"]) == main(["--version"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {verb} " in printed for verb in VERBS) and "weakseg 0." in printed


def test_words(capsys: Capture) -> None:
    assert main(["words", "tabby"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("'tabby' stands for tabby (") and printed.endswith(
        "words that contain 'tabby':\ntabby cat\n"
    )
    assert main(["words", "Flower"]) == 0
    assert "'flower': ImageNet has 2 of 468 kinds" in capsys.readouterr().out
    assert main(["words", "buterfly"]) == 0
    assert "stands for nothing in ImageNet (words written alike: " in (printed := capsys.readouterr().out)
    assert "butterfly" in printed


def test_doctor(capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "embedded ImageNet weights: load" in printed and printed.endswith("all that weakseg needs is there\n")


def test_help_does_not_import_torch() -> None:
    code = "import sys; from weakseg.cli.main import main; main([]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


LISTS = (("1.0,1.5",), ("[1.0,", "1.5]"), ("1", "1.5"))


@pytest.mark.parametrize("typed", LISTS)
def test_lists_in_every_verb(typed: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verbs go as far as their settings: what they make of a list is what a recipe's dataclass holds."""
    found: list[object] = []
    monkeypatch.setattr(
        "weakseg.methods.run.run_recipe", lambda recipe, *_, **__: _stop(found, recipe.activations.scales)
    )
    monkeypatch.setattr(
        "weakseg.methods.compare.compare_methods",
        lambda recipes, *_, **__: _stop(found, *(recipe.activations.scales for recipe in recipes.values())),
    )
    monkeypatch.setattr("weakseg.api.segment", lambda *_, options, **__: _stop(found, options.activations.scales))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.jpg").touch()
    assert main(["run", "cam", "--activations.scales", *typed, "--out", "o"]) == 2
    assert main(["compare", "cam", "--methods", "cam,psa", "--out", "o", "--activations.scales", *typed]) == 2
    assert main(["segment", "x.jpg", "--activations.scales", *typed, "--tags", "cat"]) == 2
    assert found == [(1.0, 1.5)] * 4


def _stop(found: list[object], *values: object) -> None:
    found += values
    raise ConfigError("enough")
