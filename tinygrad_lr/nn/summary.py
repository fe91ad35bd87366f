"""`summary`: a table of a model's layers, what they give, and what they hold.

The model is called once without recording. While it runs, each part's `forward` is replaced on the instance
by one that also notes the answer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tinygrad_lr.autodiff.record import no_grad
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.autodiff.trees import leaves
from tinygrad_lr.nn.module import Module, Parameter


class Row(NamedTuple):
    """One module: its path and repr, the shapes it gave, its own parameters and their bytes, the bytes of its answers, and how often it was called."""

    path: str
    layer: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    parameter_bytes: int
    output_bytes: int
    calls: int


class Summary:
    """A model's layers as a table; `print` shows it, and so does a prompt.

    Attributes
    ----------
    rows : list of Row
        One per module, the model itself first. A parameter counts where it is held first.
    parameters, trainable : int
        How many numbers the parameters hold, and how many of these require gradients.
    parameter_bytes, output_bytes : int
        Memory of the parameters, and of all answers of modules without parts.
    """

    def __init__(self, name: str, rows: list[Row], trainable: int, containers: set[str]) -> None:
        self.name, self.rows, self.trainable = name, rows, trainable
        self.parameters = sum(row.parameters for row in rows)
        self.parameter_bytes = sum(row.parameter_bytes for row in rows)
        self.output_bytes = sum(row.output_bytes for row in rows if row.path not in containers)

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
        return "\n".join([shown(self.name), rule, lines[0], rule, *lines[1:], rule, total, used])


def summary(model: Module, /, *inputs: Any, **named: Any) -> Summary:
    """A table of a model's layers: output shapes, parameter counts and memory.

    Parameters
    ----------
    model : Module
        The model to describe.
    *inputs, **named : array_like
        What to call it with; shapes and memory are those of this call.

    Returns
    -------
    Summary
        Prints as the table.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lr import nn
    >>> print(summary(nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)), np.zeros((4, 2))))
    Sequential
    -----------------------------------------------------
    path  layer          output shape  parameters  memory
    -----------------------------------------------------
          Sequential     (4, 1)                 0    32 B
    0     Dense(2 -> 3)  (4, 3)                 9   168 B
    1     Tanh()         (4, 3)                 0    96 B
    2     Dense(3 -> 1)  (4, 1)                 4    64 B
    -----------------------------------------------------
    parameters: 13 (13 trainable, 0 fixed)
    memory: 104 B for parameters, 224 B for outputs
    """
    with noted(model) as answers, no_grad():
        model(*inputs, **named)
    held: set[int] = set()
    rows, containers, trainable = [], set(), 0
    for path, module in model.named_modules():
        own = []
        for _, part in module.members():
            if isinstance(part, Parameter) and id(part) not in held:
                held.add(id(part))
                own.append(part)
            elif isinstance(part, Module):
                containers.add(path)
        trainable += sum(p.size for p in own if p.requires_grad)
        arrays = [leaf for answer in answers[id(module)] for leaf in leaves(answer) if hasattr(leaf, "nbytes")]
        shapes = tuple(dict.fromkeys(tuple(array.shape) for array in arrays))
        counts = sum(p.size for p in own), sum(p.nbytes for p in own), sum(array.nbytes for array in arrays)
        rows.append(Row(path, title_of(module), shapes, *counts, len(answers[id(module)])))
    return Summary(title_of(model), rows, trainable, containers)


@contextmanager
def noted(model: Module) -> Iterator[dict[int, list[Any]]]:
    """The answers of each of the model's modules, by its id, to the calls made in this context."""
    answers: dict[int, list[Any]] = {id(module): [] for _, module in model.named_modules()}
    before = [(module, vars(module).get("forward")) for _, module in model.named_modules()]

    def noting(module: Module, /, *inputs: Any, **named: Any) -> Any:
        answer = forwards[id(module)](*inputs, **named)
        answers[id(module)].append(answer)
        return answer

    forwards = {id(module): module.forward for module, _ in before}
    try:
        for module, _ in before:
            vars(module)["forward"] = functools.partial(noting, module)
        yield answers
    finally:
        for module, own in before:
            if own is None:
                del vars(module)["forward"]
            else:
                vars(module)["forward"] = own


def title_of(module: Module) -> str:
    """A module's repr, without its parts."""
    text = repr(module)
    return text if "\n" not in text else type(module).__name__


def shapes_of(row: Row) -> str:
    """The shapes a module gave, and how often where that was not once."""
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
