"""Small programs to draw. Run as a script, this writes the DOT text of each to `golden`, to be looked at before it is committed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.regression.data import PRIMES
from tinygrad_lr.show import Drawing, draw, observe

GOLDEN = Path(__file__).parent / "golden"

NAMES = [
    *("<script>alert(1)</script>", '}"; x', "\\N \\G \\l back\\slash\\", "two\nlines", "&amp; &lt;b&gt;", "<b>bold</b>", "-->", "]]>"),
    *("%d {} $x", "\x00\x1b[31m", "\ud800half", "a   b", "é ∂ 中 🙂", "x" * 200),
]


def primes() -> tg.Tensor:
    """The loss of the primes network, at weights that are short to write."""
    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[0.5]], "0.bias": [-1.0]})
    with observe():
        return nn.BCELoss()(model(PRIMES.X), PRIMES.y)


def two_layers() -> tuple[nn.Sequential, tg.Tensor]:
    """A network of two layers on exclusive or, and its squared error."""
    model = nn.Sequential(hidden=nn.Dense(2, 2), squash=nn.Tanh(), out=nn.Dense(2, 1), prob=nn.Sigmoid())
    model.load_state_dict({"hidden.weight": [[0.5, -1.0], [1.5, 0.25]], "hidden.bias": [0.1, -0.2], "out.weight": [[0.75, -0.5]], "out.bias": [0.3]})
    with observe():
        loss = nn.MSELoss()(model(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])), np.array([[0.0], [1.0], [1.0], [0.0]]))
    return model, loss


def expression() -> tg.Tensor:
    """Operators, settings, constants and an index, without a network."""
    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
    w = tg.Tensor(np.arange(30.0).reshape(10, 3) / 30, requires_grad=True, name="w")
    return (np.exp(w @ x)[2:5] ** 2 * np.array([1.0, 0.5, 0.25])).sum(axis=0, keepdims=True).mean() / 7


def badly_named() -> tg.Tensor:
    """A sum of Tensors whose names try to break out."""
    total = tg.Tensor(0.0)
    for name in NAMES:
        total = total + tg.Tensor(1.0, requires_grad=True, name=name)
    return total


def chain(length: int) -> tg.Tensor:
    x = tg.Tensor(1.0, requires_grad=True, name="x")
    for _ in range(length):
        x = x * 0.5
    return x


def drawings() -> dict[str, Drawing]:
    """Each drawing that has a golden text, by its name."""
    after = primes()
    after.backward()
    _, retained = two_layers()
    retained.backward(retain_graph=True)
    model, _ = two_layers()
    return {
        "primes_before": draw(primes()),
        "primes_after": draw(after),
        "two_layers": draw(retained),
        "two_layers_forward": draw(model, np.array([[0.0, 1.0]]), grads=False, direction="LR"),
        "two_layers_closed": draw(retained, depth=1),
        "expression": draw(expression()),
        "names": draw(badly_named()),
        "chain": draw(chain(1000), max_nodes=9),
    }


if __name__ == "__main__":
    for name, drawing in drawings().items():
        print(drawing.save(GOLDEN / f"{name}.gv"))
