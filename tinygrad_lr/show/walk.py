"""A pass through the graph as steps to be told: forward operation by operation, then the gradients back.

Each step has a sentence, a formula and, where it helps, its first entry worked out in numbers. Formulas are
plain text (``delta1 = (delta2 w2) * s'(z1)``); the page typesets them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.graph import Node
from tinygrad_lr.autodiff.rules import RULES, Aside, name_of
from tinygrad_lr.autodiff.rules.elementwise import relu, sigmoid
from tinygrad_lr.autodiff.rules.network import bce, bce_of_sigmoid, bce_with_logits, cross_entropy, linear, squared_error
from tinygrad_lr.autodiff.rules.registry import Function
from tinygrad_lr.show.names import memory
from tinygrad_lr.show.picture import Box, Edge, Picture, arguments_of, constants_of, number, setting
from tinygrad_lr.show.wording import LOSSES, SIGNS, SLOPES

Data = dict[str, Any]
Shown = Sequence[tuple[str, str]]

TERMS = 4  # of a sum that is written out
FIGURES = 4  # shown at the first step and at the last
SENTENCES: dict[Function, str] = {
    linear: "Each neuron weighs what enters by its weights, sums up and adds its bias.",
    sigmoid: "The sigmoid turns each number into one between 0 and 1.",
    np.tanh: "tanh squashes each number into one between -1 and 1.",
    relu: "ReLU keeps what is positive and sets the rest to 0.",
    bce: "The loss is small where the prediction is close to the target: binary cross-entropy.",
    bce_of_sigmoid: "The loss is small where the prediction is close to the target: binary cross-entropy.",
    bce_with_logits: "The loss is small where the sigmoid of the prediction is close to the target: binary cross-entropy.",
    cross_entropy: "The loss is small where the class that is true gets a high share of the softmax: cross-entropy.",
    squared_error: "The loss is the squared distance between prediction and target.",
}
KINDS = {"+": "a sum", "-": "a difference", "*": "a product, element by element", "/": "a quotient", "**": "a power", "@": "a product of matrices"}
LOSS_FORMULAS: dict[Function, str] = {
    bce: "-y log {0} - (1 - y) log(1 - {0})",
    bce_of_sigmoid: "-y log {1} - (1 - y) log(1 - {1})",
    bce_with_logits: "log(1 + exp({0})) - y {0}",
    cross_entropy: "-log softmax({0})[y]",
    squared_error: "({0} - y)^2",
}


class Walk:
    """The steps of one forward and one backward pass.

    Parameters
    ----------
    picture : Picture
        The graph.
    grads : mapping
        A node's id to the gradient of the loss by it.
    equations : mapping
        Symbols (z1, z2, ...) to the equation of their delta, where BP1 and BP2 cover the network.

    Attributes
    ----------
    told : dict
        The id of a value to the equation that told how its gradient came about, once `steps` has run.
    """

    def __init__(self, picture: Picture, grads: Mapping[int, Any], equations: Mapping[str, str]) -> None:
        self.picture, self.grads, self.equations = picture, grads, equations
        self.boxes = {box.id: box for box in picture.boxes}
        self.values = [box for box in picture.boxes if box.kind != "op"]
        self.by_node = {id(box.node): box for box in self.values if box.node is not None}
        self.by_array = {memory(box.value): box for box in self.values if box.node is None}
        self.told: dict[str, str] = {}
        self.arriving = Counter(edge.head for edge in self.gradient_edges())
        self.batch = next((box.shape[0] for box in self.values if box.kind == "input" and box.shape), None)

    # -- the graph as the page has it: an operation and its answer are one node -----------------------------

    def op_of(self, box: Box) -> Box | None:
        return self.boxes.get("op" + box.id[1:]) if box.id.startswith("v") else None

    def edges(self) -> list[list[str]]:
        """[from, to] for each argument of each operation, once."""
        pairs = ((edge.tail, "v" + edge.head[2:]) for edge in self.picture.edges if edge.kind == "forward" and edge.head.startswith("op"))
        return [list(pair) for pair in dict.fromkeys(pairs)]

    def gradient_edges(self) -> list[Edge]:
        """The backward edges that end in a value, in the order of the backward pass, for each operation its parameters first."""
        edges = [edge for edge in self.picture.edges if edge.kind == "backward" and edge.tail.startswith("op")]
        turn = {name: k for k, name in enumerate(dict.fromkeys(edge.tail for edge in edges))}
        return sorted(edges, key=lambda edge: (turn[edge.tail], self.boxes[edge.head].kind != "parameter"))

    def label(self, box: Box) -> str:
        """What formulas call a value."""
        return box.symbol or box.name or box.id

    def gradient_label(self, box: Box) -> str:
        label = self.label(box)
        return "delta" + label[1:] if box.symbol.startswith("z") else f"dL/d({label})" if " " in label else f"dL/d{label}"

    def arguments(self, node: Node) -> list[tuple[str, Box | None]]:
        """(text, box) for each positional argument; a setting has no box."""
        arrays = {i for i, _ in constants_of(node)}
        found: list[tuple[str, Box | None]] = []
        for i, (value, parent) in enumerate(zip(arguments_of(node), node.parents)):
            box = self.by_node.get(id(parent)) if parent is not None else self.by_array.get(memory(value)) if i in arrays else None
            if box is not None or value is not None:
                found.append((self.label(box) if box is not None else setting(value), box))
        return found

    # -- forward ----------------------------------------------------------------------------------------------

    def forward_formula(self, box: Box) -> str:
        """How a value is computed: z1 = X w1^T + b1."""
        node = box.node
        assert node is not None
        assert node.func is not None
        func, args = node.func, [text for text, _ in self.arguments(node)]
        if func is linear:
            right = f"{args[0]} {args[1]}^T" + "".join(f" + {bias}" for bias in args[2:])
        elif func in LOSS_FORMULAS:
            total = {"mean": "mean of ", "sum": "sum of ", "none": ""}[node.kwargs.get("reduction", "mean")]
            right = total + LOSS_FORMULAS[func].format(*args)
        elif func in SIGNS and len(args) == 2:
            right = f"{args[0]} {SIGNS[func]} {args[1]}"
        else:
            settings = [f"{key}={setting(value)}" for key, value in node.kwargs.items() if value is not None and value is not False]
            right = f"{name_of(func).removeprefix('np.')}({', '.join(args + settings)})"
        return right if right == self.label(box) else f"{self.label(box)} = {right}"

    def forward_step(self, box: Box) -> Data:
        node, op = box.node, self.op_of(box)
        assert node is not None
        assert node.func is not None
        assert op is not None
        kind = KINDS.get(SIGNS.get(node.func, ""), f"computed by {op.name}")
        sentence = SENTENCES.get(node.func, f"{self.label(box)} is {kind}.")
        sources = [source.id for _, source in self.arguments(node) if source is not None]
        shown = [*(("value", source) for source in dict.fromkeys(sources)), ("value", box.id)]
        return step("forward", box.id, sources, sentence, self.forward_formula(box), worked=self.forward_worked(box), shown=shown)

    def forward_worked(self, box: Box) -> str:
        """The largest entry of a value, in numbers."""
        node = box.node
        if node is None or not is_matrix(box.value):
            return ""
        args, at = arguments_of(node), largest(box.value)
        head, tail = self.entry(self.label(box), at), f" = {number(np.asarray(box.value)[at])}"
        if node.func is linear and np.ndim(args[0]) == 2:
            x, w, b = args
            return f"{head} = {products(x[at[0]], w[at[1]])}" + (f" + {signed(b[at[1]])}" if b is not None else "") + tail
        if node.func in SLOPES:
            return f"{head} = {name_of(node.func).removeprefix('np.')}({number(args[0][at])}){tail}"
        return head + tail if node.func in LOSSES else ""

    def entry(self, name: str, at: tuple[int, ...]) -> str:
        """The name of an entry, counted from 1 as in books: z1[1, 2]."""
        return name + (f"[{', '.join(str(i + 1) for i in at)}]" if at else "")

    # -- backward ---------------------------------------------------------------------------------------------

    def backward_step(self, edge: Edge, arrived: int) -> Data:
        """One gradient on its way from an operation's answer to one of its arguments."""
        source, target = self.boxes["v" + edge.tail[2:]], self.boxes[edge.head]
        tag, formula = self.equation(edge, target)
        self.told[target.id] = formula
        sentence = self.backward_sentence(tag, source, target)
        ways = self.arriving[edge.head]
        if ways > 1:
            sentence += f" This is way {arrived} of {ways} on which the loss depends on {self.label(target)}; the gradients add up."
        worked = self.backward_worked(source, target) if ways == 1 else ""
        shown = [*self.operands(source, target), ("gradient", target.id)] if ways == 1 else [("gradient", source.id)]
        return step("backward", target.id, [source.id], sentence, formula, tag, worked, shown, done=arrived == ways)

    def operands(self, source: Box, target: Box) -> list[tuple[str, str]]:
        """What the gradient of ``target`` is computed from: the gradient behind it, and values."""
        node = source.node
        assert node is not None
        boxes = [box for _, box in self.arguments(node) if box is not None]
        if node.func in LOSSES:
            return [("value", box.id) for box in boxes if box is not target or len(boxes) < 3]
        if node.func is linear:
            boxes = {0: boxes[1:2], 1: boxes[:1], 2: []}[self.position(node, target)]
        return [("gradient", source.id), *(("value", box.id) for box in boxes)]

    def equation(self, edge: Edge, target: Box) -> tuple[str, str]:
        """The number (BP1 to BP4, or none) and the text of the equation for this step. Rows are samples."""
        source = self.boxes["v" + edge.tail[2:]]
        node, delta, name = source.node, self.gradient_label(source), self.gradient_label(target)
        assert node is not None
        if target.symbol in self.equations and target.symbol.startswith("z"):
            tag, _, formula = self.equations[target.symbol].rpartition(": ")
            return tag, formula
        if node.func is linear:
            args = [text for text, _ in self.arguments(node)]
            right = {0: f"{delta} {args[1]}", 1: f"{delta}^T {args[0]}", 2: f"sum of the rows of {delta}"}
            return edge.tag, f"{name} = {right[self.position(node, target)]}"
        if edge.tag == "BP1":
            return edge.tag, edge.text
        if node.func in SLOPES:
            return edge.tag, f"{name} = {delta} * {SLOPES[node.func]}({self.label(target)})"
        return edge.tag, f"{name} = {delta}{' ' if edge.text.startswith(('times', 'over')) else ', '}{edge.text}"

    def position(self, node: Node, target: Box) -> int:
        """Which argument of an operation a value is."""
        return next(i for i, parent in enumerate(node.parents) if parent is target.node)

    def backward_sentence(self, tag: str, source: Box, target: Box) -> str:
        name, node = self.label(target), source.node
        assert node is not None
        samples = f" over the {self.batch} samples" if self.batch and self.batch > 1 else ""
        if tag == "BP1":
            return f"The error at the output: how the loss changes with {name}."
        if tag == "BP3":
            return f"The gradient of the bias is the error itself, summed{samples}."
        if tag == "BP4":
            return f"The gradient of each weight: what came in through it times the error behind it, summed{samples}."
        if tag == "BP2" and node.func in SLOPES:
            return f"Times the slope of {name_of(node.func).removeprefix('np.')} at {name}, it becomes the error of this layer."
        if tag == "BP2":
            return f"The error flows back through the weights to {name}, the answer of the layer before."
        return f"The gradient of {self.label(source)} goes back to {name}."

    def backward_worked(self, source: Box, target: Box) -> str:
        """The largest entry of a gradient, in numbers."""
        node = source.node
        assert node is not None
        g, answer = self.grads.get(id(node)), self.grads.get(id(target.node))
        if g is None or answer is None or not is_matrix(answer):
            return ""
        args, at = arguments_of(node), largest(answer)
        head, tail = self.entry(self.gradient_label(target), at), f" = {number(np.asarray(answer)[at])}"
        if node.func is linear and np.ndim(g) == 2:
            if target.node is node.parents[0]:
                return f"{head} = {products(g[at[0]], args[1][:, at[1]])}{tail}"
            if target.node is node.parents[1]:
                return f"{head} = {products(g[:, at[0]], args[0][:, at[1]])}{tail}"
            return f"{head} = {summed(g[:, at[0]])}{tail}"
        if node.func in SLOPES:
            slope = rule_at(node, 0)(np.ones_like(node.value), node.value, *args, **node.kwargs)
            return f"{head} = {number(g[at])} · {signed(slope[at])}{tail}"
        if node.func is bce_of_sigmoid and target.node is node.parents[0]:
            share = f" / {np.size(answer)}" if node.kwargs.get("reduction", "mean") == "mean" else ""
            return f"{head} = ({number(args[1][at])} - {signed(args[2][at])}){share}{tail}"
        return head + tail

    def aside_steps(self) -> list[Data]:
        """Gradients that are known but on no way back: dL/da where sigmoid and loss are differentiated as one."""
        computed = [box for box in self.values if box.node is not None and box.node.func is not None]
        steps = []
        for box in computed:
            for parent in self.asides(box):
                name = self.gradient_label(parent)
                sentence = f"{name} is known too, but nothing flows from it: sigmoid and loss go back in one step, which is more exact."
                steps.append(step("backward", parent.id, [box.id], sentence, name, shown=[("gradient", parent.id)]))
        return steps

    def asides(self, source: Box) -> list[Box]:
        found = []
        node = source.node
        assert node is not None
        for parent, rule in zip(node.parents, RULES[node.func]):  # type: ignore[index]
            if isinstance(rule, Aside) and parent is not None and id(parent) in self.grads and not self.arriving[self.by_node[id(parent)].id]:
                found.append(self.by_node[id(parent)])
        return found

    # -- all of it --------------------------------------------------------------------------------------------

    def steps(self) -> list[Data]:
        """From the inputs to the loss and back."""
        computed = [box for box in self.values if self.op_of(box) is not None]
        loss = computed[-1]
        arrived: Counter[str] = Counter()
        start = "So far only the inputs and the parameters are known. Each step computes one thing more."
        turn = "The forward pass is done. Now the way back: how does the loss change with each number?"
        end = "All gradients are known. A step of training moves each parameter a little against its gradient."
        given = [("value", box.id) for box in self.values if box.kind == "input"]
        learned = [("gradient", box.id) for box in self.values if box.kind == "parameter" and id(box.node) in self.grads]
        steps = [step("start", "", [], start, "", shown=given[:FIGURES])]
        steps += [self.forward_step(box) for box in computed]
        steps.append(step("turn", loss.id, [], turn, f"dL/d{self.label(loss)} = 1", shown=[("value", loss.id)]))
        for edge in self.gradient_edges():
            arrived[edge.head] += 1
            steps.append(self.backward_step(edge, arrived[edge.head]))
            if edge.tail == "op" + loss.id[1:]:
                steps += self.aside_steps()
        steps.append(step("end", "", [], end, "w <- w - rate dL/dw", shown=learned[:FIGURES]))
        return steps


def step(phase: str, node: str, sources: list[str], sentence: str, formula: str, tag: str = "", worked: str = "", shown: Shown = (), done: bool = True) -> Data:
    """One step for the page.

    ``node`` gets a value or a gradient from the nodes ``sources``, and is ``done`` when it is complete; ``shown``
    are the values and gradients that take part, by kind and node.
    """
    texts = {"sentence": sentence, "formula": formula, "tag": tag, "worked": worked}
    return {"phase": phase, "node": node, "from": sources, **texts, "shown": [list(pair) for pair in shown], "done": done}


def rule_at(node: Node, i: int) -> Any:
    return list(RULES[node.func])[i]  # type: ignore[index]


# -- numbers in a line ---------------------------------------------------------------------------------------


def is_matrix(array: Any) -> bool:
    """Whether there is something in it that can be written with at most two indices."""
    return array is not None and np.size(array) > 0 and np.ndim(array) <= 2


def largest(array: Any) -> tuple[int, ...]:
    """Where the number farthest from 0 stands."""
    array = np.asarray(array)
    return tuple(int(i) for i in np.unravel_index(np.argmax(np.abs(np.nan_to_num(array))), array.shape))


def signed(value: Any) -> str:
    """A number behind an operator: a negative one in parentheses."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def products(a: Any, b: Any) -> str:
    """a1 · b1 + a2 · b2 + ..., not more than a few terms of it."""
    return shortened([f"{signed(u)} · {signed(v)}" for u, v in zip(a[:TERMS], b[:TERMS])], len(a))


def summed(a: Any) -> str:
    return shortened([signed(u) for u in a[:TERMS]], len(a))


def shortened(terms: list[str], n: int) -> str:
    """
    >>> shortened(["1", "2"], 2), shortened(["1", "2"], 9)
    ('1 + 2', '1 + 2 + ... (9 terms)')
    """
    return " + ".join(terms) + (f" + ... ({n} terms)" if n > len(terms) else "")
