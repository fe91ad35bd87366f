"""Draw the network that learns the primes: before backward(), and with the gradients after it.

Both drawings show the same graph. Solid lines lead from the inputs to the loss; dashed ones are the way the
gradient takes back, each with the equation of backpropagation that it follows.
"""

import tempfile
from pathlib import Path

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.regression.data import PRIMES

folder = Path(tempfile.mkdtemp(prefix="drawings-"))
model = nn.Sequential(nn.Dense(1, 1, rng=0), nn.Sigmoid())

with tg.observe():  # notes which module computes what, so that modules become clusters
    loss = nn.BCELoss()(model(PRIMES.X), PRIMES.y)


def save(name: str) -> None:
    """Write the DOT text, and a picture where there is something that lays it out."""
    drawing = tg.draw(loss)
    print(drawing, "->", drawing.save(folder / f"{name}.gv"))
    try:
        print(drawing.save(folder / f"{name}.svg"))
    except RuntimeError as error:
        print(error)


save("before")
loss.backward()
save("after")

for path, parameter in model.named_parameters():
    print(f"gradient of {path}: {parameter.grad.item():.6f}")
