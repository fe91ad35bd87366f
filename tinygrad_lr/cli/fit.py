"""``python -m tinygrad_lr fit``: one neuron learns a table of the user's, and its numbers are printed."""

from __future__ import annotations

from argparse import Namespace

from tinygrad_lr.check.neuron import three_gradients
from tinygrad_lr.regression.data import read_table
from tinygrad_lr.regression.descent import lipschitz_constant, neuron, train
from tinygrad_lr.show.fit import print_gradients, print_table, print_table_fit, print_training, progress_line


def run(options: Namespace) -> bool:
    """Learn the table; returns whether the gradients are right."""
    table = read_table(options.file, options.target, options.test)
    X, y, names, _ = table.samples
    model = neuron(len(names))
    at_start = three_gradients(model, X, y)
    lipschitz = lipschitz_constant(X)
    lr, chosen = (1 / lipschitz, " = 1/L (Lipschitz rule)") if options.lr is None else (options.lr, "")
    print_table(options.file, table)
    print_training(model, options.epochs, lr, chosen)
    print_table_fit(train(model, X, y, options.epochs, lr, progress_line(options.epochs)), table, lr * lipschitz)
    return print_gradients(model, at_start, three_gradients(model, X, y), names)
