"""The equations of backpropagation in drawings: the symbols of a network's values, and what each step of the backward pass does.

BP1: delta^L = dL/da^L s'(z^L), from the loss through the last activation. BP2: delta^l = (w^{l+1})^T delta^{l+1}
s'(z^l), from layer to layer. BP3: dL/db^l = delta^l. BP4: dL/dw^l = delta^l (a^{l-1})^T. Samples are rows,
so BP3 and BP4 sum over them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules import RULES, SideGradient
from tinygrad_lr.autodiff.rules.registry import VIEWS
from tinygrad_lr.check.equations import stages_of
from tinygrad_lr.nn.descriptions import LossInfo, activation_info, loss_info
from tinygrad_lr.nn.layers import linear
from tinygrad_lr.nn.module import Module
from tinygrad_lr.show.names import arguments_of, operand
from tinygrad_lr.show.observe import Observed
from tinygrad_lr.show.wording import rule_in_words


class Notation:
    """The symbols of values in the equations, and the equation of each step of the backward pass.

    A layer that is used repeatedly has one number: all its results are z1, and they are told apart later, with the
    other names. A model that is a stack of layers has the numbers of `backprop_report`.

    ``nodes`` is the graph in the order of computation, ``roots`` are its outputs, and ``models`` those that the user called.
    """

    def __init__(self, nodes: Sequence[Node], roots: Sequence[Node], models: Sequence[Module]) -> None:
        self.nodes, self.roots = nodes, {id(root) for root in roots}
        self.symbol: dict[int, str] = {}  # by the id of a node, its symbol, such as z1
        self.labels: Mapping[int, str] = {}  # by the id of a node, the name of its result in the picture; set once names are settled,
        self.operands: Mapping[int, Mapping[int, str]] = {}  # as are those of its arguments
        self.from_layers: set[int] = set()  # values that come from a layer, through activations
        self.to_layers: dict[int, list[Node]] = {}  # by the id of a value, the layers that it is the input of
        self.to_loss: set[int] = set()  # predictions of a loss
        self.reaches: set[int] = set()  # nodes that a gradient reaches
        self.ways: Counter[int] = Counter()  # along how many paths it gets there
        self.model, self.numbers = stack_among(models)
        self.name_values()
        self.follow_gradients()

    # -- symbols ------------------------------------------------------------------------------------------

    def name_values(self) -> None:
        used: Counter[int] = Counter()
        for node in self.nodes:
            func = node.func
            if func is linear:
                arguments = arguments_of(node)
                weights = id(node.parents[1] or (arguments[1] if arguments else node))  # a layer is identified by them or, if not known, by this call
                numbers = self.numbers.setdefault(weights, [1 + len(self.numbers)])
                self.name_layer(node, numbers[used[weights] % len(numbers)])
                used[weights] += 1
            elif activation_info(func) or func in VIEWS:
                source = node.parents[0]
                if source is None:
                    continue
                if id(source) in self.from_layers:
                    self.from_layers.add(id(node))
                z = self.symbol.get(id(source), "")
                if activation_info(func) and z.startswith("z"):
                    self.symbol[id(node)] = "a" + z[1:]
        if len(self.roots) == 1 and (root := self.nodes[-1]).requires_grad and root.func is not None and not shape_of(root):
            self.symbol[id(root)] = "L"

    def name_layer(self, node: Node, number: int) -> None:
        """z, w and b of a layer; within a stack also a for its input, from whatever layer that comes."""
        self.from_layers.add(id(node))
        self.symbol[id(node)] = f"z{number}"
        for parent, letter in zip(node.parents[1:], "wb"):
            if parent is not None:
                self.symbol.setdefault(id(parent), f"{letter}{number}")
        entering = node.parents[0]
        if self.model is not None and isinstance(entering, Observed) and entering.modules[:1] == (self.model,) and number > 1:
            self.symbol.setdefault(id(entering), f"a{number - 1}")

    def operand(self, node: Node, i: int, unknown: str = "x") -> str:
        """The name of argument ``i`` of a call, as a part of a formula."""
        return operand(self.operands[id(node)].get(i, unknown))

    def delta(self, node: Node) -> str:
        """The name of the gradient with respect to a layer's z, or to any other value."""
        label = self.labels[id(node)]
        return "δ" + label[1:] if self.symbol.get(id(node), "").startswith("z") else f"∂L/∂{operand(label)}"

    # -- the backward pass ----------------------------------------------------------------------------------

    def follow_gradients(self) -> None:
        self.reaches.update(id(node) for node in self.nodes if id(node) in self.roots and node.requires_grad)
        for node in reversed(self.nodes):
            if node.func is None:
                continue
            if id(node) in self.reaches:
                for _, parent, flows in self.passing(node):
                    if flows:
                        self.reaches.add(id(parent))
                        self.ways[id(parent)] += 1
            source = node.parents[0] if node.parents else None
            if source is None:
                continue
            if loss_info(node.func):
                self.to_loss.add(id(source))
            elif node.func is linear:
                self.to_layers.setdefault(id(source), []).append(node)
            elif node.func in VIEWS:
                if id(node) in self.to_loss:
                    self.to_loss.add(id(source))
                if id(node) in self.to_layers:
                    self.to_layers.setdefault(id(source), []).extend(self.to_layers[id(node)])

    def passing(self, node: Node) -> Iterator[tuple[int, Node, bool]]:
        """(i, parent, whether the gradient flows on) for each argument that has a rule and requires a gradient."""
        for i, (parent, rule) in enumerate(zip(node.parents, RULES[node.func])):  # type: ignore[index]
            if parent is not None and rule is not None and parent.requires_grad:
                yield i, parent, not isinstance(rule, SideGradient)

    def rules(self, node: Node) -> Iterator[tuple[Node, Literal["backward", "aside"], str, str]]:
        """(parent, kind of edge, equation, words) for each argument that gets a gradient.

        If it gets gradients along several paths, the equation of each has += in place of =.
        """
        for i, parent, flows in self.passing(node):
            if flows:
                tag, words = self.equation(node, i, parent)
                yield parent, "backward", tag, words.replace(" = ", " += ", 1) if self.ways[id(parent)] > 1 else words
            elif parent.grad is not None:
                yield parent, "aside", "", f"{self.delta(parent)}, not passed on"

    def equation(self, node: Node, i: int, parent: Node) -> tuple[str, str]:
        """The number of the equation that sends the gradient of ``node`` to its argument ``i``, and the equation."""
        func = node.func
        assert func is not None
        if (loss := loss_info(func)) and i == 0:
            return self.from_loss(loss, node, parent)
        if func is linear:
            total = "Σ " if len(shape_of(node)) > 1 else ""
            if i == 2:
                return "BP3", f"∂L/∂{self.labels[id(parent)]} = {total}{self.delta(node)}"
            if i == 1:
                return "BP4", f"∂L/∂{self.labels[id(parent)]} = {total}{self.delta(node)} {self.operand(node, 0)}ᵀ"
            return "BP2" if id(parent) in self.from_layers else "", f"{self.delta(parent)} = {self.through_weights(node)}"
        if known := activation_info(func):
            behind = self.to_layers.get(id(node), [])
            slope = f"{known.prime}({self.labels[id(parent)]})"
            if behind and id(parent) in self.from_layers:
                all_of_it = self.ways[id(node)] == len(behind)
                layers = " + ".join(self.through_weights(layer) for layer in sorted(behind, key=lambda layer: -layer.age))
                return "BP2", f"{self.delta(parent)} = {f'({layers})' if all_of_it else self.delta(node)} · {slope}"
            if id(node) in self.to_loss:
                return "BP1", f"{self.delta(parent)} = {self.delta(node)} · {slope}"
        return "", rule_in_words(func, i)

    def through_weights(self, layer: Node) -> str:
        """The gradient that a layer sends to its input."""
        return f"{self.operand(layer, 1)}ᵀ {self.delta(layer)}"

    def from_loss(self, loss: LossInfo, node: Node, prediction: Node) -> tuple[str, str]:
        """BP1, or the part of it that belongs to the loss: the whole if the loss takes z, dL/da if it takes a."""
        names = [self.operand(node, i, name) for i, name in zip(range(len(node.parents)), loss.parameters)]
        error = loss.written(loss.slope_of(0).replace("/", " / "), names, node.kwargs)
        share = f" / {loss.count(shape_of(prediction))}" if loss.reduction(arguments_of(node), node.kwargs) == "mean" else ""
        flowing = "" if id(node) in self.roots else f" · {self.delta(node)}"
        at_the_end = loss.prediction != "number" or id(prediction) in self.from_layers or activation_info(prediction.func)
        return "BP1" if at_the_end else "", f"{self.delta(prediction)} = {error}{share}{flowing}"


def stack_among(models: Sequence[Module]) -> tuple[Module | None, dict[int, list[int]]]:
    """The only model with layers, if there is just one, and by the weights of each layer the numbers of its uses."""
    stages = {id(model): stages_of(model) for model in models}
    stacks = [model for model in models if any(stage.dense for stage in stages[id(model)])]
    if len(stacks) != 1:
        return None, {}
    numbers: dict[int, list[int]] = {}
    for number, stage in enumerate(stages[id(stacks[0])], start=1):
        if stage.dense:
            numbers.setdefault(id(stage.dense.weight.node or stage.dense.weight.data), []).append(number)
    return stacks[0], numbers


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of the result of a node."""
    return node.freed[0] if node.freed else tuple(node.value.shape)
