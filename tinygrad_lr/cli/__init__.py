"""The command line: the parser, and how a run ends. Each command has a file of its own.

Results go to standard output, laid out for 80 columns; progress and errors go to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TextIO

import tinygrad_lr
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.cli import check, draw, fit, primes
from tinygrad_lr.regression.data import DataError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 1 where a gradient is wrong, 2 for bad input or output that cannot be written."""
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
    """Say why on standard error, if that can be written to; returns the exit status."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(message, file=sys.stderr, flush=True)
        abandon_if_broken(sys.stderr)
    return status


def abandon_if_broken(stream: TextIO) -> None:
    """Discard what cannot be written, or Python would fail at it once more when it ends, with a status of its own."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Parser(argparse.ArgumentParser):
    """Shows on one line what it cannot accept, and does not ignore that help cannot be written."""

    def error(self, message: str) -> NoReturn:
        super().error(shown(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        print(message, end="", file=file or sys.stderr)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; ``options.run`` is the command."""
    about = "Logistic regression as a network of one neuron, with every number shown. Without a command it learns six primes, an example."
    status = "Each command has a --help of its own. The exit status is 0, or 1 if a gradient is wrong, or 2 for bad input or output that cannot be written."
    parser = Parser(prog="python -m tinygrad_lr", description=about, epilog=status)
    parser.add_argument("--version", action="version", version=f"tinygrad_lr {tinygrad_lr.__version__}")
    parser.set_defaults(run=primes.run)
    commands = parser.add_subparsers(metavar="command")
    whole = bounded(int, float("inf"), "a whole number above 0")

    about = (
        "Fit one neuron to a table by gradient descent. Prints its weights beside those of maximum likelihood, its predictions, and a check of its gradient."
    )
    fitting = commands.add_parser("fit", help="fit a CSV file of numbers with a header row", description=about)
    fitting.set_defaults(run=fit.run)
    fitting.add_argument("file", help="a CSV file of numbers with a header row: one column of classes, all others features")
    fitting.add_argument("--target", required=True, metavar="NAME", help="the column that holds the class, 0 or 1")
    fitting.add_argument("--epochs", type=whole, default=2500, metavar="N", help="how many gradient steps to take (default: %(default)s)")
    rate = bounded(float, 1e6, "a number above 0, at most 1e6")
    fitting.add_argument("--lr", type=rate, metavar="RATE", help="the learning rate (default: 1/L, with L the Lipschitz constant of the gradient)")
    share = bounded(float, 0.99, "a share above 0, at most 0.99")
    fitting.add_argument("--test", type=share, metavar="SHARE", help="hold out this share of the samples, such as 0.2, and test on them")

    about = "Check the gradients of every function and layer of this package, at first and second order, against finite differences."
    commands.add_parser("check", help="check every rule and layer against differences", description=about).set_defaults(run=check.run)

    about = "Draw the computation graph of a saved model, called on one sample of ones."
    drawing = commands.add_parser("draw", help="draw the graph of a saved model", description=about)
    drawing.set_defaults(run=draw.run)
    drawing.add_argument("model", help="a model written by tinygrad_lr.nn.save, ending in .npz")
    drawing.add_argument("-o", "--picture", metavar="FILE", help="where to write it: .svg, .png, .pdf or .gv (default: the model's name with .svg)")
    drawing.add_argument(
        "--depth", type=whole, metavar="N", help="show modules of this level as single boxes: 1 for the parts of the model (default: open all)"
    )
    return parser.parse_args(arguments)


def bounded(convert: Callable[[str], float], largest: float, expected: str) -> Callable[[str], float]:
    """A type for argparse: a number above 0 and at most ``largest``; ``expected`` says so in words."""

    def converted(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = 0
        if not 0 < value <= largest:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return converted
