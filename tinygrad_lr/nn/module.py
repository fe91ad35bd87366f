"""`Module`: a part of a network, with its parameters and buffers found by their path.

A module's parameters and parts are whatever Parameters and Modules its attributes hold, lists, tuples and
dicts of them included, in the order in which they were set; all other arrays in them are its buffers. There is
nothing to register.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_lr.autodiff.operands import operand
from tinygrad_lr.autodiff.protocols import data_of, tracked
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.text import shown

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

    Subclass it, set Parameters and Modules as attributes in ``__init__``, and define ``forward``. Other arrays
    among the attributes, such as running means, are buffers: part of the state, but not learnt. A forward
    that changes one sets the attribute to a new array. What a forward only keeps for itself, such as its last input,
    goes into an attribute whose name starts with an underscore, which is not part of the state.

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

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the module computes; calling the module calls this."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward method: def forward(self, x): ...")

    def __call__(self, /, *inputs: Any, **named: Any) -> Any:
        try:
            return self.forward(*inputs, **named) if named else self.forward(*inputs)  # quicker
        except LayerError as error:
            error.pass_through(self)
            raise

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(vars(self).get(name), Parameter) and not (value is None or isinstance(value, Parameter | Module)):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter, and would no longer be learnt: to set its numbers assign to its .data, as in "
                f"m.{name}.data = ...; or assign an nn.Parameter, None or a Module"
            )
        super().__setattr__(name, value)

    # -- parts and parameters --------------------------------------------------------------------------

    def members(self) -> Iterator[tuple[str, Parameter | Module]]:
        """(name, part) for every Parameter and Module held directly, in the order they were set."""
        for attribute, value in vars(self).items():
            for name, thing in inside(attribute, value):
                if isinstance(thing, Parameter | Module):
                    yield name, thing

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

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """(path, array) for every array that a module holds besides its parameters.

        These are NumPy arrays and numbers, arrays of other libraries that follow NumPy's protocols, and Tensors
        that are leaves. Random generators, Python numbers, computed Tensors, and attributes whose names start with
        an underscore are not among them.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_lr import nn
        >>> class Centred(nn.Module):
        ...     def __init__(self):
        ...         self.mean = np.zeros(3)
        >>> [path for path, _ in nn.Sequential(nn.Dense(2, 3), Centred()).named_buffers()]
        ['1.mean']
        """
        seen: set[int] = set()
        for path, module in self.named_modules():
            for attribute, value in public(module):
                for name, thing in inside(attribute, value):
                    if is_buffer(thing) and id(thing) not in seen:
                        if isinstance(thing, Tensor):  # it stays one where it is shared; arrays part when one is bound anew
                            seen.add(id(thing))
                        yield joined(path, name), thing

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
        """Copies of all parameters and buffers by path.

        Raises
        ------
        ValueError
            If two of them have the same path.
        TypeError
            If a buffer is a masked array, or a Tensor computed from tracked ones.

        Examples
        --------
        >>> from tinygrad_lr import nn
        >>> nn.Dense(2, 1, rng=0).state_dict()["bias"]
        array([0.])
        """
        check_buffers(self)
        return {path: copy_of(path, thing) for path, thing in arrays_of(self).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all parameters and buffers from copies of arrays by path. Each keeps its dtype.

        A state without any buffers, as version 0.1 wrote it, leaves them as they are, with a warning.

        Raises
        ------
        TypeError
            If an array is a tracked Tensor. To differentiate a model with respect to its parameters, call
            `functional_call`. Or if one is masked, a matrix, sparse, or of Python objects.
        ValueError
            If a path is missing or unexpected, or an array has another shape or kind than what it is for. The
            message names them all, and nothing is changed.
        """
        mine, state = arrays_of(self), dict(state)  # read once where it is a file
        for path, value in state.items():
            if tracked(value):
                raise TypeError(
                    f"load_state_dict got a tracked Tensor for {path!r} and would cut it out of its graph: to differentiate with respect to it "
                    f"call nn.functional_call(model, arrays_by_path, *inputs); to copy its numbers pass t.detach()"
                )
        state = plain(state)
        buffers = [path for path, _ in self.named_buffers()]
        if buffers and not any(path in state for path in buffers):
            warnings.warn(f"the state holds no buffers, so those of {type(self).__name__} stay as they are: {', '.join(map(repr, buffers))}", stacklevel=2)
            mine, buffers = {path: thing for path, thing in mine.items() if path not in buffers}, []
        problems = unfit(mine, state)
        if problems:
            misshapen = any(path in state and np.shape(state[path]) != mine[path].shape for path in buffers)
            extra = mine.keys() < state.keys()  # were they other names, some would be missing too
            hint = ". (What forward only keeps for itself belongs in an attribute whose name starts with _, which is no state.)" if extra or misshapen else ""
            raise ValueError(f"state does not fit {type(self).__name__}: " + "; ".join(problems) + hint)
        loaded = {path: np.array(data_of(state[path]), dtype=None if thing.dtype.kind in "US" else thing.dtype) for path, thing in mine.items()}
        for path, thing in mine.items():
            if isinstance(thing, Tensor):
                thing.data = loaded[path]
        rebind(self, loaded)

    # -- description -----------------------------------------------------------------------------------

    def summary(self, /, *inputs: Any, **named: Any) -> Summary:
        """A table of the layers, their output shapes, parameter counts and memory, for a call on these inputs.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_lr import nn
        >>> nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)).summary(np.ones((5, 2))).parameters
        13
        """
        from tinygrad_lr.nn.summary import summary

        return summary(self, *inputs, **named)

    def settings(self) -> str:
        """What stands between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        lines = [f"  {shown(name)}: {part!r}".replace("\n", "\n  ") for name, part in self.members() if isinstance(part, Module)]
        head = f"{type(self).__name__}({self.settings()}"
        return head + ")" if not lines else "\n".join([head, *lines, ")"])


def public(module: Module) -> list[tuple[str, Any]]:
    """The attributes that may hold buffers."""
    return [(name, value) for name, value in vars(module).items() if not name.startswith("_")]


def inside(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(name, thing) for what an attribute holds, through lists, tuples and dicts."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from inside(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from inside(f"{name}.{key}", item)
    else:
        yield name, value


def arrays_of(model: Module) -> dict[str, Any]:
    """A model's parameters and buffers themselves, by path."""
    things: dict[str, Any] = {}
    for path, thing in (*model.named_parameters(), *model.named_buffers()):
        if path in things:
            raise ValueError(f"{type(model).__name__} holds two arrays under the path {path!r}: rename a layer, a key or an attribute")
        things[path] = thing
    return things


def is_buffer(thing: Any) -> bool:
    """Whether it is an array of a module's state besides its parameters. A computed Tensor belongs to its graph."""
    if isinstance(thing, Tensor):
        return thing.is_leaf and not isinstance(thing, Parameter)
    return hasattr(type(thing), "__array_function__") or isinstance(thing, np.number | np.bool_)  # 0-d arrays turn into numbers


def check_buffers(model: Module) -> None:
    """Refuse computed Tensors where buffers belong: a state without them would be short of a running mean."""
    for path, module in model.named_modules():
        for attribute, value in public(module):
            for name, thing in inside(attribute, value):
                if isinstance(thing, Tensor) and not thing.is_leaf:
                    raise TypeError(
                        f"{joined(path, name)!r} was computed from tracked Tensors, so it is no part of the state: assign its .numpy(), "
                        f"or call it _{attribute} if it is none"
                    )


def castable(dtype: np.dtype[Any], own: np.dtype[Any]) -> bool:
    """Whether numbers of one type may become those of a parameter's or buffer's own; NumPy would write numbers as text too."""
    return (dtype.kind in "biufc") == (own.kind in "biufc") and np.can_cast(dtype, own, "same_kind")


def copy_of(path: str, thing: Any) -> np.ndarray[Any, Any]:
    """A parameter or buffer as an array of its own."""
    if isinstance(thing, np.ndarray) and type(thing) is not np.ndarray and isinstance(thing, np.ma.MaskedArray):
        raise TypeError(f"the buffer {path!r} is a masked array, and its mask would be lost: hold the data and the mask as two arrays")
    return np.array(data_of(thing))


def plain(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What was given by path, as arrays and Tensors; what calculates by rules of its own is refused."""
    found = {}
    for path, value in arrays.items():
        try:
            found[path] = operand(value)
        except TypeError as error:
            raise TypeError(f"{path!r}: {error}") from error
    return found


def unfit(mine: Mapping[str, Any], state: Mapping[str, Any], whole: bool = True) -> list[str]:
    """What is wrong with a state, or with a part of one, for these parameters and buffers."""
    problems = [f"missing {path!r}" for path in mine if path not in state] if whole else []
    problems += [f"unexpected {path!r}" for path in state if path not in mine]
    for path, thing in mine.items():
        if path in state:
            shape, dtype = np.shape(state[path]), getattr(state[path], "dtype", None)
            if shape != thing.shape:
                problems.append(f"{path!r} has shape {shape}, expected {thing.shape}")
            if isinstance(dtype, np.dtype) and not castable(dtype, thing.dtype):
                problems.append(f"{path!r} is {dtype}, expected {thing.dtype}")
    return problems


def rebind(model: Module, arrays: Mapping[str, Any]) -> None:
    """Hold these arrays in place of buffers; Tensors among the buffers stay."""
    for path, module in model.named_modules():
        for attribute, value in public(module):
            vars(module)[attribute] = rebound(joined(path, attribute), value, arrays)


def rebound(path: str, value: Any, arrays: Mapping[str, Any]) -> Any:
    """A value with other buffers in it. Lists and dicts are written to, because modules may share them; tuples are built anew."""
    if not isinstance(value, list | tuple | dict):
        return bound(arrays[path], value) if path in arrays and is_bare(value) else value
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    news = {key: rebound(f"{path}.{key}", item, arrays) for key, item in items}
    changed = [key for key, item in items if news[key] is not item]
    if changed and isinstance(value, tuple):
        return type(value)(*news.values()) if hasattr(value, "_fields") else tuple(news.values())
    for key in changed:
        value[key] = news[key]  # type: ignore[index]
    return value


def is_bare(thing: Any) -> bool:
    """Whether it is a buffer that no Tensor holds."""
    return is_buffer(thing) and not isinstance(thing, Tensor)


def bound(array: Any, thing: Any) -> Any:
    """The array in the buffer's kind, and as a NumPy number where it takes the place of one."""
    if isinstance(array, np.ndarray) and array.dtype.kind != thing.dtype.kind:
        array = array.astype(thing.dtype)
    return array[()] if isinstance(thing, np.generic) and isinstance(array, np.ndarray) else array


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
