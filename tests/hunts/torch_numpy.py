"""PyTorch's functions under NumPy's names, as far as the two mean the same: an oracle for random programs."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

torch = pytest.importorskip("torch")


class NoEquivalentError(Exception):
    """PyTorch has no such function, or another convention."""


def const(x: Any) -> Any:
    """A NumPy array, a number or a tensor as a tensor."""
    return x if isinstance(x, torch.Tensor) else torch.from_numpy(numpy.array(x, order="C"))


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


def lined_up(x: Any, axis: Any) -> Any:
    """``x`` with the axes to fold as a single last one."""
    axes = sorted(a % x.ndim for a in axes_of(x, axis))
    kept = [i for i in range(x.ndim) if i not in axes]
    return x.permute((*kept, *axes)).reshape([x.shape[i] for i in kept] + [-1])


def folding(func: Callable[[Any], Any], empty: float | None = None, join: Callable[[Any, Any], Any] | None = None) -> Callable[..., Any]:
    """A reduction of the last axis as NumPy's, with its mask and start value."""

    def call(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None) -> Any:
        x = const(x)
        if where is not None:
            if empty is None:
                raise NoEquivalentError
            x = torch.where(where, x, torch.tensor(empty, dtype=x.dtype))
        y = func(lined_up(x, axis))
        if initial is not None:
            if join is None:
                raise NoEquivalentError
            y = join(y, const(initial))
        axes = {a % x.ndim for a in axes_of(x, axis)} if x.ndim else set()
        return y.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else y

    return call


def mean(x: Any, axis: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    mask = torch.broadcast_to(torch.as_tensor(where), x.shape)
    return add(x * mask, axis=axis, keepdims=keepdims) / add(mask * 1.0, axis=axis, keepdims=keepdims)


def var(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, where: Any = True) -> Any:
    mask = torch.broadcast_to(torch.as_tensor(where), x.shape)
    deviations = (x - mean(x, axis, True, where)) * mask
    return add(deviations**2, axis=axis, keepdims=keepdims) / (add(mask * 1.0, axis=axis, keepdims=keepdims) - ddof)


add = folding(lambda x: x.sum(-1), 0, torch.add)


def running(func: Callable[[Any, int], Any]) -> Callable[..., Any]:
    return lambda x, axis=None: func(x.reshape(-1), 0) if axis is None else func(x, axis)


def quantile(x: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    y = torch.quantile(lined_up(x, axis), torch.as_tensor(q, dtype=x.dtype), dim=-1)
    if keepdims:
        axes = {a % x.ndim for a in axes_of(x, axis)}
        y = y.reshape(*numpy.shape(q), *[1 if i in axes else n for i, n in enumerate(x.shape)])
    return y


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is None and ord is not None:
        return torch.linalg.matrix_norm(x, ord, keepdim=keepdims)
    return torch.linalg.vector_norm(x, 2 if ord is None else ord, dim=axis, keepdim=keepdims)


def dot(a: Any, b: Any) -> Any:
    return a * b if not (a.ndim and b.ndim) else torch.matmul(a, b) if b.ndim <= 2 else torch.tensordot(a, b, ([-1], [-2]))


def inner(a: Any, b: Any) -> Any:
    return a * b if not (a.ndim and b.ndim) else torch.inner(a, b)


def either(func: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A function of two arrays, one of which may be a number."""
    return lambda a, b: func(const(a), const(b))


def moved(func: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function that only moves elements: it moves their numbers, and the elements are picked by them."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        places = func(numpy.arange(x.numel()).reshape(tuple(x.shape)), *args, **kwargs)
        pick = lambda place: x.reshape(-1)[torch.from_numpy(numpy.ascontiguousarray(place))]
        return [pick(place) for place in places] if isinstance(places, list) else pick(places)

    return call


def select(conditions: Any, choices: Any, default: float) -> Any:
    first, second = conditions
    return torch.where(first, choices[0], torch.where(second, choices[1], torch.tensor(default, dtype=choices[0].dtype)))


def diff(x: Any, n: int, axis: int, prepend: Any = None, append: Any = None) -> Any:
    edge = list(x.shape)
    edge[axis] = 1
    ends = [None if end is None else torch.full(edge, end, dtype=x.dtype) for end in (prepend, append)]
    return torch.diff(x, n, axis, *ends) if n else x


def pad(x: Any, width: int, mode: str) -> Any:
    if mode != "constant":
        return moved(numpy.pad)(x, width, mode=mode)
    return torch.nn.functional.pad(x, [width] * (2 * x.ndim))


def there(x: Any) -> Any:
    """What is not nan."""
    return ~torch.isnan(x)


def found(x: Any, value: float = 0.0) -> Any:
    return torch.nan_to_num(x, value)


def reducible(func: Callable[..., Any], reduce: Callable[..., Any]) -> Any:
    """A ufunc with its ``reduce``, along axis 0 unless told otherwise."""

    def call(*args: Any) -> Any:
        return func(*args)

    call.reduce = lambda x, axis=0, **settings: reduce(x, axis, **settings)  # type: ignore[attr-defined]
    return call


largest = folding(lambda x: x.amax(-1), -numpy.inf, torch.maximum)
smallest = folding(lambda x: x.amin(-1), numpy.inf, torch.minimum)
product = folding(lambda x: x.prod(-1), 1, torch.mul)
logsumexp = folding(lambda x: torch.logsumexp(x, -1), -numpy.inf, torch.logaddexp)

SAME_NAME = (
    "sin cos tan tanh sinh cosh exp exp2 expm1 log log2 log10 log1p sqrt square abs sinc sign reciprocal positive arctan arcsinh arctanh arccosh arcsin arccos "
    "where tril triu kron tensordot cross floor fmod remainder nan_to_num broadcast_to hypot arctan2 swapaxes moveaxis matmul einsum squeeze diagonal "
    "diag"
)
SAME_LINALG = "inv det slogdet cholesky eigvalsh eigh svdvals qr pinv solve matrix_power multi_dot cond svd"

torch_numpy = SimpleNamespace(
    **{name: getattr(torch, name) for name in SAME_NAME.split()},
    linalg=SimpleNamespace(**{name: getattr(torch.linalg, name) for name in SAME_LINALG.split()}, norm=norm),
    fabs=torch.abs,
    rint=torch.round,
    degrees=torch.rad2deg,
    deg2rad=torch.deg2rad,
    real=lambda x: x,
    add=reducible(torch.add, add),
    logaddexp=reducible(either(torch.logaddexp), logsumexp),
    **{name: either(getattr(torch, name)) for name in ("logaddexp2", "copysign", "maximum", "minimum", "fmax", "fmin", "heaviside")},
    clip=lambda x, low, high: torch.clamp(x, None if low is None else const(low), None if high is None else const(high)),
    dot=dot,
    inner=inner,
    outer=lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)),
    vdot=lambda a, b: torch.dot(a.reshape(-1), b.reshape(-1)),
    vecdot=torch.linalg.vecdot,
    sum=add,
    prod=product,
    max=largest,
    amax=largest,
    min=smallest,
    amin=smallest,
    mean=mean,
    var=var,
    quantile=quantile,
    percentile=lambda x, q, **settings: quantile(x, numpy.asarray(q) / 100, **settings),
    cumsum=running(torch.cumsum),
    cumprod=running(torch.cumprod),
    sort=lambda x, axis: torch.sort(x, dim=axis, stable=True)[0],
    reshape=lambda x, shape: x.reshape(shape),
    ravel=lambda x: x.reshape(-1),
    transpose=lambda x, axes=None: x.permute(tuple(range(x.ndim)[::-1]) if axes is None else axes),
    expand_dims=torch.unsqueeze,
    flip=lambda x, axis: torch.flip(x, (axis,)),
    roll=torch.roll,
    concatenate=lambda xs, axis: torch.cat([x.reshape(-1) for x in xs]) if axis is None else torch.cat(xs, axis),
    stack=lambda xs, axis: torch.stack(xs, axis),
    trace=lambda x: torch.diagonal(x).sum(),
    take_along_axis=torch.take_along_dim,
    **{name: moved(getattr(numpy, name)) for name in ("repeat", "tile", "rot90", "delete", "atleast_3d", "array_split", "take")},
    pad=pad,
    select=select,
    diff=diff,
    append=lambda x, value: torch.cat([x.reshape(-1), torch.tensor([value], dtype=x.dtype)]),
    vstack=lambda xs: torch.cat(xs, 0),
    hstack=lambda xs: torch.cat(xs, 1),
    std=lambda x, **settings: torch.sqrt(var(x, **settings)),
    ptp=lambda x, **settings: largest(x, **settings) - smallest(x, **settings),
    median=lambda x, **settings: quantile(x, 0.5, **settings),
    average=lambda x, axis, weights: (x * weights).sum(axis) / weights.sum(axis),
    trapezoid=lambda x, axis: torch.trapezoid(x, dim=axis),
    nansum=lambda x, **settings: add(found(x), **settings),
    nanprod=lambda x, **settings: product(found(x, 1.0), **settings),
    nanmean=lambda x, **settings: mean(found(x), where=there(x), **settings),
    nanvar=lambda x, **settings: var(found(x), where=there(x), **settings),
    nanmax=lambda x, **settings: largest(found(x, -numpy.inf), **settings),
    floor_divide=torch.floor_divide,
    float_power=torch.pow,
    cbrt=lambda x: x ** (1 / 3),
    ldexp=lambda x, n: x * 2.0**n,
)
"""numpy, spelled in PyTorch."""
