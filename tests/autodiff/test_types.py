"""What type checkers know in users' scripts."""

from __future__ import annotations

import re

from mypy import api

SCRIPT = """
import numpy as np
import tinygrad_lr as tg

t = tg.Tensor([1.0, 2.0], requires_grad=True)
t.bakward()                                 # error: "Tensor" has no attribute "bakward"
(1 - t * 2).bakward()                       # error: "Tensor" has no attribute "bakward"
t.mean(axis=0).T.reshape(1, 1)[0].bakward() # error: "Tensor" has no attribute "bakward"
(t @ t).sum().backward()
shape: str = t.shape                        # error: Incompatible types in assignment


def loss(w: tg.Tensor, scale: float = 1.0) -> tg.Tensor:
    return (w * scale).sum()


def norm(w: np.ndarray[tuple[int], np.dtype[np.float64]], p: int) -> np.float64:
    return np.float64(np.sum(w**p))


tg.grad(loss)(t, scale=2.0)
tg.grad(loss)(t, scal=2.0)                  # error: Unexpected keyword argument "scal"
tg.hessian(norm)(np.ones(2), p=2)
tg.hessian(norm)(np.ones(2), p="2")         # error: Argument "p" has incompatible type "str"; expected "int"
tg.jacobian(norm)(np.ones(2))               # error: Too few arguments
value, gradient = tg.value_and_grad(norm)(np.ones(2), 2)
value.bakward()                             # error: "float64" has no attribute "bakward"
plain, gradient = tg.value_and_grad(loss)(t)
plain.item()


@tg.no_grad()
def evaluate(w: tg.Tensor) -> float:
    return float(loss(w))


evaluate("w")                               # error: Argument 1 to "evaluate" has incompatible type "str"; expected "Tensor"
cube = tg.primitive(norm, lambda g, y, x, p: g * p * x ** (p - 1), None)
cube(np.ones(2), "3")                       # error: Argument 2 has incompatible type "str"; expected "int"
"""


def test_a_script(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    output, _, _ = api.run(["--strict", "--no-error-summary", "--hide-error-context", "--cache-dir", str(tmp_path), str(tmp_path / "script.py")])
    found = {int(line): message for line, message in re.findall(r"script\.py:(\d+): error: (.*)", output)}
    wanted = {i: line.partition("# error: ")[2] for i, line in enumerate(SCRIPT.split("\n"), start=1) if "# error: " in line}
    assert found.keys() == wanted.keys(), output
    for line, message in wanted.items():
        assert found[line].startswith(message)
