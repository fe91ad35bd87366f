"""What autodiff's own graph tells about its gradient: which functions it came through, and which rule is at fault."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import RULES, Function, SideGradient, public_name
from tinygrad_lr.check.gradcheck.differences import Floats
from tinygrad_lr.check.gradcheck.report import Row
from tinygrad_lr.check.gradcheck.search import relative_error
from tinygrad_lr.check.gradcheck.subject import Subject, pulled, visited

FUNCTIONS = 50  # of a graph, whose rules are checked one by one when a gradient is wrong

Judge = Callable[[Callable[..., Any], tuple[Any, ...], list[str]], list[Row]]
"""Checks a function at given inputs with given names, and gives the rows."""


class Use(NamedTuple):
    """A function, and one of its arguments."""

    func: Function
    argument: int


class Causes:
    """The causes of what a check found.

    Parameters
    ----------
    subject : Subject
    seeds : list
        What the answers, and then the gradients, were weighted with.

    Attributes
    ----------
    faulty : list of Use
        The functions whose rules are wrong, with the argument.
    kinked : list of str
        The functions that have no derivative where they were called.
    notes : list of str
        What was found.
    """

    def __init__(self, subject: Subject, seeds: list[list[Any]]) -> None:
        self.subject, self.seeds = subject, seeds
        self.outputs, self.variables = subject.graph(subject.xs)  # one graph for all questions, so that a noisy function gives the same answers
        self.once = self.with_weights(1.0)
        self.crooked: set[str] = set()  # inputs whose gradients do not grow with the incoming one
        self.faulty: list[Use] = []
        self.kinked: list[str] = []
        self.notes: list[str] = []

    def with_weights(self, factor: Any, number: int | None = None) -> list[Floats]:
        """The gradient when the weights of all answers, or of one of them, are multiplied."""
        last = [w * factor if number in (None, i) else w for i, w in enumerate(map(np.asarray, self.seeds[-1]))]
        return [np.asarray(g.data) for g in pulled(self.outputs, self.variables, [*self.seeds[:-1], last])]

    def proportional(self, rows: list[Row]) -> list[Row]:
        """A gradient must grow with the incoming one. Where it does not, it is wrong even if its numbers happen to be right."""
        twice = dict(zip(self.subject.names, self.with_weights(2.0)))
        for name, once in zip(self.subject.names, self.once):
            if not same(twice[name], 2 * once):
                self.crooked.add(name)
                how = "depend on" if same(twice[name], once) else "grow with"
                self.notes.append(f"{name}: the gradient does not {how} the incoming gradient g: a rule lacks its product with it")

        def judged(row: Row) -> Row:
            if row.path not in self.crooked or row.verdict == "wrong" or len(row.index) < len(row.shape):
                return row
            analytic, numeric = float(twice[row.path][row.index]), 2 * row.numeric
            error = relative_error(analytic, numeric)
            return dataclasses.replace(row, analytic=analytic, numeric=numeric, error=error, verdict="wrong", note="with an incoming gradient of 2")

        return [judged(row) for row in rows]

    def attributed(self, rows: list[Row], judge: Judge | None, equation: Callable[[Function, int], str]) -> list[Row]:
        """The rows together with the functions behind them: those at fault, or else those that the input went into."""
        wrong = {row.path for row in rows if row.verdict == "wrong"}
        if wrong:
            self.notes += self.partial(wrong)
            if judge:
                self.examine(judge)
            self.notes += [f"at fault: the rule of {public_name(use.func)} for its argument {use.argument}" for use in self.faulty]
        users = {name: list(uses(self.outputs, x.node)) for name, x in zip(self.subject.names, self.variables)}

        def with_op(row: Row) -> Row:
            behind = self.faulty if row.verdict == "wrong" and self.faulty else users[row.path]
            equations = dict.fromkeys(equation(*use) for use in behind)
            return dataclasses.replace(row, op=", ".join(dict.fromkeys(public_name(use.func) for use in behind)), equation=", ".join(filter(None, equations)))

        return list(map(with_op, rows))

    def partial(self, wrong: set[str]) -> list[str]:
        """Whether a gradient sees only the first or the last of the slices of an answer that it should sum over."""
        suspects = [(name, once) for name, once in zip(self.subject.names, self.once) if name in wrong - self.crooked and np.any(once)]
        notes = []
        for number, y in enumerate(self.outputs if suspects and len(self.seeds) == 1 else ()):
            for axis, n in enumerate(np.shape(y)):
                for seen, which in ((0, "first"), (n - 1, "last")) if n > 1 else ():
                    others = np.where(np.arange(n) == seen, 1.0, 2.0).reshape([n if i == axis else 1 for i in range(np.ndim(y))])
                    changed = dict(zip(self.subject.names, self.with_weights(others, number)))
                    notes += [
                        f"{name}: only the {which} slice of the answer along axis {axis} counts: the sum over that broadcast axis is missing"
                        for name, once in suspects
                        if same(once, changed[name])
                    ]
        return notes

    def examine(self, judge: Judge) -> None:
        """Check the rules of the functions in the graph, each by itself at the values it was called with."""
        for node in self.calls():
            rules = RULES[node.func]  # type: ignore[index]
            free = [i for i, (parent, rule) in enumerate(zip(node.parents, rules)) if flows(parent, rule) and np.size(node.values[i])]

            def alone(*xs: Any, node: Node = node, free: list[int] = free) -> Any:
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
        """The nodes worth looking at: of those that were called alike one, and then the others as far as there is room."""
        nodes = list(visited(self.outputs))
        first = {(node.func, tuple(map(np.shape, node.values)), str(node.kwargs)): node for node in reversed(nodes)}
        rest = [node for node in nodes if node not in set(first.values())]
        return [*reversed(first.values()), *rest][:FUNCTIONS]


def uses(outputs: list[Any], variable: Node | None) -> Iterator[Use]:
    """Where a variable went into a function."""
    for node in visited(outputs):
        yield from (Use(node.func, i) for i, parent in enumerate(node.parents) if parent is not None and parent is variable)  # type: ignore[arg-type]


def flows(parent: Node | None, rule: Any) -> bool:
    """Whether a gradient goes this way."""
    return parent is not None and parent.requires_grad and rule is not None and not isinstance(rule, SideGradient)


def same(a: Floats, b: Floats) -> bool:
    """Whether two gradients are equal, up to what a solver with a tolerance of its own (of an ODE, say) repeats them to."""
    return np.allclose(a, b, rtol=1e-6, atol=1e-9 * float(np.abs(b[np.isfinite(b)]).max(initial=0)), equal_nan=True)
