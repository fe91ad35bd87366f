"""Losses: modules of (prediction, target) that return one number, or with ``reduction="none"`` one per element.

Shapes must be equal: a column (n, 1) against a row (n,) would broadcast to n times n differences without a
word. Targets of the binary losses must lie in [0, 1]: with classes 1 and 2, or -1 and 1, the loss falls without
end. Each array of targets is checked once; lazy ones (Dask's) are not computed for it. Each loss is a single
node of the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lr.autodiff.protocols import data_of
from tinygrad_lr.autodiff.rules.elementwise import SIGMOIDS
from tinygrad_lr.autodiff.rules.network import bce, bce_of_sigmoid, bce_with_logits, cross_entropy, squared_error
from tinygrad_lr.autodiff.rules.registry import VIEWS
from tinygrad_lr.autodiff.tensor import Tensor, lift, record
from tinygrad_lr.nn.module import Module

CLASSES = " (call the two classes 0 and 1)"


class Loss(Module):
    """What losses share: the reduction, and the checks of shapes and targets."""

    binary = False  # whether targets lie in [0, 1]
    last_checked: Callable[[], Any] = staticmethod(lambda: None)  # a weak reference to the targets that were found right last
    last_mixed: Callable[[], Any] = staticmethod(lambda: None)  # to an array with other numbers too, such as a table that targets are a column of

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
        self.reduction = reduction
        self.options = {} if reduction == "mean" else {"reduction": reduction}

    def settings(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"

    def matched(self, prediction: Any, target: Any) -> tuple[Tensor, Any]:
        """The prediction as a Tensor, and a target of its shape and floating type."""
        prediction = prediction if isinstance(prediction, Tensor) else Tensor(prediction)
        target = target if hasattr(target, "__array_function__") else np.asarray(target)
        if prediction.data.shape != target.shape:
            raise ValueError(
                f"{type(self).__name__} got predictions of shape {prediction.shape} and targets of shape {target.shape}: "
                f"they must be equal, so reshape one (a column is y.reshape(-1, 1))"
            )
        differs = target.dtype is not prediction.data.dtype
        if differs and target.dtype.kind not in "biuf":
            raise TypeError(f"{type(self).__name__} takes targets that are real numbers, got dtype {target.dtype}: convert with y.astype(float)")
        if self.binary and self.last_checked() is not target:
            self.check(data_of(target))
        if differs:
            target = target.astype(np.result_type(prediction.dtype, np.float16))
        return prediction, target

    def check(self, target: Any) -> None:
        """Refuse targets outside [0, 1], unless they, or the array that they are a view of, were checked last."""
        if not isinstance(target, np.ndarray):
            return
        # a batch Y[i:j], and y.reshape(-1, 1), is a new view in each step
        owner = target.base if isinstance(target.base, np.ndarray) and target.base.dtype is target.dtype else target
        if self.last_checked() is owner:
            return
        if self.last_mixed() is not owner:
            if ((owner >= 0) & (owner <= 1)).all():
                self.last_checked = ref(owner)
                return
            self.last_mixed = ref(owner)
        self.refuse_outside("target", target, CLASSES)
        self.last_checked = ref(target)

    def refuse_outside(self, what: str, value: Any, hint: str) -> None:
        """Refuse numbers outside [0, 1]."""
        outside = ~((value >= 0) & (value <= 1))
        if outside.any():
            where = tuple(int(i) for i in np.argwhere(np.asarray(outside))[0])
            raise ValueError(f"{type(self).__name__} got the {what} {np.asarray(value)[where]} at index {where}: it must lie in [0, 1]{hint}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("last_")}  # a weak reference cannot be pickled


class BCELoss(Loss):
    """Binary cross-entropy of probabilities p and targets y in [0, 1]: -(y log p + (1 - y) log(1 - p)).

    Where p was computed by a sigmoid, the loss is computed from the logits that the graph recorded, so
    that it is exact where p itself has rounded to 0 or 1, and its gradient by z is p - y. Plain
    probabilities have their logarithms stopped at -100, as ``torch.nn.BCELoss`` does.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    Raises
    ------
    ValueError
        If the shapes differ, or a target or a plain probability is outside [0, 1].

    Examples
    --------
    >>> import tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> z = tg.Tensor([200.0], requires_grad=True)
    >>> loss = nn.BCELoss()(tg.sigmoid(z), [0.0])
    >>> loss.backward()
    >>> loss.item(), z.grad.item()
    (200.0, 1.0)
    >>> nn.BCELoss()([1.0], [0.0]).item()
    100.0
    """

    binary = True

    def forward(self, p: Any, y: Any) -> Tensor:
        p, y = self.matched(p, y)
        z = logits_of(p)
        if z is not None:
            return record(bce_of_sigmoid, (z, p, y), self.options)
        self.refuse_outside("probability", p.data, " (for logits use BCEWithLogitsLoss)")
        if not isinstance(data_of(y), np.ndarray):  # where lazy probabilities had to be computed, the targets may be too
            self.refuse_outside("target", data_of(y), CLASSES)
        return record(bce, (p, y), self.options)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits z and targets y in [0, 1]: log(1 + exp(z)) - y z.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    Raises
    ------
    ValueError
        If the shapes differ, or a target is outside [0, 1].

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.BCEWithLogitsLoss()([200.0, -200.0], [0.0, 0.0]).item()
    100.0
    """

    binary = True

    def forward(self, z: Any, y: Any) -> Tensor:
        return record(bce_with_logits, self.matched(z, y), self.options)


class CrossEntropyLoss(Loss):
    """-log softmax(z)[y] for logits z (..., classes) and integer classes y (...).

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the samples.

    Raises
    ------
    TypeError
        If the classes are not integers.
    ValueError
        If shapes do not match, or a class is not among the columns of z.

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> print(f"{nn.CrossEntropyLoss()([[0.0, 0.0], [1000.0, 0.0]], [0, 1]).item():.6f}")
    500.346574
    """

    def forward(self, z: Any, y: Any) -> Tensor:
        z = z if isinstance(z, Tensor) else Tensor(z)
        y = y.data if isinstance(y, Tensor) else y if hasattr(y, "__array_function__") else np.asarray(y)
        one_each = y.ndim > 0 and z.shape == y.shape  # a number for each class
        if not np.issubdtype(y.dtype, np.integer):
            remedy = "if each row is one-hot, pass y.argmax(axis=-1)" if one_each else "convert with y.astype(int)"
            raise TypeError(f"CrossEntropyLoss takes classes as integers 0, 1, ..., got targets of dtype {y.dtype}: {remedy}")
        if z.ndim == 0 or z.shape[:-1] != y.shape:
            remedy = "; if each row is one-hot, pass y.argmax(axis=-1)" if one_each else ""
            raise ValueError(f"CrossEntropyLoss got logits of shape {z.shape} and classes of shape {y.shape}: expected (..., classes) and (...){remedy}")
        classes = z.shape[-1]
        if isinstance(y, np.ndarray) and y.size and (y.min() < 0 or y.max() >= classes):  # lazy labels stay lazy
            wrong = y[(y < 0) | (y >= classes)][0]
            raise ValueError(f"CrossEntropyLoss got class {wrong} for logits of {classes} classes: expected 0 to {classes - 1}")
        return record(cross_entropy, (z, y), self.options)


class MSELoss(Loss):
    """Squared error (p - y)^2.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        What to do with the errors of the elements.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.MSELoss()([1.0, 2.0], [0.0, 0.0]).item()
    2.5
    """

    def forward(self, p: Any, y: Any) -> Tensor:
        return record(squared_error, self.matched(p, y), self.options)


def logits_of(p: Tensor) -> Tensor | None:
    """The logits z that p = sigmoid(z) came from, laid out as p is; None where p came from elsewhere."""
    node = p.node
    if node is None or node.value is not p.data:
        return None  # an input, freed, or changed by the user since
    if node.func in SIGMOIDS:
        z = node.values[0]
        return lift(z, node.parents[0]) if node.requires_grad and node.parents[0] is not None else Tensor(z)
    if node.func in VIEWS and node.parents[0] is not None:
        z = logits_of(lift(node.values[0], node.parents[0]))
        return None if z is None else record(node.func, (z, *node.values[1:]), node.kwargs)
    return None
