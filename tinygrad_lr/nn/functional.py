"""A module called as a function of its arrays: other arrays or Tensors take the place of its own for one call.

Parameters keep their identity: their data and node are swapped, so they are replaced wherever they are held.
Buffers are bound anew on copies of the attributes. Afterwards everything is bound as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.trees import mapped
from tinygrad_lr.nn.module import Module, Parameter, arrays_of, rebind, unfit


def functional_call(model: Module, arrays_by_path: Mapping[str, Any], /, *inputs: Any, **named: Any) -> Any:
    """Call a model with other parameters and buffers, so that the result can be differentiated with respect to them.

    The model is left as it was, also where an error is raised; what its forward does to buffers is forgotten.
    (Random generators move on, or every call would draw the same dropout mask.)

    Parameters
    ----------
    model : Module
        The model.
    arrays_by_path : dict of str to array_like or Tensor
        By paths as in ``model.state_dict()``. What is left out stays the model's own.
    *inputs, **named
        What to call it with.

    Returns
    -------
    object
        What the model returns.

    Raises
    ------
    TypeError
        If the arrays do not come by path.
    ValueError
        If the model has no array of that path, or one of another shape.

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
    arrays = {path: a if hasattr(a, "__array_function__") else np.asarray(a) for path, a in arrays_by_path.items()}
    problems = unfit(arrays_of(model), arrays, whole=False)
    if problems:
        raise ValueError(f"functional_call got arrays that do not fit {type(model).__name__}: " + "; ".join(problems))
    with replaced(model, arrays):
        return model(*inputs, **named)


@contextmanager
def replaced(model: Module, arrays: Mapping[str, Any], still: bool = False) -> Iterator[None]:
    """A model that holds these arrays or Tensors by path for a while, and works on copies of its buffers.

    Whatever is set meanwhile is forgotten. With ``still`` the model also works on copies of its random generators,
    so that it does the same each time.
    """
    modules = [(module, dict(vars(module))) for _, module in model.named_modules()]
    tensors = [(thing, thing.data, thing.node) for thing in arrays_of(model).values() if isinstance(thing, Tensor)]
    memo: dict[int, Any] = {}
    try:
        for module, attributes in modules:
            vars(module).update({name: copied(value, memo, still) for name, value in attributes.items()})
        rebind(model, arrays)
        for path, thing in arrays_of(model).items():
            if path in arrays and isinstance(thing, Tensor):
                new = arrays[path]
                thing.data, thing.node = (new.data, new.node) if isinstance(new, Tensor) else (new, None)
        yield
    finally:
        for module, attributes in modules:
            vars(module).clear()
            vars(module).update(attributes)
        for thing, data, node in tensors:
            thing.data, thing.node = data, node


def copied(value: Any, memo: dict[int, Any], still: bool) -> Any:
    """A copy of what a forward might change; parameters, parts and settings are taken as they are."""
    if isinstance(value, Parameter | Module):
        return value
    if isinstance(value, Tensor):
        return value if value.requires_grad else memo.setdefault(id(value), Tensor(np.array(value.data)))
    if isinstance(value, np.ndarray) or (still and isinstance(value, np.random.Generator | np.random.RandomState)):
        return copy.deepcopy(value, memo)
    return mapped(lambda thing: copied(thing, memo, still), value) if isinstance(value, list | tuple | dict) else value
