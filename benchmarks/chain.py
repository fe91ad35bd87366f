"""A long chain of multiplications: the cost of one node, and whether depth costs more than its nodes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.timing import Contestant, Job, Target

FACTOR = 1.0000001
DEPTH = 100_000
DEPTHS = (10_000, 100_000, 1_000_000)


def relative(forward_backward: Callable[[], tuple[float, np.ndarray]], depth: int) -> Contestant:
    """A contestant that gives value and gradient relative to the right ones, FACTOR**depth both: so 1 and 1 at any depth."""
    right = FACTOR**depth
    gradient = np.empty(())

    def step() -> float:
        nonlocal gradient
        value, gradient = forward_backward()
        return value / right

    return Contestant(step, lambda: [np.asarray(gradient) / right])


def closed_form() -> Contestant:
    return Contestant(lambda: 1.0, lambda: [np.ones(())])


def ours(depth: int = DEPTH) -> Contestant:
    import tinygrad_lr as tg

    x = tg.Tensor(1.0, requires_grad=True)

    def forward_backward() -> tuple[float, np.ndarray]:
        h = x
        for _ in range(depth):
            h = h * FACTOR
        x.zero_grad()
        h.backward()
        return h.item(), x.grad

    return relative(forward_backward, depth)


def pytorch() -> Contestant:
    import torch

    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def forward_backward() -> tuple[float, np.ndarray]:
        h = x
        for _ in range(DEPTH):
            h = h * FACTOR
        x.grad = None
        h.backward()
        return h.item(), x.grad.numpy()

    return relative(forward_backward, DEPTH)


def autograd() -> Contestant:
    from autograd import value_and_grad

    def chain(h):
        for _ in range(DEPTH):
            h = h * FACTOR
        return h

    return relative(partial(value_and_grad(chain), 1.0), DEPTH)


def mygrad() -> Contestant:
    import mygrad as mg

    x = mg.tensor(1.0)

    def forward_backward() -> tuple[float, np.ndarray]:
        h = x
        for _ in range(DEPTH):
            h = h * FACTOR
        h.backward()
        return h.item(), x.grad

    return relative(forward_backward, DEPTH)


JOBS = [
    Job(
        f"A chain of {DEPTH:,} multiplications of one number, float64: forward and backward",
        {"PyTorch eager": pytorch, "tinygrad_lr": ours, "autograd": autograd, "MyGrad": mygrad},
        reference=closed_form,
        rounds=11,
        rtol=1e-8,
        targets=(Target("faster than PyTorch eager", "tinygrad_lr", 1, "PyTorch eager"),),
    ),
    Job(
        "The same chain at three depths: the time per operation",
        {f"{depth:,} deep": partial(ours, depth) for depth in DEPTHS},
        reference=closed_form,
        rounds=10,
        rtol=1e-8,
        targets=(Target("1,000,000 deep works in linear time: an operation costs at most twice as much", "1,000,000 deep", 2, "10,000 deep"),),
        operations={f"{depth:,} deep": depth for depth in DEPTHS},
    ),
]
