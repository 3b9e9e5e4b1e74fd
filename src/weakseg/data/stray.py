"""Labels that lie outside of their photograph, wholly or in part."""

from collections.abc import Iterator, Sequence

from weakseg.data.annotations import Box, Drawn, Point, Scribble

STRAY_SHARE = 0.2

Size = tuple[int, int]
Mark = Box | Point | Scribble


def share_outside(mark: Mark, size: Size) -> float:
    """Return which share of a label lies outside an image of ``size``: of a box's area, of a scribble's positions."""
    if isinstance(mark, Point):
        return float(mark.pixel(size) is None)
    if isinstance(mark, Scribble):
        inside = sum(0 <= row <= size[0] and 0 <= column <= size[1] for row, column in mark.path)
        return 1 - inside / len(mark.path)
    rows = min(mark.bottom, size[0]) - max(mark.top, 0)
    columns = min(mark.right, size[1]) - max(mark.left, 0)
    area = (mark.bottom - mark.top) * (mark.right - mark.left)
    return 1 - max(rows, 0) * max(columns, 0) / area if area else float(mark.pixels(size) is None)


def stray_marks(drawn: Drawn, size: Size, names: Sequence[str] = ()) -> Iterator[tuple[float, str]]:
    """Yield share and description of each label of which more than a fifth lies outside an image of ``size``.

    Args:
        drawn: Boxes, points and scribbles; regions have the photograph's size, or are refused.
        size: (rows, columns).
        names: Of the classes; ``names[i]`` is class ``i + 1``.
    """
    marks: tuple[Mark, ...] = (*drawn.boxes, *drawn.points, *drawn.scribbles)
    for mark in marks:
        if (share := share_outside(mark, size)) > STRAY_SHARE:
            kind = type(mark).__name__.lower()
            name = names[mark.class_id - 1] if 0 < mark.class_id <= len(names) else "background"
            named = f" of {name!r}" if names or not mark.class_id else ""
            what = "is" if share == 1 else f"is by {share:.0%}"
            yield (
                share,
                f"{kind}{named} at {_place(mark)} {what} outside of the photograph of {size[1]} x {size[0]} pixels",
            )


def _place(mark: Mark) -> str:
    """Return where a label is, as people type it: x first."""
    if isinstance(mark, Box):
        return f"({mark.left:g}, {mark.top:g}, {mark.right:g}, {mark.bottom:g})"
    row, column = (mark.row, mark.column) if isinstance(mark, Point) else mark.path[0]
    return f"({column:g}, {row:g})"
