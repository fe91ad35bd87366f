"""`Module`: a part of a network, whose parameters and buffers are found by their paths.

The parameters and parts of a module are the Parameters and Modules that its attributes hold, in lists, tuples and
dicts too, in the order in which they were set; all other arrays there are its buffers. Nothing has to be registered.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_lr.autodiff.operands import operand
from tinygrad_lr.autodiff.protocols import data_of, tracked
from tinygrad_lr.autodiff.record import no_grad
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.nn.summary import Row, Summary

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Parameter(Tensor):
    """A Tensor for a module to learn: it requires gradients.

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.Parameter([0.5, 1.0]).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: object, requires_grad: bool = True, dtype: DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(data, requires_grad, dtype, name)


class LayerError(ValueError):
    """An input that a layer cannot take. The path of the layer in the model is put together as the error propagates."""

    def __init__(self, layer: Module, problem: str) -> None:
        super().__init__(problem)
        self.inner: Module = layer
        self.path: list[str] = []

    def pass_through(self, module: Module) -> None:
        """Prepend the name under which ``module`` holds the part that raised the error."""
        for name, part in module.members():
            if part is self.inner:
                self.path.insert(0, name)
                self.inner = module
                return

    def __str__(self) -> str:
        where = f"layer {'.'.join(self.path)!r}: " if self.path else ""
        return where + str(self.args[0])


Watcher = Callable[["Module", tuple[object, ...], dict[str, object]], object]
"""Calls a module on these positional and named inputs: returns ``module.forward(*inputs, **named)``."""

watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watch: Watcher) -> Iterator[None]:
    """Let ``watch`` make all calls of modules in this context, so that it sees their inputs and results."""
    token = watcher.set(watch)
    try:
        yield
    finally:
        watcher.reset(token)


class Module:
    """A part of a network: a function with parameters.

    Subclass it, set Parameters and Modules as attributes in ``__init__``, and define ``forward``. Other arrays
    among the attributes, such as running means, are buffers: part of the state, but not learnt. A forward
    that updates one sets the attribute to a new array. Whatever is not part of the state, such as the last input,
    belongs in an attribute whose name starts with an underscore.

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
            watch = watcher.get()
            if watch is not None:
                return watch(self, inputs, named)
            return self.forward(*inputs, **named) if named else self.forward(*inputs)  # quicker
        except LayerError as error:
            error.pass_through(self)
            raise

    def __setattr__(self, name: str, value: object) -> None:
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
            inner = [(dotted(path, name), part) for name, part in module.members() if isinstance(part, Module)]
            stack += reversed(inner)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter) for every parameter, each once, outer ones before those of inner modules.

        Examples
        --------
        >>> from tinygrad_lr import nn
        >>> [path for path, _ in nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)).named_parameters()]
        ['0.weight', '0.bias', '2.weight', '2.bias']
        """
        return ((path, array) for path, array in held_arrays(self) if isinstance(array, Parameter))

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """(path, array) for every array that the modules hold besides their parameters.

        These are NumPy arrays and numbers, arrays of other libraries that follow NumPy's protocols, and Tensors
        that are leaves. Random generators, Python numbers, computed Tensors, and attributes whose names start with
        an underscore are not buffers.

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
        return ((path, array) for path, array in held_arrays(self) if not isinstance(array, Parameter))

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

    def state_dict(self) -> dict[str, np.ndarray]:
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
        return {path: np.array(data_of(thing)) for path, thing in arrays_of(self).items()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Set all parameters and buffers to copies of the arrays given by path. Each keeps its dtype.

        A state without any buffers, as version 0.1 wrote it, leaves them unchanged, with a warning.

        Raises
        ------
        TypeError
            If an array is a tracked Tensor (to differentiate a model with respect to its parameters, call
            `functional_call`), masked, a matrix, sparse, or of Python objects.
        ValueError
            If a path is missing or unexpected, or an array does not fit in shape or kind. The message names them
            all, and nothing is changed.
        """
        mine, given = arrays_of(self), dict(state)  # a file is read only once
        for path, value in given.items():
            if tracked(value):
                raise TypeError(
                    f"load_state_dict got a tracked Tensor for {path!r} and would cut it out of its graph: to differentiate with respect to it "
                    f"call nn.functional_call(model, arrays_by_path, *inputs); to copy its numbers pass t.detach()"
                )
        arrays = operands(given)
        buffers = [path for path, array in mine.items() if not isinstance(array, Parameter)]
        if buffers and not any(path in arrays for path in buffers):
            warnings.warn(f"the state holds no buffers, so those of {type(self).__name__} stay as they are: {', '.join(map(repr, buffers))}", stacklevel=2)
            mine, buffers = {path: array for path, array in mine.items() if path not in buffers}, []
        problems = mismatches(mine, arrays)
        if problems:
            misshapen = any(path in arrays and np.shape(arrays[path]) != mine[path].shape for path in buffers)
            extra = mine.keys() < arrays.keys()  # under other names, some would be missing too
            hint = ". (Whatever is not part of the state, such as the last input, belongs in an attribute whose name starts with _.)"
            raise ValueError(f"state does not fit {type(self).__name__}: " + "; ".join(problems) + (hint if extra or misshapen else ""))
        loaded = {path: np.array(data_of(arrays[path]), dtype=None if array.dtype.kind in "US" else array.dtype) for path, array in mine.items()}
        for path, array in mine.items():
            if isinstance(array, Tensor):
                array.data = loaded[path]
        rebind(self, loaded)

    # -- description -----------------------------------------------------------------------------------

    def summary(self, /, *inputs: object, **named: object) -> Summary:
        """A table of the layers, with output shapes, parameter counts and memory, for one call (what is called by ``layer(x)`` is seen).

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_lr import nn
        >>> nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)).summary(np.zeros((4, 2)))
        Sequential
        -----------------------------------------------------
        path  layer          output shape  parameters  memory
        -----------------------------------------------------
              Sequential     (4, 1)                 0    32 B
        0     Dense(2 -> 3)  (4, 3)                 9   168 B
        1     Tanh()         (4, 3)                 0    96 B
        2     Dense(3 -> 1)  (4, 1)                 4    64 B
        -----------------------------------------------------
        parameters: 13 (13 trainable, 0 fixed)
        memory: 104 B for parameters, 224 B for outputs
        """
        results: dict[int, list[object]] = {id(module): [] for _, module in self.named_modules()}

        def noting(module: Module, inputs: tuple[object, ...], named: dict[str, object]) -> object:
            result = module.forward(*inputs, **named)
            if id(module) in results:
                results[id(module)].append(result)
            return result

        with watching(noting), no_grad():
            self(*inputs, **named)
        counted: set[int] = set()
        rows = []
        for path, module in self.named_modules():
            parts = [part for _, part in module.members()]
            own = {id(part): part for part in parts if isinstance(part, Parameter) and id(part) not in counted}
            counted |= own.keys()
            rows.append(Row.of(path, title_of(module), own.values(), results[id(module)], any(isinstance(part, Module) for part in parts)))
        return Summary(rows)

    def settings(self) -> str:
        """What stands between the parentheses of the repr."""
        return ""

    def __repr__(self) -> str:
        lines = [f"  {shown(name)}: {part!r}".replace("\n", "\n  ") for name, part in self.members() if isinstance(part, Module)]
        head = f"{type(self).__name__}({self.settings()}"
        return head + ")" if not lines else "\n".join([head, *lines, ")"])


def title_of(module: Module) -> str:
    """The repr of a module, without its parts."""
    text = repr(module)
    return text if "\n" not in text else type(module).__name__


# -- what a model holds ----------------------------------------------------------------------------------


def held_in(model: Module) -> Iterator[tuple[str, str, Array]]:
    """(path, attribute, thing) for everything that the modules of a model hold."""
    for path, module in model.named_modules():
        prefix = dotted(path, "")
        for attribute, value in vars(module).items():
            for name, thing in inside(prefix + attribute, value):
                yield name, attribute, thing


def held_arrays(model: Module) -> Iterator[tuple[str, Array]]:
    """(path, array) for every parameter and buffer of a model, each Tensor once."""
    seen: set[int] = set()
    for path, attribute, thing in held_in(model):
        if isinstance(thing, Parameter) or (is_buffer(thing) and not attribute.startswith("_")):
            if isinstance(thing, Tensor):  # shared Tensors stay shared; shared arrays part when one is replaced
                if id(thing) in seen:
                    continue
                seen.add(id(thing))
            yield path, thing


def arrays_of(model: Module) -> dict[str, Array]:
    """The parameters and buffers of a model themselves by path, the parameters first."""
    found: dict[str, Array] = {}
    for path, array in sorted(held_arrays(model), key=lambda pair: not isinstance(pair[1], Parameter)):
        if path in found:
            raise ValueError(f"{type(model).__name__} holds two arrays under the path {path!r}: rename a layer, a key or an attribute")
        found[path] = array
    return found


def inside(name: str, value: object) -> Iterator[tuple[str, object]]:
    """(name, thing) for everything that an attribute holds, through lists, tuples and dicts."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from inside(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from inside(f"{name}.{key}", item)
    else:
        yield name, value


def is_buffer(thing: object) -> bool:
    """Whether it is an array of the state that is not a parameter. A computed Tensor belongs to its graph."""
    if isinstance(thing, Tensor):
        return thing.is_leaf and not isinstance(thing, Parameter)
    return is_bare(thing)


def is_bare(thing: object) -> bool:
    """Whether it is an array, or the NumPy number that a 0-d array turns into, not held by a Tensor."""
    return not isinstance(thing, Tensor) and (hasattr(type(thing), "__array_function__") or isinstance(thing, np.number | np.bool_))


def check_buffers(model: Module) -> None:
    """Refuse what a state would lose: computed Tensors, such as a running mean, and the masks of masked arrays."""
    for path, attribute, thing in held_in(model):
        if attribute.startswith("_"):
            continue
        if isinstance(thing, Tensor) and not thing.is_leaf:
            raise TypeError(
                f"{path!r} was computed from tracked Tensors, so it is not part of the state: assign its .numpy(), "
                f"or name it _{attribute} if it is not meant to be"
            )
        if isinstance(thing, np.ndarray) and type(thing) is not np.ndarray and isinstance(thing, np.ma.MaskedArray):
            raise TypeError(f"the buffer {path!r} is a masked array, and its mask would be lost: hold the data and the mask as two arrays")


def dotted(path: str, name: str) -> str:
    """The path of what the module at ``path`` calls ``name``."""
    return f"{path}.{name}" if path else name


# -- other arrays in their place -------------------------------------------------------------------------


def operands(arrays: Mapping[str, object]) -> dict[str, Array]:
    """Array-likes by path as arrays and Tensors; those with an arithmetic of their own, such as masked arrays, are refused."""
    found = {}
    for path, value in arrays.items():
        try:
            found[path] = operand(value)
        except TypeError as error:
            raise TypeError(f"{path!r}: {error}") from error
    return found


def mismatches(mine: Mapping[str, Array], state: Mapping[str, Array], whole: bool = True) -> list[str]:
    """What is wrong with a state, or with a part of one, for these parameters and buffers."""
    problems = [f"missing {path!r}" for path in mine if path not in state] if whole else []
    problems += [f"unexpected {path!r}" for path in state if path not in mine]
    for path, array in mine.items():
        if path in state:
            shape, dtype = np.shape(state[path]), getattr(state[path], "dtype", None)
            if shape != array.shape:
                problems.append(f"{path!r} has shape {shape}, expected {array.shape}")
            if isinstance(dtype, np.dtype) and not castable(dtype, array.dtype):
                problems.append(f"{path!r} is {dtype}, expected {array.dtype}")
    return problems


def castable(dtype: np.dtype, own: np.dtype) -> bool:
    """Whether numbers of one type may be stored as a parameter's or buffer's own; NumPy would write numbers as text too."""
    return (dtype.kind in "biufc") == (own.kind in "biufc") and np.can_cast(dtype, own, "same_kind")


def rebind(model: Module, arrays: Mapping[str, Array]) -> None:
    """Let a model hold these arrays, given by path, in place of its buffers; Tensors among the buffers stay."""
    for path, module in model.named_modules():
        for attribute, value in vars(module).items():
            if not attribute.startswith("_"):
                vars(module)[attribute] = rebound(dotted(path, attribute), value, arrays)


def rebound(path: str, value: Array, arrays: Mapping[str, Array]) -> Array:
    """A value with other buffers in it. Lists and dicts are written to, because modules may share them; tuples are built anew."""
    if not isinstance(value, list | tuple | dict):
        return in_kind_of(value, arrays[path]) if path in arrays and is_bare(value) else value
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    new = {key: rebound(f"{path}.{key}", item, arrays) for key, item in items}
    changed = [key for key, item in items if new[key] is not item]
    if isinstance(value, tuple):
        if not changed:
            return value
        return type(value)(*new.values()) if hasattr(value, "_fields") else tuple(new.values())
    for key in changed:
        value[key] = new[key]
    return value


def in_kind_of(buffer: Array, array: Array) -> Array:
    """The array with the kind of dtype that the buffer has, and as a NumPy number if the buffer is one."""
    if isinstance(array, np.ndarray) and array.dtype.kind != buffer.dtype.kind:
        array = array.astype(buffer.dtype)
    return array[()] if isinstance(buffer, np.generic) and isinstance(array, np.ndarray) else array
