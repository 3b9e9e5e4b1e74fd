import errno
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from full_disks import no_file_longer_than
from weakseg.errors import CheckpointError, OutputError
from weakseg.nn.weights import MODEL_FILE, load_into, load_state, load_weights, read_header, save_model, save_state
from weakseg.pipeline.store import keyed_place

HEADER = {"kind": "classifier", "classes": ["Katze", "犬"], "backbone": {"name": "resnet10t"}}
FORMATS = ("safetensors", "pt", "legacy.pth")


def small_model(channels: int = 4) -> nn.Module:
    torch.manual_seed(channels)
    return nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels))


def write_weights(folder: Path, name: str) -> Path:
    """Write the state of ``small_model`` as safetensors, or as a new or an old PyTorch checkpoint."""
    path = folder / f"model.{name}"
    if name == "safetensors":
        save_model(path, small_model(), HEADER)
    else:
        torch.save(small_model().state_dict(), path, _use_new_zipfile_serialization=name == "pt")
    return path


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.trace), "w")


class TestRoundTrip:
    @pytest.mark.parametrize("name", FORMATS)
    def test_weights(self, tmp_path: Path, name: str) -> None:
        state = load_weights(write_weights(tmp_path, name))
        torch.testing.assert_close(state, dict(small_model().state_dict()), rtol=0, atol=0)

    def test_header(self, tmp_path: Path) -> None:
        assert read_header(write_weights(tmp_path, "safetensors")) == HEADER

    def test_into_a_model(self, tmp_path: Path) -> None:
        model = small_model()
        nn.init.zeros_(model[0].weight)  # type: ignore[index,arg-type]
        load_into(model, load_weights(write_weights(tmp_path, "safetensors")), "here")
        torch.testing.assert_close(model.state_dict(), small_model().state_dict(), rtol=0, atol=0)

    def test_checkpoints_of_training_scripts(self, tmp_path: Path) -> None:
        torch.save({"state_dict": small_model().state_dict(), "epoch": 3}, tmp_path / "x.pt")
        assert set(load_weights(tmp_path / "x.pt")) == set(small_model().state_dict())

    def test_views_and_strided_tensors(self, tmp_path: Path) -> None:
        model = nn.Linear(6, 5)
        model.weight = nn.Parameter(torch.arange(30.0).reshape(6, 5).T)
        save_model(tmp_path / "x.safetensors", model, {})
        torch.testing.assert_close(load_weights(tmp_path / "x.safetensors")["weight"], model.weight.detach())

    def test_training_state(self, tmp_path: Path) -> None:
        state = {
            "model": dict(small_model().state_dict()),
            "epoch": 3,
            "records": [{"loss": 0.5}],
            "config": {"lr": 0.1},
        }
        save_state(tmp_path / "state.pt", state)
        torch.testing.assert_close(load_state(tmp_path / "state.pt"), state, rtol=0, atol=0)


class TestDamagedFiles:
    @pytest.mark.parametrize("name", FORMATS)
    def test_truncated_at_any_place(self, tmp_path: Path, name: str) -> None:
        path = write_weights(tmp_path, name)
        content = path.read_bytes()
        for length in range(0, len(content) - 1, max(1, len(content) // 97)):
            path.write_bytes(content[:length])
            for load in (load_weights, read_header if name == "safetensors" else load_state):
                with pytest.raises(CheckpointError, match=path.name.replace(".", r"\.")):
                    load(path)

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02", b"PK\x03\x04", b"\x1f\x8b", b"ustar" * 200])
    @pytest.mark.parametrize("suffix", ["safetensors", "pt"])
    def test_other_files(self, tmp_path: Path, content: bytes, suffix: str) -> None:
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(content)
        for load in (load_weights, load_state, read_header):
            with pytest.raises(CheckpointError):
                load(path)

    @pytest.mark.parametrize("load", [load_weights, load_state, read_header])
    @pytest.mark.parametrize("name", ["none.pt", "none.safetensors"])
    def test_missing_files(self, tmp_path: Path, load: Callable[[Path], Any], name: str) -> None:
        with pytest.raises(CheckpointError):
            load(tmp_path / name)

    @pytest.mark.parametrize("load", [load_weights, load_state, read_header])
    @pytest.mark.parametrize("name", ["out", "out.safetensors"])
    def test_a_folder_for_a_file(self, tmp_path: Path, load: Callable[[Path], Any], name: str) -> None:
        def refusal() -> str:
            with pytest.raises(CheckpointError) as caught:
                load(run)
            return str(caught.value)

        run = tmp_path / name
        (run / "masks" / MODEL_FILE).mkdir(parents=True)
        (run / "masks" / "a.safetensors").touch()
        assert refusal() == f"{run}: is a folder; give a file: the model.safetensors of a training"
        for step in ("segmenter", "classifier"):
            (run / step).mkdir()
            save_model(run / step / MODEL_FILE, small_model(), HEADER)
        found = f"{run / 'classifier' / MODEL_FILE} or {run / 'segmenter' / MODEL_FILE}"
        assert refusal() == f"{run}: is a folder; give a file: {found}"

    @pytest.mark.parametrize("load", [load_weights, load_state, read_header])
    @pytest.mark.parametrize("given", ["out", "out/steps", "out/steps/classifier-0123456789ab"])
    def test_a_folder_of_a_comparison_for_a_file(self, tmp_path: Path, load: Callable[[Path], Any], given: str) -> None:
        model = tmp_path / "out" / keyed_place("classifier", "0123456789abcdef") / MODEL_FILE
        model.parent.mkdir(parents=True)
        save_model(model, small_model(), HEADER)
        with pytest.raises(CheckpointError) as caught:
            load(tmp_path / given)
        assert str(caught.value) == f"{tmp_path / given}: is a folder; give a file: {model}"


class TestHostileFiles:
    @pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"state_dict": x}, lambda x: {"weight": x}])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_nothing_is_executed(self, tmp_path: Path, wrap: Callable[[Any], Any], zipped: bool) -> None:
        path, trace = tmp_path / "model.pt", tmp_path / "trace"
        torch.save(wrap(Hostile(trace)), path, _use_new_zipfile_serialization=zipped)
        for load in (load_weights, load_state):
            with pytest.raises(CheckpointError, match="cannot be loaded safely") as caught:
                load(path)
            assert "weights_only" not in str(caught.value)  # torch's message tells how to run the code
        assert not trace.exists()

    def test_a_plain_pickle(self, tmp_path: Path) -> None:
        path, trace = tmp_path / "model.pt", tmp_path / "trace"
        path.write_bytes(pickle.dumps(Hostile(trace), protocol=2))
        for load in (load_weights, load_state):
            with pytest.raises(CheckpointError):
                load(path)
        assert not trace.exists()
        pickle.loads(path.read_bytes()).close()
        assert trace.exists()  # it would have

    def test_a_pickle_under_another_suffix(self, tmp_path: Path) -> None:
        path, trace = tmp_path / "model.safetensors", tmp_path / "trace"
        torch.save(Hostile(trace), path)
        for load in (load_weights, read_header):
            with pytest.raises(CheckpointError):
                load(path)
        assert not trace.exists()

    def test_whole_modules_are_refused(self, tmp_path: Path) -> None:
        torch.save(small_model(), tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match="cannot be loaded safely"):
            load_weights(tmp_path / "model.pt")


class TestOtherContent:
    @pytest.mark.parametrize(
        "content", [[1, 2], torch.zeros(3), {"a": 1}, {"state_dict": {"a": None}}, {3: torch.zeros(1)}]
    )
    def test_weights_must_be_named_tensors(self, tmp_path: Path, content: Any) -> None:
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(CheckpointError, match=r"x\.pt: expected a dictionary of tensors"):
            load_weights(tmp_path / "x.pt")

    def test_a_training_state_is_a_dictionary(self, tmp_path: Path) -> None:
        torch.save([1, 2], tmp_path / "x.pt")
        with pytest.raises(CheckpointError, match=r"x\.pt: expected a dictionary, got list"):
            load_state(tmp_path / "x.pt")

    @pytest.mark.parametrize("metadata", [None, {"other": "{}"}, {"weakseg": "no json"}, {"weakseg": "[1]"}])
    def test_headers_of_others(self, tmp_path: Path, metadata: dict[str, str] | None) -> None:
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", metadata)
        with pytest.raises(
            CheckpointError, match=r"x\.safetensors: (not a weakseg model|the header is no JSON object)"
        ):
            read_header(tmp_path / "x.safetensors")


class TestOtherModels:
    def test_missing_and_unexpected_names(self) -> None:
        state = {**small_model().state_dict(), "extra.weight": torch.zeros(1)}
        del state["1.running_mean"]
        expected = r"here: belongs to another model; missing \['1.running_mean'\], unexpected \['extra.weight'\]"
        with pytest.raises(CheckpointError, match=expected):
            load_into(small_model(), state, "here")

    def test_other_shapes(self) -> None:
        with pytest.raises(CheckpointError, match=r"other shape \['0.weight'"):
            load_into(small_model(), {**small_model().state_dict(), "0.weight": torch.zeros(1)}, "here")

    def test_nothing_is_copied_before_the_refusal(self) -> None:
        model = small_model()
        changed = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
        with pytest.raises(CheckpointError):
            load_into(model, {**changed, "1.bias": torch.zeros(99)}, "here")
        torch.testing.assert_close(model.state_dict(), small_model().state_dict(), rtol=0, atol=0)


class TestFullDisk:
    """A limit on the length of files: the system's own error, from whichever library writes."""

    def test_a_training_state(self, tmp_path: Path) -> None:
        save_state(tmp_path / "state.pt", {"epoch": 1})
        with no_file_longer_than(5000), pytest.raises(OutputError, match=r"state\.pt: cannot be written"):
            save_state(tmp_path / "state.pt", {"weights": torch.zeros(10_000), "epoch": 2})
        assert load_state(tmp_path / "state.pt") == {"epoch": 1}
        assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]

    def test_a_model(self, tmp_path: Path) -> None:
        with no_file_longer_than(500), pytest.raises(OutputError) as caught:
            save_model(tmp_path / "model.safetensors", small_model(), HEADER)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.EFBIG
        assert not list(tmp_path.iterdir())
