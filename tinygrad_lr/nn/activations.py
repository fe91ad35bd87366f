"""Activations: layers that apply one function to each element, a = s(z).

Each class states in ``about`` all that the library knows of it. Functions that are no layers here are described
below them.
"""

from __future__ import annotations

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
    """A function of each element as a layer.

    A subclass sets ``about``. Where its function has settings, its ``__init__`` puts them into ``options`` by name.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> class Exp(nn.Activation):
    ...     about = nn.ActivationInfo(
    ...         function=np.exp,
    ...         sentence="Each number becomes a power of e.",
    ...         formula="exp({z})",
    ...         slopes={"z": "{a}"},
    ...         prime="exp′",
    ...         value=np.exp,
    ...         slope=lambda z, a: a,
    ...     )
    >>> Exp()([0.0]).item()
    1.0
    """

    about: ClassVar[ActivationInfo]
    options: dict[str, float] = {}  # noqa: RUF012 - replaced, never written to

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "about" in vars(cls):
            describe(cls.about)

    def forward(self, z: Array) -> Tensor:
        if self.options:
            return record(self.about.function, (z if isinstance(z, Tensor) else Tensor(z),), self.options)
        return unary(self.about.function, z)

    def settings(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())

    if TYPE_CHECKING:

        def __call__(self, z: Tensor | ArrayLike) -> Tensor: ...


def logistic(z: Array) -> Array:
    """The sigmoid in plain NumPy, for any z."""
    return np.exp(-np.logaddexp(0, -z))


class Sigmoid(Activation):
    """a = 1 / (1 + exp(-z))."""

    about = ActivationInfo(
        function=sigmoid,
        sentence="The sigmoid turns each number into one between 0 and 1.",
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
        sentence="tanh squashes each number into one between -1 and 1.",
        formula="tanh({z})",
        slopes={"z": "(1 - {a}^2)"},
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
        sentence="Softplus is a smooth ReLU: close to z where that is large, and to 0 where it is far below.",
        formula="log(1 + exp({z}))",
        slopes={"z": "sigmoid({z})"},
        prime="softplus′",
        value=lambda z: np.logaddexp(0, z),
        slope=lambda z, a: logistic(z),
    )


# -- functions that are no layers ------------------------------------------------------------------------

describe(
    ActivationInfo(
        function=log_sigmoid,
        sentence="The logarithm of the sigmoid: close to z where that is far below 0, and to 0 where it is large.",
        formula="-log(1 + exp(-{z}))",
        slopes={"z": "sigmoid(-{z})"},
        prime="log_sigmoid′",
        value=lambda z: -np.logaddexp(0, -z),
        slope=lambda z, a: logistic(-z),
    ),
    Info(
        function=softmax,
        sentence="The softmax turns numbers into shares: all are positive, and they sum to 1.",
        formula="softmax({z})",
        words={"z": "less its mean weighted by the result, times the result"},
    ),
    Info(
        function=log_softmax,
        sentence="The logarithm of the softmax.",
        formula="log softmax({z})",
        words={"z": "less softmax(z) times its sum"},
    ),
)
