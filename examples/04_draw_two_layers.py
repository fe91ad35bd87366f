"""Draw a network of two layers with all gradients: BP1 at the loss, BP2 from layer to layer, BP3 and BP4 at the parameters.

The four numbers of exclusive or go through it. With retain_graph=True every value keeps its gradient, so the
drawing shows each equation with the numbers on both of its sides.
"""

import tempfile
from pathlib import Path

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr import nn

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([[0.0], [1.0], [1.0], [0.0]])

rng = np.random.default_rng(0)
model = nn.Sequential(hidden=nn.Dense(2, 3, rng=rng), squash=nn.Tanh(), out=nn.Dense(3, 1, rng=rng), prob=nn.Sigmoid())

with tg.observe():
    loss = nn.MSELoss()(model(X), y)
loss.backward(retain_graph=True)

folder = Path(tempfile.mkdtemp(prefix="drawings-"))
for name, drawing in {
    "two_layers": tg.draw(loss),
    "modules_only": tg.draw(loss, depth=1),  # each layer as a single box
    "left_to_right": tg.draw(model, X, grads=False, direction="LR"),  # a model and an input: draw() calls it
}.items():
    print(drawing, "->", drawing.save(folder / f"{name}.gv"))
    try:
        print(drawing.save(folder / f"{name}.svg"))
    except RuntimeError as error:
        print(error)
