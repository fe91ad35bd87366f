"""The command line. Without arguments one neuron learns six primes; ``fit`` does the same for a table of one's own.

The answers go to standard output, laid out for 80 columns; progress and errors go to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np

import tinygrad_lr
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.check.everything import check_everything
from tinygrad_lr.nn.layers import Dense
from tinygrad_lr.nn.saving import load
from tinygrad_lr.regression.data import DataError
from tinygrad_lr.show.dot import draw
from tinygrad_lr.show.fit import print_primes, print_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give the exit status: 1 where a gradient is wrong, 2 for bad input or output that cannot be written."""
    if sys.stdout is None:
        return failed("error: standard output is closed", 2)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for all that would write there
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name in letters that the terminal lacks is no reason to stop
    try:
        try:
            options = parsed(arguments)
            correct = options.run(options)
        finally:
            sys.stdout.flush()
            abandon_if_broken(sys.stderr)
    except DataError as error:
        return failed(f"error: {shown(str(error))}", 2)
    except BrokenPipeError:  # the reader has seen enough
        abandon_if_broken(sys.stdout)
        return 141  # as a shell reports the end of a program by SIGPIPE
    except OSError as error:
        abandon_if_broken(sys.stdout)
        return failed(f"error: {shown(str(error)) if error.filename else f'cannot write the output: {error.strerror}'}", 2)
    except KeyboardInterrupt:
        return failed("\nstopped", 130)  # as a shell reports the end of a program by SIGINT
    return 0 if correct else 1


def failed(message: str, status: int) -> int:
    """Say why on standard error, if it takes anything; give the exit status."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(message, file=sys.stderr, flush=True)
        abandon_if_broken(sys.stderr)
    return status


def abandon_if_broken(stream: TextIO) -> None:
    """Let what cannot be written go nowhere, or Python would fail at it once more when it ends, with a status of its own."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Parser(argparse.ArgumentParser):
    """Shows on one line what it cannot take, and does not pass over it where help cannot be written."""

    def error(self, message: str) -> NoReturn:
        super().error(shown(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        print(message, end="", file=file or sys.stderr)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    about = "Logistic regression as a network of one neuron, with every number shown. Without a command it learns six primes."
    parser = Parser(prog="python -m tinygrad_lr", description=about)
    parser.add_argument("--version", action="version", version=f"tinygrad_lr {tinygrad_lr.__version__}")
    parser.set_defaults(run=lambda options: print_primes())
    commands = parser.add_subparsers(metavar="command")

    fit = commands.add_parser("fit", help="fit a CSV file of numbers with a header row")
    fit.set_defaults(run=lambda options: print_table(options.file, options.target, options.epochs, options.lr, options.test))
    fit.add_argument("file", help="the CSV file: one column of classes, all others features")
    fit.add_argument("--target", required=True, metavar="NAME", help="the column that holds the class, 0 or 1")
    whole = bounded(int, float("inf"), "a whole number above 0")
    fit.add_argument("--epochs", type=whole, default=2500, metavar="N", help="how many gradient steps to take (default: %(default)s)")
    rate = bounded(float, 1e6, "a number above 0, at most 1e6")
    fit.add_argument("--lr", type=rate, metavar="RATE", help="the learning rate (default: 1/L, with L the Lipschitz constant of the gradient)")
    share = bounded(float, 0.99, "a share above 0, at most 0.99")
    fit.add_argument("--test", type=share, metavar="SHARE", help="hold out this share of the samples, such as 0.2, and test on them")

    check = commands.add_parser("check", help="check every rule and layer against differences")
    check.set_defaults(run=lambda options: print_check())

    drawing = commands.add_parser("draw", help="draw the graph of a saved model")
    drawing.set_defaults(run=lambda options: draw_model(options.model, options.picture, options.depth))
    drawing.add_argument("model", help="a model written by tinygrad_lr.nn.save, ending in .npz")
    drawing.add_argument("-o", "--picture", metavar="FILE", help="where to: .svg, .png, .pdf or .gv (default: the model's name with .svg)")
    drawing.add_argument("--depth", type=bounded(int, float("inf"), "a whole number above 0"), metavar="N", help="close modules below this level")
    return parser.parse_args(arguments)


def print_check() -> bool:
    """Check every rule and layer; tell whether all is right."""
    correct, table = check_everything()
    print(table)
    return correct


def draw_model(path: str, picture: str | None, depth: int | None) -> bool:
    """Draw a saved model for one sample of ones, and say where the picture is."""
    try:
        with warnings.catch_warnings(action="ignore"):  # infinite weights are drawn as they are
            model = load(path)
            widths = [part.n_in for _, part in model.named_modules() if isinstance(part, Dense)]
            drawing = draw(model, np.ones((1, widths[0] if widths else 1)), depth=depth)
            written = drawing.save(picture or Path(path).with_suffix(".svg"))
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(str(error)) from error
    print(f"wrote {shown(str(written))}")
    return True


def bounded(convert: Callable[[str], float], largest: float, expected: str) -> Callable[[str], float]:
    """A type for argparse: a number above 0, and not above the largest."""

    def converted(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = 0
        if not 0 < value <= largest:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return converted
