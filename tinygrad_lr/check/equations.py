"""The equations of backpropagation BP1 to BP4 in plain NumPy, for a network taken apart into its layers.

Nothing here is differentiated: z, a and delta of each layer are computed from the network's weights. Rows of a
batch are samples, so a delta is a matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeGuard

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.nn.activations import Activation
from tinygrad_lr.nn.descriptions import is_described
from tinygrad_lr.nn.layers import Dense, Sequential
from tinygrad_lr.nn.losses import Loss
from tinygrad_lr.nn.module import Module

# -- a model, taken apart ------------------------------------------------------------------------------


class Stage:
    """A Dense layer and the activation after it (either may be missing), or a layer of another kind.

    ``w`` and ``b`` are the names of its parameters in the equations, with its own number or that of the first stage that shares them.
    """

    w = b = ""

    def __init__(self, path: str, dense: Dense | None = None, activation: Activation | None = None, other: Module | None = None) -> None:
        self.dense, self.activation, self.other = dense, activation, other
        self.title = brief(dense or activation or other) + (f" at {shown(path)}" if path else "")

    def before(self, a: Array) -> Array:
        """z, from the input."""
        return self.dense(a) if self.dense else self.other(a) if self.other else a

    def behind(self, z: Array) -> Array:
        """a, from z."""
        return self.activation(z) if self.activation else z

    def parameters(self, learning: bool = True) -> dict[str, Tensor]:
        """The parameters that are learnt (or those that are frozen), by name."""
        layer = self.dense or self.other
        return {name: p for name, p in layer.named_parameters() if p.requires_grad == learning} if layer else {}


def brief(part: object) -> str:
    """A module or function in one line."""
    text: str = getattr(part, "__name__", None) or repr(part)
    return text if "\n" not in text else f"{type(part).__name__}(...)"


def stages_of(model: Module) -> list[Stage]:
    """The layers of a model in the order of the forward pass, each Dense with its activation."""
    stages = taken_apart(model, "")
    names: dict[int, str] = {}
    for n, stage in enumerate(stages, start=1):
        if stage.dense:
            stage.w = names.setdefault(id(stage.dense.weight), f"w{n}")
            stage.b = names.setdefault(id(stage.dense.bias), f"b{n}") if stage.dense.bias is not None else ""
    return stages


def taken_apart(model: Module, path: str) -> list[Stage]:
    """The layers of a part of the model, given its path."""
    if isinstance(model, Sequential) and type(model).forward is Sequential.forward:
        stages: list[Stage] = []
        for name, layer in model.layers.items():
            for stage in taken_apart(layer, f"{path}.{name}" if path else name):
                last = stages[-1] if stages else None
                if last and last.dense and not last.activation and stage.activation and not stage.dense:
                    last.activation, last.title = stage.activation, f"{last.title}, {stage.title}"
                else:
                    stages.append(stage)
        return stages
    if isinstance(model, Dense):
        return [Stage(path, dense=model)]
    if isinstance(model, Activation) and is_described(model):
        return [Stage(path, activation=model)]
    return [Stage(path, other=model)]


# -- the two passes ------------------------------------------------------------------------------------


class Slope(NamedTuple):
    """dL/da or delta, its equation, and the size of the numbers it was computed from: its rounding error is some eps of that."""

    value: Array
    words: str
    size: Array


class ByHand(NamedTuple):
    """One stage, computed by the equations."""

    entered: Array
    z: Array
    a: Array
    delta: Slope


def by_hand(stages: list[Stage], outputs: list[Array], loss_fn: object, y: Array, slope_at: Callable[[int], Array]) -> list[ByHand]:
    """The forward and the backward pass.

    Layers that the equations do not cover take their results from ``outputs``: the input of the network and the output
    of each stage. Where they do not cover the layer or the loss after stage n, ``slope_at(n)`` returns dL/da of it.
    """
    hands: list[ByHand] = []
    passed = forward(stages, outputs)
    for n in range(len(stages), 0, -1):
        stage, (entered, z, a) = stages[n - 1], passed[n - 1]
        following = stages[n] if n < len(stages) else None
        if following is None and covers(loss_fn):
            delta = bp1(stage, n, z, a, y, loss_fn)
        elif following is None or following.other:
            slope = slope_at(n)
            delta = times_slope(stage, n, z, a, Slope(slope, f"delta{n} = dL/d{out(stage, n)} of autodiff", np.abs(slope)))
        else:
            delta = times_slope(stage, n, z, a, bp2(following, n, hands[0].delta))
        hands.insert(0, ByHand(entered, z, a, delta))
    return hands


def forward(stages: list[Stage], outputs: list[Array]) -> list[tuple[Array, Array, Array]]:
    """The input, z and a of each stage."""
    passed = []
    a = outputs[0]
    for stage, output in zip(stages, outputs[1:]):
        entered = z = a
        if stage.dense:
            z = entered @ stage.dense.weight.numpy().T
            z = z if stage.dense.bias is None else z + stage.dense.bias.numpy()
        a = output if stage.other else stage.activation.about.value(z, **stage.activation.options) if stage.activation else z
        passed.append((entered, z, a))
    return passed


def covers(loss_fn: object) -> TypeGuard[Loss]:
    """Whether the equations cover a loss."""
    return isinstance(loss_fn, Loss) and is_described(loss_fn)


def bp1(stage: Stage, n: int, z: Array, a: Array, y: Array, loss_fn: Loss) -> Slope:
    """delta of the last stage, from the loss."""
    direct, *others = loss_fn.about
    joint = next((info for info in others if stage.activation and stage.activation.about.function is info.through), None)
    info = joint or direct
    settings = info.settings([], loss_fn.options)
    left, right = info.terms(a, y, **settings)
    if joint:  # the terms include s'(z), so nothing is divided by it where it is 0
        words = f"dL/da{n} * s'(z{n}) = " + info.written(info.slope_of(0), [f"z{n}", f"a{n}", "y"], settings)
    else:
        words = info.written(info.slope_of(0), [out(stage, n), "y"], settings)
    count, share = (1, "") if loss_fn.reduction == "sum" else (y.size, f"/{info.count(a.shape)}")
    slope = Slope((left - right) / count, f"BP1: delta{n} = {words}{share}", (np.abs(left) + np.abs(right)) / count)
    return slope if joint else times_slope(stage, n, z, a, slope)


def bp2(following: Stage, n: int, delta: Slope) -> Slope:
    """dL/da of stage n, from delta of the stage after it."""
    if not following.dense:
        return delta._replace(words=f"delta{n} = delta{n + 1}")
    w = following.dense.weight.numpy()
    return Slope(delta.value @ w, f"BP2: delta{n} = (delta{n + 1} {following.w})", delta.size @ np.abs(w))


def times_slope(stage: Stage, n: int, z: Array, a: Array, slope: Slope) -> Slope:
    """delta from dL/da: times s'(z)."""
    if not stage.activation:
        return slope
    derivative = stage.activation.about.slope(z, a, **stage.activation.options)
    return Slope(slope.value * derivative, f"{slope.words} * s'(z{n})", slope.size * np.abs(derivative) + np.abs(slope.value))


def out(stage: Stage, n: int) -> str:
    """The name of the output of stage n in the equations."""
    return f"z{n}" if stage.dense and not stage.activation else f"a{n}"
