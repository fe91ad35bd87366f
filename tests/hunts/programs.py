"""Random programs: straight-line NumPy code whose every line was tried on numbers before the next was drawn.

A program is text, so that a failure prints what to run. It calls everything through a namespace ``np`` and makes its
constants with ``const``; the same text therefore runs on plain arrays, on Tensors and on PyTorch's tensors.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

SIZES = (1, 2, 3, 3, 4)
LARGEST = 1e4  # results beyond it are drawn again
SPECIAL = (0.0, 0.0, 1.0, -1.0, 0.5, 2.0, 1e-8, 30.0, -30.0, 300.0, -745.0, 1e3)  # zeros, equals, and where exponentials end


class Program(NamedTuple):
    """A function's text, and the arrays to call it with."""

    seed: int
    source: str
    arrays: tuple[Any, ...]

    def function(self, np: Any, const: Callable[[Any], Any]) -> Callable[..., Any]:
        """The function in a library: ``np`` are its functions, and ``const`` makes its arrays."""
        return self.compiled(self.source, np, const)

    def lines(self, np: Any, const: Callable[[Any], Any]) -> Callable[..., dict[str, Any]]:
        """The same, with the value of every line by its name."""
        return self.compiled(self.source[: self.source.index("    return")] + "    return locals()\n", np, const)

    def compiled(self, source: str, np: Any, const: Callable[[Any], Any]) -> Callable[..., Any]:
        found: dict[str, Any] = {}
        exec(source, {"np": np, "const": const, "nan": numpy.nan, **HELPERS}, found)
        return found["program"]  # type: ignore[no-any-return]

    def __str__(self) -> str:
        with numpy.printoptions(floatmode="unique"):
            given = "\n".join(f"{name} = {array!r}" for name, array in zip("xyz", self.arrays))
        return f"# seed {self.seed}\nfrom numpy import array, float16, float32\n{given}\n{self.source}"


def weights(x: Any) -> Any:
    """A weight for every element, none like another."""
    found = numpy.cos(1.0 + numpy.arange(numpy.prod(x.shape, dtype=int))).reshape(tuple(x.shape))
    return found.astype(x.dtype) if isinstance(x.dtype, numpy.dtype) else found


def mask(x: Any, k: int) -> Any:
    """True for about two elements of three."""
    return ((numpy.arange(numpy.prod(x.shape, dtype=int)) * 5 + k) % 3 > 0).reshape(tuple(x.shape))


def line_mask(x: Any, k: int) -> Any:
    """The same for the last axis only, to broadcast."""
    return (numpy.arange(x.shape[-1]) + k) % 3 > 0 if len(x.shape) else numpy.array(k % 2 > 0)


def places(x: Any, axis: int) -> Any:
    """Indices along an axis, some of them twice."""
    return (numpy.arange(numpy.prod(x.shape, dtype=int)) * 2 % x.shape[axis]).reshape(tuple(x.shape))


def spread_diagonal(n: int) -> Any:
    """A diagonal matrix whose numbers lie apart."""
    return numpy.diag(1.0 + 1.5 * numpy.arange(n))


HELPERS = {helper.__name__: helper for helper in (weights, mask, line_mask, places, spread_diagonal)}


class Draw:
    """What the templates draw from: the program's variables, and random settings for one of them."""

    def __init__(self, rng: numpy.random.Generator, values: dict[str, Any]) -> None:
        self.rng, self.values = rng, values

    def pick(self, *options: Any) -> Any:
        return options[self.rng.integers(len(options))]

    def number(self) -> float:
        return float(numpy.round(self.rng.normal(), 2))

    def small(self, n: int) -> int:
        return int(self.rng.integers(n))

    def var(self, wanted: Callable[[Any], bool] = lambda x: True) -> str:
        names = [name for name, x in self.values.items() if wanted(x)]
        if not names:
            raise LookupError
        recent = names[len(names) // 2 :]
        return str(self.pick(*(recent if self.rng.random() < 0.6 else names)))

    def of_ndim(self, *ndims: int) -> str:
        return self.var(lambda x: x.ndim in ndims)

    def array(self) -> str:
        return self.var(lambda x: x.ndim > 0)

    def matrix(self) -> str:
        return self.of_ndim(2)

    def axis(self, name: str) -> int:
        n = self.values[name].ndim
        return int(self.rng.integers(-n, n))

    def axes(self, name: str) -> Any:
        """An axis, several of them, or None."""
        n = self.values[name].ndim
        if n == 0 or self.rng.random() < 0.3:
            return None
        if self.rng.random() < 0.6:
            return self.axis(name)
        return tuple(int(i) for i in self.rng.permutation(n)[: 1 + self.small(n)])

    def fold(self, name: str) -> str:
        """``axis=`` and ``keepdims=`` of a reduction."""
        return f"axis={self.axes(name)}" + self.pick("", ", keepdims=True")

    def chosen(self, name: str) -> str:
        """``where=`` of a reduction."""
        return f"where=const({self.pick('mask', 'line_mask')}({name}, {self.small(3)}))"

    def square(self) -> str:
        """A well-conditioned square matrix."""
        a = self.matrix()
        return f"({a} @ np.swapaxes({a}, -1, -2) / 4 + const(spread_diagonal({self.values[a].shape[0]})))"

    def index(self, name: str) -> str:
        """An index of any kind."""
        shape = self.values[name].shape
        if not shape:
            return self.pick("...", "None", "()")
        parts: list[str] = []
        for n in shape[: 1 + self.small(len(shape))]:
            i, j = sorted((self.small(n + 1), self.small(n + 1)))
            parts.append(
                self.pick(f"{i}:{j + 1}", f"{self.small(n)}", f"{-1 - self.small(n)}", ":", "::-1", "::2", "None", f"[{self.small(n)}, {self.small(n)}, 0]")
            )
        if self.rng.random() < 0.15:
            parts.append("...")
        return ", ".join(parts)


Template = Callable[[Draw], str]


def unary(*forms: str) -> list[Template]:
    return [lambda d, form=form: form.format(a=d.var()) for form in forms]  # type: ignore[misc]


def binary(*forms: str) -> list[Template]:
    return [lambda d, form=form: form.format(a=d.var(), b=d.var()) for form in forms]  # type: ignore[misc]


def named(*forms: Callable[[Draw, str], str], of: Callable[[Draw], str] = Draw.array) -> list[Template]:
    """Templates that draw one variable and settings for it."""
    return [lambda d, form=form: form(d, of(d)) for form in forms]  # type: ignore[misc]


ELEMENTWISE = [
    *unary(
        "np.sin({a})", "np.cos({a})", "np.tanh({a})", "np.arctan({a})", "np.arcsinh({a})", "np.exp(-{a} * {a})", "np.expm1(np.tanh({a}))",
        "np.log1p({a} * {a})", "np.exp2(np.sin({a}))", "np.sqrt({a} * {a} + 0.3)", "np.log(np.abs({a}) + 0.5)", "np.log2({a} * {a} + 0.5)",
        "np.log10({a} * {a} + 0.5)", "np.reciprocal(1 + {a} * {a})", "np.square({a})", "np.abs({a})", "np.cbrt({a} * {a} + 0.2)", "np.sinc({a})",
        "np.sinh(np.tanh({a}))", "np.cosh(np.tanh({a}))", "np.arctanh(0.8 * np.tanh({a}))", "np.arccosh(1.5 + {a} * {a})", "-{a}",
        "np.arcsin(0.9 * np.sin({a}))", "np.arccos(0.9 * np.sin({a}))", "np.tan(np.tanh({a}))", "np.degrees({a}) / 30", "np.deg2rad(40 * {a})",
        "np.fabs({a})", "+{a}", "np.clip({a}, -0.7, 0.9)", "np.clip({a}, None, 0.4)", "{a} ** 3", "({a} * {a} + 0.5) ** -1.5", "1.5 ** np.sin({a})",
        "2.0 - {a}", "1 / ({a} * {a} + 1)", "np.sign({a}) * {a}", "np.where({a} > 0, {a}, 0.1 * {a})", "np.floor({a}) * {a}", "np.rint({a}) + {a}",
        "np.nan_to_num({a})", "np.heaviside({a}, 0.5) * {a}", "np.positive({a}) * 3", "np.fmod({a}, 0.7)", "np.remainder({a}, 0.9)",
        "np.copysign({a}, np.cos({a}))", "np.logaddexp({a}, 0)", "np.maximum({a}, 0.2)", "np.minimum(0.3, {a})", "np.real({a})", "np.ldexp({a}, 1)",
    ),
    *binary(
        "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / ({b} * {b} + 0.5)", "np.logaddexp({a}, {b})", "np.logaddexp2({a}, {b})",
        "np.maximum({a}, {b})", "np.minimum({a}, {b})", "np.fmax({a}, {b})", "np.fmin({a}, {b})", "np.hypot({a}, {b} * {b} + 0.1)",
        "np.arctan2({a}, {b} * {b} + 0.5)", "({a} * {a} + 0.5) ** np.tanh({b})", "np.where({a} > {b}, {a}, {b})", "np.copysign({a}, {b})",
        "np.clip({a}, -1, np.abs({b}))", "np.float_power({a} * {a} + 0.5, np.sin({b}))", "np.floor_divide({a}, {b} * {b} + 0.4) * {a}",
        "np.remainder({a}, {b} * {b} + 0.4)",
    ),
]  # fmt: skip

REDUCTIONS = [
    *named(
        *(lambda d, a, f=f: f"np.{f}({a}, {d.fold(a)})" for f in ("sum", "mean", "max", "min", "prod", "var", "std", "ptp", "median", "amax", "amin")),
        *(lambda d, a, f=f: f"np.{f}({a}, {d.fold(a)}, {d.chosen(a)})" for f in ("sum", "mean", "prod", "var", "std")),
        *(lambda d, a, f=f: f"np.{f}({a}, {d.fold(a)}, initial={d.number()}, {d.chosen(a)})" for f in ("sum", "max", "min", "prod")),
        *(lambda d, a, f=f: f"np.{f}({a}, {d.fold(a)}, initial={d.number()})" for f in ("sum", "max", "min", "prod")),
        lambda d, a: f"np.sum({a}, {d.fold(a)}, initial={d.of_ndim(0)})",
        lambda d, a: f"np.prod({a}, {d.fold(a)}, initial={d.of_ndim(0)}, {d.chosen(a)})",
        lambda d, a: f"np.max({a}, {d.fold(a)}, initial={d.of_ndim(0)}, {d.chosen(a)})",
        *(
            lambda d, a, f=f: f"np.{f}(np.where(const(mask({a}, {d.small(3)})), {a}, nan), {d.fold(a)})"
            for f in ("nansum", "nanmean", "nanprod", "nanvar", "nanmax")
        ),
        lambda d, a: f"np.quantile({a}, {d.pick('0.3', '[0.25, 0.9]', '0.5')}, {d.fold(a)})",
        lambda d, a: f"np.percentile({a}, {d.pick('30', '[25, 90]')}, {d.fold(a)})",
        lambda d, a: f"np.average({a}, axis={d.axis(a)}, weights=np.exp({a}))",
        lambda d, a: f"np.logaddexp.reduce({a}, {d.fold(a)})",
        lambda d, a: f"np.logaddexp.reduce({a}, axis={d.axis(a)}, initial={d.number()}, {d.chosen(a)})",
        lambda d, a: f"np.add.reduce({a}, axis={d.axis(a)}, {d.chosen(a)})",
        lambda d, a: f"np.var({a}, axis={d.axis(a)}, ddof=1)",
        *(lambda d, a, f=f: f"np.{f}({a}, axis={d.axis(a)})" for f in ("cumsum", "cumprod", "sort")),
        lambda d, a: f"np.cumsum({a})",
        lambda d, a: f"np.diff({a}, n={d.small(3)}, axis={d.axis(a)}{d.pick('', ', prepend=0.5', ', append=1.0')})",
        lambda d, a: f"np.trapezoid({a}, axis={d.axis(a)})",
        lambda d, a: f"np.gradient({a}, axis={d.axis(a)})",
        lambda d, a: f"np.linalg.norm({a}, axis={d.axis(a)}{d.pick('', ', ord=1', ', ord=3', ', keepdims=True')})",
    ),
]

SHAPES = [
    *named(
        lambda d, a: f"{a}[{d.index(a)}]",
        lambda d, a: f"{a}[{d.index(a)}]",
        lambda d, a: f"{a}[const(mask({a}, {d.small(3)}))]",
        lambda d, a: f"np.reshape({a}, -1)",
        lambda d, a: f"np.reshape({a}, {d.pick('(-1, 1)', '(1, -1)')})",
        lambda d, a: f"np.transpose({a}, {tuple(int(i) for i in d.rng.permutation(d.values[a].ndim))})",
        lambda d, a: f"np.expand_dims({a}, {d.axis(a)})",
        lambda d, a: f"np.squeeze({a})",
        lambda d, a: f"np.broadcast_to({a}, (2, *{d.values[a].shape}))",
        lambda d, a: f"np.flip({a}, {d.axis(a)})",
        lambda d, a: f"np.roll({a}, {d.small(4) - 1}, {d.axis(a)})",
        lambda d, a: f"np.concatenate([{a}, np.sin({a})], axis={d.axis(a)})",
        lambda d, a: f"np.stack([{a}, {a} * {a}], axis={d.axis(a)})",
        lambda d, a: f"np.concatenate([{a}, {d.var()}], axis=None)",
        lambda d, a: f"np.tile({a}, {d.pick('2', '(2, 1)')})",
        lambda d, a: f"np.repeat({a}, 2, axis={d.axis(a)})",
        lambda d, a: f"np.pad({a}, 1, mode={d.pick('constant', 'edge', 'wrap')!r})",
        lambda d, a: f"np.take({a}, [0, 0, {d.small(d.values[a].shape[0])}], axis=0)",
        lambda d, a: f"np.moveaxis({a}, {d.axis(a)}, {d.axis(a)})",
        lambda d, a: f"np.swapaxes({a}, {d.axis(a)}, {d.axis(a)})",
        lambda d, a: f"np.array_split({a}, 2, axis={d.axis(a)})[0]",
        lambda d, a: f"np.append({a}, {d.number()})",
        lambda d, a: f"np.insert({a}, 0, {d.number()}, axis={d.axis(a)})",
        lambda d, a: f"np.delete({a}, 0, axis={d.axis(a)})",
        lambda d, a: f"np.select([{a} > 0.5, {a} > -0.5], [{a}, {a} * {a}], 0.1)",
        lambda d, a: f"np.take_along_axis({a}, const(places({a}, {(axis := d.axis(a))})), {axis})",
        lambda d, a: f"np.ravel({a})[::-1]",
        lambda d, a: f"np.atleast_3d({a})",
    ),
    *named(
        lambda d, a: f"np.tril({a}, {d.small(3) - 1})",
        lambda d, a: f"np.triu({a}, {d.small(3) - 1})",
        lambda d, a: f"np.diagonal({a})",
        lambda d, a: f"np.trace({a})",
        lambda d, a: f"np.rot90({a})",
        lambda d, a: f"np.diag({a})",
        lambda d, a: f"np.vstack([{a}, {a} + 1])",
        lambda d, a: f"np.hstack([{a}, {a} * 2])",
        of=Draw.matrix,
    ),
]

PRODUCTS = [
    *binary(
        "{a} @ {b}", "np.matmul({a}, {b})", "np.dot({a}, {b})", "np.inner({a}, {b})", "np.outer({a}, {b})", "np.kron({a}, {b})", "np.tensordot({a}, {b}, 1)",
        "np.vdot({a}, {b})",
    ),
    *named(
        lambda d, a: f"{a} @ np.swapaxes({a}, -1, -2)",
        lambda d, a: f"np.einsum('ij,kj->ik', {a}, np.cos({a}))",
        lambda d, a: f"np.einsum('ij,ij->j', {a}, {a})",
        lambda d, a: f"np.einsum('ij->ji', {a}) * 2",
        lambda d, a: f"np.linalg.multi_dot([{a}, np.transpose({a}), {a}])",
        lambda d, a: f"np.vecdot({a}, np.sin({a}))",
        of=Draw.matrix,
    ),
    lambda d: f"np.einsum('...i,...i->...', {(a := d.array())}, np.tanh({a}))",
    lambda d: f"np.cross({(a := d.var(lambda x: x.ndim > 0 and x.shape[-1] == 3))}, np.cos({a}))",
]  # fmt: skip

LINALG: list[Template] = [
    lambda d: f"np.linalg.inv({d.square()})",
    lambda d: f"np.linalg.det({d.square()})",
    lambda d: f"np.linalg.slogdet({d.square()})[1]",
    lambda d: f"np.linalg.cholesky({d.square()})",
    lambda d: f"np.linalg.eigvalsh({d.square()})",
    lambda d: f"np.linalg.eigh({d.square()})[0]",
    lambda d: f"np.linalg.eigh({d.square()})[1] ** 2",
    lambda d: f"np.linalg.svdvals({d.square()})",
    lambda d: f"np.linalg.svd({d.square()}[1:], full_matrices=False)[{d.pick(0, 1)}] ** 2",
    lambda d: f"np.linalg.qr({d.square()})[1]",
    lambda d: f"np.linalg.pinv({d.square()}{d.pick('', '[1:]', '[:, 1:]')})",
    lambda d: f"np.linalg.lstsq({(s := d.square())}[:, 1:], {s}[:, 0])[0]",
    lambda d: f"np.linalg.norm({d.square()}, {d.pick(repr('nuc'), '2', repr('fro'), '1', '-2')})",
    lambda d: f"np.linalg.matrix_power({d.square()}, {d.pick(2, 3, -1)}) / 9",
    lambda d: f"np.linalg.cond({d.square()})",
    lambda d: f"np.linalg.solve({(s := d.square())}, np.sum({s}, axis=0))",
]


FAMILIES = ((ELEMENTWISE, 0.4), (REDUCTIONS, 0.24), (SHAPES, 0.2), (PRODUCTS, 0.1), (LINALG, 0.06))


def draw_program(seed: int, dtype: Any = numpy.float64, special: bool = False) -> Program:
    """A program of three to eight lines, its inputs (on request from `SPECIAL` numbers only) and a number as its answer."""
    rng = numpy.random.default_rng(seed)
    shapes = [tuple(SIZES[i] for i in rng.integers(len(SIZES), size=rng.choice([0, 1, 2, 2, 2, 3]))) for _ in range(1 + rng.integers(3))]
    scale = rng.choice([1.0, 1.0, 1.0, 0.01, 8.0])
    numbers = (lambda shape: rng.choice(SPECIAL, size=shape)) if special else (lambda shape: rng.normal(size=shape) * scale)
    arrays = tuple(numpy.asarray(numbers(shape)).astype(dtype) for shape in shapes)
    values: dict[str, Any] = dict(zip("xyz", arrays))
    lines, draw = [], Draw(rng, values)
    for k in range(3 + rng.integers(6)):
        line, value = draw_line(draw)
        values[f"v{k}"] = value
        lines.append(f"    v{k} = {line}")
    total = " + ".join(f"np.sum({name} * const(weights({name})))" for name in values if not used_later(name, lines))
    source = f"def program({', '.join('xyz'[: len(arrays)])}):\n" + "\n".join(lines) + f"\n    return {total}\n"
    return Program(seed, source, arrays)


def draw_line(draw: Draw) -> tuple[str, Any]:
    """An expression that gives finite numbers of moderate size, and its value."""
    while True:
        templates = FAMILIES[draw.rng.choice(len(FAMILIES), p=[p for _, p in FAMILIES])][0]
        try:
            line = templates[draw.small(len(templates))](draw)
        except LookupError:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = numpy.asarray(eval(line, {"np": numpy, "const": lambda x: x, "nan": numpy.nan, **HELPERS}, draw.values))
        except (ValueError, TypeError, IndexError, ZeroDivisionError, numpy.linalg.LinAlgError):
            continue  # shapes that do not fit
        if value.dtype.kind == "f" and 0 < value.size <= 100 and value.ndim <= 4 and numpy.all(numpy.abs(value) < LARGEST):
            return line, value


def used_later(name: str, lines: list[str]) -> bool:
    return any(re.search(rf"\b{name}\b", line.split("=", 1)[1]) for line in lines)
