"""How each value and each gradient of a graph is computed: as a formula, and in numbers for one entry.

Formulas are plain text (``delta1 = (delta2 w2) * s'(z1)``), which the page typesets. They are claims about
the numbers beside them, in one notation: a space is a product of matrices, ``*`` a product element by
element, an array of one axis is a row, and the rows of an array of more axes stand below each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import Array, Function, public_name
from tinygrad_lr.autodiff.rules.shapes import getitem
from tinygrad_lr.check.backprop import Comparison
from tinygrad_lr.check.parts import Part
from tinygrad_lr.nn.descriptions import LossInfo, activation_info, loss_info
from tinygrad_lr.nn.layers import linear
from tinygrad_lr.show.cells import Data, matrix_of
from tinygrad_lr.show.names import arguments_of, constants_of, memory_key, operand, setting
from tinygrad_lr.show.picture import Box, Picture, number
from tinygrad_lr.show.wording import SIGNS, rule_in_words

TERMS = 4  # of a sum that are written out
PARTS = 3  # of a gradient that are written out
EXCERPT = 8  # rows, and columns, of a large array that are shown as numbers

# fmt: off
BACKWARD: dict[Function, tuple[str, ...]] = {
    np.add:      ("{g}", "{g}"),
    np.subtract: ("{g}", "-{g}"),
    np.multiply: ("{g} * {1}", "{g} * {0}"),
    np.divide:   ("{g} / {1}", "-{g} * {y} / {1}"),
    np.power:    ("{g} * {1} * {0}^({1} - 1)", "{g} * {y} * log({0})"),
    np.negative: ("-{g}",),
    np.square:   ("{g} * 2 {0}",),
    np.sqrt:     ("{g} / (2 {y})",),
    np.exp:      ("{g} * {y}",),
    np.log:      ("{g} / {0}",),
    np.sin:      ("{g} * cos({0})",),
    np.cos:      ("-{g} * sin({0})",),
    np.matmul:   ("{g} {1}^T", "{0}^T {g}"),
}
"""The gradient of each argument, from the gradient g of the result y; other operations are described in words."""
# fmt: on


class Formulas:
    """The names of the values of a picture, and how they are computed.

    ``equations`` has, by symbol (z1, z2, ...), its gradient in the equations BP1 to BP4, if these cover the network.
    """

    def __init__(self, picture: Picture, equations: Mapping[str, Comparison]) -> None:
        self.picture, self.equations = picture, equations
        self.boxes = {box.id: box for box in picture.boxes}
        self.values = [box for box in picture.boxes if box.kind != "op"]
        self.by_node = {id(box.node): box for box in self.values if box.node is not None}
        self.by_array = {memory_key(box.value): box for box in self.values if box.node is None}
        self.computed = [box for box in self.values if self.op_of(box) is not None]
        self.loss = self.computed[-1]
        self.tags = {(edge.tail, edge.head): edge.tag for edge in picture.edges if edge.kind == "backward"}
        self.partly: dict[str, str] = {}  # by the id of a value whose gradient flows on only in part, the name of that part

    def box(self, node: Node) -> Box:
        """The box of a value that was computed or is a leaf."""
        return self.by_node[id(node)]

    def tag(self, part: Part) -> str:
        """The equation that a part belongs to, "BP1" to "BP4", or ""."""
        return self.tags.get(("op" + self.box(part.source).id[1:], self.box(part.target).id), "")

    # -- names --------------------------------------------------------------------------------------------------

    def op_of(self, box: Box) -> Box | None:
        return self.boxes.get("op" + box.id[1:]) if box.id.startswith("v") else None

    def gradient_label(self, box: Box) -> str:
        return "delta" + box.label[1:] if box.symbol.startswith("z") else f"dL/d{operand(box.label)}"

    def flowing_label(self, box: Box) -> str:
        """The name of the gradient that flows on from a value."""
        return f"({self.partly[box.id]})" if box.id in self.partly else self.gradient_label(box)

    def arguments(self, node: Node) -> list[tuple[str, Box | None]]:
        """(text, box) for each positional argument; a setting has no box."""
        arrays = {i for i, _ in constants_of(node)}
        found: list[tuple[str, Box | None]] = []
        for i, (value, parent) in enumerate(zip(arguments_of(node), node.parents)):
            box = self.by_node.get(id(parent)) if parent is not None else self.by_array.get(memory_key(value)) if i in arrays else None
            if box is not None or value is not None:
                found.append((operand(box.label) if box is not None else setting(value), box))
        return found

    # -- forward ------------------------------------------------------------------------------------------------

    def forward_formula(self, box: Box) -> str:
        """How a value is computed: z1 = X w1^T + b1."""
        node, op = box.node, self.op_of(box)
        assert node is not None
        assert node.func is not None
        assert op is not None
        func, args = node.func, [text for text, _ in self.arguments(node)]
        if func is linear:
            right = f"{args[0]} {args[1]}^T" + "".join(f" + {bias}" for bias in args[2:])
        elif info := loss_info(func):
            total = {"mean": "mean of ", "sum": "sum of ", "none": ""}[info.reduction(arguments_of(node), node.kwargs)]
            right = total + info.written(info.formula, args, node.kwargs)
        elif func in SIGNS and len(args) == 2:
            right = f"{args[0]} {SIGNS[func]} {args[1]}"
        elif func is getitem:
            right = args[0] + op.name
        else:
            settings = [f"{key}={setting(value)}" for key, value in node.kwargs.items() if value is not None and value is not False]
            inside = [text if argument is None else argument.label for text, argument in self.arguments(node)]
            right = f"{plain_name(func)}({', '.join(inside + settings)})"
            if (known := activation_info(func)) and known.formula != f"{plain_name(func)}({{z}})":
                right += f" = {known.written(known.formula, args, node.kwargs)}"
        return right if right == box.label else f"{box.label} = {right}"

    def forward_entry(self, box: Box) -> str:
        """The largest entry of a value, in numbers."""
        node = box.node
        if node is None or not is_matrix(box.value):
            return ""
        args, at = arguments_of(node), largest(box.value)
        head, tail = entry(box.label, at), f" = {number(np.asarray(box.value)[at])}"
        if node.func is linear and np.ndim(args[0]) == 2:
            x, w, b = args
            return f"{head} = {products(x[at[0]], w[at[1]])}" + (f" + {signed(b[at[1]])}" if b is not None else "") + tail
        if known := activation_info(node.func):
            settings = [f", {name}={setting(value)}" for name, value in node.kwargs.items()]
            return f"{head} = {plain_name(known.function)}({number(args[0][at])}{''.join(settings)}){tail}"
        if node.func in (np.add, np.subtract, np.multiply) and len(args) == 2:
            a, b = (np.broadcast_to(value, np.shape(box.value))[at] for value in args)
            return f"{head} = {number(a)} {SIGNS[node.func].replace('*', '·')} {signed(b)}{tail}"
        return head + tail if loss_info(node.func) else ""

    # -- backward -----------------------------------------------------------------------------------------------

    def backward_formula(self, part: Part) -> tuple[str, str]:
        """The number (BP1 to BP4, or "") of the equation of a part, and its right side."""
        source, target, node, tag = self.box(part.source), self.box(part.target), part.source, self.tag(part)
        assert node.func is not None
        if part.flows and target.symbol.startswith("z") and target.symbol in self.equations:
            tag, _, formula = self.equations[target.symbol].equation.rpartition(": ")
            return tag, formula.partition(" = ")[2]
        g, args = self.flowing_label(source), [text for text, _ in self.arguments(node)]
        if node.func is linear:
            return tag, (f"{g} {args[1]}", f"{g}^T {args[0]}", f"sum of the rows of {g}")[part.i]
        if (loss := loss_info(node.func)) and loss.slope_of(part.i):
            return tag, self.loss_slope(part, loss, args)
        if known := activation_info(node.func):
            return tag, f"{g} * {known.prime}({args[0]})"
        if node.func in BACKWARD and (node.func is not np.matmul or all(np.ndim(value) == 2 for value in arguments_of(node))):
            right = BACKWARD[node.func][part.i].format(*args, g=g, y=operand(source.label))
        else:
            words = rule_in_words(node.func, part.i)
            right = f"{g}{' ' if words.startswith(('times', 'over')) else ', '}{words}"
        copied = isinstance(node.func, np.ufunc) and node.func is not np.matmul and np.shape(part.value) != np.shape(part.arrived)
        return tag, right + (", summed over the copies" if copied else "")

    def loss_slope(self, part: Part, loss: LossInfo, args: list[str]) -> str:
        """The gradient that a loss sends to an argument, in formula."""
        node, values = part.source, arguments_of(part.source)
        share = f"/{loss.count(np.shape(values[0]))}" if loss.reduction(values, node.kwargs) == "mean" else ""
        before = "" if node is self.loss.node else f"{self.flowing_label(self.box(node))} * "
        return before + loss.written(loss.slope_of(part.i), args, node.kwargs) + share + loss.remark(part.i, values[part.i])

    def backward_entry(self, part: Part, name: str) -> str:
        """The largest entry of a part, in numbers."""
        node, g, value = part.source, part.arrived, part.value
        if not is_matrix(value):
            return ""
        args, at = arguments_of(node), largest(value)
        head, tail = entry(name, at), f" = {number(np.asarray(value)[at])}"
        if node.func is linear and np.ndim(g) == 2:
            if part.i == 2:
                return f"{head} = {summed(g[:, at[0]])}{tail}"
            return f"{head} = {products(g[at[0]], args[1][:, at[1]]) if part.i == 0 else products(g[:, at[0]], args[0][:, at[1]])}{tail}"
        if known := activation_info(node.func):
            slope = known.slope(args[0][at], np.asarray(node.value)[at], **known.settings(args, node.kwargs))
            return f"{head} = {number(g[at])} · {signed(slope)}{tail}"
        if (loss := loss_info(node.func)) and node is self.loss.node and (worked := self.loss_entry(part, loss, at)):
            return f"{head} = {worked}{tail}"
        return head + tail

    def loss_entry(self, part: Part, loss: LossInfo, at: tuple[int, ...]) -> str:
        """An entry of the gradient that a loss sends, in numbers; "" if its formula is not one of single entries."""
        node = part.source
        values = [np.asarray(value) for value in arguments_of(node)]
        slope = loss.slope_of(part.i)
        if any(value.shape != np.shape(part.value) for value in values) or loss.remark(part.i, values[part.i]) or " where " in slope:
            return ""
        product = re.sub(r"(?<=[\w)}]) (?=[\w({])", " · ", slope)
        written = loss.written(product, [signed(value[at]) for value in values], node.kwargs)
        share = f" / {values[0].size}" if loss.reduction(values, node.kwargs) == "mean" else ""
        return re.sub(r"\(\((-[^()]*)\)(?= [-+])", r"(\1", written) + share


def plain_name(func: Function) -> str:
    return public_name(func).removeprefix("np.")


def sum_of(terms: list[str]) -> str:
    """The sum of the right sides of all parts of a gradient.

    Examples
    --------
    >>> sum_of(["delta2^T a1", "delta1^T X"]), sum_of(["dL/dv3 times the sign", "-dL/dv2"])
    ('delta2^T a1 + delta1^T X', '(dL/dv3 times the sign) + (-dL/dv2)')
    """
    apart = (", ", " times ", " over ")  # words, which would seem to go on with the next term
    held = [f"({term})" if any(word in term for word in apart) or (k and term.startswith("-")) else term for k, term in enumerate(terms)]
    if len(held) > PARTS + 1:
        return " + ".join(held[:PARTS]) + f" + ... ({len(held)} parts)"
    return " + ".join(held)


# -- numbers in a line -----------------------------------------------------------------------------------------


def entry(name: str, at: tuple[int, ...]) -> str:
    """The name of an entry, with indices from 1 as in books.

    Examples
    --------
    >>> entry("z1", (0, 1)), entry("L", ()), entry("z1 + z2", (0, 1))
    ('z1[1, 2]', 'L', '(z1 + z2)[1, 2]')
    """
    if not at:
        return name
    whole = f"({name})" if any(f" {sign} " in name for sign in SIGNS.values()) else name
    return f"{whole}[{', '.join(str(i + 1) for i in at)}]"


def is_matrix(array: Array) -> bool:
    """Whether it has elements, with at most two indices."""
    return array is not None and np.size(array) > 0 and np.ndim(array) <= 2


def largest(array: Array) -> tuple[int, ...]:
    """The indices of the number farthest from 0."""
    array = np.asarray(array)
    return tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(np.nan_to_num(array))), array.shape))


def signed(value: Array) -> str:
    """A number after an operator: in parentheses if it is negative."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def products(a: Array, b: Array) -> str:
    """a1 · b1 + a2 · b2 + ..., at most a few terms of it."""
    return shortened([f"{signed(u)} · {signed(v)}" for u, v in zip(a[:TERMS], b[:TERMS])], len(a))


def summed(a: Array) -> str:
    return shortened([signed(u) for u in a[:TERMS]], len(a))


def shortened(terms: list[str], n: int) -> str:
    """
    >>> shortened(["1", "2"], 2), shortened(["1", "2"], 9)
    ('1 + 2', '1 + 2 + ... (9 terms)')
    """
    return " + ".join(terms) + (f" + ... ({n} terms)" if n > len(terms) else "")


def excerpt(array: Array) -> Data | None:
    """The first rows and columns of an array and the last, as text, with their indices; an array of one axis is a row.

    Examples
    --------
    >>> excerpt(np.arange(20.0))["columns"], excerpt(np.eye(2))
    ([0, 1, 2, 3, 4, 5, 6, 19], {'shape': [2, 2], 'rows': [0, 1], 'columns': [0, 1], 'table': [['1', '0'], ['0', '1']]})
    """
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or not array.size:
        return None
    matrix = matrix_of(array)
    rows, columns = (list(range(n)) if n <= EXCERPT else [*range(EXCERPT - 1), n - 1] for n in matrix.shape)
    return {"shape": list(array.shape), "rows": rows, "columns": columns, "table": [[number(matrix[i, j]) for j in columns] for i in rows]}
