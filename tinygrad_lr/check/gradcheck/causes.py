"""What autodiff's own graph tells about a gradient: which functions it came through, and whose rule is at fault."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import RULES, Array, Function, Rule, SideGradient, public_name
from tinygrad_lr.check.gradcheck.differences import Floats
from tinygrad_lr.check.gradcheck.function import CheckedFunction, plain_array, pulled, visited
from tinygrad_lr.check.gradcheck.report import Row
from tinygrad_lr.check.gradcheck.search import relative_error

FUNCTIONS = 50  # of a graph, whose rules are checked one by one if a gradient is wrong

Judge = Callable[[Function, tuple[Array, ...], list[str]], list[Row]]
"""Checks a function at inputs with these names, and returns the rows."""


class Use(NamedTuple):
    """A function, and one of its arguments."""

    func: Function
    argument: int


class Causes:
    """The causes of what a check found.

    Parameters
    ----------
    function : CheckedFunction
    seeds : list
        What the results, and then the gradients, were weighted with.

    Attributes
    ----------
    faulty : list of Use
        The functions whose rules are wrong, each with the argument.
    kinked : list of str
        The functions that have no derivative where they were called.
    notes : list of str
        What was found.
    """

    def __init__(self, function: CheckedFunction, seeds: list[list[Floats]]) -> None:
        self.function, self.seeds = function, seeds
        self.outputs, self.variables = function.graph(function.xs)  # a single graph, so that a noisy function has the same results throughout
        self.once = self.with_weights(1.0)
        self.disproportionate: set[str] = set()  # inputs whose gradients are not proportional to the incoming one
        self.faulty: list[Use] = []
        self.kinked: list[str] = []
        self.notes: list[str] = []

    def with_weights(self, factor: float | Floats, index: int | None = None) -> list[Floats]:
        """The gradient when the weights of all results, or of one of them, are multiplied."""
        last = [w * factor if index in (None, i) else w for i, w in enumerate(self.seeds[-1])]
        return [plain_array(g) for g in pulled(self.outputs, self.variables, [*self.seeds[:-1], last])]

    def proportional(self, rows: list[Row]) -> list[Row]:
        """The rows, with wrong ones for gradients that are not proportional to the incoming one, even if they happen to be right here."""
        twice = dict(zip(self.function.names, self.with_weights(2.0)))
        for name, once in zip(self.function.names, self.once):
            if not same(twice[name], 2 * once):
                self.disproportionate.add(name)
                how = "depend on" if same(twice[name], once) else "grow with"
                self.notes.append(f"{name}: the gradient does not {how} the incoming gradient g: some rule does not multiply by it")

        def judged(row: Row) -> Row:
            if row.path not in self.disproportionate or row.verdict == "wrong" or len(row.index) < len(row.shape):
                return row
            analytic, numeric = float(twice[row.path][row.index]), 2 * row.numeric
            error = relative_error(analytic, numeric)
            return dataclasses.replace(row, analytic=analytic, numeric=numeric, error=error, verdict="wrong", note="with an incoming gradient of 2")

        return [judged(row) for row in rows]

    def attributed(self, rows: list[Row], judge: Judge | None, equation: Callable[[Function, int], str]) -> list[Row]:
        """The rows with the functions behind them: those at fault, or else those that the input went into."""
        wrong = {row.path for row in rows if row.verdict == "wrong"}
        if wrong:
            self.notes += self.partial(wrong)
            if judge:
                self.examine(judge)
            self.notes += [f"at fault: the rule of {public_name(use.func)} for its argument {use.argument}" for use in self.faulty]
        users = {name: list(uses(self.outputs, x.node)) for name, x in zip(self.function.names, self.variables)}

        def with_op(row: Row) -> Row:
            behind = self.faulty if row.verdict == "wrong" and self.faulty else users[row.path]
            equations = dict.fromkeys(equation(*use) for use in behind)
            return dataclasses.replace(row, op=", ".join(dict.fromkeys(public_name(use.func) for use in behind)), equation=", ".join(filter(None, equations)))

        return list(map(with_op, rows))

    def partial(self, wrong: set[str]) -> list[str]:
        """Notes on gradients that see only the first or the last of the slices of a result that they should sum over."""
        suspects = [(name, once) for name, once in zip(self.function.names, self.once) if name in wrong - self.disproportionate and np.any(once)]
        notes = []
        for k, y in enumerate(self.outputs if suspects and len(self.seeds) == 1 else ()):
            for axis, n in enumerate(np.shape(y)):
                for seen, which in ((0, "first"), (n - 1, "last")) if n > 1 else ():
                    others = np.where(np.arange(n) == seen, 1.0, 2.0).reshape([n if i == axis else 1 for i in range(np.ndim(y))])
                    changed = dict(zip(self.function.names, self.with_weights(others, k)))
                    notes += [
                        f"{name}: only the {which} slice of the result along axis {axis} counts: the sum over that broadcast axis is missing"
                        for name, once in suspects
                        if same(once, changed[name])
                    ]
        return notes

    def examine(self, judge: Judge) -> None:
        """Check the rules of the functions in the graph, each on its own at the values it was called with."""
        for node in self.calls():
            rules = RULES[node.func]  # type: ignore[index]
            free = [i for i, (parent, rule) in enumerate(zip(node.parents, rules)) if flows(parent, rule) and np.size(node.values[i])]

            def alone(*xs: Array, node: Node = node, free: list[int] = free) -> Array:
                replacement = dict(zip(free, xs))
                return node.func(*[replacement.get(i, value) for i, value in enumerate(node.values)], **node.kwargs)  # type: ignore[misc]

            rows = judge(alone, tuple(node.values[i] for i in free), [str(i) for i in free]) if free else []
            uses = dict.fromkeys(Use(node.func, int(row.path)) for row in rows if row.verdict == "wrong")  # type: ignore[arg-type]
            self.faulty += [use for use in uses if use not in self.faulty]
            name = public_name(node.func)  # type: ignore[arg-type]
            if name not in self.kinked and any(row.verdict == "kink" for row in rows):
                self.kinked.append(name)
            if note := next((row.note for row in rows if row.verdict == "convention"), ""):
                self.notes.append(name + note.removeprefix("fn"))

    def calls(self) -> list[Node]:
        """The nodes worth checking: one for each kind of call, and then the others as far as there is room."""
        nodes = list(visited(self.outputs))
        first = {(node.func, tuple(map(np.shape, node.values)), str(node.kwargs)): node for node in reversed(nodes)}
        rest = [node for node in nodes if node not in set(first.values())]
        return [*reversed(first.values()), *rest][:FUNCTIONS]


def uses(outputs: list[Array], variable: Node | None) -> Iterator[Use]:
    """The functions that a variable went into."""
    for node in visited(outputs):
        yield from (Use(node.func, i) for i, parent in enumerate(node.parents) if parent is not None and parent is variable)  # type: ignore[arg-type]


def flows(parent: Node | None, rule: Rule | SideGradient | None) -> bool:
    """Whether a gradient flows to this parent by this rule."""
    return parent is not None and parent.requires_grad and rule is not None and not isinstance(rule, SideGradient)


def same(a: Floats, b: Floats) -> bool:
    """Whether two gradients are equal, up to the tolerance of an iterative solver (of an ODE, say)."""
    return np.allclose(a, b, rtol=1e-6, atol=1e-9 * float(np.abs(b[np.isfinite(b)]).max(initial=0)), equal_nan=True)
