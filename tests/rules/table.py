"""The table of supported functions, read from the lines of the rules themselves: ``python -m tests.rules.table`` prints it.

A rule that is written in its line is shown as it stands there, one that a helper computes by the helper's first
sentence. So the table says what the code does.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from tinygrad_lr.autodiff.rules import creation, elementwise, queries, reductions, shapes, signals, statistics
from tinygrad_lr.autodiff.rules.linalg import decompositions, norms, products, solving
from tinygrad_lr.autodiff.rules.registry import ELSEWHERE, QUERIES, RULES, Function, load_all, name_of

load_all()
CHAPTERS = (
    *(elementwise, reductions, statistics, signals, creation, shapes, products, decompositions, solving, norms),
    *(sys.modules[chapter] for chapter in ELSEWHERE.values() if chapter in sys.modules),
)

PYTHON_SPELLINGS = {
    "getitem": "t[index]",
    "astype": "t.astype",
    "logaddexp_reduce": "np.logaddexp.reduce",
    "running_max": "np.maximum.accumulate",
    "running_min": "np.minimum.accumulate",
}

INTRODUCTION = """\
A rule computes the gradient with respect to an argument from `g`, the gradient with respect to the result `y`, and from
the arguments of the call. It is shown as the code has it, less the sum over broadcast axes. A composed function is
computed from others that have rules, and gradients flow wherever those let them. Names without a prefix are the building
blocks of composed functions. The operators, the methods of arrays, and the `reduce` and `accumulate`
of the ufuncs add, multiply, maximum and minimum are the NumPy functions that they stand for; the `outer` of any ufunc
here uses its rule."""

COLUMNS = ("function", "kind", "with respect to", "how")


class Entry(NamedTuple):
    """One line of the table; code in ``how`` stands between backticks."""

    name: str
    kind: str
    arguments: str
    how: str


class Source:
    """The text of a module, and what names in it mean."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.text = inspect.getsource(module)
        self.tree = ast.parse(self.text)

    def code(self, node: ast.AST) -> str:
        """An expression as it is written, on one line and between backticks."""
        return f"`{' '.join((ast.get_source_segment(self.text, node) or '').split())}`"

    def meaning(self, node: ast.expr) -> Any:
        """What a name, or a name with dots, stands for; None for other expressions."""
        match node:
            case ast.Name(id=name):
                return getattr(self.module, name, None)
            case ast.Attribute(value=owner, attr=name):
                return getattr(self.meaning(owner), name, None)
            case _:
                return None

    def updates(self, table: str) -> Iterator[tuple[ast.expr, ast.expr]]:
        """The lines that the module adds to a table, as key and value: those of functions that this NumPy has."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="update"), args=[ast.Dict(keys=keys, values=values)]) if owner == table:
                    yield from ((key, value) for key, value in zip(keys, values) if key is not None and self.meaning(key) is not None)

    def name(self, key: ast.expr) -> str:
        """A function as a user types it."""
        if isinstance(key, ast.Attribute):
            return self.code(key).strip("`")
        func = self.meaning(key)
        name = name_of(func)
        if getattr(sys.modules["tinygrad_lr"], name, None) is func:
            return f"tg.{name}"
        return PYTHON_SPELLINGS.get(name, name)

    def explained(self, node: ast.expr) -> str:
        """What an expression in a line computes: its own text, or the first sentence of the helper that it names."""
        if isinstance(node, ast.Lambda):
            body = node.body
            undone = isinstance(body, ast.Call) and isinstance(body.func, ast.Name) and body.func.id == "like"
            return self.code(body.args[0] if undone and isinstance(body, ast.Call) else body)
        return in_words(self.meaning(node)) if isinstance(node, ast.Name) else self.code(node)

    def rule(self, key: ast.expr, value: ast.expr) -> Entry:
        """The line of a function that has rules."""
        match value:
            case ast.Tuple(elts=rules):
                found = {self.argument(rule, i, key): self.explained(inside(rule)) for i, rule in enumerate(rules) if not is_none(rule)}
            case _:
                found = {"every array": self.explained(inside(value))}
        how = found.values() if len(found) == 1 else (f"{argument}: {text}" for argument, text in found.items())
        return Entry(self.name(key), "rule", ", ".join(found) or "none", "; ".join(how) or "0 wherever there is a derivative")

    def argument(self, rule: ast.expr, i: int, key: ast.expr) -> str:
        """The name of the argument that a rule is for; the rule takes g and y before the arguments."""
        rule = inside(rule)
        if isinstance(rule, ast.Lambda):
            return rule.args.args[i + 2].arg
        made = tuple(RULES[self.meaning(key)])[i]  # a named function, or one that the expression made
        return list(inspect.signature(made).parameters)[i + 2]  # type: ignore[arg-type]

    def composed(self, key: ast.expr, value: ast.expr) -> Entry:
        """The line of a function made of others."""
        return Entry(self.name(key), "composed", "", self.explained(value))


def is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def inside(rule: ast.expr) -> ast.expr:
    """The rule that `Each` or `SideGradient` is put around."""
    match rule:
        case ast.Call(func=ast.Name(id="Each" | "SideGradient"), args=[wrapped]):
            return wrapped
        case _:
            return rule


def in_words(func: Function) -> str:
    """The first sentence of a function's docstring; of one without, the single expression that it is."""
    if doc := inspect.getdoc(func):
        sentence = re.split(r"(?<=\.)\s", " ".join(doc.split("\n\n")[0].split()))[0]
        return sentence.rstrip(".").replace("``", "`")
    source = textwrap.dedent(inspect.getsource(func))
    match ast.parse(source).body:
        case [ast.FunctionDef(body=[ast.Return(value=ast.expr() as expression)])]:
            return f"`{' '.join((ast.get_source_segment(source, expression) or '').split())}`"
    raise ValueError(f"{name_of(func)} has neither a docstring nor a single expression for its line of the table: give it a docstring")


def entries(module: ModuleType) -> list[Entry]:
    """A chapter's lines: rules as they stand in it, then composed functions that have no rule of their own."""
    source = Source(module)
    rules = [source.rule(key, value) for key, value in source.updates("RULES")]
    named = {entry.name for entry in rules}
    composed = [source.composed(key, value) for key, value in source.updates("COMPOSITES")]
    return rules + [entry for entry in composed if entry.name not in named]


def chapter(module: ModuleType) -> tuple[str, str]:
    """A chapter's heading, and what its module says about itself."""
    _, _, name = module.__name__.partition(".rules.")
    return name.replace(".", ": ").capitalize(), (inspect.getdoc(module) or "").replace("``", "`")


def queried() -> list[str]:
    """The functions that are not differentiated."""
    return sorted(map(name_of, QUERIES))


def markdown() -> str:
    """The table as Markdown."""
    parts = ["# Supported functions", "<!-- printed by python -m tests.rules.table -->", INTRODUCTION]
    for module in CHAPTERS:
        heading, text = chapter(module)
        rows = [COLUMNS, ("---",) * len(COLUMNS), *((f"`{e.name}`", e.kind, e.arguments, e.how.replace("|", "\\|")) for e in entries(module))]
        parts += [f"## {heading}", text.replace("**", r"\*\*"), "\n".join(f"| {' | '.join(row)} |" for row in rows)]
    heading, text = chapter(queries)
    parts += [f"## {heading}", text, ", ".join(f"`{name}`" for name in queried())]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
