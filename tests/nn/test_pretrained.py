from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError
from weakseg.nn.pretrained import align, load_pretrained


def network() -> nn.Module:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.ModuleDict({"conv": nn.Conv2d(3, 3, 1), "body": body, "end": nn.Conv2d(4, 2, 1)})


def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    state = network().state_dict()
    return {name: torch.rand(v.shape, generator=generator) for name, v in state.items() if "batches" not in name}


class TestNames:
    @pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "model.backbone.", "net.0."])
    def test_any_prefix(self, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        model, state = network(), weights()
        given = {f"{prefix}{name}": value for name, value in state.items()}
        load_pretrained(model, {**given, f"{prefix}body.1.num_batches_tracked": torch.tensor(9)}, "w.pth")
        assert all(model.state_dict()[name].equal(value) for name, value in state.items())
        assert not caplog.messages

    def test_prefix_beside_a_head_without(self) -> None:
        found = align(
            {"a.conv.weight": torch.zeros(1), "a.end.bias": torch.zeros(1), "fc.bias": torch.zeros(1)},
            ["conv.weight", "end.bias"],
            "w",
        )
        assert set(found) == {"conv.weight", "end.bias"}

    def test_two_networks_in_one_file(self) -> None:
        given = {f"{part}.{name}": value for part in ("student", "teacher") for name, value in weights().items()}
        with pytest.raises(
            CheckpointError, match=r"w: holds several such networks, under \['student\.', 'teacher\.'\]"
        ):
            load_pretrained(network(), given, "w")

    def test_heads_are_left_out_and_said(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        given = {**weights(), "fc.weight": torch.zeros(9, 2), "end.fc.bias": torch.zeros(9)}
        load_pretrained(network(), given, "w.pth", heads=("end.fc",))
        assert caplog.messages == ["w.pth: left out ['end.fc.bias', 'fc.weight']"]
        caplog.clear()
        given = {**{f"net.{name}": value for name, value in weights().items()}, "end.cls.bias": torch.zeros(9)}
        load_pretrained(network(), given, "w.pth")
        assert caplog.messages == ["w.pth: left out ['end.cls.bias']"]

    def test_further_tensors_in_parts_of_the_network(self) -> None:
        given = {**weights(), "end.fc.bias": torch.zeros(9)}
        with pytest.raises(CheckpointError, match=r"w: does not fit the network; unexpected \['end\.fc\.bias'\]; give"):
            load_pretrained(network(), given, "w")

    def test_drawn_parts(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        model = network()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        state = {name: value for name, value in weights().items() if not name.startswith("end")}
        load_pretrained(model, state, "w", drawn=("end",))
        assert model.state_dict()["end.weight"].equal(before["end.weight"])
        assert caplog.messages == ["w: not in the file, hence random ['end']"]
        with pytest.raises(CheckpointError, match=r"missing \['end\.bias'\]"):
            load_pretrained(model, {**state, "end.weight": before["end.weight"]}, "w", drawn=("end",))

    def test_names_of_many_parts(self) -> None:
        given = {**weights(), ".".join("a" * 300_000): torch.zeros(1)}
        load_pretrained(network(), given, "w.pth")


class TestWhatDoesNotFit:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.pop("body.0.weight"), r"missing \['body\.0\.weight'\]"),
            (lambda s: s.update({"body.7.weight": torch.zeros(1)}), r"unexpected \['body\.7\.weight'\]"),
            (
                lambda s: s.update({"end.weight": torch.zeros(9, 4, 1, 1)}),
                r"other shape \['end\.weight \(9, 4, 1, 1\) for \(2, 4, 1, 1\)'\]",
            ),
            (
                lambda s: s.update({"end.bias": torch.zeros(2).char()}),
                r"other kind of number \['end\.bias int8 for float32'\]",
            ),
            (lambda s: s.update({"end.bias": torch.tensor([1.0, float("nan")])}), r"not finite \['end\.bias'\]"),
            (
                lambda s: s.update({"end.bias": torch.tensor([1.0, 1e300], dtype=torch.float64)}),
                r"not finite \['end\.bias'\]",
            ),
            (lambda s: [s.pop(n) for n in list(s) if n != "conv.bias"], r"missing \['body\.0\.bias'.*\] and 4 more"),
            (lambda s: s.clear(), r"missing \['body.*\] and 5 more"),
        ],
    )
    def test_each_kind_is_named(self, change: Callable[[dict[str, Tensor]], object], message: str) -> None:
        model, state = network(), weights()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        change(state)
        with pytest.raises(CheckpointError, match=f"w.pth: does not fit the network; {message}"):
            load_pretrained(model, state, "w.pth")
        torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)

    def test_weights_of_another_network(self) -> None:
        with pytest.raises(CheckpointError, match=r"missing .* and 5 more, unexpected \['weight'\]"):
            load_pretrained(network(), {"weight": torch.zeros(2)}, "w")


class TestPrecision:
    @pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
    def test_others_are_converted_and_said(self, kind: torch.dtype, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        model, state = network(), {name: value.to(kind) for name, value in weights().items()}
        load_pretrained(model, state, "w")
        found = model.state_dict()
        assert all(found[name].dtype == torch.float32 and found[name].equal(v.float()) for name, v in state.items())
        (message,) = caplog.messages
        assert message.startswith(f"w: {str(kind).removeprefix('torch.')}, taken as float32, ['conv.weight'")
