"""`Summary`: a table of a model's layers, what they return, and what they hold."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Self

from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.autodiff.trees import leaves


class Row(NamedTuple):
    """One module, with its own parameters but not those of its parts."""

    path: str
    layer: str  # its repr
    shapes: tuple[tuple[int, ...], ...]  # of its results
    parameters: int  # how many numbers
    trainable: int  # how many of these require gradients
    parameter_bytes: int
    output_bytes: int
    calls: int
    has_parts: bool  # whether it is made of other modules, whose results are listed too

    @classmethod
    def of(cls, path: str, layer: str, own: Collection[Tensor], results: list[object], has_parts: bool) -> Self:
        """The row of a module with these parameters and results."""
        arrays = [leaf for result in results for leaf in leaves(result) if hasattr(leaf, "nbytes")]
        return cls(
            path,
            layer,
            shapes=tuple(dict.fromkeys(tuple(array.shape) for array in arrays)),
            parameters=sum(p.size for p in own),
            trainable=sum(p.size for p in own if p.requires_grad),
            parameter_bytes=sum(p.nbytes for p in own),
            output_bytes=sum(array.nbytes for array in arrays),
            calls=len(results),
            has_parts=has_parts,
        )


class Summary:
    """A model's layers as a table, which is what its repr shows.

    Attributes
    ----------
    rows : list of Row
        One per module, the model itself first. A parameter counts where it is held first.
    parameters, trainable : int
        How many numbers the parameters hold, and how many of these require gradients.
    parameter_bytes, output_bytes : int
        Memory of the parameters, and of all results of modules without parts.
    """

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.parameters, self.trainable = sum(row.parameters for row in rows), sum(row.trainable for row in rows)
        self.parameter_bytes = sum(row.parameter_bytes for row in rows)
        self.output_bytes = sum(row.output_bytes for row in rows if not row.has_parts)

    def __repr__(self) -> str:
        head = ("path", "layer", "output shape", "parameters", "memory")
        memories = [memory(row.parameter_bytes + row.output_bytes) for row in self.rows]
        table = [(shown(row.path), shown(row.layer), shapes_of(row), f"{row.parameters:,}", used) for row, used in zip(self.rows, memories)]
        widths = [max(map(len, column)) for column in zip(head, *table)]
        lines = ["  ".join(f"{cell:{'<<<>>'[i]}{width}}" for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in (head, *table)]
        rule = "-" * max(map(len, lines))
        fixed = self.parameters - self.trainable
        total = f"parameters: {self.parameters:,} ({self.trainable:,} trainable, {fixed:,} fixed)"
        used = f"memory: {memory(self.parameter_bytes)} for parameters, {memory(self.output_bytes)} for outputs"
        return "\n".join([shown(self.rows[0].layer), rule, lines[0], rule, *lines[1:], rule, total, used])


def shapes_of(row: Row) -> str:
    """The shapes a module returned, and how often unless it was once."""
    if not row.calls:
        return "not called"
    times = f" x {row.calls}" if row.calls > 1 else ""
    return ", ".join(map(str, row.shapes)) + times


def memory(n: int) -> str:
    """Bytes in the unit that keeps them short.

    Examples
    --------
    >>> memory(104), memory(3_211_264)
    ('104 B', '3.1 MiB')
    """
    size = float(n)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
