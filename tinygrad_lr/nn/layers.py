"""Layers: `Dense`, and `Sequential`, which chains layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lr.autodiff.operands import operand
from tinygrad_lr.autodiff.rules.linalg.products import materialized
from tinygrad_lr.autodiff.rules.registry import HALF, RULES, Array, dispatching, wide
from tinygrad_lr.autodiff.tensor import Tensor, record
from tinygrad_lr.nn.activations import ReLU as ReLU  # these three stood here in version 0.1, and models pickled by it look for them here
from tinygrad_lr.nn.activations import Sigmoid as Sigmoid
from tinygrad_lr.nn.activations import Tanh as Tanh
from tinygrad_lr.nn.descriptions import Info, describe
from tinygrad_lr.nn.module import LayerError, Module, Parameter

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


def product(a: Array, b: Array) -> Array:
    """a b, with dot for small matrices: it has less overhead than matmul but is slow for stacks."""
    return a.dot(b) if a.ndim == 2 and a.size < 1024 else materialized(a) @ b


@dispatching
def linear(x: Array, w: Array, b: Array | None = None) -> Array:
    """A layer's z = x w^T + b; rows of ``x`` are samples, rows of ``w`` are neurons."""
    z = product(x, w.T)
    return z if b is None else z + b


def as_rows(x: Array) -> Array:
    """``x`` as a matrix, with all axes but the last as rows."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def linear_bias(g: Array, z: Array, x: Array, w: Array, b: Array) -> Array:
    """Each bias is added once in every row."""
    if g.dtype is HALF:
        g = wide(g)
    return g.sum(axis=0) if x.ndim == 2 else as_rows(g).sum(axis=0)


RULES[linear] = (
    lambda g, z, x, w, b=None: product(g, w),
    lambda g, z, x, w, b=None: product(g.T, x) if x.ndim == 2 else product(as_rows(g).T, as_rows(x)),  # BP4
    linear_bias,  # BP3
)
describe(
    Info(
        function=linear,
        sentence="Each neuron multiplies its inputs by its weights, sums them up and adds its bias.",
        formula="{x} {w}^T + {b}",
        words={"x": "times the weights", "w": "times the inputs, summed over rows", "b": "summed over rows"},
    )
)


class Dense(Module):
    """A layer of neurons, each connected to every input: z = x w^T + b.

    Parameters
    ----------
    n_in, n_out : int
        How many inputs, and how many neurons.
    bias : bool
        Whether neurons have a bias.
    dtype : dtype
        Floating type of the parameters.
    rng : numpy.random.Generator or int, optional
        The source of the initial weights; an int is a seed.

    Attributes
    ----------
    weight : Parameter of shape (n_out, n_in)
        ``weight[j, k]`` is that of input k in neuron j. Initially uniform within +-sqrt(6 / (n_in + n_out))
        (Glorot and Bengio 2010, equation 16).
    bias : Parameter of shape (n_out,), or None
        Initially 0.

    Raises
    ------
    ValueError
        If a size is not positive; on call, if the last axis of the input does not have n_in elements.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lr import nn
    >>> layer = nn.Dense(3, 2, rng=0)
    >>> layer, layer(np.ones((5, 3))).shape
    (Dense(3 -> 2), (5, 2))
    """

    def __init__(self, n_in: int, n_out: int, bias: bool = True, dtype: DTypeLike = np.float64, rng: np.random.Generator | int | None = None) -> None:
        if n_in < 1 or n_out < 1:
            raise ValueError(f"Dense({n_in} -> {n_out}): a layer needs at least one input and one neuron")
        self.n_in, self.n_out = int(n_in), int(n_out)  # a NumPy number would be part of the state
        bound = np.sqrt(6 / (n_in + n_out))
        self.weight = Parameter(np.random.default_rng(rng).uniform(-bound, bound, (n_out, n_in)), dtype=dtype, name="weight")
        self.bias = Parameter(np.zeros(n_out), dtype=dtype, name="bias") if bias else None

    def forward(self, x: Array) -> Tensor:
        if (type(x) is not np.ndarray or x.dtype.hasobject) and not isinstance(x, Tensor):  # lists, data frames
            x = operand(x)
        shape = x.shape
        if not shape or shape[-1] != self.n_in:
            raise LayerError(self, f"{self!r} got input of shape {shape}: expected (..., {self.n_in})")
        return record(linear, (x, self.weight, self.bias))

    if TYPE_CHECKING:

        def __call__(self, x: Tensor | ArrayLike) -> Tensor: ...

    def settings(self) -> str:
        return f"{self.n_in} -> {self.n_out}" + ("" if self.bias is not None else ", bias=False")


class Sequential(Module):
    """Layers one after another.

    Parameters
    ----------
    *layers : Module
        The layers, called "0", "1", ...
    **named : Module
        Or layers with names of their own.

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.Sequential(hidden=nn.Dense(2, 3), squash=nn.Tanh(), out=nn.Dense(3, 1))
    Sequential(
      hidden: Dense(2 -> 3)
      squash: Tanh()
      out: Dense(3 -> 1)
    )
    """

    def __init__(self, *layers: Module, **named: Module) -> None:
        self.layers: dict[str, Module] = {**{str(i): layer for i, layer in enumerate(layers)}, **named}
        for name, layer in self.layers.items():
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential layer {name!r} must be a Module, got {type(layer).__name__}: wrap a function in a Module")

    def forward(self, x: Array) -> Array:
        for layer in self.layers.values():
            x = layer(x)
        return x

    if TYPE_CHECKING:

        def __call__(self, x: Tensor | ArrayLike) -> Tensor: ...

    def members(self) -> Iterator[tuple[str, Parameter | Module]]:
        for name, part in super().members():
            yield name.removeprefix("layers."), part

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers.values())

    def __getitem__(self, i: int | str) -> Any:
        """A layer by position or name. It may be of any class, so type checkers allow any attribute."""
        return self.layers[i] if isinstance(i, str) else list(self.layers.values())[i]
