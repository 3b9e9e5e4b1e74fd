from dataclasses import asdict, replace
from typing import Any

import pytest

from cases import each
from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.grow import BoundaryConfig, GrowthConfig, SeededConfig, check_boundary
from weakseg.settings.rules import SettingError


def test_defaults_are_those_of_the_papers() -> None:
    # Card, 2.11 and 2.7.
    cut = GrowthConfig().completed
    assert (cut.kind, cut.neighbors, cut.threshold, cut.link_weight) == ("cut", 9, 0.7, 0.5)
    assert (cut.background_threshold, cut.confidence, cut.feature_norm) == (1.0, "softmax", "per_stage")
    assert (cut.position_weight, cut.tlinks) == (0.0, "energy")
    regions = GrowthConfig("regions").completed
    assert (regions.threshold, regions.background_threshold, regions.confidence) == (0.85, 0.99, "crf")
    assert GrowthConfig("none").completed == GrowthConfig("none")
    boundary = SeededConfig().boundary
    assert (boundary.weight, boundary.unary) == (1.0, "logprob")
    assert asdict(boundary.crf) == asdict(CrfParams(10, 0.25, 3.0, 80 / 12, 13.0, 10.0))


def test_what_is_said_stands() -> None:
    given = GrowthConfig("regions", threshold=0.5, confidence="softmax").completed
    assert (given.threshold, given.background_threshold, given.confidence) == (0.5, 0.99, "softmax")
    assert given.completed == given


@each(
    ("change", "message"),
    [
        ({"neighbors": 0}, r"growth\.neighbors: need >= 1, got 0"),
        ({"threshold": 1.5}, r"growth\.threshold: need in \[0, 1\], got 1\.5"),
        ({"threshold": float("nan")}, r"growth\.threshold: need in \[0, 1\], got nan"),
        ({"background_threshold": -0.1}, r"growth\.background_threshold: need in \[0, 1\]"),
        ({"link_weight": -1.0}, r"growth\.link_weight: need >= 0"),
        ({"kind": "snake"}, r"growth\.kind: 'cut', 'regions', 'propagation' or 'none', got 'snake'"),
        ({"confidence": "guess"}, r"growth\.confidence: 'softmax' or 'crf'"),
        ({"tlinks": "swapped"}, r"growth\.tlinks: 'energy' or 'as_printed'"),
        (
            {"kind": "regions", "neighbors": 3},
            r"neighbors: belongs to kind 'cut' or 'propagation', and",
        ),
        (
            {"kind": "propagation", "link_weight": 1.0},
            r"link_weight: belongs to kind 'cut', and",
        ),
        ({"kind": "none", "threshold": 0.5}, r"growth\.threshold: belongs to kind 'cut', 'regions' or 'propagation'"),
    ],
)
def test_values_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        GrowthConfig(**change)


def test_a_crf_that_refines_nothing_is_refused() -> None:
    still = BoundaryConfig(weight=0.0, unary="prob")
    with pytest.raises(ConfigError, match=r"boundary\.unary: with weight 0 the CRF refines nothing"):
        check_boundary(still, GrowthConfig())
    check_boundary(still, GrowthConfig("regions"))
    check_boundary(replace(still, weight=0.5), GrowthConfig())
    check_boundary(BoundaryConfig(weight=0.0), GrowthConfig())
    for change in ({"weight": -1.0}, {"unary": "energy"}):
        with pytest.raises(SettingError, match=r"boundary\."):
            BoundaryConfig(**change)  # type: ignore[arg-type]
