"""The steps of one pass through the graph: forward operation by operation, then the gradients back, then the new weights.

Each step has a sentence, a formula and, where it helps, an entry worked out in numbers. A gradient with several parts
has a step for each, with the sum so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.check.backprop import Comparison
from tinygrad_lr.check.parts import Part, parts_of
from tinygrad_lr.nn.descriptions import DESCRIPTIONS, activation_info, loss_info
from tinygrad_lr.nn.layers import linear
from tinygrad_lr.show.cells import Data
from tinygrad_lr.show.formulas import BACKWARD, Formulas, entry, excerpt, is_matrix, largest, plain_name, signed, sum_of
from tinygrad_lr.show.names import operand
from tinygrad_lr.show.picture import Box, Picture, number
from tinygrad_lr.show.wording import SIGNS

Shown = Sequence[Sequence[Data]]

INPUTS = 4  # shown at the first step
KINDS = {"+": "a sum", "-": "a difference", "*": "a product, element by element", "/": "a quotient", "**": "a power", "@": "a product of matrices"}


class Walk(Formulas):
    """The steps of one forward and one backward pass.

    ``grads`` has the gradient of the loss with respect to each node, by the node's id; ``lr`` is the learning rate of the last step.
    """

    def __init__(self, picture: Picture, grads: Mapping[int, Array], equations: Mapping[str, Comparison], lr: float) -> None:
        super().__init__(picture, equations)
        self.grads, self.lr = grads, lr
        self.parts = parts_of(self.loss.node) if self.loss.node is not None else []
        self.whole: dict[str, str] = {}  # by the id of a value, the equation of its whole gradient; filled by `steps`

    # -- the graph of the page, where an operation and its result are one node -------------------------------

    def edges(self) -> list[list[str]]:
        """[from, to] for each argument of each operation, once."""
        pairs = [(edge.tail, "v" + edge.head[2:]) for edge in self.picture.edges if edge.kind == "forward" and edge.head.startswith("op")]
        return [list(pair) for pair in dict.fromkeys(pairs)]

    # -- forward ----------------------------------------------------------------------------------------------

    def forward_step(self, box: Box) -> Data:
        node, op = box.node, self.op_of(box)
        assert node is not None
        assert node.func is not None
        assert op is not None
        kind = KINDS.get(SIGNS.get(node.func, ""), f"computed by {op.name}")
        info = DESCRIPTIONS.get(node.func)
        sentence = info.sentence if info else f"{box.label} is {kind}."
        sources = list(dict.fromkeys(source.id for _, source in self.arguments(node) if source is not None))
        shown = [*(self.value(self.boxes[source]) for source in sources), self.value(box, "→")]
        return step("forward", box.id, sources, sentence, self.forward_formula(box), worked=self.forward_entry(box), shown=[shown])

    # -- backward ---------------------------------------------------------------------------------------------

    def backward_steps(self) -> list[Data]:
        """One step for each part of a gradient."""
        aside: dict[str, list[str]] = {}
        for part in self.parts:
            if not part.flows:
                aside.setdefault(self.box(part.target).id, []).append(str(part.k))
        for part in self.parts:
            target = self.box(part.target)
            if part.flows and (left_out := aside.get(target.id)):
                self.partly[target.id] = f"{self.gradient_label(target)} without part{'s' * (len(left_out) > 1)} {' and '.join(left_out)}"
        steps = []
        terms: dict[str, list[str]] = {}
        for part in self.parts:
            tag, right = self.backward_formula(part)
            terms.setdefault(self.box(part.target).id, []).append(right)
            steps.append(self.backward_step(part, tag, right))
        self.whole = {target: f"{self.gradient_label(self.boxes[target])} = {sum_of(rights)}" for target, rights in terms.items()}
        return steps

    def backward_step(self, part: Part, tag: str, right: str) -> Data:
        """One part of a gradient, with the sums before and after it."""
        k, n, source, target = part.k, part.n, self.box(part.source), self.box(part.target)
        name = self.gradient_label(target)
        if n == 1:
            shown = [*self.operands(part), self.gradient(target, "→")]
            return step("backward", target.id, [source.id], self.sentence(part, tag), f"{name} = {right}", tag, self.backward_entry(part, name), [shown])
        own, total, total_worked = f"part {k} of {name}", "", ""
        shown = [*self.operands(part), figure("gradient", name=f"part {k}", numbers=excerpt(part.value), sign="→")]
        if k > 1:
            before, after = "part 1" if k == 2 else "sum before", name if k == n else "sum so far"
            sum_after = part.before + part.value
            total = f"{after} = {before} + part {k}"
            if is_matrix(sum_after):
                at = largest(part.value)
                total_worked = f"{entry(after, at)} = {number(part.before[at])} + {signed(part.value[at])} = {number(sum_after[at])}"
            shown.append(figure("gradient", name=before, numbers=excerpt(part.before), sign="+"))
            shown.append(self.gradient(target, "=") if k == n else figure("gradient", name=after, numbers=excerpt(sum_after), sign="="))
        sentence = f"{self.sentence(part, tag)} {self.parts_sentence(target, k, n)}"
        worked = self.backward_entry(part, own)
        return step("backward", target.id, [source.id], sentence, f"{own} = {right}", tag, worked, [shown], total, total_worked, k == n)

    def parts_sentence(self, target: Box, k: int, n: int) -> str:
        if k == 1:
            return f"{target.label} is used {'twice' if n == 2 else f'{n} times'}, so its gradient is a sum of {n} parts: this is the first."
        return f"The last of {n} parts is added: the gradient is complete." if k == n else f"Part {k} of {n} is added to the sum so far."

    def sentence(self, part: Part, tag: str) -> str:
        node, source, target = part.source, self.box(part.source), self.box(part.target)
        name = target.label
        rows = np.shape(part.arrived)[:-1]
        samples = f" over the {int(np.prod(rows))} {'samples' if len(rows) == 1 else 'rows'}" if np.prod(rows) > 1 else ""
        if not part.flows:
            what = f"{'This part of ' if part.n > 1 else ''}{self.gradient_label(target)}"
            return f"{what} is known too, but nothing flows on from it: activation and loss are differentiated in one step, which is more exact."
        if tag == "BP1":
            return f"The error at the output: how the loss changes with {name}."
        if tag == "BP3":
            return f"The gradient of the bias is the error itself{f', summed{samples}' if samples else ''}."
        if tag == "BP4":
            return f"The gradient of each weight: its input times the error at its output{f', summed{samples}' if samples else ''}."
        if tag == "BP2" and (known := activation_info(node.func)):
            slope = known.written([*known.slopes.values(), ""][0], [text for text, _ in self.arguments(node)], node.kwargs, operand(source.label))
            return f"Multiplied by the slope of {plain_name(known.function)} at {name}, which is {slope}, it becomes the error of this layer."
        if tag == "BP2":
            return f"The error flows back through the weights to {name}, the output of the layer before."
        return f"The gradient of {source.label} goes back to {name}."

    def operands(self, part: Part) -> list[Data]:
        """What a part is computed from: the gradient that arrived, and values."""
        node, source = part.source, self.box(part.source)
        boxes = [box for _, box in self.arguments(node)]
        arrived = self.gradient(source)
        if source.id in self.partly:
            arrived = figure("gradient", name=self.partly[source.id], numbers=excerpt(part.arrived))
        loss = loss_info(node.func)
        if loss and loss.slope_of(part.i):
            used = [box for name, box in zip(loss.parameters, boxes) if f"{{{name}}}" in loss.slope_of(part.i)]
        elif node.func is linear:
            used = {0: boxes[1:2], 1: boxes[:1], 2: []}[part.i]
        elif node.func in BACKWARD:
            used = [box for k, box in enumerate([*boxes, source]) if ("{y}" if box is source else f"{{{k}}}") in BACKWARD[node.func][part.i]]
        else:
            used = boxes
        values = {box.id: self.value(box) for box in used if box is not None}
        return [*([] if loss and source is self.loss else [arrived]), *values.values()]

    # -- figures ----------------------------------------------------------------------------------------------

    def value(self, box: Box, sign: str = "") -> Data:
        return figure("value", box.id, box.label, sign=sign)

    def gradient(self, box: Box, sign: str = "") -> Data:
        return figure("gradient", box.id, self.gradient_label(box), sign=sign)

    def update(self, box: Box) -> list[Data]:
        """A parameter, its gradient, and the parameter after a step of gradient descent."""
        new = figure("value", name=f"new {box.label}", numbers=excerpt(self.moved(box)), sign="=")
        return [self.value(box), self.gradient(box, f"− {number(self.lr)} ·"), new]

    def moved(self, box: Box) -> Array:
        return np.asarray(box.value) - self.lr * np.asarray(self.grads[id(box.node)])

    def last_step(self) -> Data:
        """The new weights."""
        learned = [box for box in self.values if box.kind == "parameter" and id(box.node) in self.grads]
        sentence = (
            f"All gradients are known. A step of gradient descent moves each parameter against its gradient, here with the learning rate {number(self.lr)}."
        )
        worked = ""
        if learned and is_matrix(self.grads[id(learned[0].node)]):
            first, g = learned[0], np.asarray(self.grads[id(learned[0].node)])
            at = largest(g)
            numbers = f"{number(np.asarray(first.value)[at])} - {number(self.lr)} · {signed(g[at])} = {number(self.moved(first)[at])}"
            worked = f"new {entry(first.label, at)} = {numbers}"
        return step("end", "", [], sentence, f"new w = w - {number(self.lr)} dL/dw", worked=worked, shown=[self.update(box) for box in learned])

    # -- all of it --------------------------------------------------------------------------------------------

    def steps(self) -> list[Data]:
        """From the inputs to the loss and back."""
        start = "So far only the inputs and the parameters are known. Each step computes one more value."
        turn = "The forward pass is done. Now the backward pass: how does the loss change with each number?"
        given = [self.value(box) for box in self.values if box.kind == "input"]
        return [
            step("start", "", [], start, "", shown=[given[:INPUTS]]),
            *(self.forward_step(box) for box in self.computed),
            step("turn", self.loss.id, [], turn, f"{self.gradient_label(self.loss)} = 1", shown=[[self.value(self.loss), self.gradient(self.loss)]]),
            *self.backward_steps(),
            self.last_step(),
        ]


def figure(kind: str, node: str = "", name: str = "", numbers: Data | None = None, sign: str = "") -> Data:
    """Numbers beside a step, those of a node or its own; ``kind`` is "value" or "gradient", and ``sign`` stands before them."""
    return {"kind": kind, "node": node, "name": name, "numbers": numbers, "sign": sign}


def step(
    phase: str,
    node: str,
    sources: list[str],
    sentence: str,
    formula: str,
    tag: str = "",
    worked: str = "",
    shown: Shown = (),
    total: str = "",
    total_worked: str = "",
    done: bool = True,
) -> Data:
    """One step for the page.

    ``node`` gets a value or a gradient from the nodes ``sources``, and is ``done`` once that is complete; ``total`` is the
    sum of the parts of a gradient; ``shown`` are the figures, in groups.
    """
    texts = {"sentence": sentence, "formula": formula, "tag": tag, "worked": worked, "total": total, "totalWorked": total_worked}
    return {"phase": phase, "node": node, "from": sources, **texts, "shown": [list(group) for group in shown], "done": done}
