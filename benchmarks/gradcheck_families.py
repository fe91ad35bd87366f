"""Functions on which a gradient check is tried: right gradients at points that are hard on differences.

Each family draws a function and a point, with random sizes, values and types. Its gradient by autodiff is right (where there is a
derivative), so whatever a check calls wrong is a false alarm; `wrong` spoils it at one element that counts, and a check that
passes it has missed it. `benchmarks.gradcheck_faults` prints the rates, and a test hunts for false alarms.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr.check.gradcheck import Report
from tinygrad_lr.check.gradcheck.orders import units

Generator = np.random.Generator


class Case(NamedTuple):
    """A function that gives one number, the arrays to check it at, and for each the elements where it has a derivative (all, if None)."""

    fn: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    smooth: tuple[np.ndarray, ...] | None = None


def size(rng: Generator, most: int = 40) -> int:
    return int(np.exp(rng.uniform(0, np.log(most + 1))))


def normal(rng: Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape) * 10.0 ** rng.uniform(-1, 1)


# -- kinks ---------------------------------------------------------------------------------------------


def relu_network(rng: Generator) -> Case:
    """Rows of zeros and zero biases: pre-activations of exactly 0 in every layer."""
    widths = [size(rng, 6) for _ in range(rng.integers(3, 5))]
    x, y = rng.normal(size=(4, widths[0])), rng.normal(size=(4, widths[-1]))
    x[rng.choice(4, rng.integers(1, 4), replace=False)] = 0
    weights = [rng.normal(size=(n, m)) for n, m in pairwise(widths)]
    biases = [np.zeros(m) for m in widths[1:]]
    act = [tg.relu, lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, z, 0.01 * z), np.abs][rng.integers(4)]
    loss = [lambda a: np.mean((a - y) ** 2), lambda a: np.mean(np.logaddexp(0, a)), lambda a: np.sum(np.exp(np.tanh(a)) * y)][rng.integers(3)]

    def fn(x: Any, *parameters: Any) -> Any:
        a = x
        for k in range(len(weights)):
            a = a @ parameters[2 * k] + parameters[2 * k + 1]
            a = act(a) if k + 1 < len(weights) else a
        return loss(a)

    parameters = tuple(p for pair in zip(weights, biases) for p in pair)
    masks = (np.any(x, axis=1, keepdims=True) & np.ones_like(x, bool), *(np.full(p.shape, p.ndim == 2) for p in parameters))
    return Case(fn, (x, *parameters), masks)


def kink_at_the_point(rng: Generator) -> Case:
    x = normal(rng, size(rng))
    kinked = rng.uniform(size=x.size) < 0.3
    corner = np.where(kinked, x, x - rng.normal(size=x.size))
    kind = [np.abs, tg.relu, lambda z: np.minimum(z, 2 * z), lambda z: np.clip(z, 0, 1), lambda z: np.maximum(z, 0) ** 2 + z][rng.integers(5)]
    bend = rng.normal()
    return Case(lambda x: np.sum(kind(x - corner) * np.exp(bend * np.tanh(x))), (x,), (~kinked,))


def kink_beside_the_point(rng: Generator) -> Case:
    x = normal(rng, size(rng, 10))
    corner = x * (1 + rng.choice((-1, 1)) * 10.0 ** rng.uniform(-16, -3))
    kind = [np.abs, tg.relu, lambda z: np.where(z > 0, z, 0.1 * z)][rng.integers(3)]
    beside = rng.uniform(size=x.size) < 0.3
    corner = np.where(beside, corner, x - rng.normal(size=x.size))
    return Case(lambda x: np.sum(kind(x - corner) * np.exp(np.tanh(x))), (x,), (~beside,))


def ties(rng: Generator) -> Case:
    x = np.round(rng.normal(size=(size(rng, 6), size(rng, 8))), 0 if rng.uniform() < 0.5 else 6)
    alone = np.sum(x[..., None, :] == x[..., :, None], axis=-1) == 1
    fn = [lambda x: np.sum(np.max(x, axis=-1) ** 2), lambda x: np.sum(np.sort(x, axis=-1)[:, 0] * np.exp(x[:, -1] / 3)), lambda x: np.median(x) * np.sum(x)]
    return Case(fn[rng.integers(3)], (x,), (alone,))


# -- rounding ------------------------------------------------------------------------------------------


def saturated(rng: Generator) -> Case:
    x = rng.normal(size=size(rng)) * 10.0 ** rng.uniform(0.5, 2)
    fn = [
        lambda x: np.sum(np.tanh(x)),
        lambda x: np.sum(tg.sigmoid(x)),
        lambda x: np.mean(np.tanh(x) * np.sign(x)),
        lambda x: np.sum(np.arctan(x**3)),
        lambda x: np.prod(np.tanh(x)),
        lambda x: np.sum(1 - np.exp(-np.abs(x))),
        lambda x: np.sum(tg.softmax(x) ** 2),
    ]
    return Case(fn[rng.integers(7)], (x,))


def cancelling(rng: Generator) -> Case:
    x = rng.uniform(1, 2, size(rng, 5)) * 10.0 ** rng.uniform(-7, -1)
    large = 10.0 ** rng.uniform(2, 16)
    fn = [
        lambda x: np.sum((1 - np.cos(x)) / x**2),
        lambda x: np.sum((np.exp(x) - 1) / x),
        lambda x: np.sum((np.sin(x) - x) / x**3),
        lambda x: np.sum(np.log(1 + x) / x),
        lambda x: np.sum(np.sqrt(x + large) - np.sqrt(large)),
        lambda x: np.sum(((x + large) - large) ** 2),
        lambda x: np.mean((x + large) ** 2) - np.mean(x + large) ** 2,
        lambda x: np.sum(1 / x - 1 / np.tan(x)),
    ]
    return Case(fn[rng.integers(8)], (x,))


def log_softmaxes(rng: Generator) -> Case:
    x = rng.normal(size=int(rng.integers(2, 12))) * 10.0 ** rng.uniform(0, 1.5)
    k = int(rng.integers(x.size))
    fn = [
        lambda x: -tg.log_softmax(x)[k],
        lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x) - x[k],
        lambda x: -np.log(tg.softmax(x)[k]),
        lambda x: np.logaddexp.reduce(x) - x[k],
        lambda x: np.sum(tg.softmax(x) * tg.log_softmax(x)),
    ]
    return Case(fn[rng.integers(5)], (x,))


def hidden(rng: Generator) -> Case:
    """Rounding inside a primitive, where only the answers show it."""
    x = rng.uniform(1, 2) * 10.0 ** rng.uniform(-5, -1)
    wave = tg.primitive(lambda x: (1 - np.cos(x)) / x**2, lambda g, y, x: g * (np.sin(x) / x**2 - 2 * (1 - np.cos(x)) / x**3))
    flat = tg.primitive(lambda x: np.sum(np.tanh(x)), lambda g, y, x: g * (1 - np.tanh(x) ** 2))
    shifted = tg.primitive(lambda x: (np.sin(x) + 1e9) - 1e9, lambda g, y, x: g * np.cos(x))
    return [Case(wave, (np.array(x),)), Case(flat, (rng.normal(size=size(rng)) * 30,)), Case(shifted, (np.array(rng.normal()),))][rng.integers(3)]


# -- smooth --------------------------------------------------------------------------------------------


def spd(rng: Generator) -> np.ndarray:
    n = int(rng.integers(2, 6))
    a = rng.normal(size=(n, n))
    return a @ a.T + 10.0 ** rng.uniform(-3, 0) * np.eye(n)


def matrices(rng: Generator) -> Case:
    a = spd(rng)
    w = rng.normal(size=a.shape)
    half = lambda a: (a + a.T) / 2  # noqa: E731
    fn = [
        lambda a: np.sum(np.linalg.cholesky(half(a)) * w),
        lambda a: np.sum(np.linalg.eigvalsh(half(a)) * w[0]),
        lambda a: np.linalg.slogdet(a)[1],
        lambda a: np.linalg.det(a),
        lambda a: np.sum(np.linalg.inv(a) * w),
        lambda a: np.sum(np.linalg.solve(a, w)),
        lambda a: np.sum(np.linalg.svd(a, compute_uv=False) * w[0]),
        lambda a: np.linalg.norm(a - w),
        lambda a: np.sum(np.linalg.qr(a)[1] * w),
    ]
    return Case(fn[rng.integers(9)], (a,))


def triangles(rng: Generator) -> Case:
    """Functions that read one triangle: right by the symmetric convention."""
    a = spd(rng)
    w = rng.normal(size=a.shape)
    fn = [
        lambda a: np.sum(np.linalg.cholesky(a) * w),
        lambda a: np.sum(np.linalg.eigvalsh(a) * w[0]),
        lambda a: np.sum(np.linalg.eigh(a)[0] ** 2),
        lambda a: np.sum(np.linalg.eigvalsh(a, UPLO="U") * w[0]),
        lambda a: 2 * np.sum(np.log(np.diagonal(np.linalg.cholesky(a + np.eye(len(w)))))),
    ]
    return Case(fn[rng.integers(5)], (a,), (np.eye(len(a), dtype=bool),))


def smooth(rng: Generator) -> Case:
    n = size(rng, 200)
    scale = 10.0 ** rng.uniform(-3, 3)
    x, y = rng.normal(size=n) * scale, rng.normal(size=n)
    fn = [
        lambda x, y: np.sum(np.sin(x / scale) * y),
        lambda x, y: np.mean((x - y) ** 2),
        lambda x, y: np.sum(np.tanh(x / scale) ** 2 * np.exp(y / 3)),
        lambda x, y: np.log(np.sum(np.exp(x / scale + y))),
        lambda x, y: np.sum(np.logaddexp(0, x / scale) * y**2),
        lambda x, y: np.sqrt(np.sum(x**2) + np.sum(y**2)),
        lambda x, y: np.std(x) * np.sum(y**3),
        lambda x, y: np.sum(np.cumsum(x / scale) * y),
        lambda x, y: np.sum(1 / (1 + (x / scale) ** 2 + y**2)),
    ]
    return Case(fn[rng.integers(9)], (x, y))


def steep(rng: Generator) -> Case:
    sharp = 10.0 ** rng.uniform(1, 5)
    x = rng.uniform(0.5, 2, size(rng, 5))
    centre = x + rng.normal(size=x.size) / sharp
    fn = [
        lambda x: np.sum(np.tanh(sharp * (x - centre))),
        lambda x: np.sum(np.sin(sharp * x)),
        lambda x: np.sum(np.exp(-((sharp * (x - centre)) ** 2))),
        lambda x: np.sum(tg.softplus(sharp * (x - centre))),
        lambda x: np.sum((x - centre) ** 2 * sharp),
    ]
    return Case(fn[rng.integers(5)], (x,))


def gated(rng: Generator) -> Case:
    """Elements that the function does not depend on here, or hardly."""
    x = rng.normal(size=size(rng)) * 3
    return Case([lambda x: np.sum(tg.relu(x - 1) ** 2), lambda x: np.sum(np.where(x > 0, np.sin(x), 0)) + x[0], lambda x: x[0] ** 2][rng.integers(3)], (x,))


def narrow(rng: Generator) -> Case:
    """Near the edge of what the function takes."""
    x = 10.0 ** rng.uniform(-14, 0, size(rng, 5))
    fn = [
        lambda x: np.sum(np.sqrt(x)),
        lambda x: np.sum(np.log(x)),
        lambda x: np.sum(x * np.log(x)),
        lambda x: np.sum(np.arccos(1 - np.sqrt(x))),
        lambda x: np.sum(x**1.5),
    ]
    return Case(fn[rng.integers(5)], (x,))


FAMILIES: dict[str, Callable[[Generator], Case]] = {
    "relu network": relu_network,
    "kink at": kink_at_the_point,
    "kink beside": kink_beside_the_point,
    "ties": ties,
    "saturated": saturated,
    "cancelling": cancelling,
    "log softmax": log_softmaxes,
    "hidden": hidden,
    "matrices": matrices,
    "triangles": triangles,
    "smooth": smooth,
    "steep": steep,
    "gated": gated,
    "narrow": narrow,
}


# -- checks --------------------------------------------------------------------------------------------

FAULTS = {"zero": 0.0, "twice": 2.0, "sign": -1.0, "5 percent": 1.05}


def drawn(family: str, seed: int) -> tuple[Case, Generator]:
    """The case number ``seed`` of a family."""
    rng = np.random.default_rng([seed, list(FAMILIES).index(family)])
    return FAMILIES[family](rng), rng


def checked(fn: Callable[..., Any], *inputs: np.ndarray, **options: Any) -> Report:
    """A report; what such points make NumPy warn of is no matter here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return tg.gradcheck(fn, *inputs, raise_error=False, **options)


def right(family: str, seed: int) -> Report:
    """The check of a right gradient, at first and second order."""
    case, rng = drawn(family, seed)
    dtype = rng.choice([np.float64, np.float64, np.float32])
    return checked(case.fn, *(x.astype(dtype) for x in case.inputs), rng=seed)


def wrong(family: str, seed: int) -> Report | None:
    """The check of a gradient that is wrong at one element, among those that make up at least a tenth of it; None where there is none."""
    case, rng = drawn(family, seed)
    both = tg.grad(case.fn, tuple(range(len(case.inputs))))
    with np.errstate(all="ignore"):
        sizes = [np.abs(g) * np.maximum(np.abs(x), units(x)) for g, x in zip(both(*case.inputs), case.inputs)]
    sizes = [np.where(np.isfinite(a) & mask, a, 0) for a, mask in zip(sizes, case.smooth or [True] * len(sizes))]
    places = [(k, i) for k, a in enumerate(sizes) for i in np.flatnonzero(a >= 0.1 * np.linalg.norm(a)) if a.flat[i] > 0.01 * max(map(np.max, sizes))]
    if not places:
        return None
    k, i = places[rng.integers(len(places))]
    factors = [np.ones(x.shape) for x in case.inputs]
    factors[k].flat[i] = list(FAULTS.values())[rng.integers(len(FAULTS))]
    return checked(case.fn, *case.inputs, gradient=lambda *xs: tuple(g * f for g, f in zip(both(*xs), factors)), rng=seed)
