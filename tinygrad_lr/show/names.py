"""The names of values in drawings and on the page: the symbol in the equations, the user's variable, or how a value was computed.

A name stands for one value. Where a variable held several in turn, they are told apart by the counter of the loop
(``x[t=3]``) or, where none is found, by their number (``x[3]``).
"""

from __future__ import annotations

import inspect
import itertools
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import PLAIN, Array, Function, public_name
from tinygrad_lr.autodiff.rules.shapes import getitem, scatter
from tinygrad_lr.nn.descriptions import loss_info
from tinygrad_lr.show.observe import Observed
from tinygrad_lr.show.picture import Box, number
from tinygrad_lr.show.wording import SIGNS

LONGEST = 24  # characters of an expression that stands for a name


@dataclass
class Claim:
    """The name that a value would have if no other had it."""

    name: str
    path: str = ""  # of the module whose variable it is
    code: Hashable = None  # the place in the code, the same for all values that a loop computes there
    counts: Mapping[str, int] = field(default_factory=dict)  # the integers among the variables at the time
    given: bool = False  # whether the value was not computed


def told_apart(claims: Sequence[Claim]) -> list[str]:
    """A name for each claim, no two alike.

    Examples
    --------
    >>> told_apart([Claim("h", code=1), *[Claim("h", code=2, counts={"n": 9, "t": t}) for t in range(2)], Claim("y")])
    ['h', 'h[t=0]', 'h[t=1]', 'y']
    >>> told_apart([Claim("h", "left"), Claim("h", "right"), Claim("x", code=1), Claim("x", code=1), Claim("x")])
    ['left.h', 'right.h', 'x[1]', 'x[2]', 'x']
    """
    names = [claim.name for claim in claims]
    for same in repeated(names):
        for k in same:
            names[k] = ".".join(filter(None, (claims[k].path, names[k])))
    for same in repeated(names):
        marks = marks_of([claims[k] for k in same])
        for k, mark in zip(same, marks):
            names[k] += mark
    return names


def repeated(keys: Sequence[Hashable]) -> list[list[int]]:
    """The indices of each key that occurs several times."""
    indices: dict[Hashable, list[int]] = {}
    for k, key in enumerate(keys):
        indices.setdefault(key, []).append(k)
    return [same for same in indices.values() if len(same) > 1]


def marks_of(claims: Sequence[Claim]) -> list[str]:
    """What tells values of one name apart: [t=3] in a loop; nothing for the one that was given, or is alone outside the loop."""
    marks: dict[int, str] = {}
    for loop in repeated([claim.code for claim in claims]):
        marks.update(zip(loop, counters([claims[k].counts for k in loop])))
    alone = [k for k in range(len(claims)) if k not in marks]
    first = [k for k in alone if claims[k].given] or alone
    if len(first) == 1:
        marks[first[0]] = ""
    found = [marks.get(k, f"[{k + 1}]") for k in range(len(claims))]
    return found if len(set(found)) == len(found) else [f"[{k + 1}]" for k in range(len(claims))]


def counters(iterations: Sequence[Mapping[str, int]]) -> list[str]:
    """The iterations of a loop, told apart by the one or two variables that differ from each to the next, or else numbered."""
    known = [name for name in iterations[0] if all(name in counts for counts in iterations)]
    for some in itertools.chain(itertools.combinations(known, 1), itertools.combinations(known[:8], 2)):
        values = [tuple(counts[name] for name in some) for counts in iterations]
        if len(set(values)) == len(values):
            return ["[" + ", ".join(f"{name}={value}" for name, value in zip(some, at)) + "]" for at in values]
    return [f"[{k + 1}]" for k in range(len(iterations))]


class Naming:
    """Collects the names that the values of a picture would have, then settles them."""

    def __init__(self, symbol: Mapping[int, str], paths: Mapping[int, str]) -> None:
        self.symbol, self.paths = symbol, paths  # of a value, by the id of its node; of a module, by its id
        self.symbols: list[tuple[Box, Claim]] = []
        self.names: list[tuple[Box, Claim]] = []
        self.known: set[str] = set()

    def add(self, node: Node, result: Box, operands: Mapping[int, Box]) -> None:
        """Note the names of a call's result and of its operands, where they are new."""
        seen = node if isinstance(node, Observed) else None
        code = (seen.line.file, seen.line.number) if seen is not None and seen.line is not None else None
        counts = seen.counts if seen is not None else {}
        boxes = [(i, box, seen.variables[i] if seen is not None else None) for i, box in operands.items()]
        for i, box, variable in [*boxes, (-1, result, seen.variable if seen is not None else None)]:
            if box.id in self.known:
                continue
            self.known.add(box.id)
            symbol = self.symbol.get(id(box.node))
            if symbol:
                self.symbols.append((box, Claim(symbol, "", (code, i), counts, i >= 0)))
            if not box.name and variable is not None:
                self.names.append((box, Claim(variable.name, self.paths.get(id(variable.module), ""), (code, i), counts, i >= 0)))
            elif box.node is None or (box.name and box.node.name == box.name):
                self.names.append((box, Claim(box.name or argument_name(node.func, i), "", (code, i), counts, i >= 0)))

    def settle(self, boxes: Sequence[Box], arguments: Mapping[int, Mapping[int, Box]]) -> dict[int, dict[int, str]]:
        """Name all boxes; returns the names of each call's arguments, by the id of its node."""
        symbols = {claim.name for _, claim in self.symbols}
        self.names = [(box, claim) for box, claim in self.names if claim.name and (box.name or claim.name not in symbols)]  # z1 belongs to the equations
        for (box, _), symbol in zip(self.symbols, told_apart([claim for _, claim in self.symbols])):
            box.symbol = symbol
        for (box, _), name in zip(self.names, told_apart([claim for _, claim in self.names])):
            box.name = name
        nameless = Nameless({word for box in boxes for word in (box.symbol, box.name)})
        operands: dict[int, dict[int, str]] = {}
        for box in boxes:
            if box.kind == "op":
                operands[id(box.node)] = {i: argument.label for i, argument in arguments[id(box.node)].items()}
            elif not box.label:
                made = operands.get(id(box.node))
                box.name = nameless.computed(box.node, made) if box.node is not None and made is not None else nameless.numbered(box.kind)
                box.derived = True
        return operands


# -- values without a variable -----------------------------------------------------------------------------


class Nameless:
    """Names for values without a variable: the expression that computed one where that is short, else its operation and a number."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.made: set[str] = set()  # names made here, which are not used in further expressions
        self.times: Counter[str] = Counter()

    def computed(self, node: Node, operands: Mapping[int, str]) -> str:
        """The name of a call's result, from the names of its operands."""
        func = node.func
        assert func is not None
        known = self.made.isdisjoint(operands.values()) and (arguments_of(node) or len(operands) == len(node.parents))
        words = written(node, operands) if known and not loss_info(func) else ""  # a loss is an object, and its call is not typed like this
        if not words or len(words) > LONGEST or words in self.taken:
            return self.numbered(public_name(func).removeprefix("np."))
        self.taken.add(words)
        self.made.add(words)
        return words

    def numbered(self, word: str) -> str:
        """The word with the next number that is free."""
        words = ""
        while not words or words in self.taken:
            self.times[word] += 1
            words = f"{word}_{self.times[word]}"
        self.made.add(words)
        return words


def written(node: Node, operands: Mapping[int, str]) -> str:
    """The call that computed a value, as source code; ``operands`` has the name of each argument that is drawn."""
    func = node.func
    assert func is not None
    args = [operands[i] if i in operands else setting(value) for i, value in enumerate(arguments_of(node)) if i in operands or value is not None]
    if not args:
        args = [operands[i] for i in sorted(operands)]
    if func in SIGNS and len(args) == 2:
        return f" {SIGNS[func]} ".join(map(operand, args))
    if func is getitem and len(args) == 2:
        return f"{args[0]}[{index_in(args[1])}]"
    args += [f"{key}={setting(value)}" for key, value in node.kwargs.items() if value is not None and value is not False]
    return f"{public_name(func).removeprefix('np.')}({', '.join(args)})"


def operand(label: str) -> str:
    """A label as a part of a formula: in parentheses if it is an expression."""
    return f"({label})" if " " in label else label


def index_in(words: str) -> str:
    """An index as it is written in brackets."""
    return words.removeprefix("(").removesuffix(")").removesuffix(",")


# -- calls, as the graph records them ------------------------------------------------------------------------


def arguments_of(node: Node) -> tuple[Array, ...]:
    """The arguments of a call; () where a backward pass has freed them."""
    if node.values is not None:
        return node.values  # type: ignore[no-any-return]
    return node.seen[:-1] if isinstance(node, Observed) else ()


def constants_of(node: Node) -> Iterator[tuple[int, Array]]:
    """(i, array) for each argument that is an array from outside the graph."""
    for i, (value, parent) in enumerate(zip(arguments_of(node), node.parents)):
        if parent is None and is_array(value) and not (i and node.func in (getitem, scatter)):
            yield i, value


def memory_key(array: object) -> Hashable:
    """A key for an array's memory, the same for two equal views of it; for other objects their identity."""
    if not isinstance(array, np.ndarray) or not array.size:
        return id(array)
    return (array.__array_interface__["data"], array.shape, array.strides, array.dtype.str)


def is_array(value: object) -> bool:
    """Whether ``value`` is drawn as a box; a single number is written into the operation instead."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def argument_name(func: Function | None, i: int) -> str:
    """The name of argument ``i`` in the function's signature, if it is one of this package's functions."""
    if func is None or func not in PLAIN:
        return ""
    names = [p.name for p in inspect.signature(PLAIN[func]).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return names[i] if i < len(names) else ""


def operation_title(node: Node) -> tuple[str, str]:
    """An operation's name, and its other arguments as text."""
    func = node.func
    assert func is not None
    given = [(i, v) for i, (v, parent) in enumerate(zip(arguments_of(node), node.parents)) if parent is None and v is not None]
    if func in SIGNS:
        numbers = {i: setting(v) for i, v in given if not is_array(v)}
        return " ".join(filter(None, (numbers.get(0, ""), SIGNS[func], numbers.get(1, "")))), ""
    boxed = {i for i, _ in constants_of(node)}
    settings = [setting(v) for i, v in given if i not in boxed]
    if func is getitem and settings:
        return f"[{index_in(settings[0])}]", ""
    settings += [f"{key}={setting(v)}" for key, v in node.kwargs.items() if v is not None and v is not False]
    return public_name(func), ", ".join(settings)


def setting(value: object) -> str:
    """An argument as source code: numbers rounded, slices as they are written in brackets, large arrays by dtype and shape."""
    if isinstance(value, slice):
        parts = ["" if part is None else setting(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts[: 3 if parts[2] else 2])
    if isinstance(value, tuple):
        return "(" + ", ".join(map(setting, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(setting, value)) + "]"
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.size <= 6 else f"{value.dtype} {value.shape}"
    if value is Ellipsis:
        return "..."
    if isinstance(value, bool | int | float | np.generic) and not isinstance(value, np.str_ | np.bytes_):
        return number(value)
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value if isinstance(value, str) else repr(value)
