"""Optimisers: they read `.grad` and set each parameter's `.data` to a new array, so arrays taken from it earlier never change."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.module import Module, Parameter


class Optimizer:
    """What optimisers share: the parameters, the learning rate, and clearing gradients."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        if isinstance(parameters, Module | Tensor):
            raise TypeError(f"{type(self).__name__} takes a list of parameters, got a {type(parameters).__name__}: pass model.parameters()")
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError(f"{type(self).__name__} got no parameters to learn")
        if len({id(parameter) for parameter in self.parameters}) < len(self.parameters):
            raise ValueError(f"{type(self).__name__} got a parameter more than once: each step would move it several times")
        for i, parameter in enumerate(self.parameters):
            if not isinstance(parameter, Tensor) or not parameter.is_leaf:
                raise TypeError(f"{type(self).__name__} takes Tensors that are leaves; parameter {i} is {parameter!r}")
            if not parameter.requires_grad and not isinstance(parameter, Parameter):  # a frozen Parameter may be unfrozen later
                raise TypeError(f"{type(self).__name__} takes Tensors to learn; parameter {i} requires no gradients: {parameter!r}")
        if not lr >= 0:
            raise ValueError(f"the learning rate must not be negative, got {lr}")
        self.lr = lr

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            if parameter.node is not None:  # a frozen one may have none
                parameter.node.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        raise NotImplementedError(f"{type(self).__name__} needs a step method: def step(self), which sets the .data of self.parameters from their .grad")


class SGD(Optimizer):
    """Gradient descent: parameter <- parameter - lr * gradient.

    Parameters
    ----------
    parameters : iterable of Tensor
        What to learn, usually ``model.parameters()``.
    lr : float
        The learning rate.
    momentum : float
        How much of the previous velocity v to keep: v <- momentum v + gradient, and the step is lr v
        (as in ``torch.optim.SGD``).
    nesterov : bool
        Whether to step by gradient + momentum v instead of v (Sutskever et al. 2013).
    weight_decay : float
        Adds weight_decay * parameter to the gradient: the penalty (weight_decay / 2) |parameter|^2.

    Raises
    ------
    TypeError
        If given a model instead of its parameters.
    ValueError
        If there are no parameters, or a setting is out of range.
    RuntimeError
        From ``step``, if no parameter has a gradient.

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
        self.velocities: list[Array] = [0.0] * len(self.parameters)

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        # float: a NumPy number as learning rate would make float32 parameters float64
        descent, momentum, weight_decay, stepped = -float(self.lr), self.momentum, self.weight_decay, False
        for i, parameter in enumerate(self.parameters):
            if parameter.node is None or parameter.node.grad is None:
                continue
            g, stepped = parameter.node.grad, True
            if weight_decay:
                g = g + weight_decay * parameter.data
            if momentum:
                self.velocities[i] = v = momentum * self.velocities[i] + g
                g = g + momentum * v if self.nesterov else v
            parameter.data = g * descent + parameter.data  # in this order NumPy reuses the product's memory
        if not stepped:
            raise RuntimeError(f"{type(self).__name__}.step() found no gradient on any parameter: call loss.backward() first")
