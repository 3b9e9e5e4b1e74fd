"""Strided 1 x 1 convolutions of few channels: the same outputs and gradients, and no end of the process."""

import pytest
import torch
from torch import nn

from weakseg.nn.backbones.strided import PickedConv2d, pick_strided


@pytest.mark.parametrize(("channels", "stride", "size"), [(8, 2, (64, 64)), (3, (2, 3), (13, 10)), (15, 4, (5, 1))])
@pytest.mark.parametrize("form", [torch.channels_last, torch.contiguous_format])
def test_outputs_and_gradients_are_those_of_the_strided_form(
    channels: int, stride: int, size: tuple[int, int], form: torch.memory_format
) -> None:
    plain = nn.Conv2d(channels, 16, 1, stride=stride)
    reference = nn.Conv2d(channels, 16, 1, stride=stride).double()
    reference.load_state_dict(plain.state_dict())
    picked = nn.Sequential(plain)
    pick_strided(picked)
    assert type(plain) is PickedConv2d
    image = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0))
    given = image.clone(memory_format=form).requires_grad_()
    wanted = image.double().requires_grad_()
    for _ in range(5):  # memory that was written outside of is found when it is given back
        found = picked(given)
        found.square().sum().backward()
    expected = reference(wanted)
    for _ in range(5):
        expected.square().sum().backward(retain_graph=True)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(given.grad.double(), wanted.grad, atol=1e-4, rtol=1e-4)  # type: ignore[union-attr]
    torch.testing.assert_close(plain.weight.grad.double(), reference.weight.grad, atol=1e-2, rtol=1e-4)  # type: ignore[union-attr]


def test_others_stay_as_they_are() -> None:
    others = nn.Sequential(
        nn.Conv2d(16, 8, 1, stride=2),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 1, stride=2, groups=2),
        nn.Conv2d(8, 8, 1, stride=2, padding=1),
    )
    pick_strided(others)
    assert all(type(layer) is nn.Conv2d for layer in others)
