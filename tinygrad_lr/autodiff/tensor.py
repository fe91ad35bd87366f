"""`Tensor`: an array that remembers the call that made it.

It implements NumPy's own override protocols (`protocols`), so ``np.exp(t)`` in users' code records the graph.
Operators record directly, past those protocols, because they are the hot path. The library never writes into an
array: whoever holds ``t.data`` holds a value that stays as it is.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ref

import numpy as np

from tinygrad_lr.autodiff.backward import pull_back
from tinygrad_lr.autodiff.methods import ArrayMethods
from tinygrad_lr.autodiff.node import NO_SETTINGS, Node, node_of
from tinygrad_lr.autodiff.operands import HARMLESS, MEANT, NUMBERS, check_operand, operand
from tinygrad_lr.autodiff.protocols import data_of, tracked
from tinygrad_lr.autodiff.record import recorder
from tinygrad_lr.autodiff.rules.registry import PLAIN, REMEMBERED, VIEWS, Array, Function, name_of

if TYPE_CHECKING:
    import numpy.typing as npt


def operators(func: np.ufunc, op: Callable[[Array, Array], Array]) -> tuple[Callable[[Tensor, Array], Tensor], Callable[[Tensor, Array], Tensor]]:
    """The operator ``op`` of Tensors, recorded as the ufunc ``func``, and the same for a Tensor on its right."""

    def forward(self: Tensor, other: Array) -> Tensor:
        return binary(func, op, self, other)

    def reflected(self: Tensor, other: Array) -> Tensor:
        return binary(func, op, other, self)

    return forward, reflected


def comparison(op: Callable[[Array, Array], Array]) -> Callable[[Tensor, Array], Array]:
    """The comparison ``op`` of Tensors."""
    return lambda self, other: op(self.data, data_of(other))


class Tensor(ArrayMethods):
    """An array in a computation graph.

    Parameters
    ----------
    data : array_like
        Numbers. Arrays are taken as they are, without a copy; so are arrays of other libraries that
        implement NumPy's protocols (Dask, CuPy).
    requires_grad : bool
        Whether `backward` is to leave the gradient in `grad`. Only for floating data.
    dtype : dtype, optional
        The type to convert to; by default NumPy chooses.
    name : str, optional
        What pictures and messages call it.

    Raises
    ------
    TypeError
        If gradients are required of data that is not floating.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = np.sum(np.log1p(np.exp(w)))
    >>> loss.backward()
    >>> print(w.grad)
    [0.73105858 0.88079708]
    """

    __slots__ = ("data", "node", "__weakref__")

    data: Array
    node: Node | None

    def __init__(self, data: Array, requires_grad: bool = False, dtype: npt.DTypeLike | None = None, name: str | None = None) -> None:
        if isinstance(data, Tensor):
            if tracked(data):
                raise TypeError(
                    f"{type(self).__name__}(t) of a tracked Tensor would silently cut it out of its graph: "
                    f"say {type(self).__name__}(t.detach()) if that is meant, or use t itself"
                )
            data = data.data
        if type(data) is not np.ndarray or data.dtype.hasobject:
            data = operand(data)
        if dtype is not None:
            data = data.astype(dtype, copy=False)
        self.data = data
        self.node = None
        if requires_grad:
            self.requires_grad = True
        if name is not None:
            self.name = name

    # -- what it is ------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this Tensor."""
        return self.node is not None and self.node.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value == self.requires_grad:
            return
        if not self.is_leaf:
            raise RuntimeError("requires_grad can be changed on leaves only; use detach() to cut a computed Tensor out of its graph")
        if value and not np.issubdtype(self.data.dtype, np.floating):
            raise TypeError(f"only floating Tensors can require gradients, got dtype {self.data.dtype}: write the numbers as floats or pass dtype=float")
        if self.node is not None and self.node.func is not None:  # a remembered call: a leaf has no past
            name, self.node = self.node.name, None
            self.name = name
        leaf_of(self).requires_grad = value

    @property
    def is_leaf(self) -> bool:
        """Whether this is an input: given by the user, not computed from tracked Tensors."""
        return self.node is None or not self.node.requires_grad or self.node.func is None

    @property
    def grad(self) -> Array:
        """The gradient that `backward` accumulated here: an array like `data`, or None."""
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, value: Array) -> None:
        if value is not None:
            value = data_of(value)
            if np.shape(value) != self.shape:
                raise ValueError(f"a gradient of shape {np.shape(value)} cannot belong to a Tensor of shape {self.shape}")
            value = value.astype(self.dtype) if hasattr(value, "__array_function__") else np.array(value, self.dtype)
        leaf_of(self).grad = value

    @property
    def name(self) -> str | None:
        """What pictures and messages call it."""
        return None if self.node is None else self.node.name

    @name.setter
    def name(self, value: str | None) -> None:
        leaf_of(self).name = value

    # -- derivatives -----------------------------------------------------------------------------------

    def backward(self, grad: npt.ArrayLike | None = None, retain_graph: bool = False) -> None:
        """Compute the gradient of this Tensor with respect to every leaf behind it, and add it to the leaf's `grad`.

        Parameters
        ----------
        grad : array_like, optional
            The gradient to start with, in this Tensor's shape; 1 for a single number.
        retain_graph : bool
            Keep the graph for another pass, and leave the gradient of every computed Tensor in its
            `grad` as well (the latest pass's, not accumulated). By default saved arrays are freed.

        Raises
        ------
        RuntimeError
            If this Tensor requires no gradients, holds more than one number and no ``grad`` is passed,
            or its graph was freed.
        ValueError
            If ``grad`` has another shape.

        Examples
        --------
        >>> import tinygrad_lr as tg
        >>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> (x * x).backward([1.0, 1.0, 10.0])
        >>> print(x.grad)
        [ 2.  4. 60.]
        """
        node = self.node
        if node is None or not node.requires_grad:
            raise RuntimeError("backward() on a Tensor that requires no gradients: nothing behind it was made with requires_grad=True")
        seed = seed_of(self, grad)
        kept = pull_back({node: seed}, None) if retain_graph else pull_back({node: seed}, free=True)
        mine: set[int] = set()
        found = []
        for node, g in kept.items():
            if node.grad is not None and node.func is None:
                g = node.grad + g
            found.append(unshared(g, mine))
        exhaust(map(setattr, kept, repeat("grad"), found))  # all or none: Ctrl-C comes between two instructions of Python, and this is a single one

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        if self.node is not None:
            self.node.grad = None

    def detach(self) -> Tensor:
        """The same data outside the graph."""
        return Tensor(self.data)

    # -- leaving the graph -------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """The data as a NumPy array (the same memory where it is one already)."""
        return np.asarray(self.data)

    def item(self) -> Any:
        """The single number as a Python scalar."""
        data = self.data
        return float(data) if isinstance(data, float) else data.item()

    def tolist(self) -> Any:
        """The data as nested lists of Python scalars."""
        return self.data.tolist()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        self._refuse_cut("turning a tracked Tensor into an array")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        self._refuse_cut("turning a tracked Tensor into a float")
        return float(self.data)

    def __int__(self) -> int:
        self._refuse_cut("turning a tracked Tensor into an int")
        return int(self.data)

    def as_integer_ratio(self) -> tuple[int, int]:
        """The single number as a fraction, as the `statistics` module asks for it."""
        self._refuse_cut("turning a tracked Tensor into a fraction")
        return self.data.item().as_integer_ratio()  # type: ignore[no-any-return]

    def _refuse_cut(self, doing: str) -> None:
        """Refuse what would make gradients 0 unnoticed."""
        if self.requires_grad:
            raise TypeError(f"{doing} {MEANT}")

    def __bool__(self) -> bool:
        return bool(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("cannot iterate over a 0-d Tensor")
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: object) -> bool:
        return value in self.data

    def __repr__(self) -> str:
        numbers = np.array2string(np.asarray(self.data), separator=", ", prefix="Tensor(", threshold=100)
        parts = [numbers]
        if self.dtype != np.float64:
            parts.append(f"dtype={self.dtype}")
        if self.requires_grad:
            parts.append("requires_grad=True" if self.node.func is None else f"made by {name_of(self.node.func)}")  # type: ignore[union-attr]
        if self.name:
            parts.append(f"name={self.name!r}")
        return f"Tensor({', '.join(parts)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else repr(self)

    def __reduce__(self) -> tuple[type[Tensor], tuple[object, ...]]:
        if not self.is_leaf or getattr(self.node, "differentiated", False):
            self._refuse_cut("copying or pickling a Tensor that was computed, or that is being differentiated with respect to,")
        return type(self), (self.data.copy(), self.requires_grad, None, self.name)

    if not TYPE_CHECKING:  # or type checkers would let every name pass

        def __getattr__(self, name):
            """Dask's protocol, where the data has it: `dask.compute` of a Tensor computes its data."""
            if name.startswith("__dask_"):
                return getattr(self.data, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    # -- what recording asks for -----------------------------------------------------------------------

    def __record__(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any] = NO_SETTINGS) -> Tensor:
        return record(func, args, kwargs)

    def __wrap__(self, data: Array) -> Tensor:
        return Tensor(data)

    # -- operators -------------------------------------------------------------------------------------

    # fmt: off
    __add__, __radd__           = operators(np.add, operator.add)
    __sub__, __rsub__           = operators(np.subtract, operator.sub)
    __mul__, __rmul__           = operators(np.multiply, operator.mul)
    __truediv__, __rtruediv__   = operators(np.divide, operator.truediv)
    __pow__, __rpow__           = operators(np.power, operator.pow)
    __matmul__, __rmatmul__     = operators(np.matmul, operator.matmul)
    __floordiv__, __rfloordiv__ = operators(np.floor_divide, operator.floordiv)
    __mod__, __rmod__           = operators(np.remainder, operator.mod)
    # fmt: on

    def __divmod__(self, other: Array) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Array) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __round__(self, digits: int | None = None) -> Tensor:
        return self.round(digits or 0)

    def __neg__(self) -> Tensor:
        return unary(np.negative, self)

    def __pos__(self) -> Tensor:
        return unary(np.positive, self)

    def __abs__(self) -> Tensor:
        return unary(np.absolute, self)

    def __setitem__(self, index: Array, value: Array) -> NoReturn:
        raise TypeError("Tensors are not written in place: use np.where(mask, value, t) for a changed copy, or t.data for a leaf's own array")

    # Comparisons are of the data and return plain arrays. Equality is elementwise, as NumPy's, so the hash is by identity.

    __lt__ = comparison(operator.lt)
    __le__ = comparison(operator.le)
    __gt__ = comparison(operator.gt)
    __ge__ = comparison(operator.ge)
    __eq__ = comparison(operator.eq)
    __ne__ = comparison(operator.ne)
    __hash__ = object.__hash__


new_tensor: Callable[[type[Tensor]], Tensor] = Tensor.__new__
exhaust = deque[Any](maxlen=0).extend


def record(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any] = NO_SETTINGS) -> Tensor:
    """Call ``func`` on the data of ``args``, and remember how where a gradient may be asked for."""
    values, parents, requires_grad = [], [], False
    for a in args:
        if isinstance(a, Tensor):
            node = a.node
            values.append(a.data)
            parents.append(node)
            if node is not None and node.requires_grad:
                requires_grad = True
        else:
            if type(a) not in HARMLESS:
                check_operand(a)
            values.append(a)
            parents.append(None)
    tensor = new_tensor(Tensor)
    tensor.data = value = PLAIN.get(func, func)(*values, **kwargs)
    if requires_grad and (new := recorder.get()):
        tensor.node = new(func, tuple(parents), tuple(values), kwargs, value)
    else:
        tensor.node = remembered(func, tuple(parents), tuple(values), kwargs, value)
    return tensor


def unary(func: Function, x: Array) -> Tensor:
    """`record` for one argument."""
    if not isinstance(x, Tensor):
        x = Tensor(x)
    tensor = new_tensor(Tensor)
    tensor.data = value = PLAIN.get(func, func)(x.data)
    node = x.node
    if node is not None and node.requires_grad and (new := recorder.get()):
        tensor.node = new(func, (node,), (x.data,), NO_SETTINGS, value)
    else:
        tensor.node = remembered(func, (node,), (x.data,), NO_SETTINGS, value)
    return tensor


def binary(func: np.ufunc, op: Callable[[Array, Array], Array], a: Array, b: Array) -> Tensor:
    """`record` for an operator, whose form ``op`` in Python is faster on scalars than the ufunc."""
    requires_grad = False
    node_a = node_b = None
    if isinstance(a, Tensor):
        node_a, a = a.node, a.data
        requires_grad = node_a is not None and node_a.requires_grad
    elif type(a) not in NUMBERS and (type(a) is not np.ndarray or a.dtype.hasobject):
        a = operand(a)
    if isinstance(b, Tensor):
        node_b, b = b.node, b.data
        requires_grad = requires_grad or (node_b is not None and node_b.requires_grad)
    elif type(b) not in NUMBERS and (type(b) is not np.ndarray or b.dtype.hasobject):
        b = operand(b)
    tensor = new_tensor(Tensor)
    tensor.data = value = op(a, b)
    if requires_grad and (new := recorder.get()):
        tensor.node = new(func, (node_a, node_b), (a, b), NO_SETTINGS, value)
    else:
        tensor.node = None
    return tensor


def remembered(func: Function, parents: tuple[Node | None, ...], values: tuple[Any, ...], kwargs: dict[str, Any], value: Array) -> Node | None:
    """The node of a call that needs no gradient: None, but for a function whose argument is worth keeping, and for views of its result."""
    if func in REMEMBERED:
        parents = (None,) * len(parents)  # the argument, but not what it came from
    elif func not in VIEWS or parents[0] is None or (parents[0].func not in REMEMBERED and parents[0].func not in VIEWS):
        return None
    node = node_of(func, parents, values, kwargs, value)
    node.requires_grad = False
    return node


def leaf_of(tensor: Tensor) -> Node:
    """The node of a Tensor: one that has none yet becomes a leaf."""
    if tensor.node is None:
        tensor.node = node_of(None, (), (), NO_SETTINGS, None)
        tensor.node.requires_grad = False
        tensor.node.owner = ref(tensor)
    return tensor.node


def seed_of(tensor: Tensor, grad: Array = None) -> Array:
    """The gradient to start a backward pass with, as an array like the Tensor's data: ``grad``, or 1 for a single number."""
    data = tensor.data
    if grad is None and data.ndim == 0:
        return data.dtype.type(1)
    if grad is None:
        if data.size != 1:
            raise RuntimeError(
                f"backward() without a gradient works on a single number, this Tensor has shape {tensor.shape}: "
                f"reduce it first (loss.sum(), loss.mean()) or pass backward(grad)"
            )
        return np.ones_like(data)
    grad = grad.data if isinstance(grad, Tensor) else grad
    if np.shape(grad) != tensor.shape:
        raise ValueError(f"backward(grad) got a gradient of shape {np.shape(grad)} for a Tensor of shape {tensor.shape}")
    return grad.astype(data.dtype) if hasattr(grad, "__array_function__") else np.array(grad, data.dtype)


def lift(value: Array, node: Node | None) -> Array:
    """A saved value as the Tensor it was; a value without a node as it is."""
    if node is None:
        return value
    tensor = new_tensor(Tensor)
    tensor.data, tensor.node = value, node
    return tensor


def unshared(g: Array, mine: set[int]) -> Array:
    """``g`` as an array that shares memory with no other gradient; ``mine`` holds the ids of those handed out before."""
    if type(g) is not np.ndarray:
        return np.asarray(g) if isinstance(g, np.generic) else g
    if g.base is not None or id(g) in mine:
        g = g.copy()
    mine.add(id(g))
    return g
