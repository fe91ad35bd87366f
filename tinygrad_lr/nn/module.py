"""`Module`: a part of a network, with its parameters found by their path.

A module's parameters and parts are whatever Parameters and Modules its attributes hold, lists, tuples and
dicts of them included, in the order in which they were set. There is nothing to register.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_lr.autodiff.tensor import Tensor, data_of

if TYPE_CHECKING:
    from tinygrad_lr.nn.summary import Summary


class Parameter(Tensor):
    """A Tensor that a module learns: it requires gradients.

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.Parameter([0.5, 1.0]).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(data, requires_grad, dtype, name)


class LayerError(ValueError):
    """An input that a layer cannot take. The layer's path in the model is found as the error passes outwards."""

    def __init__(self, layer: Module, problem: str) -> None:
        super().__init__(problem)
        self.inner: Module = layer
        self.path: list[str] = []

    def pass_through(self, module: Module) -> None:
        """Note under which name ``module`` holds the part that the error came from."""
        for name, part in module.members():
            if part is self.inner:
                self.path.insert(0, name)
                self.inner = module
                return

    def __str__(self) -> str:
        where = f"layer {'.'.join(self.path)!r}: " if self.path else ""
        return where + str(self.args[0])


class Module:
    """A part of a network: a function with parameters.

    Subclass it, set Parameters and Modules as attributes in ``__init__``, and define ``forward``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lr import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         self.factor = nn.Parameter(2.0)
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> print(Scale()(np.array([1.0, 2.0])).numpy())
    [2. 4.]
    """

    training: bool = True

    def forward(self, *inputs: Any) -> Any:
        """What the module computes; calling the module calls this."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward method: def forward(self, x): ...")

    def __call__(self, *inputs: Any) -> Any:
        try:
            return self.forward(*inputs)
        except LayerError as error:
            error.pass_through(self)
            raise

    # -- parts and parameters --------------------------------------------------------------------------

    def members(self) -> Iterator[tuple[str, Parameter | Module]]:
        """(name, part) for every Parameter and Module held directly, in the order they were set."""
        for name, value in vars(self).items():
            yield from parts(name, value)

    def named_modules(self, path: str = "") -> Iterator[tuple[str, Module]]:
        """(path, module) for this module (path "") and all those inside it, each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(path, self)]
        while stack:
            path, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            inner = [(joined(path, name), part) for name, part in module.members() if isinstance(part, Module)]
            stack += reversed(inner)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter) for every parameter, each once, outer ones before those of inner modules.

        Examples
        --------
        >>> from tinygrad_lr import nn
        >>> [path for path, _ in nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)).named_parameters()]
        ['0.weight', '0.bias', '2.weight', '2.bias']
        """
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, part in module.members():
                if isinstance(part, Parameter) and id(part) not in seen:
                    seen.add(id(part))
                    yield joined(path, name), part

    def parameters(self) -> list[Parameter]:
        """The parameters, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    # -- state -----------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all inside it to training behaviour (or, with False, to evaluation)."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation behaviour."""
        return self.train(False)

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters by path.

        Examples
        --------
        >>> from tinygrad_lr import nn
        >>> nn.Dense(2, 1, rng=0).state_dict()["bias"]
        array([0.])
        """
        return {path: np.array(parameter.data) for path, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all parameters from arrays by path; each keeps its own dtype.

        Raises
        ------
        ValueError
            If a path is missing or unexpected, or an array has another shape than its parameter. The
            message names them all, and nothing is changed.
        """
        mine = dict(self.named_parameters())
        problems = [f"missing {path!r}" for path in mine if path not in state]
        problems += [f"unexpected {path!r}" for path in state if path not in mine]
        for path, parameter in mine.items():
            if path in state and np.shape(state[path]) != parameter.shape:
                problems.append(f"{path!r} has shape {np.shape(state[path])}, expected {parameter.shape}")
        if problems:
            raise ValueError(f"state does not fit {type(self).__name__}: " + "; ".join(problems))
        loaded = {path: np.array(data_of(state[path]), dtype=parameter.dtype) for path, parameter in mine.items()}
        for path, parameter in mine.items():
            parameter.data = loaded[path]

    # -- description -----------------------------------------------------------------------------------

    def summary(self, *inputs: Any) -> Summary:
        """A table of the layers, their output shapes, parameter counts and memory, for a call on ``inputs``.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_lr import nn
        >>> nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)).summary(np.ones((5, 2))).parameters
        13
        """
        from tinygrad_lr.nn.summary import summary

        return summary(self, *inputs)

    def settings(self) -> str:
        """What stands between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        lines = [f"  {name}: {part!r}".replace("\n", "\n  ") for name, part in self.members() if isinstance(part, Module)]
        head = f"{type(self).__name__}({self.settings()}"
        return head + ")" if not lines else "\n".join([head, *lines, ")"])


def parts(name: str, value: Any) -> Iterator[tuple[str, Parameter | Module]]:
    """The Parameters and Modules that an attribute holds, through lists, tuples and dicts."""
    if isinstance(value, Parameter | Module):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from parts(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from parts(f"{name}.{key}", item)


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
