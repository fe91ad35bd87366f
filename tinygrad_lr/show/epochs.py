"""What the page shows of training: the loss, the parameters, and what the network answers, epoch by epoch."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.record import no_grad
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.rules.reductions import softmax
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.functional import replaced
from tinygrad_lr.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss
from tinygrad_lr.nn.module import Module
from tinygrad_lr.show.picture import in_short, number, table_of

Data = dict[str, Any]
Floats = np.ndarray[Any, Any]

SNAPSHOTS = 60  # that the slider stops at
LOSSES, POINTS = 500, 400  # that are drawn
LINE, SIDE = 121, 40  # points on the curve, and along each side of the regions
MARGIN = 0.15  # of the range of the data, shown on each side of it


def training_of(model: Module, loss_fn: Any, x: Any, y: Any, history: Sequence[tuple[Any, Any]]) -> Data:
    """The history for the page; the model's parameters are back in place afterwards."""
    losses = [float(loss) for loss, _ in history]
    chosen = evenly(len(history), SNAPSHOTS)
    return {
        "epochs": len(history),
        "snapshots": [{"epoch": k, "loss": number(losses[k]), "parameters": parameters_of(history[k][1])} for k in chosen],
        "losses": [[k, losses[k] if np.isfinite(losses[k]) else None] for k in evenly(len(history), LOSSES)],
        "decision": decision_of(model, loss_fn, np.asarray(plain(x), float), y, [history[k][1] for k in chosen]),
    }


def evenly(n: int, most: int) -> list[int]:
    """At most ``most`` of the numbers 0 to n - 1, the first and the last among them.

    Examples
    --------
    >>> evenly(9, 3), evenly(2, 3)
    ([0, 4, 8], [0, 1])
    """
    return list(range(n)) if n <= most else [round(k) for k in np.linspace(0, n - 1, most).tolist()]


def parameters_of(state: Any) -> list[Data]:
    """Each parameter with its numbers, or what they amount to."""
    return [{"path": path, "table": table_of(np.asarray(value)), "short": in_short(np.asarray(value))} for path, value in state.items()]


def decision_of(model: Module, loss_fn: Any, x: Floats, y: Any, states: Sequence[Any]) -> Data | None:
    """What the network answers all over the range of one or two features, at each snapshot."""
    if x.ndim != 2 or x.shape[1] not in (1, 2):
        return None
    low, high = x.min(axis=0), x.max(axis=0)
    pad = MARGIN * np.where(high > low, high - low, 1.0)
    axes = [np.linspace(a, b, LINE if x.shape[1] == 1 else SIDE) for a, b in zip(low - pad, high + pad)]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1)
    answers = answers_of(model, loss_fn, grid, states)
    target = plain(y).reshape(len(x), -1)
    shown = evenly(len(x), POINTS)
    classes = answers.shape[-1] > 1 and isinstance(loss_fn, CrossEntropyLoss)
    data: Data = {
        "features": x.shape[1],
        "ranges": [[float(axis[0]), float(axis[-1])] for axis in axes],
        "points": [[*map(float, x[k]), float(target[k, 0])] for k in shown],
        "classes": answers.shape[-1] if classes else 2 if set(np.unique(target)) <= {0, 1} else 0,
        "answer": "class" if classes else "number",
    }
    finite = answers[np.isfinite(answers)]
    bottom, top = (0.0, 1.0) if data["classes"] else (float(np.min([*finite, target.min()])), float(np.max([*finite, target.max()])))
    data["low"], data["high"] = bottom, top
    levels = np.nan_to_num((answers - bottom) / ((top - bottom) or 1.0)).clip(0, 1)
    if x.shape[1] == 1:
        data["curves"] = [[np.round(levels[k, :, j], 4).tolist() for j in range(levels.shape[-1])] for k in range(len(states))]
    elif classes:
        data["side"], data["winners"] = SIDE, [encoded(level.argmax(axis=-1)) for level in levels]
        data["levels"] = [encoded(255 * level.max(axis=-1)) for level in levels]
    else:
        data["side"], data["levels"] = SIDE, [encoded(255 * level[:, 0]) for level in levels]
    return data


def answers_of(model: Module, loss_fn: Any, grid: Floats, states: Sequence[Any]) -> Floats:
    """What the model answers with the parameters of each state, as (states, points, outputs)."""
    response: Callable[[Any], Any] = {BCEWithLogitsLoss: sigmoid, CrossEntropyLoss: softmax}.get(type(loss_fn), lambda z: z)
    answers = []
    with replaced(model, {}), no_grad():
        for state in states:
            model.load_state_dict(state)
            answer = model(grid)
            answers.append(np.asarray(response(answer.data if isinstance(answer, Tensor) else answer)).reshape(len(grid), -1))
    return np.stack(answers)


def plain(array: Any) -> Any:
    """The numbers themselves."""
    return array.numpy() if isinstance(array, Tensor) else np.asarray(array)


def encoded(cells: Floats) -> str:
    """Numbers from 0 to 255 as bytes in base64."""
    return base64.b64encode(np.rint(cells).astype(np.uint8).tobytes()).decode()
