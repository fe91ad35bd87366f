"""Optimisers: they read `.grad` and give each parameter a new array, so arrays handed out earlier stay as they were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_lr.autodiff.tensor import Tensor, leaf_of
from tinygrad_lr.nn.module import Module, Parameter


class Optimizer:
    """What optimisers share: the parameters, and forgetting their gradients."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        if isinstance(parameters, Module | Tensor):
            raise TypeError(f"{type(self).__name__} takes a list of parameters, got a {type(parameters).__name__}: pass model.parameters()")
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError(f"{type(self).__name__} got no parameters to learn")
        if len({id(parameter) for parameter in self.parameters}) < len(self.parameters):
            raise ValueError(f"{type(self).__name__} got a parameter more than once: it would move it as often in one step")
        for i, parameter in enumerate(self.parameters):
            if not isinstance(parameter, Tensor) or not parameter.is_leaf:
                raise TypeError(f"{type(self).__name__} takes Tensors that are leaves; parameter {i} is {parameter!r}")
            if not parameter.requires_grad and not isinstance(parameter, Parameter):  # a frozen Parameter may thaw
                raise TypeError(f"{type(self).__name__} takes Tensors to learn; parameter {i} requires no gradients: {parameter!r}")
            leaf_of(parameter)  # a frozen one has no node yet
        if not lr >= 0:
            raise ValueError(f"the learning rate must not be negative, got {lr}")
        self.lr = lr

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter.node.grad = None  # type: ignore[union-attr]

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        raise NotImplementedError(f"{type(self).__name__} needs a step method: def step(self), which sets the .data of self.parameters from their .grad")

    def missing_gradients(self) -> RuntimeError:
        return RuntimeError(f"{type(self).__name__}.step() found no gradient on any parameter: call loss.backward() first")


class SGD(Optimizer):
    """Gradient descent: parameter <- parameter - lr * gradient.

    Parameters
    ----------
    parameters : iterable of Tensor
        What to learn, as from ``model.parameters()``.
    lr : float
        The learning rate.
    momentum : float
        How much of the last step's velocity v to keep: v <- momentum v + gradient, and the step is lr v
        (the form of ``torch.optim.SGD``).
    nesterov : bool
        Step by gradient + momentum v instead of v (Sutskever et al. 2013).
    weight_decay : float
        Adds weight_decay * parameter to the gradient: the penalty (weight_decay / 2) |parameter|^2.

    Raises
    ------
    TypeError
        If given a model instead of its parameters.
    ValueError
        If there are no parameters, or a setting is out of range.
    RuntimeError
        By ``step``, if no parameter has a gradient.

    Examples
    --------
    >>> import tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> w = nn.Parameter(3.0)
    >>> optimizer = nn.SGD([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> print(f"{w.item():.1f}")
    2.4
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr)
        if not momentum >= 0 or not weight_decay >= 0:
            raise ValueError(f"momentum and weight_decay must not be negative, got {momentum} and {weight_decay}")
        if nesterov and not momentum:
            raise ValueError("nesterov=True needs a momentum above 0")
        self.momentum, self.nesterov, self.weight_decay = float(momentum), nesterov, float(weight_decay)
        self.velocities: list[Any] = [0.0] * len(self.parameters)

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        # float: a NumPy number as learning rate would make float32 parameters float64
        descent, momentum, weight_decay, stepped = -float(self.lr), self.momentum, self.weight_decay, False
        for i, parameter in enumerate(self.parameters):
            g = parameter.node.grad  # type: ignore[union-attr]
            if g is None:
                continue
            stepped = True
            if weight_decay:
                g = g + weight_decay * parameter.data
            if momentum:
                self.velocities[i] = v = momentum * self.velocities[i] + g
                g = g + momentum * v if self.nesterov else v
            parameter.data = g * descent + parameter.data  # in this order NumPy reuses the product's memory
        if not stepped:
            raise self.missing_gradients()
