"""What the page shows of training: the loss at every epoch, and snapshots of the parameters and of the network's output.

The slider runs over the user's epochs. There are fewer snapshots, to keep the page small: between two of them it shows
the earlier one, and says so; it does not interpolate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinygrad_lr.autodiff.record import no_grad
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.check.equations import covers
from tinygrad_lr.nn.functional import substitute
from tinygrad_lr.nn.module import Module, arrays_of
from tinygrad_lr.show.cells import Data, averaged, encoded, largest_of, matrix_of, signed_cells
from tinygrad_lr.show.picture import in_short, number

State = Mapping[str, Array]
History = Sequence[tuple[float, State | None] | tuple[int, float, State | None]]
Entry = tuple[int, float, State | None]

DRAWN, POINTS = 5000, 400  # losses, and points of data, that are drawn at most
MOST, FEWEST, BYTES = 101, 12, 120_000  # number of snapshots in a page, and the bytes that they may take
NUMBERS, COLUMNS = 32, 4  # a larger parameter, or a matrix with more columns, is shown as a heat map
LINE, SIDE = 101, 40  # points on the curve, and along each side of the regions
MARGIN = 0.15  # of the range of the data, shown on each side of it


def training_of(model: Module, loss_fn: object, x: Array, y: Array, history: History) -> Data:
    """The history for the page; the model is left as it was.

    Raises
    ------
    ValueError
        If an entry is malformed, epochs do not increase, no entry has a state, or a state does not fit the model.
    """
    entries = entries_of(history)
    taken = [(epoch, state) for epoch, _, state in entries if state is not None]
    if not taken:
        raise ValueError("history has no snapshot: at least one entry needs model.state_dict()")
    scene = scene_of(loss_fn, plain(x), plain(y))
    sizes = [plain(value).size for value in taken[0][1].values()]
    each = sum(9 * n if n <= NUMBERS else 60 + min(2 * n, 2000) for n in sizes) + (0 if scene is None else 4 * len(scene["grid"]) // 3)
    chosen = [taken[k] for k in evenly(len(taken), max(FEWEST, min(MOST, BYTES // max(1, each))))]
    states = [state for _, state in chosen]
    own = {path: thing.data for path, thing in arrays_of(model).items() if isinstance(thing, Tensor)}
    frozen = substitute(model, own, still=True).eval()  # states are loaded into it, not into the model
    with no_grad(), np.errstate(all="ignore"):
        outputs = [output_of(frozen, loss_fn, state, scene) for state in states]
    return {
        "first": entries[0][0],
        "last": entries[-1][0],
        "losses": losses_of(entries),
        "snapshots": [epoch for epoch, _ in chosen],
        "parameters": [parameter_of(path, [plain(state[path]) for state in states]) for path in states[0]],
        "decision": decision_of(scene, outputs) if scene else None,
    }


# -- the history -------------------------------------------------------------------------------------------


def entries_of(history: History) -> list[Entry]:
    """Each entry as (epoch, loss, state or None).

    Examples
    --------
    >>> entries_of([(0.7, None), (0.5, {})]), entries_of([(10, 0.7, None), (20, 0.5, {})])
    ([(0, 0.7, None), (1, 0.5, {})], [(10, 0.7, None), (20, 0.5, {})])
    """
    entries: list[Entry] = []
    for k, entry in enumerate(history):
        if not isinstance(entry, tuple | list) or len(entry) not in (2, 3):
            form = f"{type(entry).__name__} of {len(entry)}" if isinstance(entry, tuple | list) else type(entry).__name__
            raise ValueError(f"history[{k}] is a {form}: expected (loss, state) or (epoch, loss, state)")
        epoch, loss, state = entry if len(entry) == 3 else (k, *entry)
        if not isinstance(epoch, int | np.integer):
            raise ValueError(f"history[{k}] has the epoch {epoch!r}: expected a whole number")
        if entries and epoch <= entries[-1][0]:
            raise ValueError(f"history[{k}] has the epoch {epoch} after the epoch {entries[-1][0]}: epochs must increase")
        if state is not None and not isinstance(state, Mapping):
            raise ValueError(f"history[{k}] has a {type(state).__name__} as its state: expected model.state_dict(), or None in an epoch without a snapshot")
        try:
            entries.append((int(epoch), float(loss), state))
        except (TypeError, ValueError):
            raise ValueError(f"history[{k}] has a {type(loss).__name__} as its loss: expected a number, such as loss.item()") from None
    return entries


def losses_of(entries: Sequence[Entry]) -> Data:
    """The losses as text, with their epochs unless every epoch has one; if there are many, the extremes of each short stretch."""
    kept = extremes(np.array([loss for _, loss, _ in entries]), DRAWN)
    epochs = [entries[k][0] for k in kept]
    every = epochs == list(range(epochs[0], epochs[-1] + 1))
    return {"epochs": None if every else epochs, "values": " ".join(f"{entries[k][1]:.6g}" for k in kept)}


def extremes(values: Array, most: int) -> list[int]:
    """At most ``most`` indices: the first and last, and of each of equal stretches the lowest and highest, so that no spike is lost.

    Examples
    --------
    >>> extremes(np.array([0.0, 1, 9, 2, 3, -5, 4, 5]), 6)
    [0, 2, 5, 7]
    """
    if len(values) <= most:
        return list(range(len(values)))
    low, high = np.where(np.isnan(values), np.inf, values), np.where(np.isnan(values), -np.inf, values)
    stretches = np.array_split(np.arange(len(values)), most // 2 - 1)
    found = {int(part[pick]) for part in stretches for pick in (low[part].argmin(), high[part].argmax())}
    return sorted(found | {0, len(values) - 1})


def evenly(n: int, most: int) -> list[int]:
    """At most ``most`` of the numbers 0 to n - 1, the first and the last among them.

    Examples
    --------
    >>> evenly(9, 3), evenly(2, 3)
    ([0, 4, 8], [0, 1])
    """
    return list(range(n)) if n <= most else [round(k) for k in np.linspace(0, n - 1, most).tolist()]


# -- the parameters ----------------------------------------------------------------------------------------


def parameter_of(path: str, values: Sequence[Array]) -> Data:
    """A parameter at each snapshot: its numbers, or cells on one scale for the whole training, and a summary."""
    rows, columns = matrix_of(values[0]).shape
    data: Data = {"path": path, "shape": list(values[0].shape), "columns": columns}
    if values[0].size <= NUMBERS and (columns <= COLUMNS or rows == 1):
        return data | {"numbers": [" ".join(number(x) for x in value.ravel()) for value in values]}
    means = [averaged(matrix_of(value)) for value in values]
    largest = largest_of(np.stack(means))
    cells = {"rows": means[0].shape[0], "columns": means[0].shape[1], "largest": number(largest), "cells": [signed_cells(mean, largest) for mean in means]}
    return data | {"map": cells, "short": [", ".join(f"{name} {text}" for name, text in in_short(value)) for value in values]}


# -- the output of the network -------------------------------------------------------------------------------


def scene_of(loss_fn: object, x: Array, y: Array) -> Data | None:
    """The grid on which the network is evaluated, and the data, for one or two features; None for more."""
    if x.ndim != 2 or x.shape[1] not in (1, 2) or not len(x) or x.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        return None
    x, target = x.astype(float), y.reshape(len(x), -1)[:, 0].astype(float)
    if not (np.isfinite(x).all() and np.isfinite(target).all()):
        return None
    low, high = x.min(axis=0), x.max(axis=0)
    pad = MARGIN * np.where(high > low, high - low, 1.0)
    axes = [np.linspace(a, b, LINE if x.shape[1] == 1 else SIDE) for a, b in zip(low - pad, high + pad)]
    return {
        "grid": np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1),
        "ranges": [[float(axis[0]), float(axis[-1])] for axis in axes],
        "points": [[*map(float, x[k]), float(target[k])] for k in evenly(len(x), POINTS)],
        "target": target,
        "kind": loss_fn.about[0].prediction if covers(loss_fn) else "number",
    }


def output_of(model: Module, loss_fn: object, state: State, scene: Data | None) -> Array:
    """The output of the model on the grid with the parameters of a state, as (points, outputs)."""
    model.load_state_dict(state)
    if scene is None:
        return np.empty((0, 0))
    found = plain(model(scene["grid"]))
    response = loss_fn.about[0].response if covers(loss_fn) else None
    return np.asarray(response(found) if response else found).reshape(len(scene["grid"]), -1)


def decision_of(scene: Data, found: Sequence[Array]) -> Data:
    """The output of the network over the range of its inputs, at each snapshot."""
    target, kind, features = scene["target"], scene["kind"], len(scene["ranges"])
    outputs = found[0].shape[-1]
    kind = "number" if kind == "class" and outputs == 1 else kind
    low, high = (0.0, 1.0) if kind != "number" else window(target, np.stack(found))
    data: Data = {key: scene[key] for key in ("ranges", "points")} | {"kind": kind, "outputs": outputs, "low": low, "high": high}
    data["classes"] = outputs if kind == "class" else 2 if set(np.unique(target)) <= {0, 1} else 0
    with np.errstate(over="ignore"):
        shares = [np.where(np.isfinite(values), (values - low) / (high - low), np.nan) for values in found]
    if features == 1:  # beyond the window a curve leaves the picture, by at most its height on each side
        data["curves"] = [[encoded(levels(share[:, j], -1, 2, 65535), "u2") for j in range(outputs)] for share in shares]
        return data
    data["side"] = SIDE
    if kind == "class":
        data["winners"] = [encoded(share.argmax(axis=-1)) for share in shares]
    data["levels"] = [encoded(levels(share.max(axis=-1) if kind == "class" else share[:, 0], 0, 1, 255)) for share in shares]
    return data


def window(target: Array, outputs: Array) -> tuple[float, float]:
    """The range of outputs to show: that of the data, extended to the network's outputs by at most as much again on each side."""
    bottom, top = float(target.min()), float(target.max())
    span = (top - bottom) or 1.0
    known = np.clip(outputs[np.isfinite(outputs)], bottom - span, top + span)
    low, high = float(np.min(known, initial=bottom)), float(np.max(known, initial=top))
    return low, high if high > low else low + span


def levels(shares: Array, low: float, high: float, most: int) -> Array:
    """Shares from low to high as 1 to ``most``; 0 is not finite.

    Examples
    --------
    >>> levels(np.array([0.0, 0.5, 1.0, 7.0, np.nan]), 0, 1, 255)
    array([  1., 128., 255., 255.,   0.])
    """
    return np.where(np.isnan(shares), 0, 1 + np.rint((most - 1) * (np.clip(np.nan_to_num(shares), low, high) - low) / (high - low)))


def plain(array: Array) -> Array:
    """The numbers themselves."""
    return array.numpy() if isinstance(array, Tensor) else np.asarray(array)
