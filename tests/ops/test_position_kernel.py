import math

import torch

import dense_reference as dense
from cases import each
from weakseg.ops.position_kernel import PositionKernel
from weakseg.ops.workspace import Workspace


@each(("height", "width", "sigma_px"), [(20, 20, 3.0), (5, 40, 1.0), (40, 3, 4.0), (1, 30, 3.0)])
def test_position_kernel_is_exact_up_to_its_truncation(height: int, width: int, sigma_px: float) -> None:
    # Beyond four standard deviations lie exp(-8) = 3e-4 and less.
    eye, one = torch.eye(height * width, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    kernel = PositionKernel(((height, width),), sigma_px).apply(eye, one, "mean", Workspace())
    exact = dense.gaussian_kernel(dense.position_features(height, width, sigma_px))
    torch.testing.assert_close(kernel, exact, rtol=0, atol=math.exp(-8))


def test_planes_and_images_of_other_sizes_do_not_meet() -> None:
    sizes, space = ((7, 60), (55, 3)), Workspace()
    scale, *rows = torch.rand(3, 1, 585, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = torch.cat(rows)
    found = PositionKernel(sizes, 2.0).apply(values, scale, "mean", space).clone()
    for label in range(2):
        for size, part in zip(sizes, (slice(0, 420), slice(420, 585)), strict=True):
            alone = PositionKernel((size,), 2.0).apply(values[label : label + 1, part], scale[:, part], "mean", space)
            torch.testing.assert_close(found[label : label + 1, part], alone)
