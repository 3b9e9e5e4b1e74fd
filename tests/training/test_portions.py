"""Parts of batches, sums of gradients and norms; with real processes in ``test_together.py``."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from weakseg.crew import ALONE, Crew
from weakseg.nn.backbones import build_backbone
from weakseg.settings.backbone import BackboneConfig
from weakseg.training.portions import (
    BUCKET,
    add_gradients,
    batch_norms,
    mean_statistics,
    part_of,
    share_norms,
    synchronize_norms,
)
from weakseg.whole import sharing, whole_count


@pytest.mark.parametrize(("count", "size"), [(7, 2), (1, 3), (8, 4), (5, 1), (16, 5)])
def test_parts_are_even_and_make_the_whole(count: int, size: int) -> None:
    parts = [part_of(count, Crew(rank, size)) for rank in range(size)]
    assert parts[0][0] == 0 and parts[-1][1] == count
    assert all(first[1] == second[0] for first, second in itertools.pairwise(parts))
    lengths = [end - begin for begin, end in parts]
    assert max(lengths) - min(lengths) <= 1 and lengths == sorted(lengths, reverse=True)


class Echo(Crew):
    """Two processes that have the same: sums are twice what is here."""

    def sum(self, values: Tensor) -> Tensor:
        self.sent.append(values.numel())
        return values.mul_(2)

    @property
    def sent(self) -> list[int]:
        found: list[int] = self.__dict__.setdefault("_sent", [])
        return found


class TestGradients:
    def test_a_parameter_without_a_gradient_gets_none(self) -> None:
        used, unused, frozen = (nn.Parameter(torch.ones(3)) for _ in range(3))
        frozen.requires_grad_(requires_grad=False)
        used.grad = torch.tensor([1.0, 2.0, 3.0])
        crew = Echo(0, 2)
        add_gradients([used, unused, frozen], crew)
        assert used.grad.tolist() == [2, 4, 6] and unused.grad is None and frozen.grad is None
        assert crew.sent == [2 + 6]

    def test_layouts_stay(self) -> None:
        weight = nn.Parameter(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))
        weight.grad = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
        expected = 2 * weight.grad
        add_gradients([weight], Echo(0, 2))
        assert weight.grad.equal(expected) and weight.grad.is_contiguous(memory_format=torch.channels_last)

    def test_much_is_sent_in_parts_and_kinds_apart(self) -> None:
        large = [nn.Parameter(torch.zeros(BUCKET // 2 + 1)) for _ in range(2)]
        parameters = [*large, nn.Parameter(torch.zeros(2, dtype=torch.float64))]
        crew = Echo(0, 2)
        add_gradients(parameters, crew)
        assert crew.sent == [1 + BUCKET // 2 + 1] * 2 + [1 + 2]

    def test_one_process_sends_nothing(self) -> None:
        parameter = nn.Parameter(torch.ones(3))
        parameter.grad = torch.ones(3)
        add_gradients([parameter], ALONE)
        assert parameter.grad.tolist() == [1, 1, 1]


class TestWholeCount:
    def test_alone_it_is_the_count(self) -> None:
        count = torch.tensor(0)
        assert whole_count(count) is count
        assert whole_count(count, least=1).item() == 1 and whole_count(torch.tensor(0.5), extra=0.25).item() == 0.75

    def test_the_share_of_the_count_of_all(self) -> None:
        with sharing(Echo(0, 2), 0.25):
            assert whole_count(torch.tensor(6), least=1).item() == 3
            assert whole_count(torch.tensor(0), least=1).item() == 0.25
            found = whole_count(torch.tensor(6.0), extra=4.0)
        assert found.item() == 4 and found.dtype == torch.float32
        assert whole_count(torch.tensor(6)).item() == 6  # as before

    def test_what_counts_for_nothing_divides_by_no_zero(self) -> None:
        with sharing(Echo(1, 2), 0.0):
            assert whole_count(torch.tensor(6), least=1).item() == 1


class TestNorms:
    @staticmethod
    def model() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))

    def test_on_cpus_they_stay_and_that_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        model = self.model()
        share_norms(model, "cpu", Crew(0, 2))
        assert "2 batch norms take the statistics of each process's part" in caplog.text
        caplog.clear()
        share_norms(model, "cpu", Crew(1, 2))
        share_norms(model, "cpu", ALONE)
        assert not caplog.text and not any(isinstance(m, nn.SyncBatchNorm) for m in model.modules())

    def test_stored_statistics_are_no_matter(self, caplog: pytest.LogCaptureFixture) -> None:
        backbone = build_backbone(BackboneConfig("resnet10t", 16, "none"))
        share_norms(nn.ModuleDict({"backbone": backbone}), "cpu", Crew(0, 2))
        assert not caplog.text

    def test_on_gpus_they_speak_to_each_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        groups: list[str] = []
        monkeypatch.setattr(Crew, "group", lambda self, device: groups.append(device))
        model = self.model()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        parameters = list(model.parameters())
        share_norms(model, "cuda", Crew(0, 2))
        norms = batch_norms(model)
        assert groups == ["cuda"] and len(norms) == 2 and all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
        assert [id(p) for p in model.parameters()] == [id(p) for p in parameters]  # of an optimiser, too
        torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)

    @pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet10t", "regnety_002"])
    def test_networks_of_all_makers_do_the_same_after_it(self, name: str) -> None:
        backbone = build_backbone(BackboneConfig(name, 16, "none")).eval()
        images = 255 * torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            expected = backbone(images)
            synchronize_norms(backbone, None)
            assert backbone.batch_norms and all(isinstance(n, nn.SyncBatchNorm) for n in backbone.batch_norms)
            torch.testing.assert_close(backbone.eval()(images), expected)

    def test_statistics_become_means(self) -> None:
        model = self.model()
        norm = batch_norms(model)[0]
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
        norm.running_mean.fill_(3.0)
        mean_statistics(model, Echo(0, 4))
        assert norm.running_mean.tolist() == [1.5] * 4  # 2 * 3 / 4
