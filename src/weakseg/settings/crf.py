"""The dense CRF."""

from dataclasses import dataclass

from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class CrfParams:
    """Parameters of the two kernels; the defaults are IRNet's for pair labels.

    Attributes:
        iterations: Number of parallel mean-field updates; 0 returns the softmax of the unary.
        gaussian_sigma_px: Standard deviation of the position kernel in pixels.
        gaussian_weight: Its Potts weight; 0 leaves the kernel out.
        bilateral_sigma_px: Standard deviation of the bilateral kernel in position, in pixels.
        bilateral_sigma_rgb: The same in colour, on the scale 0..255.
        bilateral_weight: Its Potts weight; 0 leaves the kernel out.
    """

    iterations: int = 10
    gaussian_sigma_px: float = 3.0
    gaussian_weight: float = 3.0
    bilateral_sigma_px: float = 50.0
    bilateral_sigma_rgb: float = 5.0
    bilateral_weight: float = 10.0

    def __post_init__(self) -> None:
        """Refuse widths that are not positive and counts that are negative."""
        check_settings("crf", self, iterations=">= 0", gaussian_weight=">= 0", bilateral_weight=">= 0")
        check_settings("crf", self, gaussian_sigma_px="> 0", bilateral_sigma_px="> 0", bilateral_sigma_rgb="> 0")


PUBLISHED = {
    "deeplab_v2": CrfParams(10, 1.0, 3.0, 67.0, 3.0, 4.0),
    "dsrg": CrfParams(10, 3.0, 3.0, 80.0, 13.0, 10.0),
    "oaa": CrfParams(1, 3.0, 1.0, 67.0, 4.0, 3.0),
}
"""Parameters that segmenters' predictions were published with."""
