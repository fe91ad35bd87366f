"""``python -m tinygrad_lr``: one neuron learns six primes; its numbers are printed, and a page shows them step by step."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.check.neuron import three_gradients
from tinygrad_lr.regression.data import PRIMES
from tinygrad_lr.regression.descent import neuron, train
from tinygrad_lr.show.explorer import explore
from tinygrad_lr.show.fit import print_gradients, print_primes, print_primes_fit, print_training, progress_line

EPOCHS, RATE = 2500, 0.1
SNAPSHOT = 25  # epochs from one to the next, for the page


def run(options: Namespace) -> bool:
    """Learn the primes from w = 0, b = -1; returns whether the gradients are right."""
    X, y = PRIMES.X, PRIMES.y
    model, progress = neuron(n_inputs=1, bias=-1.0), progress_line(EPOCHS)
    at_start = three_gradients(model, X, y)
    history: list[tuple[float, Mapping[str, Array] | None]] = []

    def watch(epoch: int, loss: float) -> None:
        history.append((loss, model.state_dict() if epoch % SNAPSHOT == 0 else None))
        progress(epoch, loss)

    print_primes()
    print_training(model, EPOCHS, RATE)
    print_primes_fit(train(model, X, y, EPOCHS, RATE, watch))
    correct = print_gradients(model, at_start, three_gradients(model, X, y))
    page = explore(model, nn.BCELoss(), X, y, Path(tempfile.mkdtemp(prefix="tinygrad_lr-")) / "primes.html", history)
    print(f"\nWalk through it, step by step, in a browser:\n  {page}")
    return correct
