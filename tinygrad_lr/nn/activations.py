"""Activations: layers that apply one function to each element, a = s(z).

Each class states in ``about`` all that the library knows about its function. Functions without a layer are described
at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import log_sigmoid, relu, sigmoid, softplus
from tinygrad_lr.autodiff.rules.reductions import log_softmax, softmax
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor, record, unary
from tinygrad_lr.nn.descriptions import ActivationInfo, Info, describe
from tinygrad_lr.nn.module import Module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Activation(Module):
    """A layer that applies a function to each element.

    A subclass states its function in ``about``. If that has settings, with defaults, ``__init__`` puts a dict of them into ``options``.

    Examples
    --------
    >>> from tinygrad_lr import nn, primitive
    >>> cube = primitive(lambda z: z**3, lambda g, a, z: g * 3 * z**2)
    >>> class Cube(nn.Activation):
    ...     about = nn.ActivationInfo(
    ...         function=cube, sentence="The cube.", formula="{z}^3", slopes={"z": "3 {z}^2"}, prime="cube′", value=lambda z: z**3, slope=lambda z, a: 3 * z**2
    ...     )
    >>> Cube()([1.0, -2.0]).tolist()
    [1.0, -8.0]
    """

    about: ClassVar[ActivationInfo]
    options: Mapping[str, float] = MappingProxyType({})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "about" in vars(cls):
            if not isinstance(cls.about, ActivationInfo):
                raise TypeError(f"{cls.__name__}.about must be an ActivationInfo, got {cls.about!r}")
            describe(cls.about, kind=cls)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "options" and isinstance(value, dict):  # a NumPy number would be part of the state
            value = {setting: number.item() if isinstance(number, np.generic) else number for setting, number in value.items()}
        super().__setattr__(name, value)

    def forward(self, z: Array) -> Tensor:
        try:
            function = self.about.function
        except AttributeError:
            raise TypeError(f"{type(self).__name__} needs a description of its function, about = nn.ActivationInfo(...), or a forward of its own") from None
        if self.options:
            return record(function, (z if isinstance(z, Tensor) else Tensor(z),), {**self.options})
        return unary(function, z)

    def settings(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())

    if TYPE_CHECKING:

        def __call__(self, z: Tensor | ArrayLike) -> Tensor: ...


def logistic(z: Array) -> Array:
    """The sigmoid in plain NumPy, without overflow."""
    return np.exp(-np.logaddexp(0, -z))


class Sigmoid(Activation):
    """a = 1 / (1 + exp(-z))."""

    about = ActivationInfo(
        function=sigmoid,
        sentence="The sigmoid squashes each number into one between 0 and 1.",
        formula="1/(1 + exp(-{z}))",
        slopes={"z": "{a} (1 - {a})"},
        prime="s′",
        value=logistic,
        slope=lambda z, a: a * (1 - a),
    )


class Tanh(Activation):
    """a = tanh(z)."""

    about = ActivationInfo(
        function=np.tanh,
        sentence="Tanh squashes each number into one between -1 and 1.",
        formula="tanh({z})",
        slopes={"z": "1 - {a}^2"},
        prime="tanh′",
        value=np.tanh,
        slope=lambda z, a: 1 - a**2,
    )


class ReLU(Activation):
    """a = max(z, 0), with derivative 0 at 0."""

    about = ActivationInfo(
        function=relu,
        sentence="ReLU keeps what is positive and sets the rest to 0.",
        formula="max({z}, 0)",
        slopes={"z": "1 where {z} > 0, else 0"},
        prime="relu′",
        value=lambda z: np.maximum(z, 0),
        slope=lambda z, a: (z > 0).astype(z.dtype),
    )


class Softplus(Activation):
    """a = log(1 + exp(z)), a smooth ReLU."""

    about = ActivationInfo(
        function=softplus,
        sentence="Softplus is a smooth ReLU: close to z for large z, and close to 0 for very negative z.",
        formula="log(1 + exp({z}))",
        slopes={"z": "sigmoid({z})"},
        prime="softplus′",
        value=lambda z: np.logaddexp(0, z),
        slope=lambda z, a: logistic(z),
    )


# -- functions without a layer ---------------------------------------------------------------------------

describe(
    ActivationInfo(
        function=log_sigmoid,
        sentence="The logarithm of the sigmoid: close to z for very negative z, and close to 0 for large z.",
        formula="-log(1 + exp(-{z}))",
        slopes={"z": "sigmoid(-{z})"},
        prime="log_sigmoid′",
        value=lambda z: -np.logaddexp(0, -z),
        slope=lambda z, a: logistic(-z),
    ),
    Info(
        function=softmax,
        sentence="The softmax turns numbers into shares that are positive and sum to 1.",
        formula="softmax({z})",
        words={"z": "minus its mean weighted by the result, times the result"},
    ),
    Info(
        function=log_softmax,
        sentence="The logarithm of the softmax.",
        formula="log softmax({z})",
        words={"z": "minus softmax(z) times its sum"},
    ),
)
