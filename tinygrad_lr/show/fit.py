"""The numbers of a fitted neuron as text, laid out for 80 columns: before, during and after its training."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence

import numpy as np

from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.text import shortened, shown
from tinygrad_lr.check.neuron import all_agree, distances
from tinygrad_lr.regression.data import PRIMES, Floats, Table, plural, quoted_names
from tinygrad_lr.regression.descent import Fit, weights_of

SAMPLES_SHOWN = 10
GRADIENTS_SHOWN = 20


# -- before and during the training --------------------------------------------------------------------


def print_primes() -> None:
    """Print the six primes."""
    print("One neuron, sigmoid(w x + b), learns six primes\n")
    print_line("x", " ".join(f"{x:4g}" for x in PRIMES.X[:, 0]))
    print_line("y", " ".join(f"{c:4g}" for c in PRIMES.y[:, 0]))


def print_table(file: str, table: Table) -> None:
    """Print what the table holds."""
    y, (m, n), held_out = table.samples.y, table.raw.shape, len(table.held_out.y)
    print(f"One neuron, sigmoid(w x + b), learns the column {shortened(table.samples.target, 18)!r}\n")
    print_line("file", shown(file))
    print_line("samples", f"{m}: {np.sum(y == 0)} of class 0, {np.sum(y == 1)} of class 1" + (f"; {held_out} more held out" if held_out else ""))
    print_line("features", f"{n}, brought to mean 0 and standard deviation 1 for training")
    if table.constant:
        print_line("left out", f"{len(table.constant)} constant: {quoted_names([shortened(name, 18) for name in table.constant], 2)}")


def print_training(model: nn.Sequential, epochs: int, lr: float, chosen: str = "") -> None:
    """Print how the model is trained; ``chosen`` says where the learning rate comes from."""
    print_line("model", ", ".join(map(repr, [*model, nn.BCELoss()])))
    print_line("training", f"SGD, {plural(epochs, 'epoch')}, learning rate {lr:.4g}{chosen}")


def progress_line(epochs: int) -> Callable[[int, float], None]:
    """A function that draws the progress on standard error, ten times a second, where that is a terminal."""
    visible, due = sys.stderr.isatty(), 0.0

    def watch(epoch: int, loss: float) -> None:
        """Draw the line over the one before; the last one stays."""
        nonlocal due
        running = epoch + 1
        if visible and running <= epochs and (time.monotonic() >= due or running == epochs):
            width = max(0, min(30, shutil.get_terminal_size().columns - 50))
            text = f"{running:{len(str(epochs))}}/{epochs} [{'#' * (width * running // epochs):.<{width}}] loss {loss:<12.6f}"
            print(f"\r  {'progress':<10} {text}", end="\n" if running == epochs else "", file=sys.stderr, flush=True)
            due = time.monotonic() + 0.1

    return watch


# -- after the training --------------------------------------------------------------------------------


def print_primes_fit(fit: Fit) -> None:
    """Print what the neuron has learned about the primes, and its result for a number between them."""
    best = fit.best
    w, b = weights_of(fit.model)
    print_losses(fit)
    print_weights(["w", "b", "mean loss"], [*w, b, fit.last], [*best.weight, best.bias, best.loss], ".8f")
    x = np.append(PRIMES.X, [[8.5]], axis=0)
    print("\nProbability that y = 1\n")
    given = [("x", [f"{value:g}" for value in x[:, 0]]), ("y", [*(f"{c:g}" for c in PRIMES.y[:, 0]), "?"])]
    print_columns([*given, ("learned", decimals(fit.model(x).numpy())), ("maximum likelihood", decimals(sigmoid(x @ best.weight + best.bias)))])


def print_table_fit(fit: Fit, table: Table, steepness: float) -> None:
    """Print what the neuron has learned about the table, in the table's units; the learning rate was ``steepness`` / L."""
    (X, y, names, target), best, first = table.samples, fit.best, slice(SAMPLES_SHOWN)
    names, target = tuple(shortened(name, 36) for name in names), shortened(target, 18)
    separated = best.loss < 1e-6  # then there is no maximum: the loss falls towards 0 as the weights grow
    print_losses(fit)
    ideals = None if separated else [*table.in_units(best.weight, best.bias), best.loss]
    print_weights([*names, "(bias)", "(mean loss)"], [*table.in_units(*weights_of(fit.model)), fit.last], ideals, ".7g")
    print_notes(best.problem, 0.0 if separated else fit.last - best.loss, steepness)

    print(f"\nProbability that {target} = 1{f', for the first {SAMPLES_SHOWN} of {len(y)} samples' if len(y) > SAMPLES_SHOWN else ''}\n")
    given = [("sample", [str(i + 1) for i in table.rows[first]]), (target, [f"{c:g}" for c in y[first, 0]])]
    if len(names) == 1:
        given.insert(1, (shortened(names[0], 18), [f"{x:g}" for x in table.raw[first, 0]]))
    possible = ["none"] * SAMPLES_SHOWN if separated else decimals(sigmoid(X[first] @ best.weight + best.bias))
    print_columns([*given, ("learned", decimals(fit.model(X[first]).numpy())), ("maximum likelihood", possible)])
    print(f"\nPredicted {target}: 1 where the learned probability is at least 0.5\n")
    print_predictions(target, y, fit.model(X).numpy())
    if len(table.held_out.y):
        p, y = fit.model(table.held_out.X), table.held_out.y
        print(f"\nThe same for the {plural(len(y), 'sample')} held out, mean loss {nn.BCELoss()(p, y).item():.6f}\n")
        print_predictions(target, y, p.numpy())


def print_losses(fit: Fit) -> None:
    print_line("mean loss", f"{fit.first:.6f} at the start, {fit.last:.6f} at the end")


def print_weights(labels: Sequence[str], learned: Sequence[float], ideals: Sequence[float] | None, digits: str) -> None:
    """Print the learned numbers beside those of maximum likelihood."""
    width = max(8, *map(len, labels))
    print(f"\n  {'':{width}} {'learned':>14} {'maximum likelihood':>20}")
    for i, label in enumerate(labels):
        print(f"  {label:{width}} {learned[i]:>14{digits}} {'none' if ideals is None else format(ideals[i], digits):>20}")


def print_notes(problem: str | None, excess: float, steepness: float) -> None:
    """Print what a reader should know about these numbers, if anything."""
    notes = [problem] if problem else []
    if excess > 1e-6:
        remedy = f"the learning rate is {steepness:.3g} times 1/L, try a smaller one" if steepness > 2 else "more --epochs bring it closer"
        notes.append(f"the learned loss is {excess:.1e} above the least possible; {remedy}")
    for note in notes:
        print("\n" + textwrap.fill(f"Note: {note}.", 79, initial_indent="  ", subsequent_indent="  "))


def decimals(p: Floats) -> list[str]:
    return [f"{value:.4f}" for value in p.ravel()]


def print_predictions(target: str, y: Floats, p: Floats) -> None:
    """Print classes against predicted classes, and how many agree."""
    actual, predicted = y[:, 0] == 1, p[:, 0] >= 0.5
    counts = [(f"predicted {d}", [str(np.sum((actual == c) & (predicted == d))) for c in (0, 1)]) for d in (0, 1)]
    print_columns([("", [f"{target} = {c}" for c in (0, 1)]), *counts])
    commoner = int(2 * actual.sum() > len(actual))
    print(f"\n  {np.sum(predicted == actual)} of {len(actual)} are right; always answering {commoner} would get {np.sum(actual == commoner)} right")


def print_gradients(model: nn.Sequential, start: Floats, end: Floats, names: Sequence[str] = ()) -> bool:
    """Print the gradient at the end from three sources, and how far they are apart at the start and at the end; returns whether they agree.

    ``start`` and ``end`` have a row for each parameter, and a column each for autodiff, central differences and BP1 to BP4.
    """
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
    print(f"\n  {'Autodiff':<16} {'largest entry':>14} {'from differences':>18} {'from BP1 to BP4':>18}")
    for when, gradients in (("at the start", start), ("at the end", end)):
        print(f"  {when:<16} {np.max(np.abs(gradients[:, 0])):14.1e} " + " ".join(f"{off:18.1e}" for off in distances(gradients)))
    correct = all_agree(model, start, end)
    print(f"\n  Autodiff {'agrees with both' if correct else 'DISAGREES'}.")
    return correct


# -- lines and columns ---------------------------------------------------------------------------------


def print_line(head: str, text: str) -> None:
    print(f"  {head:<10} {text}")


def print_columns(columns: Sequence[tuple[str, list[str]]]) -> None:
    """Print texts in columns, each under its head."""
    widths = [max(6, len(head), *map(len, texts)) for head, texts in columns]
    for row in zip(*([head, *texts] for head, texts in columns)):
        print("  " + "  ".join(f"{text:>{width}}" for text, width in zip(row, widths)))
