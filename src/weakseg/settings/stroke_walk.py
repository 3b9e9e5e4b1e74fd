"""Seeds of points and scribbles by a random walk and colour models."""

from dataclasses import dataclass, field

from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.rules import check_settings


def walk_graph() -> FreeGraphConfig:
    """Return the graph that is walked on: cells of 4 pixels and their eight neighbours."""
    return FreeGraphConfig(radius_cells=1.5, feature_weight=16.0, sigma_rgb=20.0, levels=4, max_side=320, stride=4)


@dataclass(frozen=True)
class StrokeWalkConfig:
    """How strokes become seeds by a random walk on a graph and by colours.

    Attributes:
        graph: The graph.
        point_radius: Around a point this share of the photograph's long side is of its label.
        border: The photograph's border is background.
        border_gap: But not where an object's stroke is nearer than this share of the long side.
        background_share: A cell is an object's from this probability of the walk on: strokes lie in the middle of
            objects, and walks end early; the smaller, the further objects reach.
        point_share: The same where points decide, which say less of how large an object is.
        components: Gaussians of a label's colours.
        color_weight: What colours count beside the walk.
        coherence: How strongly neighbours should have one label.
        iterations: How often colour models are fitted.
        cuts: Iterations of GrabCut, of each object against the rest and at the size of the graph; 0: none.
    """

    graph: FreeGraphConfig = field(default_factory=walk_graph)
    point_radius: float = 0.02
    border: bool = True
    border_gap: float = 0.075
    background_share: float = 0.3
    point_share: float = 0.1
    components: int = 5
    color_weight: float = 0.6
    coherence: float = 2.0
    iterations: int = 4
    cuts: int = 2

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        check_settings("seeds.walk", self, point_radius="in [0, 1]", border_gap="in [0, 1]")
        check_settings("seeds.walk", self, background_share="in (0, 1)", point_share="in (0, 1)")
        check_settings(
            "seeds.walk", self, components=">= 1", iterations=">= 0", cuts=">= 0", color_weight=">= 0", coherence=">= 0"
        )
