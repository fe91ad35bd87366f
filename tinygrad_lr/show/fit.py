"""Fit one neuron by gradient descent, and print every number of it, laid out for 80 columns."""

from __future__ import annotations

import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lr import nn
from tinygrad_lr.autodiff.record import no_grad
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.text import shortened, shown
from tinygrad_lr.check.gradcheck import central_differences
from tinygrad_lr.regression.data import PRIMES, DataError, counted, listed, read_csv, split
from tinygrad_lr.regression.likelihood import maximum_likelihood
from tinygrad_lr.show.explorer import explore

Floats = np.ndarray[Any, np.dtype[np.float64]]

SAMPLES_SHOWN = 10
GRADIENTS_SHOWN = 20


def print_primes() -> bool:
    """Fit the six primes from w = 0, b = -1 and print all about it; tell whether the gradients are right."""
    X, y = PRIMES.X, PRIMES.y
    model = neuron(n_inputs=1, bias=-1.0)
    at_start = gradients(model, X, y)
    print("One neuron, sigmoid(w x + b), learns six primes\n")
    print_line("x", " ".join(f"{x:4g}" for x in X[:, 0]))
    print_line("y", " ".join(f"{c:4g}" for c in y[:, 0]))
    history: list[tuple[float, dict[str, Any] | None]] = []
    last = train(model, X, y, epochs=2500, lr=0.1, history=history)
    w, b = weights_of(model)
    best = maximum_likelihood(X, y)
    print_weights(["w", "b", "mean loss"], [*w, b, last], [*best.weight, best.bias, best.loss], ".8f")
    x = np.append(X, [[8.5]], axis=0)
    print("\nProbability that y = 1\n")
    given = [("x", [f"{value:g}" for value in x[:, 0]]), ("y", [*(f"{c:g}" for c in y[:, 0]), "?"])]
    print_columns([*given, ("learned", decimals(model(x).numpy())), ("maximum likelihood", decimals(sigmoid(x @ best.weight + best.bias)))])
    correct = print_gradients(model, at_start, gradients(model, X, y), names=[])
    page = explore(model, nn.BCELoss(), X, y, Path(tempfile.mkdtemp(prefix="tinygrad_lr-")) / "primes.html", history)
    print(f"\nWalk through it, step by step, in a browser:\n  {page}")
    return correct


def print_table(file: str, target: str, epochs: int, lr: float | None, test: float | None) -> bool:
    """Fit a table and print all about it, the weights in its own units; tell whether the gradients are right."""
    data = read_csv(file, target)
    kept, held_out = split(data.y, test)
    varies = np.ptp(data.X[kept], axis=0) > 0
    if not varies.any():
        raise DataError(f"{shown(file)}: every feature is constant, so there is nothing to tell the classes apart by")
    names = [shortened(name, 36) for name, used in zip(data.names, varies) if used]
    constant = [shortened(name, 18) for name, used in zip(data.names, varies) if not used]
    target = shortened(data.target, 18)
    raw, y = data.X[kept][:, varies], data.y[kept]
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    inputs = (raw - mean) / deviation
    m, n = inputs.shape
    model = neuron(n, bias=0.0)
    at_start = gradients(model, inputs, y)
    lipschitz = np.linalg.norm(np.hstack([inputs, np.ones((m, 1))]), 2) ** 2 / (4 * m)
    lr, chosen = (float(1 / lipschitz), " = 1/L (Lipschitz rule)") if lr is None else (lr, "")

    print(f"One neuron, sigmoid(w x + b), learns the column {target!r}\n")
    print_line("file", shown(file))
    print_line("samples", f"{m}: {np.sum(y == 0)} of class 0, {np.sum(y == 1)} of class 1" + (f"; {len(held_out)} more held out" if len(held_out) else ""))
    print_line("features", f"{n}, brought to mean 0 and standard deviation 1 for training")
    if constant:
        print_line("left out", f"{len(constant)} constant: {listed(constant, 2)}")
    last = train(model, inputs, y, epochs, lr, chosen)
    best = maximum_likelihood(inputs, y)
    separated = best.loss < 1e-6  # then there is no maximum: the loss falls towards 0 as the weights grow

    def in_units(weight: Floats, bias: float, loss: float) -> list[float]:
        return [*(weight / deviation), bias - float(weight / deviation @ mean), loss]

    ideals = None if separated else in_units(best.weight, best.bias, best.loss)
    print_weights([*names, "(bias)", "(mean loss)"], in_units(*weights_of(model), last), ideals, ".7g")
    print_notes(best.problem, 0.0 if separated else last - best.loss, lr * lipschitz)

    first = slice(SAMPLES_SHOWN)
    print(f"\nProbability that {target} = 1{f', for the first {SAMPLES_SHOWN} of {m} samples' if m > SAMPLES_SHOWN else ''}\n")
    given = [("sample", [str(i + 1) for i in kept[first]]), (target, [f"{c:g}" for c in y[first, 0]])]
    if n == 1:
        given.insert(1, (shortened(names[0], 18), [f"{x:g}" for x in raw[first, 0]]))
    possible = ["none"] * SAMPLES_SHOWN if separated else decimals(sigmoid(inputs[first] @ best.weight + best.bias))
    print_columns([*given, ("learned", decimals(model(inputs[first]).numpy())), ("maximum likelihood", possible)])
    print(f"\nPredicted {target}: 1 where the learned probability is at least 0.5\n")
    print_predictions(target, y, model(inputs).numpy())
    if len(held_out):
        p = model((data.X[held_out][:, varies] - mean) / deviation)
        print(f"\nThe same for the {counted(len(held_out), 'sample')} held out, mean loss {nn.BCELoss()(p, data.y[held_out]).item():.6f}\n")
        print_predictions(target, data.y[held_out], p.numpy())
    return print_gradients(model, at_start, gradients(model, inputs, y), names)


# -- training ------------------------------------------------------------------------------------------


def neuron(n_inputs: int, bias: float) -> nn.Sequential:
    """One neuron with weights 0."""
    model = nn.Sequential(nn.Dense(n_inputs, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": np.zeros((1, n_inputs)), "0.bias": [bias]})
    return model


def train(
    model: nn.Sequential,
    X: Floats,
    y: Floats,
    epochs: int,
    lr: float,
    chosen: str = "",
    history: list[tuple[float, dict[str, Any] | None]] | None = None,
) -> float:
    """Descend along the gradient of all samples at once, and print how it went; return the last mean loss.

    ``history`` receives the loss after 0, 1, 2, ... epochs, with the parameters after every 25th and the last.
    """
    loss_fn, optimizer = nn.BCELoss(), nn.SGD(model.parameters(), lr=lr)
    print_line("model", ", ".join(map(repr, [*model, loss_fn])))
    print_line("training", f"SGD, {counted(epochs, 'epoch')}, learning rate {lr:.4g}{chosen}")
    first = loss_fn(model(X), y).item()
    visible, due = sys.stderr.isatty(), 0.0
    for epoch in range(1, epochs + 1):
        loss = loss_fn(model(X), y)
        if history is not None:
            history.append((loss.item(), model.state_dict() if epoch % 25 == 1 else None))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if visible and (time.monotonic() >= due or epoch == epochs):
            show_progress(epoch, epochs, loss.item())
            due = time.monotonic() + 0.1
    last = float(loss_fn(model(X), y).item())
    if history is not None:
        history.append((last, model.state_dict()))
    print_line("mean loss", f"{first:.6f} at the start, {last:.6f} at the end")
    return last


def show_progress(epoch: int, epochs: int, loss: float) -> None:
    """Draw the progress line over the one before; the last one stays."""
    width = max(0, min(30, shutil.get_terminal_size().columns - 50))
    text = f"{epoch:{len(str(epochs))}}/{epochs} [{'#' * (width * epoch // epochs):.<{width}}] loss {loss:<12.6f}"
    print(f"\r  {'progress':<10} {text}", end="\n" if epoch == epochs else "", file=sys.stderr, flush=True)


def weights_of(model: nn.Sequential) -> tuple[Floats, float]:
    """The neuron's weights as a vector, and its bias."""
    state = model.state_dict()
    return state["0.weight"][0], float(state["0.bias"][0])


def gradients(model: nn.Sequential, X: Floats, y: Floats) -> Floats:
    """The gradient by autodiff, by central differences and by the equations: a column each, a row per parameter."""
    loss_fn = nn.BCELoss()
    model.zero_grad()
    loss_fn(model(X), y).backward()
    equations = backpropagated(*weights_of(model), X, y)
    blocks = []
    for path, parameter in model.named_parameters():
        here = parameter.data

        def loss_at(value: Any, parameter: nn.Parameter = parameter) -> float:
            parameter.data = value
            with no_grad():
                return float(loss_fn(model(X), y).item())

        differences = central_differences(loss_at, here)
        parameter.data = here
        blocks.append(np.column_stack([parameter.grad.ravel(), differences.ravel(), equations[path].ravel()]))
    return np.vstack(blocks)


def backpropagated(w: Floats, b: float, X: Floats, y: Floats) -> dict[str, Floats]:
    """The gradient of the mean cross-entropy by the four equations, in plain NumPy."""
    z = X @ w[:, None] + b
    a = (1 + np.tanh(z / 2)) / 2  # 1 / (1 + exp(-z)) in a form that cannot overflow
    delta = (a - y) / len(y)  # BP1: dL/da s'(z), with dL/da = (a - y) / (a (1 - a)) / m and s'(z) = a (1 - a)
    return {"0.weight": delta.T @ X, "0.bias": delta.sum(axis=0)}  # BP4, BP3; BP2 needs a second layer


# -- printing ------------------------------------------------------------------------------------------


def print_line(head: str, text: str) -> None:
    print(f"  {head:<10} {text}")


def print_weights(labels: list[str], learned: list[float], ideals: list[float] | None, digits: str) -> None:
    """The learned numbers beside those of maximum likelihood."""
    width = max(8, *map(len, labels))
    print(f"\n  {'':{width}} {'learned':>14} {'maximum likelihood':>20}")
    for i, label in enumerate(labels):
        print(f"  {label:{width}} {learned[i]:>14{digits}} {'none' if ideals is None else format(ideals[i], digits):>20}")


def print_notes(problem: str | None, excess: float, steepness: float) -> None:
    """What a reader should know about these numbers, if anything."""
    notes = [problem] if problem else []
    if excess > 1e-6:
        remedy = f"the learning rate is {steepness:.3g} times 1/L, try a smaller one" if steepness > 2 else "more --epochs bring it closer"
        notes.append(f"the learned loss is {excess:.1e} above the least possible; {remedy}")
    for note in notes:
        print("\n" + textwrap.fill(f"Note: {note}.", 79, initial_indent="  ", subsequent_indent="  "))


def print_predictions(target: str, y: Floats, p: Floats) -> None:
    """Classes against predicted classes, and how many agree."""
    actual, predicted = y[:, 0] == 1, p[:, 0] >= 0.5
    counts = [(f"predicted {d}", [str(np.sum((actual == c) & (predicted == d))) for c in (0, 1)]) for d in (0, 1)]
    print_columns([("", [f"{target} = {c}" for c in (0, 1)]), *counts])
    commoner = int(2 * actual.sum() > len(actual))
    print(f"\n  {np.sum(predicted == actual)} of {len(actual)} are right; always answering {commoner} would get {np.sum(actual == commoner)} right")


def print_columns(columns: list[tuple[str, list[str]]]) -> None:
    """A table of texts, each column under its head."""
    widths = [max(6, len(head), *map(len, texts)) for head, texts in columns]
    for row in zip(*([head, *texts] for head, texts in columns)):
        print("  " + "  ".join(f"{text:>{width}}" for text, width in zip(row, widths)))


def decimals(p: Floats) -> list[str]:
    return [f"{value:.4f}" for value in p.ravel()]


def print_gradients(model: nn.Sequential, start: Floats, end: Floats, names: list[str]) -> bool:
    """The gradient at the end three ways, and how far they are apart; tell whether they agree."""
    labels = [path + "[" + ", ".join(map(str, i)) + "]" for path, p in model.named_parameters() for i in np.ndindex(p.shape)]
    names = [shortened(name, 12) for name in names] + [""] * (len(labels) - len(names))
    apart = np.ptp(end, axis=1)
    rows = range(len(end)) if len(end) <= GRADIENTS_SHOWN else np.argsort(-apart, kind="stable")[:GRADIENTS_SHOWN]
    width = max(map(len, names))
    print("\nThe gradient at the end: by autodiff, by central differences, by BP1 to BP4\n")
    if len(rows) < len(end):
        print(f"  The {len(rows)} of {len(end)} parameters where they differ most:\n")
    print(f"  {'parameter':<{17 + width}} {'autodiff':>12} {'differences':>12} {'BP1 to BP4':>12} {'apart':>8}")
    for i in rows:
        print(f"  {labels[i]:<16} {names[i]:{width}} " + " ".join(f"{g:z12.9f}" for g in end[i]) + f" {apart[i]:8.1e}")
    steps = max(1.0, *(np.max(np.abs(p.data)) for p in model.parameters()))  # in these units; a difference errs by their square
    correct = True
    print(f"\n  {'Autodiff':<16} {'largest entry':>14} {'from differences':>18} {'from BP1 to BP4':>18}")
    for when, (exact, differences, equations) in (("at the start", start.T), ("at the end", end.T)):
        off, off_equations = np.max(np.abs(exact - differences)), np.max(np.abs(exact - equations))
        print(f"  {when:<16} {np.max(np.abs(exact)):14.1e} {off:18.1e} {off_equations:18.1e}")
        correct &= bool(off < 1e-8 * steps**2 and off_equations < 1e-12)
    print(f"\n  Autodiff {'agrees with both' if correct else 'DISAGREES'}.")
    return correct
