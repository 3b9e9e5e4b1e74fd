"""Class graphs as plain geometry, a matrix and a circle of classes; the template writes them as SVG."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weakseg.graph.class_graph import ClassGraph
from weakseg.nn.weights import MODEL_FILE, read_header
from weakseg.report.model import ClassGraphPicture

LEVELS = 8  # shades of the matrix
MAX_EDGES = 60
RADIUS_PX, LABEL_PX = 150, 118
THINNEST_PX, THICKEST_PX = 0.75, 6.0
CELLS_PX = ((25, 16), (45, 12))  # up to so many classes, cells of this side
SMALLEST_CELL_PX = 9
LONGEST_NAME = 18
DESCRIBED = 10  # pairs that are read out


@dataclass(frozen=True)
class Node:
    """A class on the circle: its place, and how its name is turned, in degrees."""

    name: str
    label: str
    x: float
    y: float
    angle: float
    anchor: str


@dataclass(frozen=True)
class Edge:
    """A relation of two classes: ends, the point that it bends to, its width, and what it is."""

    path: str
    width: float
    text: str


@dataclass(frozen=True)
class Label:
    """A class beside the matrix: middle of its row or column."""

    name: str
    label: str
    middle: float


@dataclass(frozen=True)
class GraphLayout:
    """A class graph ready to be drawn.

    Attributes:
        nodes: Classes on the circle.
        edges: Its strongest relations, the weakest of them first.
        shades: SVG path of all cells of each shade of the matrix, the lightest first.
        labels: Classes in the order of rows and columns.
        cell: Side of a cell, in pixels.
        description: The strongest relations in words.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    shades: tuple[str, ...]
    labels: tuple[Label, ...]
    cell: int
    description: str

    @property
    def side(self) -> int:
        """Width and height of the circle's drawing, in pixels."""
        return 2 * (RADIUS_PX + LABEL_PX)


def class_graph_pictures(folders: Mapping[str, Path]) -> tuple[ClassGraphPicture, ...]:
    """Return a picture of each class graph that trained models hold, the same graph once.

    Args:
        folders: Of the trainings, by name.
    """
    found: dict[str, ClassGraphPicture] = {}
    for name, folder in folders.items():
        path = folder / MODEL_FILE
        told = read_header(path).get("class_graph") if path.exists() else None
        if told is not None:
            names, relations = tuple(told["names"]), np.array(told["relations"], np.float64)
            note = f"Relations: {told['source']}; word vectors: {told['vectors_from']}."
            picture = ClassGraphPicture(f"Class graph of {name}", names, relations, note, tuple(told["fallbacks"]))
            found.setdefault(repr((told["source"], told["relations"])), picture)
    return tuple(found.values())


def layout_graph(picture: ClassGraphPicture) -> GraphLayout:
    """Return where classes and relations lie; classes stand in an order in which related ones are neighbours."""
    order = order_of(picture)
    names = [picture.names[index] for index in order]
    values = picture.relations[np.ix_(order, order)] * (1 - np.eye(len(order)))
    count, strongest = len(names), max(float(values.max()), 1e-300)
    cell = next((side for most, side in CELLS_PX if count <= most), SMALLEST_CELL_PX)
    nodes = tuple(_node(name, index, count) for index, name in enumerate(names))
    labels = tuple(Label(name, _shortened(name), (index + 0.5) * cell) for index, name in enumerate(names))
    return GraphLayout(
        nodes,
        _edges(picture, nodes, strongest),
        _shades(np.ceil(LEVELS * np.sqrt(values / strongest)).astype(int), cell),
        labels,
        cell,
        "; ".join(f"{one} and {other}: {value:.3g}" for one, other, value in strongest_of(picture, DESCRIBED)),
    )


def strongest_of(picture: ClassGraphPicture, most: int) -> list[tuple[str, str, float]]:
    """Return the pairs of classes with the strongest relations, and these."""
    vectors = np.zeros((len(picture.names), 0), np.float32)
    return ClassGraph(picture.names, vectors, picture.relations, "", "").strongest(most)


def order_of(picture: ClassGraphPicture) -> list[int]:
    """Return the classes as a chain that begins with the strongest pair and goes on, at either end, with the class that
    is most strongly related to that end.
    """
    values = picture.relations * (1 - np.eye(len(picture.names)))
    chain = [int(index) for index in np.unravel_index(values.argmax(), values.shape)][: len(values)]
    chain = chain if values.any() else [0]
    while len(chain) < len(values):
        ends = values[[chain[0], chain[-1]]].copy()
        ends[:, chain] = -1.0
        end, following = np.unravel_index(ends.argmax(), ends.shape)
        chain = [int(following), *chain] if end == 0 and ends.max() > 0 else [*chain, int(following)]
    return chain


def _node(name: str, index: int, count: int) -> Node:
    turn = 2 * math.pi * index / count - math.pi / 2
    middle, degrees = RADIUS_PX + LABEL_PX, math.degrees(turn)
    flipped = math.cos(turn) < -1e-9
    return Node(
        name,
        _shortened(name),
        round(middle + RADIUS_PX * math.cos(turn), 1),
        round(middle + RADIUS_PX * math.sin(turn), 1),
        round(degrees - 180 if flipped else degrees, 1),
        "end" if flipped else "start",
    )


def _edges(picture: ClassGraphPicture, nodes: tuple[Node, ...], strongest: float) -> tuple[Edge, ...]:
    at, middle = {node.name: node for node in nodes}, RADIUS_PX + LABEL_PX
    pairs = strongest_of(picture, min(MAX_EDGES, 2 * len(nodes)))
    edges = (
        Edge(
            f"M{at[one].x} {at[one].y}Q{middle} {middle} {at[other].x} {at[other].y}",
            round(max(THINNEST_PX, THICKEST_PX * math.sqrt(value / strongest)), 2),
            f"{one} and {other}: {value:.3g}",
        )
        for one, other, value in reversed(pairs)
    )
    return tuple(edges)


def _shades(levels: "np.ndarray[tuple[int, ...], np.dtype[np.int_]]", cell: int) -> tuple[str, ...]:
    cells = (np.argwhere(levels == level) * cell for level in range(1, LEVELS + 1))
    return tuple("".join(f"M{x} {y}h{cell}v{cell}h-{cell}z" for y, x in found.tolist()) for found in cells)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
