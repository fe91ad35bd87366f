"""Tensors and derivatives under a type checker."""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import tinygrad_lr as tg

t = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
assert_type(t + 1, tg.Tensor)
assert_type(2 / t, tg.Tensor)
assert_type(t @ t, tg.Tensor)
assert_type(-t, tg.Tensor)
assert_type(t[0], tg.Tensor)
assert_type(t.sum(axis=0), tg.Tensor)
assert_type(t.mean(), tg.Tensor)
assert_type(t.T.reshape(4), tg.Tensor)
assert_type(t.shape, tuple[int, ...])
assert_type(t.requires_grad, bool)
t.sums()  # error: "Tensor" has no attribute "sums"
(1 - t * 2).mean(axis=0).T.reshape(1, 1)[0].bakward()  # error: "Tensor" has no attribute "bakward"


def loss(w: npt.NDArray[np.float64], scale: float = 1.0) -> float:
    return float(scale * np.sum(w**2))


slope = tg.grad(loss)
print(slope(np.ones(2), scale=2.0))
slope(np.ones(2), scal=2.0)  # error: Unexpected keyword argument "scal"
slope("w")  # error: Argument 1 has incompatible type "str"
tg.hessian(loss)(np.ones(2), 1.0, 2.0)  # error: Too many arguments
tg.jacobian(loss)()  # error: Too few arguments
value, gradient = tg.value_and_grad(loss)(np.ones(2))
assert_type(value, float)


@tg.no_grad()
def evaluate(x: int) -> str:
    return str(x)


assert_type(evaluate(1), str)
evaluate("1")  # error: Argument 1 to "evaluate" has incompatible type "str"


def cube(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return x**3


own = tg.primitive(cube, lambda g, y, x: g * 3 * x**2)
own(np.ones(2), 2)  # error: Too many arguments


def softened(x: tg.Tensor) -> tg.Tensor:
    z: Any = x  # the way round NumPy's stubs, which say that np.exp returns an ndarray
    return np.log1p(np.exp(z))  # type: ignore[no-any-return]


assert_type(softened(t).sum(), tg.Tensor)
