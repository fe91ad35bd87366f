"""A module called as a function of its arrays: for one call, other arrays or Tensors take the place of its own.

A copy of the model is called, which shares the parameters that are not replaced. So the model itself never
changes: nothing has to be restored after an error, and other threads may call it meanwhile.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor, new_tensor
from tinygrad_lr.nn.module import Module, Parameter, arrays_of, held_in, mismatches, operands, rebind


def functional_call(model: Module, arrays_by_path: Mapping[str, object], /, *inputs: object, **named: object) -> Any:
    """Call a model with other parameters and buffers, so that the result can be differentiated with respect to them.

    A copy of the model is called, so the model stays as it is, and changes that its forward makes to buffers are lost.
    (Random generators are not copied, or every call would draw the same dropout mask.) A function among the
    attributes that holds a reference to the model, as a lambda may, goes on using the model itself.

    Parameters
    ----------
    model : Module
        The model.
    arrays_by_path : dict of str to array_like or Tensor
        The paths are those of ``model.state_dict()``. For those left out, the model's own arrays are used.
    *inputs, **named
        What to call it with.

    Returns
    -------
    object
        What the model returns.

    Raises
    ------
    TypeError
        If the arrays are not given by path, one is masked, a matrix, sparse, or of Python objects, or the model holds
        something that cannot be copied.
    ValueError
        If the model has no array at a path, or one of another shape.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> model, x = nn.Dense(2, 1, rng=0), np.array([[3.0, 4.0]])
    >>> gradient = tg.grad(lambda weights: np.sum(nn.functional_call(model, weights, x)))(model.state_dict())
    >>> gradient["weight"], gradient["bias"]
    (array([[3., 4.]]), array([1.]))
    """
    if not isinstance(arrays_by_path, Mapping):
        raise TypeError(f"functional_call takes arrays by path, as model.state_dict() returns them, got {type(arrays_by_path).__name__}")
    arrays = operands(arrays_by_path)
    problems = mismatches(arrays_of(model), arrays, whole=False)
    if problems:
        raise ValueError(f"functional_call got arrays that do not fit {type(model).__name__}: " + "; ".join(problems))
    return substitute(model, arrays)(*inputs, **named)


def substitute(model: Module, arrays: Mapping[str, Array], still: bool = False) -> Module:
    """A copy of a model that holds these arrays or Tensors by path, and otherwise the model's own parameters.

    Random generators are shared with the model. With ``still`` they are copied, so that every copy of the model draws
    the same numbers.
    """
    memo: dict[int, object] = {id(t): renewed(t, arrays[path]) for path, t in arrays_of(model).items() if isinstance(t, Tensor) and path in arrays}
    for _, _, thing in held_in(model):
        if is_shared(thing, still):
            memo.setdefault(id(thing), thing)
    try:
        changed: Module = copy.deepcopy(model, memo)
    except TypeError as error:
        raise TypeError(
            f"arrays are replaced in a copy of the model, but this {type(model).__name__} holds something that cannot be copied ({error}): "
            f"define __deepcopy__ on the class that holds it"
        ) from error
    rebind(changed, {path: np.array(a) if isinstance(a, np.ndarray) else a for path, a in arrays.items()})  # a forward may write in place
    return changed


def renewed(tensor: Tensor, array: Array) -> Tensor:
    """A Tensor of the same class with other data, and with the node of that data if it is a Tensor."""
    new = new_tensor(type(tensor))
    new.data, new.node = (array.data, array.node) if isinstance(array, Tensor) else (array, None)
    return new


def is_shared(thing: object, still: bool) -> bool:
    """Whether a copy of a model shares this with it: parameters, Tensors of a graph, random generators, Python's modules."""
    if isinstance(thing, Tensor):
        return isinstance(thing, Parameter) or thing.requires_grad
    return isinstance(thing, ModuleType) or (not still and isinstance(thing, np.random.Generator | np.random.RandomState))
