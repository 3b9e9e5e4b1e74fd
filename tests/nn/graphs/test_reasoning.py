from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import dense_reference as dense
from cases import assert_exact, each
from tiled_graphs import DOUBLE, noise
from weakseg.errors import ConfigError
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.graphs.reasoning import ClassAttention, Reasoning, build_reasoning
from weakseg.settings.reasoning import ReasoningConfig

CHANNELS, SIZE = 6, (3, 4)
RECOMMENDED = ReasoningConfig("recommended", widths=(7, 5), keys=4)
OFFICIAL = ReasoningConfig("official", widths=(7, CHANNELS))


def nodes(classes: int = 3) -> ClassNodes:
    relations = noise(classes, classes, seed=4).abs() / classes
    return ClassNodes(noise(classes, 8, seed=5), relations + torch.eye(classes))


def layer(config: ReasoningConfig = RECOMMENDED, classes: int = 3, gate: float = 1.5) -> Any:
    torch.manual_seed(0)
    found = build_reasoning(config, nodes(classes), CHANNELS).double()
    if isinstance(found, ClassAttention):
        found.gate.data.fill_(gate)
    return found.eval()


def maps(batch: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    return noise(batch, CHANNELS, *size, seed=6).relu()


def rows(features: Tensor) -> Tensor:
    """Return ``(N, C)`` of ``(C, h, w)``."""
    return features.flatten(1).T


class TestClassAttention:
    @each("normalize", ["classes", "pixels"])
    def test_equals_its_formula(self, normalize: Any) -> None:
        model, features = layer(replace(RECOMMENDED, normalize=normalize)), maps()
        vectors = model.gcn()
        expected = []
        for one in features:
            scores = (rows(one) @ model.query.weight.T) @ (vectors @ model.key.weight.T).T / 4**0.5
            told = 1.5 * vectors @ model.output.weight.T
            expected.append(dense.class_reasoning(rows(one), told, scores, normalize)[1].T.reshape(one.shape))
        assert_exact(model(features), torch.stack(expected))

    def test_weights_sum_to_one(self) -> None:
        # grm.md, oracle 3
        model, features = layer(), 30 * maps()
        found = model.weights(features, model.gcn())
        assert found.shape == (2, 3, *SIZE) and float(found.min()) >= 0
        assert_exact(found.sum(1), torch.ones(2, *SIZE, dtype=DOUBLE))
        over_cells = layer(replace(RECOMMENDED, normalize="pixels")).weights(features, model.gcn())
        assert_exact(over_cells.sum((2, 3)), torch.ones(2, 3, dtype=DOUBLE))

    def test_it_starts_as_the_identity(self) -> None:
        # grm.md, oracle 3 and 2.5: in the first step the gate alone has a gradient
        torch.manual_seed(0)
        model, features = build_reasoning(RECOMMENDED, nodes(), CHANNELS).double(), maps()
        assert model(features).equal(features)
        (model(features) * noise(*features.shape)).sum().backward()
        moved = {name for name, p in model.named_parameters() if float(p.grad.abs().max()) > 0}  # type: ignore[union-attr]
        assert moved == {"gate"}

    def test_one_class_counts(self) -> None:
        # grm.md, oracle 3: no collapse. The weights differ from place to place, and with one vector that changes
        model, features = layer(), maps()
        vectors = model.gcn()
        before = model.weights(features, vectors)
        assert float((before[..., :1, :1] - before).abs().max()) > 1e-3
        changed = vectors.clone()
        changed[1] += 1
        assert float((model.weights(features, changed) - before).abs().max()) > 1e-3

    def test_the_order_of_classes_does_not_matter(self) -> None:
        # grm.md, oracle 3
        model, features, order = layer(), maps(), torch.tensor([2, 0, 1])
        before = model(features)
        gcn = model.gcn
        gcn.vectors, gcn.adjacency = gcn.vectors[order], gcn.adjacency[order][:, order]
        assert_exact(model(features), before)

    def test_one_cell_and_one_class(self) -> None:
        # grm.md, section 8: with one class a constant vector is added
        assert layer()(maps(1, (1, 1))).shape == (1, CHANNELS, 1, 1)
        model, features = layer(classes=1), maps()
        added = model(features) - features
        assert_exact(added, (1.5 * model.output(model.gcn()))[0][:, None, None].expand_as(added))


class TestCollapsedReasoning:
    @pytest.mark.parametrize("over", ["pixels", "classes"])
    def test_the_published_form_cannot_tell_classes_apart(self, over: str) -> None:
        # grm.md, oracles 1 and 2
        model, features = layer(OFFICIAL), maps()
        vectors = model.gcn()
        weight = torch.cat([model.score.weight[0].detach(), noise(CHANNELS, seed=1)]).requires_grad_()
        bias = noise(1, seed=2).requires_grad_()
        found = []
        for one in features:
            scores = dense.additive_scores(rows(one), vectors, weight, bias)[..., 0]
            weights, out = dense.class_reasoning(rows(one), vectors, scores, over)
            assert_exact(weights, (weights[:, :1] if over == "pixels" else weights[:1]).expand_as(weights))
            found.append(out.T.reshape(one.shape))
        if over == "classes":
            return
        assert_exact(model(features), torch.stack(found))
        assert_exact(model(features) - features, (model(features) - features).relu())  # the ReLU around the sum
        (torch.stack(found) * noise(*features.shape)).sum().backward()
        assert float(weight.grad[:CHANNELS].abs().min()) > 1e-6  # type: ignore[index]
        assert float(weight.grad[CHANNELS:].abs().max()) < 1e-12 and float(bias.grad.abs().max()) < 1e-12  # type: ignore

    def test_vectors_are_as_wide_as_features(self) -> None:
        with pytest.raises(ConfigError, match=r"widths: 'official' adds .* of 6 channels, so the last .* 6, got 7"):
            layer(replace(OFFICIAL, widths=(7,)))


class TestBoth:
    @each("config", [RECOMMENDED, replace(RECOMMENDED, normalize="pixels"), OFFICIAL])
    def test_gradient(self, config: ReasoningConfig) -> None:
        # grm.md, oracle 14
        model = layer(config)
        names = [name for name, p in model.named_parameters() if p.requires_grad]

        def function(features: Tensor, *weights: Tensor) -> Tensor:
            return torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (features,))  # type: ignore

        weights = [p.detach().requires_grad_() for p in model.parameters() if p.requires_grad]
        assert torch.autograd.gradcheck(function, (maps(1, (2, 2)).requires_grad_(), *weights))

    @each("config", [RECOMMENDED, OFFICIAL])
    def test_what_learns(self, config: ReasoningConfig) -> None:
        # grm.md, oracle 11: all after two steps; of the official form neither weights of the class network (nor w_v)
        torch.manual_seed(0)
        model, features = build_reasoning(config, nodes(), CHANNELS).double(), maps()
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            (model(features) * noise(*features.shape)).square().sum().backward()
            optimizer.step()
        still = {name for name, value in model.named_parameters() if value.equal(before[name])}
        assert still == (set() if config.kind == "recommended" else {"gcn.weights.0", "gcn.weights.1"})
        assert set(before) - still == ({"score.weight"} if config.kind == "official" else set(before))

    @each("config", [RECOMMENDED, OFFICIAL])
    def test_nothing_is_dropped_at_test(self, config: ReasoningConfig) -> None:
        # grm.md, oracle 12
        model, features = layer(replace(config, dropout=0.5)), maps()
        assert model(features).equal(model(features))
        with torch.no_grad():
            assert model(features).equal(model(features))
        model.train()
        torch.manual_seed(3)
        assert not model(features).equal(model(features))

    def test_autocast(self) -> None:
        """Sums of softmaxes over many cells are taken in float32."""
        model = layer(OFFICIAL).float()
        features = 4 * torch.randn(1, CHANNELS, 60, 60).relu()
        with torch.autocast("cpu", torch.bfloat16):
            found = model(features.bfloat16())
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), model(features), rtol=0.05, atol=0.05)


class TestVectors:
    """The class network is seen once in a step, and at test once for all images."""

    def calls(self, model: Reasoning, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        counted: list[int] = []
        forward = model.gcn.forward
        monkeypatch.setattr(model.gcn, "forward", lambda: counted.append(1) or forward())
        return counted

    def test_once_in_a_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = layer().train()
        counted = self.calls(model, monkeypatch)
        torch.manual_seed(0)
        with model.one_step():
            first, second = model(maps()), model(maps())
        assert len(counted) == 1 and first.equal(second)
        (first + second).sum().backward()
        model(maps())
        assert len(counted) == 2

    def test_once_at_test_until_something_changes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = layer()
        counted = self.calls(model, monkeypatch)
        with torch.inference_mode():
            model(maps())
            model(maps())
        with torch.no_grad():
            before = model(maps())
        assert len(counted) == 1
        model.train()
        model(maps()).sum().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        with torch.no_grad():
            changed = model.eval()(maps())
            assert len(counted) == 3 and not changed.equal(before)
            model.load_state_dict(layer().state_dict())
            assert_exact(model(maps()), before)
            assert len(counted) == 4
            assert model.float()(maps().float()).dtype == torch.float32
        assert len(counted) == 5
