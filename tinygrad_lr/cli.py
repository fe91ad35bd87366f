"""The command line: fit one neuron by gradient descent, and show every number of it.

Without arguments the six primes are fitted; ``fit data.csv --target y`` does the same for a table of one's own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr import nn
from tinygrad_lr.autodiff.gradcheck import central_differences
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.tensor import no_grad
from tinygrad_lr.regression.data import PRIMES, Data, DataError, read_csv
from tinygrad_lr.regression.likelihood import Maximum, maximum_likelihood

Floats = np.ndarray[Any, np.dtype[np.float64]]

ROWS_SHOWN = 12


class Fit(NamedTuple):
    """A trained neuron, the inputs it saw, and its mean loss before and after."""

    model: nn.Sequential
    inputs: Floats
    first_loss: float
    last_loss: float
    epochs: int
    lr: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tinygrad_lr", description="Logistic regression as a network of one neuron, with every number shown.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    fit = commands.add_parser("fit", help="fit a CSV file of numbers with a header row")
    fit.add_argument("file", help="the CSV file")
    fit.add_argument("--target", required=True, help="the column that holds the class, 0 or 1")
    fit.add_argument("--epochs", type=positive_int, default=2500, help="how many gradient steps to take (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.command is None:
        print_primes()
        return 0
    try:
        data = read_csv(options.file, options.target)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_table(data, options.file, options.epochs)
    return 0


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


# -- the two jobs --------------------------------------------------------------------------------------


def print_primes() -> None:
    """Fit the six primes from w = 0, b = -1 and print all about it."""
    data = PRIMES
    print("One neuron, sigmoid(w x + b), learns six primes\n")
    print("  x   " + "".join(f"{x:5g}" for x in data.X[:, 0]))
    print("  y   " + "".join(f"{y:5g}" for y in data.y[:, 0]) + "\n")
    fit = trained(data.X, data.y, start=-1.0, epochs=2500, lr=0.1)
    best = maximum_likelihood(data.X, data.y)
    w, b = weights_of(fit)
    print_learned(fit, ["w"], w, b, best)
    print("\nProbability that y = 1\n")
    print(f"{'x':>6} {'y':>3} {'learned':>10} {'maximum likelihood':>20}")
    for x, y in [*zip(data.X[:, 0], data.y[:, 0]), (8.5, None)]:
        learned, ideal = float(sigmoid(w[0] * x + b)), float(sigmoid(best.weight[0] * x + best.bias))
        print(f"{x:6g} {'?' if y is None else format(y, 'g'):>3} {learned:10.4f} {ideal:20.4f}")
    print_gradients(fit, data.y)


def print_table(data: Data, path: str, epochs: int) -> None:
    """Fit a table, its features brought to mean 0 and deviation 1, and print the weights in its own units."""
    m, n = data.X.shape
    mean, deviation = data.X.mean(axis=0), data.X.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    inputs = (data.X - mean) / deviation
    ones = int(data.y.sum())
    print(f"One neuron, sigmoid(w x + b), learns {data.target!r} from {path}\n")
    print(f"  {m} rows, {n} feature{'s' * (n > 1)}; class 1 in {ones} rows, class 0 in {m - ones}")
    print("  features are brought to mean 0 and standard deviation 1 for training; weights are printed in the file's units\n")
    lipschitz = np.linalg.norm(np.hstack([inputs, np.ones((m, 1))]), 2) ** 2 / (4 * m)
    fit = trained(inputs, data.y, start=0.0, epochs=epochs, lr=float(1 / lipschitz))
    w, b = weights_of(fit)
    w = w / deviation
    b = float(b - w @ mean)
    print_learned(fit, list(data.names), w, b, maximum_likelihood(data.X, data.y))
    a = fit.model(inputs).numpy()
    right = int(((a >= 0.5) == (data.y == 1)).sum())
    print(f"\nProbability that {data.target} = 1: {right} of {m} rows on the right side of 0.5\n")
    print(f"{'row':>6} {data.target[:8]:>8} {'learned':>10}")
    for i in range(min(m, ROWS_SHOWN)):
        print(f"{i + 1:6} {data.y[i, 0]:8g} {a[i, 0]:10.4f}")
    if m > ROWS_SHOWN:
        print(f"   ... and {m - ROWS_SHOWN} more rows")
    print_gradients(fit, data.y)


# -- training ------------------------------------------------------------------------------------------


def trained(X: Floats, y: Floats, start: float, epochs: int, lr: float) -> Fit:
    """Gradient descent from weights 0 and bias ``start``, on all samples at once."""
    model = nn.Sequential(nn.Dense(X.shape[1], 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": np.zeros((1, X.shape[1])), "0.bias": [start]})
    loss_fn, optimizer = nn.BCELoss(), nn.SGD(model.parameters(), lr=lr)
    first = loss_fn(model(X), y).item()
    for _ in shown(epochs, lambda: loss.item()):
        loss = loss_fn(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Fit(model, X, first, loss_fn(model(X), y).item(), epochs, lr)


def shown(epochs: int, loss: Any) -> Iterator[int]:
    """Count epochs, with a progress line on standard error while it is a terminal."""
    visible = sys.stderr.isatty()
    for epoch in range(epochs):
        yield epoch
        if visible and (epoch + 1) % max(1, epochs // 50) == 0:
            done = 30 * (epoch + 1) // epochs
            print(f"\r  epoch {epoch + 1:>6}/{epochs} [{'#' * done}{'.' * (30 - done)}] loss {loss():.6f}", end="", file=sys.stderr, flush=True)
    if visible:
        print("\r" + " " * 79 + "\r", end="", file=sys.stderr, flush=True)


def weights_of(fit: Fit) -> tuple[Floats, float]:
    """The neuron's weights as a vector, and its bias."""
    layer = fit.model[0]
    assert isinstance(layer, nn.Dense) and layer.bias is not None
    return layer.weight.numpy()[0], layer.bias.item()


# -- printing ------------------------------------------------------------------------------------------


def print_learned(fit: Fit, names: list[str], w: Floats, b: float, best: Maximum) -> None:
    """The learned parameters beside those of maximum likelihood."""
    print(f"Gradient descent, {fit.epochs} epochs, learning rate {fit.lr:.4g}: mean loss {fit.first_loss:.6f} at the start, {fit.last_loss:.6f} at the end\n")
    width = max(8, *map(len, names)) if names else 8
    print(f"  {'':{width}} {'learned':>14} {'maximum likelihood':>20}")
    for name, learned, ideal in [*zip(names, w, best.weight), ("b", b, best.bias), ("loss", fit.last_loss, best.loss)]:
        print(f"  {name:{width}} {learned:14.8f} {ideal:20.8f}")
    if best.problem is not None:
        print(f"\n  note: {best.problem}")


def print_gradients(fit: Fit, y: Floats) -> None:
    """The gradient at the end, by autodiff, by differences, and by the equations of backpropagation."""
    loss_fn = nn.BCELoss()
    fit.model.zero_grad()
    loss_fn(fit.model(fit.inputs), y).backward()
    by_hand = backpropagated(fit, y)
    print("\nThe gradient at the end, three ways\n")
    print(f"  {'parameter':<16} {'autodiff':>16} {'central differences':>20} {'BP1 to BP4':>16} {'largest difference':>20}")
    worst = 0.0
    for path, parameter in fit.model.named_parameters():
        exact, equations = parameter.grad, by_hand[path]
        numeric = central_differences(lambda value, path=path: loss_at(fit, y, path, value), parameter.numpy())  # type: ignore[misc]
        for i in np.ndindex(parameter.shape):
            values = exact[i], numeric[i], equations[i]
            apart = max(values) - min(values)
            worst = max(worst, apart)
            name = path + "[" + ", ".join(map(str, i)) + "]"
            print(f"  {name:<16} {values[0]:16.12f} {values[1]:20.12f} {values[2]:16.12f} {apart:20.1e}")
    print(f"\n  They {'agree' if worst < 1e-8 else 'DISAGREE'}: nowhere more than {worst:.1e} apart.")


def loss_at(fit: Fit, y: Floats, path: str, value: Floats) -> float:
    """The mean loss with one parameter replaced."""
    parameter = dict(fit.model.named_parameters())[path]
    kept, parameter.data = parameter.data, value
    try:
        with no_grad():
            return nn.BCELoss()(fit.model(fit.inputs), y).item()  # type: ignore[no-any-return]
    finally:
        parameter.data = kept


def backpropagated(fit: Fit, y: Floats) -> dict[str, Floats]:
    """The gradient of the mean cross-entropy by the four equations, in plain NumPy."""
    w, b = weights_of(fit)
    z = fit.inputs @ w[:, None] + b
    a = 1 / (1 + np.exp(-z))
    delta = (a - y) / len(y)  # BP1: dL/da s'(z), with dL/da = (a - y) / (a (1 - a)) / m and s'(z) = a (1 - a)
    return {"0.weight": (fit.inputs.T @ delta).T, "0.bias": delta.sum(axis=0)}  # BP4, BP3; BP2 needs a second layer
