"""``weakseg publish``: a run becomes a folder that others can use, and is pushed to a hub that stands in for one."""

import json
import logging
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from generated import CLASSES, FAST, folder_arguments, write_folder
from hub_server import TOKEN, FakeHub, served
from weakseg.artifacts import LabelMap, voc_palette
from weakseg.cli.main import main
from weakseg.errors import OutputError
from weakseg.files import atomic_folder
from weakseg.methods.publication import is_publication, open_publication
from weakseg.methods.publish import without_paths
from weakseg.nn.weights import load_weights, read_header, save_weights
from weakseg.stages.segment import load_segmenter

Capture = pytest.CaptureFixture[str]
QUICK = ["--workers=1", "--device=cpu"]
LICENSED = ["--license", "apache-2.0"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a run of it with segmenter and scores, a comparison without segmenters, and what is published."""
    home = tmp_path_factory.mktemp("publish")
    root = write_folder(home / "photos", 8)
    fast = [*folder_arguments(root), *FAST, "--classifier.fit.epochs=1", "--segmenter.fit.epochs=1", *QUICK]
    of_masks = [word for word in fast if not word.startswith(("--segmenter", "--predictions"))]
    assert main(["run", "cam", *fast, "--out", str(home / "out")]) == 0
    assert (
        main(
            ["compare", "cam", "--methods", "cam", "--until", "activations", *of_masks, "--out", str(home / "compared")]
        )
        == 0
    )
    assert main(["publish", str(home / "out"), "--to", str(home / "shapes"), "--what", "both", *LICENSED]) == 0
    return home


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


class TestTheFolder:
    def test_it_holds_model_card_and_settings_and_no_photograph(self, home: Path) -> None:
        names = {
            path.relative_to(home / "shapes").as_posix() for path in (home / "shapes").rglob("*") if path.is_file()
        }
        assert names == {
            "README.md",
            "config.json",
            "model.safetensors",
            "recipe.yaml",
            "labeller/recipe.json",
            "labeller/classes.txt",
            "labeller/classifier/model.safetensors",
            "labeller/classifier/manifest.json",
        }
        told = json.loads((home / "shapes" / "config.json").read_text())
        assert told["classes"] == list(CLASSES) and sorted(told["files"]) == sorted(names - {"config.json"})
        assert (told["license"], told["method"], told["kind"]) == ("apache-2.0", "cam", "segmenter")

    def test_others_may_read_it_as_any_new_folder(self, home: Path, tmp_path: Path) -> None:
        (tmp_path / "new").mkdir()
        assert (home / "shapes").stat().st_mode == (tmp_path / "new").stat().st_mode

    def test_nothing_in_it_names_a_path_of_this_machine(self, home: Path) -> None:
        for path in (home / "shapes").rglob("*"):
            if path.is_file():
                assert str(home).encode() not in path.read_bytes(), path

    def test_a_proposer_keeps_its_name_on_a_hub_and_loses_its_place_here(self, tmp_path: Path) -> None:
        kept = {name: without_paths({"proposer_file": name}) for name in ("facebook/sam2-tiny", str(tmp_path / "sam"))}
        assert [one["proposer_file"] for one in kept.values()] == ["facebook/sam2-tiny", "sam"]

    def test_its_fields_are_those_that_hubs_read(self, home: Path) -> None:
        fields = ModelCard(card_of(home / "shapes")).data.to_dict()
        tags = {"weakseg", "cam", "semantic-segmentation", "weakly-supervised-segmentation"}
        assert tags <= set(fields.pop("tags")) and fields.items() >= {
            ("license", "apache-2.0"), ("library_name", "weakseg"), ("pipeline_tag", "image-segmentation"),
        }  # fmt: skip

    def test_its_figures_are_those_of_the_run_with_their_protocol(self, home: Path) -> None:
        card = card_of(home / "shapes")
        scores = json.loads((home / "out" / "evaluation" / "results.json").read_text())["scores"]
        predictions = next(score for score in scores if score["name"] == "predictions")
        row = next(line for line in card.splitlines() if line.startswith("| predictions |"))
        assert f"| {predictions['mean_iou']:.2f} |" in row and "| val |" in row
        assert "predictions: list val.json (2 images, 0 without prediction)" in card.replace("\\", "")
        assert "Figures of the split `train` are of photographs that it learned from" in card

    def test_it_counts_photographs_by_split_label_and_class(self, home: Path) -> None:
        lines = card_of(home / "shapes").splitlines()
        assert "| train | 6 | 6 |" in lines and "| val | 2 | 2 |" in lines
        tags = json.loads((home / "photos" / "tags.json").read_text())
        shown = sum("disc" in names for names in tags.values())
        assert any(line.startswith(f"| 1 | disc | #800000 | {shown} |") for line in lines)

    def test_its_commands_and_its_python_run_as_they_stand(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(home / "shapes", tmp_path / "shapes")
        shutil.copytree(home / "photos" / "images", tmp_path / "photos")
        shutil.copy(home / "photos" / "images" / "i03.png", tmp_path / "photo.jpg")
        (tmp_path / "tags.csv").write_text("image,labels\ni03.png,disc;square\ni01.png,disc\n")
        monkeypatch.chdir(tmp_path)
        card = card_of(home / "shapes")
        commands = [line[2:].partition("    #")[0] for line in card.splitlines() if line.startswith("$ ")]
        assert [command.split()[1] for command in commands] == ["predict", "label"]
        assert "--scales 1.0" in commands[0]  # as the run has predicted
        for command in commands:
            assert main([*shlex.split(command)[1:], *QUICK]) == 0
        assert len(list((tmp_path / "masks").glob("*.png"))) == 8
        of_run = LabelMap.load(home / "out" / "predictions" / "i06.png").labels
        assert np.array_equal(LabelMap.load(tmp_path / "masks" / "i06.png").labels, of_run)
        assert main(["label", str(home / "out"), *shlex.split(commands[1])[3:-1], "by-run", *QUICK]) == 0
        masks = [LabelMap.load(tmp_path / name / "masks" / "i03.png").labels for name in ("labelled", "by-run")]
        assert np.array_equal(*masks)
        (python,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
        exec(compile(python, "card", "exec"), {})
        assert np.array_equal(
            LabelMap.load(tmp_path / "mask.png").labels, LabelMap.load(tmp_path / "masks" / "i03.png").labels
        )

    def test_its_settings_are_a_recipe_without_the_files_of_the_data(self, home: Path) -> None:
        settings = yaml.safe_load((home / "shapes" / "recipe.yaml").read_text())
        assert settings["method"] == "cam" and settings["segmenter"]["augment"]["crop"] == 64
        kept = {"format", "tags", "classes", "min_pixels", "difficult", "voc_base", "void"}
        assert settings["data"].keys() == kept and settings["data"]["format"] == "folder"
        root = home / "photos"
        assert (
            main(
                [
                    "data",
                    "check",
                    "--recipe",
                    str(home / "shapes" / "recipe.yaml"),
                    f"--data.root={root}",
                    "--data.train=tags.json",
                ]
            )
            == 0
        )


class TestWhatIsPublished:
    def test_without_a_licence_it_says_that_one_is_missing(
        self, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert main(["publish", str(home / "out"), "--to", str(tmp_path / "m")]) == 0
        assert "no licence: without one nobody may use the model" in caplog.text
        card = ModelCard(card_of(tmp_path / "m"))
        assert card.data.license is None and "**Missing.**" in card.content
        assert not (tmp_path / "m" / "labeller").exists()

    def test_an_unknown_licence_is_other_to_hubs_and_named(self, home: Path, tmp_path: Path) -> None:
        assert main(["publish", str(home / "out"), "--to", str(tmp_path / "m"), "--license", "Our own, 2026"]) == 0
        fields = ModelCard(card_of(tmp_path / "m")).data.to_dict()
        assert (fields["license"], fields["license_name"]) == ("other", "Our own, 2026")

    def test_an_example_is_the_mask_alone(self, home: Path, tmp_path: Path) -> None:
        photograph = home / "photos" / "images" / "i07.png"
        assert main(["publish", str(home / "out"), "--to", str(tmp_path / "m"), "--example", str(photograph)]) == 0
        shown = np.asarray(Image.open(tmp_path / "m" / "example-mask.png").convert("RGB"))
        mask = LabelMap.load(home / "out" / "predictions" / "i07.png").labels
        assert np.array_equal(shown, voc_palette()[mask])
        assert "](example-mask.png)" in card_of(tmp_path / "m")

    def test_a_comparison_without_segmenters_publishes_the_labeller_and_says_so(
        self, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: Capture
    ) -> None:
        caplog.set_level(logging.INFO)
        assert main(["publish", str(home / "compared"), "--method", "cam", "--to", str(tmp_path / "m"), *LICENSED]) == 0
        assert "no segmenter was trained: what is published is the labeller" in caplog.text
        card = card_of(tmp_path / "m")
        assert "weakseg label m " in card and "weakseg predict" not in card and "| activations |" in card
        words = ["predict", "--model", str(tmp_path / "m"), "--images", str(home / "photos" / "images"), "--out"]
        assert main([*words, str(tmp_path / "p")]) == 2
        assert "was published without a segmenter" in capsys.readouterr().err
        assert main(["publish", str(home / "compared"), "--what", "segmenter", "--to", str(tmp_path / "n")]) == 2
        assert "no segmenter was trained" in capsys.readouterr().err and not (tmp_path / "n").exists()
        assert main(["publish", str(home / "compared"), "--method", "psa", "--to", str(tmp_path / "n")]) == 2
        assert "has no method 'psa'; name one by --method: cam" in capsys.readouterr().err

    def test_a_run_without_truth_has_no_figures_and_says_so(self, home: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        shutil.copytree(home / "out", out)
        shutil.rmtree(out / "evaluation")
        (out / "data" / "counts.json").unlink()
        assert main(["publish", str(out), "--to", str(tmp_path / "m")]) == 0
        card = card_of(tmp_path / "m")
        assert "nothing was scored, for there were no true masks" in card and "mIoU" not in card
        assert "Not counted (the run is older than such counts" in card

    def test_a_model_alone(self, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        for source in (home / "out" / "segmenter", home / "out" / "segmenter" / "model.safetensors"):
            assert main(["publish", str(source), "--to", str(tmp_path / source.name)]) == 0
            card = card_of(tmp_path / source.name)
            assert "apart from a run" in card and "Not counted (no run)" in card and "recipe.yaml" not in card
        assert "what it learned from and how well is not known" in caplog.text

    def test_paths_in_the_header_of_a_model_stay_here(self, home: Path, tmp_path: Path) -> None:
        """Weights of a file: its name is told, its folder is not."""
        model = home / "out" / "segmenter" / "model.safetensors"
        header = read_header(model)
        header["model"]["backbone"] |= {"weights": "file", "file": "/home/anna/secret/lite0.pth"}
        save_weights(tmp_path / "model.safetensors", load_weights(model), {"weakseg": json.dumps(header)})
        assert main(["publish", str(tmp_path / "model.safetensors"), "--to", str(tmp_path / "m")]) == 0
        assert read_header(tmp_path / "m" / "model.safetensors")["model"]["backbone"]["file"] == "lite0.pth"
        assert load_segmenter(tmp_path / "m" / "model.safetensors")[1].names == CLASSES

    def test_a_labeller_whose_classifier_started_from_a_file_works_elsewhere(self, home: Path, tmp_path: Path) -> None:
        out, weights = tmp_path / "out", tmp_path / "lite0.safetensors"
        shutil.copytree(home / "out", out)
        recipe = json.loads((out / "recipe.json").read_text())
        recipe["classifier"]["backbone"] |= {"weights": "file", "file": str(weights)}
        (out / "recipe.json").write_text(json.dumps(recipe))
        assert main(["publish", str(out), "--to", str(tmp_path / "m"), "--what", "labeller"]) == 0
        told = json.loads((tmp_path / "m" / "labeller" / "recipe.json").read_text())
        assert told["classifier"]["backbone"]["file"] == ""
        (tmp_path / "tags.csv").write_text("image,labels\ni01.png,disc\n")
        words = ["--images", str(home / "photos" / "images"), "--labels", str(tmp_path / "tags.csv"), *QUICK]
        assert main(["label", str(tmp_path / "m"), *words, "--out", str(tmp_path / "l")]) == 0


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["nowhere", "--to", "m"], "nowhere: does not exist; give the folder of a run"),
            (["photos", "--to", "m"], "no run folder (recipe.json is missing) and no comparison"),
            (["out", "--to", "out"], "is, or holds, what is published"),
            (["out", "--to", "."], "is, or holds, what is published"),
            (["out", "--to", "photos"], "photos holds files; give a new folder, or --overwrite"),
            (["out", "--to", "photos", "--overwrite"], "no published model that could be replaced"),
            (["out", "--to", "photos/classes.txt"], "is a file; give a folder"),
            (["out", "--to", "https://huggingface.co/anna/cows"], "did you mean hub:anna/cows?"),
            (["out", "--to", "hub:cows", *LICENSED], "name owner and repository: hub:OWNER/NAME"),
            (["out", "--to", "hub:an na/cows", *LICENSED], "is no name of a repository"),
            (["out", "--to", "hub:anna/cows"], "--license: a hub needs one"),
            (["out", "--to", "hub:"], "give a folder, or hub:OWNER/NAME"),
            (["out", "--to", "m", "--method", "psa"], "is a run of 'cam', not of 'psa'"),
            (["out", "--to", "m", "--public"], "--public: is for hub:OWNER/NAME"),
            (["out", "--to", "m", "--license", "a\nb"], "--license: must be one line"),
            (["out", "--to", "m", "--example", "photos/nowhere.jpg"], "photos/nowhere.jpg"),
            (["out", "--to", "m", "--what", "labeller", "--example", "photos/images/i01.png"], "made by the segmenter"),
            (["out/classifier/model.safetensors", "--to", "m"], "is a classifier, what is published alone"),
            (["out/segmenter", "--to", "m", "--what", "both"], "is a model alone; give the folder of its run"),
            (["shapes", "--to", "m"], "is published already; copy the folder, or push it"),
            (["shapes", "--to", "hub:anna/cows", "--license", "mit"], "change its README.md, then push it"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_published(
        self, words: list[str], said: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(home)
        assert main(["publish", *words]) == 2
        assert said in capsys.readouterr().err
        assert not (home / "m").exists() and not list(home.glob(".part-*"))

    def test_a_training_that_was_stopped(self, home: Path, tmp_path: Path, capsys: Capture) -> None:
        out = tmp_path / "out"
        shutil.copytree(home / "out", out)
        manifest = json.loads((out / "segmenter" / "manifest.json").read_text())
        (out / "segmenter" / "manifest.json").write_text(json.dumps({**manifest, "complete": False}))
        assert main(["publish", str(out), "--to", str(tmp_path / "m")]) == 2
        assert "'segmenter' has not been trained to the end; finish the run first" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("file", "text", "said"),
        [
            ("evaluation/results.json", '{"scores": [{"name": "masks"}]}', "is no list of results"),
            ("data/counts.json", '{"splits": {"train": 3}}', "does not say how many photographs"),
            ("data/counts.json", "{", "cannot be read as JSON"),
            ("segmenter/model.safetensors", "damaged", "not a weakseg model"),
        ],
    )  # fmt: skip
    def test_damaged_records_are_named(
        self, file: str, text: str, said: str, home: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        shutil.copytree(home / "out", tmp_path / "out")
        (tmp_path / "out" / file).write_text(text)
        assert main(["publish", str(tmp_path / "out"), "--to", str(tmp_path / "m")]) == 2
        error = capsys.readouterr().err
        assert said in error and Path(file).name in error and not (tmp_path / "m").exists()

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"weakseg_publication": 2}, "is a publication of version 2, expected 1"),
            ({"segmenter": "../model.safetensors"}, "names neither a segmenter nor a labeller"),
            ({"segmenter": "other.safetensors"}, "other.safetensors is missing"),
            ({"files": ["/etc/passwd"]}, "'files' is no list of names in the folder"),
            ({"files": 3}, "'files' is no list of names in the folder"),
        ],
    )  # fmt: skip
    def test_a_folder_that_somebody_has_damaged(
        self, changed: dict[str, object], said: str, home: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        shutil.copytree(home / "shapes", tmp_path / "m")
        told = json.loads((tmp_path / "m" / "config.json").read_text())
        (tmp_path / "m" / "config.json").write_text(json.dumps({**told, **changed}))
        words = ["predict", "--model", str(tmp_path / "m"), "--images", str(home / "photos" / "images")]
        assert main([*words, "--out", str(tmp_path / "p")]) == 2
        assert said in capsys.readouterr().err


class TestAnEarlierPublication:
    def test_it_is_replaced_where_that_is_asked_for_and_what_lies_beside_it_stays(
        self, home: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        target = tmp_path / "m"
        shutil.copytree(home / "shapes", target)
        (target / "LICENSE").write_text("our own")
        words = ["publish", str(home / "out"), "--to", str(target), "--title", "Two shapes"]
        assert main(words) == 2
        assert "holds files; give a new folder, or --overwrite" in capsys.readouterr().err
        assert main([*words, "--overwrite"]) == 0
        assert "# Two shapes" in card_of(target) and (target / "LICENSE").read_text() == "our own"
        assert not (target / "labeller").exists()
        assert set(open_publication(target).files) == {"README.md", "config.json", "model.safetensors", "recipe.yaml"}

    def test_one_that_is_half_replaced_is_not_taken_and_may_be_replaced(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        target = tmp_path / "m"
        shutil.copytree(home / "shapes", target)
        words = ["publish", str(home / "out"), "--to", str(target), "--overwrite"]

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(shutil, "copyfile", full)
            assert main(words) == 2
        assert "cannot be written (No space left on device); publish it again" in capsys.readouterr().err
        predict = ["predict", "--model", str(target), "--images", str(home / "photos" / "images"), "--out"]
        assert main([*predict, str(tmp_path / "p")]) == 2
        assert "publish the model again" in capsys.readouterr().err
        assert main(words) == 0 and is_publication(target) and open_publication(target).model.is_file()

    def test_a_new_folder_appears_whole_or_not_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="No space left"), atomic_folder(tmp_path / "m") as folder:
            (folder / "a").write_text("a")
            raise OSError(28, "No space left on device")
        assert not list(tmp_path.iterdir())


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that this process takes for the real one; large files go there by plain requests."""
    hub = FakeHub()
    with served(hub) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        yield hub


class TestTheHub:
    def test_what_is_pushed_is_what_was_published(
        self, home: Path, tmp_path: Path, hub: FakeHub, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A folder is published, its card is changed, and it is pushed, as users do."""
        shutil.copytree(home / "shapes", tmp_path / "shapes")
        (tmp_path / "shapes" / "README.md").write_text(card_of(home / "shapes") + "\nChanged by hand.\n")
        (tmp_path / "shapes" / "LICENSE").write_text("Apache")
        (tmp_path / "shapes" / "photo.jpg").write_bytes(b"private")
        assert main(["publish", str(tmp_path / "shapes"), "--to", "hub:anna/shapes"]) == 0
        assert "not pushed, for weakseg publish did not write it: photo.jpg" in caplog.text
        files = hub.repositories["anna/shapes"]
        assert b"Changed by hand." in files["README.md"] and files["LICENSE"] == b"Apache" and "photo.jpg" not in files
        assert files["model.safetensors"] == (home / "shapes" / "model.safetensors").read_bytes()
        assert hub.private["anna/shapes"] and hub.commits == ["Publish a model of weakseg"]
        fetched = tmp_path / "fetched"
        for name, content in files.items():
            (fetched / name).parent.mkdir(parents=True, exist_ok=True)
            (fetched / name).write_bytes(content)
        assert open_publication(fetched).labeller.is_dir()

    def test_a_run_is_pushed_at_once_and_again_with_overwrite_alone(
        self, home: Path, hub: FakeHub, capsys: Capture
    ) -> None:
        words = ["publish", str(home / "out"), "--to", "hub:anna/shapes", *LICENSED]
        assert main([*words, "--what", "both", "--public"]) == 0
        assert "is seen by everybody" in capsys.readouterr().out and not hub.private["anna/shapes"]
        hub.repositories["anna/shapes"]["notes.md"] = b"of anna"
        assert main(words) == 2
        assert "hub:anna/shapes: holds files; give another name, or --overwrite" in capsys.readouterr().err
        assert main([*words, "--overwrite", "--public"]) == 0
        assert "was there before, and is seen by whom it was" in capsys.readouterr().out
        files = set(hub.repositories["anna/shapes"])
        assert files == {".gitattributes", "README.md", "config.json", "model.safetensors", "notes.md", "recipe.yaml"}

    @pytest.mark.parametrize(
        ("to", "refused", "said"),
        [
            ("hub:anna/m", {("POST", "/repos/create"): 401}, "log in with 'hf auth login', or set HF_TOKEN"),
            ("hub:bert/m", {}, "does not allow it; the token needs the right to write there"),
            ("hub:anna/m", {("POST", "/commit/"): 500}, "has failed; try again later (HTTP 500: not today)"),
            ("hub:anna/m", {("POST", "/repos/create"): 429}, "is asked too often"),
        ],
    )  # fmt: skip
    def test_what_a_hub_refuses(
        self, to: str, refused: dict[tuple[str, str], int], said: str, home: Path, hub: FakeHub, capsys: Capture
    ) -> None:
        hub.refuse = refused
        assert main(["publish", str(home / "shapes"), "--to", to]) == 2
        assert said in capsys.readouterr().err
        assert set(hub.repositories.get("anna/m", {})) <= {".gitattributes"}
        hub.refuse = {}
        if to == "hub:anna/m":  # a repository that was left empty is taken
            assert main(["publish", str(home / "shapes"), "--to", to]) == 0

    def test_without_a_licence_nothing_is_pushed(
        self, home: Path, tmp_path: Path, hub: FakeHub, capsys: Capture
    ) -> None:
        assert main(["publish", str(home / "out"), "--to", str(tmp_path / "m")]) == 0
        assert main(["publish", str(tmp_path / "m"), "--to", "hub:anna/m"]) == 2
        assert "says no licence ('license: apache-2.0' at its top)" in capsys.readouterr().err
        assert hub.requests == []

    def test_fields_that_the_hub_does_not_take(self, home: Path, tmp_path: Path, hub: FakeHub, capsys: Capture) -> None:
        shutil.copytree(home / "shapes", tmp_path / "m")
        text = card_of(home / "shapes").replace("license: apache-2.0", "license: none of them")
        (tmp_path / "m" / "README.md").write_text(text)
        assert main(["publish", str(tmp_path / "m"), "--to", "hub:anna/m"]) == 2
        assert '"license" must be one of the known ones' in capsys.readouterr().err

    def test_no_network(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        assert main(["publish", str(home / "shapes"), "--to", "hub:anna/m"]) == 2
        assert "http://127.0.0.1:9/anna/m: cannot be reached" in capsys.readouterr().err
