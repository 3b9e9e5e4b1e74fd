"""ONNX operators that are added one after the other."""

from typing import Any

from weakseg.nn.exported.described import onnx_module

DOUBLE, FLOAT, INT64, UINT8 = 11, 1, 7, 2


class Nodes:
    """Operators, in the order in which they were added, and the constants that they need.

    Attributes:
        nodes: The operators.
        constants: The constants.
    """

    def __init__(self, prefix: str) -> None:
        self._helper, self._prefix = onnx_module("onnx.helper"), prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, named: str = "", **attributes: Any) -> str:
        """Add an operator, and return the name of its output: ``named``, or a new one. An empty input is none."""
        name = named or f"{self._prefix}/{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: Any, kind: int) -> str:
        """Add a constant, a number or a list of numbers, and return its name."""
        name = f"{self._prefix}/constant {len(self.constants)}"
        listed = values if isinstance(values, list) else [values]
        dims = [len(listed)] if isinstance(values, list) else []
        self.constants.append(self._helper.make_tensor(name, kind, dims, listed))
        return name

    def cast(self, value: str, kind: int, *, named: str = "") -> str:
        """Add a change of type."""
        return self.add("Cast", value, named=named, to=kind)

    def scaled(self, size: str, max_side: str) -> str:
        """Add what ``ops.resample.scaled_size`` does at scale 1: (rows, columns), the long side at most so long."""
        longest = self.cast(self.add("ReduceMax", size, keepdims=0), DOUBLE)
        share = self.add("Div", self.cast(max_side, DOUBLE), longest)
        scale = self.add("Min", share, self.constant(1.0, DOUBLE))
        rounded = self.add("Round", self.add("Mul", self.cast(size, DOUBLE), scale))
        return self.add("Max", self.cast(rounded, INT64), self.constant(1, INT64))

    def resized(self, values: str, size: str, *, first: int, named: str = "", **how: Any) -> str:
        """Add the resizing of two axes of four, from ``first`` on, to ``size``; without more bilinear, corners free.

        Sizes of all four are given: of two, with ``axes``, onnxruntime 1.32 loses track where it moves transpositions.
        """
        before = self.add("Shape", values, start=0, end=first)
        parts = [before, size] if first == 2 else [before, size, self.add("Shape", values, start=3, end=4)]
        whole = self.add("Concat", *parts, axis=0)
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", **how}
        return self.add("Resize", values, "", "", whole, named=named, **how)

    def nearest(self, size: str, given: str, axis: int) -> str:
        """Add which of the ``given`` rows or columns each of ``size`` takes: as Pillow, which adds up its steps."""
        number, zero = self.constant(axis, INT64), self.constant(0, INT64)
        wanted, there = self.add("Gather", size, number), self.add("Gather", given, number)
        step = self.add("Div", self.cast(there, DOUBLE), self.cast(wanted, DOUBLE))
        index = self.add("Range", zero, wanted, self.constant(1, INT64))
        half = self.add("Mul", step, self.constant(0.5, DOUBLE))
        steps = self.add("Where", self.add("Equal", index, zero), half, step)
        places = self.add("Floor", self.add("CumSum", steps, zero))
        last = self.add("Sub", there, self.constant(1, INT64))
        return self.add("Min", self.cast(places, INT64), last)
