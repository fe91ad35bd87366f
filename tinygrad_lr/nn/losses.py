"""Losses: modules of (prediction, target) that return one number, or with ``reduction="none"`` one per element.

Each class states in ``about`` all that the library knows about it. Above it stand the function that it calls and that
function's rules. A loss is a single node of the graph, and its gradient is short: prediction minus target for the cross-entropies.

Shapes must be equal: a column (n, 1) against a row (n,) would silently broadcast to n times n differences. Targets of
the binary losses must lie in [0, 1]: with classes 1 and 2, or -1 and 1, the loss would decrease without bound. Each array
of targets is checked once; lazy ones (Dask's) are not computed for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal
from weakref import ref

import numpy as np

from tinygrad_lr.autodiff.protocols import data_of
from tinygrad_lr.autodiff.rules.elementwise import SIGMOIDS, sigmoid
from tinygrad_lr.autodiff.rules.reductions import log_softmax, softmax
from tinygrad_lr.autodiff.rules.registry import HALF, RULES, VIEWS, Array, SideGradient, dispatching, wide
from tinygrad_lr.autodiff.tensor import Tensor, lift, record
from tinygrad_lr.nn.activations import logistic
from tinygrad_lr.nn.descriptions import LossInfo, describe
from tinygrad_lr.nn.module import Module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Reduction = Literal["mean", "sum", "none"]
CLASSES = " (call the two classes 0 and 1)"


class Loss(Module):
    """What losses share: the reduction, and the checks of shapes and targets.

    A subclass states its functions in ``about``, a tuple. If it has just one, of the prediction and the target, it needs no ``forward``.
    Settings of the function, which have defaults, go to ``super().__init__`` by name, and are then in ``options``. CONTRIBUTING.md has a whole example::

        class FourthPower(nn.Loss):
            about = (nn.LossInfo(function=tg.primitive(fourth, fourth_slope, None), sentence=..., formula="({p} - {y})^4", terms=...),)

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Whether to return the mean or the sum of the losses, or one for each element (for each sample, where targets are classes).

    Raises
    ------
    TypeError
        On call, if the targets are not real numbers.
    ValueError
        If there is no such reduction; on call, if the shapes differ.
    """

    about: ClassVar[tuple[LossInfo, ...]]
    binary = False  # whether targets must lie in [0, 1], as they must where probabilities are predicted
    last_checked: Callable[[], object] = staticmethod(lambda: None)  # a weak reference to the targets that passed last
    last_mixed: Callable[[], object] = staticmethod(lambda: None)  # to an array that holds other numbers as well, such as a table with a column of targets

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "about" in vars(cls):
            if not isinstance(cls.about, tuple) or {type(info) for info in cls.about} != {LossInfo}:
                raise TypeError(f"{cls.__name__}.about must be a tuple of LossInfo, such as (nn.LossInfo(...),), got {cls.about!r}")
            describe(*cls.about, kind=cls)
            cls.binary = cls.about[-1].prediction == "probability"

    def __init__(self, reduction: Reduction = "mean", **settings: float) -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
        if type(self).forward is Loss.forward and not hasattr(self, "about"):
            raise TypeError(f"{type(self).__name__} needs a description of its function, about = (nn.LossInfo(...),), or a forward of its own")
        self.reduction = reduction
        self.options: dict[str, object] = {**settings} if reduction == "mean" else {"reduction": reduction, **settings}

    def settings(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())

    def forward(self, prediction: Array, target: Array) -> Tensor:
        return record(self.about[0].function, self.matched(prediction, target), self.options)

    if TYPE_CHECKING:

        def __call__(self, prediction: Tensor | ArrayLike, target: Tensor | ArrayLike) -> Tensor: ...

    def matched(self, prediction: Array, target: Array) -> tuple[Tensor, Array]:
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

    def check(self, target: Array) -> None:
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

    def refuse_outside(self, what: str, value: Array, hint: str) -> None:
        """Refuse numbers outside [0, 1]."""
        outside = ~((value >= 0) & (value <= 1))
        if outside.any():
            where = tuple(int(i) for i in np.argwhere(np.asarray(outside))[0])
            raise ValueError(f"{type(self).__name__} got the {what} {np.asarray(value)[where]} at index {where}: it must lie in [0, 1]{hint}")

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if not name.startswith("last_")}  # a weak reference cannot be pickled


def reduced(losses: Array, reduction: str) -> Array:
    """The losses of the elements, or their mean or sum."""
    if reduction == "mean":
        return losses.sum() / losses.size if losses.dtype is not HALF else losses.mean()
    return losses.sum() if reduction == "sum" else losses


def share(g: Array, n: int, reduction: str) -> Array:
    """The part of the incoming gradient that each of ``n`` losses gets."""
    if reduction == "mean":
        return g / n if g.dtype is not HALF else wide(g) / n
    return g


# -- binary cross-entropy -------------------------------------------------------------------------------

CLOSE_PROBABILITY = "The loss is small where the prediction is close to the target: binary cross-entropy."
LOG_FLOOR = -100.0  # where torch.nn.BCELoss clamps its logarithms, so that a p that is certain and wrong costs 100, not infinity


@dispatching
def bce(p: Array, y: Array, reduction: str = "mean") -> Array:
    """Binary cross-entropy of targets y and plain probabilities p, with logarithms clamped at `LOG_FLOOR`."""
    with np.errstate(divide="ignore"):
        return reduced(-(y * np.maximum(np.log(p), LOG_FLOOR) + (1 - y) * np.maximum(np.log1p(-p), LOG_FLOOR)), reduction)


def smallest(p: Array) -> float:
    """The probability below which the logarithm is clamped; 1 / p must not overflow in float32 either."""
    return float(max(np.exp(LOG_FLOOR), np.finfo(p.dtype).tiny))


def bce_probability(g: Array, loss: Array, p: Array, y: Array, reduction: str = "mean") -> Array:
    """-y/p + (1-y)/(1-p), without the part whose logarithm is clamped."""
    low, high = p > smallest(p), p < 1
    return share(g, p.size, reduction) * (np.where(high, (1 - y) / np.where(high, 1 - p, 1), 0) - np.where(low, y / np.where(low, p, 1), 0))


def bce_target(g: Array, loss: Array, p: Array, y: Array, reduction: str = "mean") -> Array:
    """log(1-p) - log(p), with the same floor."""
    log_p = np.where(p > 0, np.log(np.where(p > 0, p, 1)), LOG_FLOOR)
    log_q = np.where(p < 1, np.log1p(-np.where(p < 1, p, 0)), LOG_FLOOR)
    return share(g, p.size, reduction) * (np.maximum(log_q, LOG_FLOOR) - np.maximum(log_p, LOG_FLOOR))


def bce_losses(z: Array, y: Array) -> Array:
    """log(1 + exp(z)) - y z, for few elements with the fewest calls, for many with those that NumPy vectorises."""
    if z.size < 64:
        return np.logaddexp(0.0, z) - y * z
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))


@dispatching
def bce_of_sigmoid(z: Array, a: Array, y: Array, reduction: str = "mean") -> Array:
    """`bce_with_logits` where a = sigmoid(z) is known already, so that delta is (a - y) / m."""
    return reduced(bce_losses(z, y), reduction)


def sigmoid_and_bce(g: Array, loss: Array, z: Array, a: Array, y: Array, reduction: str = "mean") -> Array:
    """BP1: delta = (a - y) / m. The common case of `share` is written out, because every step of a neuron comes here."""
    g = g / z.size if reduction == "mean" and g.dtype is not HALF else share(g, z.size, reduction)
    return g * (a - y)


RULES[bce] = (bce_probability, bce_target)
RULES[bce_of_sigmoid] = (
    sigmoid_and_bce,
    SideGradient(lambda g, loss, z, a, y, reduction="mean": bce_probability(g, loss, a, y, reduction)),
    lambda g, loss, z, a, y, reduction="mean": share(g, z.size, reduction) * -z,
)


def bce_terms(p: Array, y: Array) -> tuple[Array, Array]:
    """(1 - y)/(1 - p) and y/p, each 0 where `BCELoss` clamps its logarithm."""
    high, low = p < 1, p > smallest(p)
    return np.where(high, 1 - y, 0) / np.where(high, 1 - p, 1), np.where(low, y, 0) / np.where(low, p, 1)


def clamped(p: Array) -> str:
    """The remark to add to the formula of a slope if a logarithm is clamped."""
    return "" if np.all((p > smallest(p)) & (p < 1)) else ", without the logarithms that are clamped"


class BCELoss(Loss):
    """Binary cross-entropy of probabilities p and targets y in [0, 1]: -(y log p + (1 - y) log(1 - p)).

    Where p was computed by a sigmoid, the loss is computed from the logits that the graph recorded, so
    that it is exact even if p itself has been rounded to 0 or 1, and its gradient with respect to z is p - y. The
    logarithms of plain probabilities are clamped at -100, as ``torch.nn.BCELoss`` does.

    Raises
    ------
    ValueError
        If a target or a plain probability is outside [0, 1].

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

    about = (
        LossInfo(
            function=bce,
            sentence=CLOSE_PROBABILITY,
            formula="-{y} log {p} - (1 - {y}) log(1 - {p})",
            slopes={"p": "(1 - {y})/(1 - {p}) - {y}/{p}"},
            words={"y": "times log(1 - p) - log(p), each clamped at -100"},
            terms=bce_terms,
            prediction="probability",
            remarks={"p": clamped},
        ),
        LossInfo(
            function=bce_of_sigmoid,
            sentence=CLOSE_PROBABILITY,
            formula="-{y} log {a} - (1 - {y}) log(1 - {a})",
            slopes={"z": "{a} - {y}", "a": "(1 - {y})/(1 - {a}) - {y}/{a}", "y": "-{z}"},
            terms=lambda a, y: (a, y),
            through=sigmoid,
            prediction="probability",
            remarks={"a": clamped},
        ),
    )

    def forward(self, p: Array, y: Array) -> Tensor:
        p, y = self.matched(p, y)
        z = logits_of(p)
        if z is not None:
            return record(bce_of_sigmoid, (z, p, y), self.options)
        self.refuse_outside("probability", p.data, " (for logits use BCEWithLogitsLoss)")
        if not isinstance(data_of(y), np.ndarray):  # lazy probabilities were computed just now, so targets may be as well
            self.refuse_outside("target", data_of(y), CLASSES)
        return record(bce, (p, y), self.options)


def logits_of(p: Tensor) -> Tensor | None:
    """The logits z of p = sigmoid(z), in the layout of p; None if p was computed in another way."""
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


@dispatching
def bce_with_logits(z: Array, y: Array, reduction: str = "mean") -> Array:
    """Binary cross-entropy of targets y and probabilities sigmoid(z), as log(1 + exp(z)) - y z."""
    return reduced(bce_losses(z, y), reduction)


RULES[bce_with_logits] = (
    lambda g, loss, z, y, reduction="mean": share(g, z.size, reduction) * (sigmoid(z) - y),
    lambda g, loss, z, y, reduction="mean": share(g, z.size, reduction) * -z,
)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits z and targets y in [0, 1]: log(1 + exp(z)) - y z.

    Raises
    ------
    ValueError
        If a target is outside [0, 1].

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.BCEWithLogitsLoss()([200.0, -200.0], [0.0, 0.0]).item()
    100.0
    """

    about = (
        LossInfo(
            function=bce_with_logits,
            sentence="The loss is small where the sigmoid of the prediction is close to the target: binary cross-entropy.",
            formula="log(1 + exp({z})) - {y} {z}",
            slopes={"z": "sigmoid({z}) - {y}", "y": "-{z}"},
            terms=lambda z, y: (logistic(z), y),
            prediction="probability",
            response=sigmoid,
        ),
    )


# -- cross-entropy --------------------------------------------------------------------------------------


@dispatching
def cross_entropy(z: Array, y: Array, reduction: str = "mean") -> Array:
    """-log softmax(z)[y] for logits z (..., classes) and integer classes y (...)."""
    log_p = log_softmax(z)
    if isinstance(log_p, np.ndarray):
        return reduced(-np.take_along_axis(log_p, np.expand_dims(y, -1), -1)[..., 0], reduction)
    return reduced(-np.where(one_hot(y, z), log_p, 0).sum(axis=-1), reduction)  # Dask has no take_along_axis


def one_hot(y: Array, like: Array) -> Array:
    """Rows of zeros with a one in column y."""
    return (np.expand_dims(y, -1) == np.arange(like.shape[-1])).astype(like.dtype)


def cross_entropy_logits(g: Array, loss: Array, z: Array, y: Array, reduction: str = "mean") -> Array:
    """softmax(z), less 1 at the class y."""
    g = share(g, y.size, reduction)
    return (np.expand_dims(g, -1) if g.ndim else g) * (softmax(z) - one_hot(y, z))


RULES[cross_entropy] = (cross_entropy_logits, None)


def cross_entropy_terms(z: Array, y: Array) -> tuple[Array, Array]:
    """softmax(z), and 1 at the class y."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True), np.eye(z.shape[-1])[y]


class CrossEntropyLoss(Loss):
    """-log softmax(z)[y] for logits z (..., classes) and integer classes y (...).

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

    about = (
        LossInfo(
            function=cross_entropy,
            sentence="The loss is small where the true class gets a high share of the softmax: cross-entropy.",
            formula="-log softmax({z})[{y}]",
            slopes={"z": "softmax({z}) - onehot({y})"},
            terms=cross_entropy_terms,
            prediction="class",
            response=softmax,
        ),
    )

    def forward(self, z: Array, y: Array) -> Tensor:
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


# -- squared error --------------------------------------------------------------------------------------


@dispatching
def squared_error(p: Array, y: Array, reduction: str = "mean") -> Array:
    """(p - y)^2."""
    return reduced((p - y) ** 2, reduction)


RULES[squared_error] = (
    lambda g, loss, p, y, reduction="mean": share(g, p.size, reduction) * (2 * (p - y)),
    lambda g, loss, p, y, reduction="mean": share(g, p.size, reduction) * (2 * (y - p)),
)


class MSELoss(Loss):
    """Squared error (p - y)^2.

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.MSELoss()([1.0, 2.0], [0.0, 0.0]).item()
    2.5
    """

    about = (
        LossInfo(
            function=squared_error,
            sentence="The loss is the squared distance between prediction and target.",
            formula="({p} - {y})^2",
            slopes={"p": "2 ({p} - {y})", "y": "2 ({y} - {p})"},
            terms=lambda p, y: (2 * p, 2 * y),
        ),
    )


# -- Huber's loss ---------------------------------------------------------------------------------------


@dispatching
def huber(p: Array, y: Array, delta: float = 1.0, reduction: str = "mean") -> Array:
    """Half the squared error up to ``delta``, and a straight line beyond."""
    error = p - y
    bounded = np.clip(error, -delta, delta)
    return reduced(bounded * (error - bounded / 2), reduction)


RULES[huber] = (
    lambda g, loss, p, y, delta=1.0, reduction="mean": share(g, p.size, reduction) * np.clip(p - y, -delta, delta),
    lambda g, loss, p, y, delta=1.0, reduction="mean": share(g, p.size, reduction) * np.clip(y - p, -delta, delta),
)


def huber_terms(p: Array, y: Array, delta: float) -> tuple[Array, Array]:
    """p and y where they are close to each other, else delta or 0."""
    close = np.abs(p - y) < delta
    return np.where(close, p, np.where(p > y, delta, 0)), np.where(close, y, np.where(p < y, delta, 0))


class HuberLoss(Loss):
    """(p - y)^2 / 2 up to a distance of delta, and beyond it delta (|p - y| - delta / 2).

    Parameters
    ----------
    delta : float
        The distance beyond which a loss grows only in proportion to it, so that outliers count less
        (Huber, *Robust estimation of a location parameter*, 1964). It is in ``options["delta"]``.

    Raises
    ------
    ValueError
        If ``delta`` is not positive.

    Examples
    --------
    >>> from tinygrad_lr import nn
    >>> nn.HuberLoss("none")([0.5, 3.0], [0.0, 0.0]).tolist()
    [0.125, 2.5]
    """

    about = (
        LossInfo(
            function=huber,
            sentence="The loss is half the squared distance while that is short, and grows in proportion to it beyond, so that outliers count less: Huber.",
            formula="({p} - {y})^2/2 where |{p} - {y}| < {delta}, else {delta} (|{p} - {y}| - {delta}/2)",
            slopes={"p": "clip({p} - {y}, -{delta}, {delta})", "y": "clip({y} - {p}, -{delta}, {delta})"},
            terms=huber_terms,
        ),
    )

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        if not delta > 0:
            raise ValueError(f"HuberLoss needs a positive delta, got {delta}")
        super().__init__(reduction, delta=float(delta))
